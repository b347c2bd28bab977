//! What a meter reported beside what really happened.
//!
//! Belongs here: joining responses with the truth log, and the errors that follow.
//! Does not belong here: making either of them.

use std::collections::HashMap;

use llmeter::InvocationResponse;
use llmeter::stats::{Number, STANDARD_PERCENTILES, summarize};

use crate::truth::{Outcome, TruthRecord};

/// The errors of a meter, reported minus true, in seconds. Only successful requests count.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// Errors of the time to first token, one for each request.
    pub ttft: Vec<f64>,
    /// Errors of the time to last token, one for each request.
    pub ttlt: Vec<f64>,
    /// Errors of the gaps between frames.
    pub itl: Vec<f64>,
    /// Successful responses that the truth log does not know.
    pub unmatched: usize,
}

/// A mean and two percentiles of some errors, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ErrorSummary {
    /// The mean.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
}

impl Comparison {
    /// Joins the two by the response's id.
    pub fn new(responses: &[InvocationResponse], truth: &[TruthRecord]) -> Self {
        let truth: HashMap<&str, &TruthRecord> = truth
            .iter()
            .filter(|record| record.outcome == Outcome::Ok)
            .map(|record| (record.id.as_str(), record))
            .collect();
        let mut comparison = Self::default();
        for response in responses.iter().filter(|response| response.error.is_none()) {
            let record = response.id.as_deref().and_then(|id| truth.get(id));
            match record {
                Some(record) => comparison.add(response, record),
                None => comparison.unmatched += 1,
            }
        }
        comparison
    }

    fn add(&mut self, response: &InvocationResponse, record: &TruthRecord) {
        let since_arrival = |at: &i64| (at - record.arrival_ns) as f64 * 1e-9;
        let first = record.writes.first().map(since_arrival);
        let last = record.writes.last().map(since_arrival);
        let error = |(reported, actual): (f64, f64)| reported - actual;
        self.ttft
            .extend(response.time_to_first_token.zip(first).map(error));
        self.ttlt
            .extend(response.time_to_last_token.zip(last).map(error));
        let gaps = &response.detail.inter_token_latencies;
        // With frames that arrived as one there is no telling which gap is which.
        if gaps.len() + 1 == record.writes.len() {
            let pairs = gaps.iter().zip(record.writes.windows(2));
            let error =
                |(gap, pair): (&f32, &[i64])| f64::from(*gap) - (pair[1] - pair[0]) as f64 * 1e-9;
            self.itl.extend(pairs.map(error));
        }
    }
}

impl ErrorSummary {
    /// Sums up errors; `None` if there are none.
    pub fn new(errors: &[f64]) -> Option<Self> {
        let errors: Vec<Number> = errors.iter().copied().map(Number::Float).collect();
        let figures = summarize(&errors, &STANDARD_PERCENTILES);
        let figure = |name: &str| {
            let (_, value) = figures.iter().find(|(key, _)| key == name)?;
            Some(value.as_f64())
        };
        Some(Self {
            mean: figure("average")?,
            p50: figure("p50")?,
            p99: figure("p99")?,
        })
    }
}
