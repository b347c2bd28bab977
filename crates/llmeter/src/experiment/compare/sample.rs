//! What a comparison keeps of the responses of a run: numbers, and no texts.

use jiff::Timestamp;

use super::blocks::Series;
use crate::InvocationResponse;
use crate::api::Delivery;
use crate::stats::{Condition, Metric, MetricKind, is_met_by};

/// Gaps that are kept of a run, about: of more, each response gives a fair part.
const MAX_GAPS: usize = 200_000;
/// Bins of time into which a run is cut for its rates.
const MAX_BINS: usize = 256;
/// Requests that a bin has on average, at least.
const REQUESTS_PER_BIN: usize = 4;

/// The responses of a run in the order in which their requests were sent.
#[derive(Debug, Default)]
pub(super) struct Sample {
    columns: Vec<Column>,
    slos: Vec<Condition>,
    rows: Vec<Row>,
    /// The rows in the order in which requests were sent.
    order: Vec<usize>,
    gaps: Vec<f32>,
    /// One of so many gaps is kept.
    gap_step: usize,
}

/// The values of one metric of single responses, failed ones left out.
#[derive(Debug)]
struct Column {
    metric: &'static Metric,
    /// NaN where a response has none.
    values: Vec<f64>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    sent: Option<Timestamp>,
    seconds: f64,
    is_failed: bool,
    meets_slos: bool,
    tokens: (u64, u64),
    gaps: (usize, usize),
}

/// An amount that each request adds to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amount {
    Requests,
    Successes,
    Failures,
    GoodRequests,
    InputTokens,
    OutputTokens,
}

impl Row {
    fn amount(&self, amount: Amount) -> f64 {
        match amount {
            Amount::Requests => 1.0,
            Amount::Successes => f64::from(u8::from(!self.is_failed)),
            Amount::Failures => f64::from(u8::from(self.is_failed)),
            Amount::GoodRequests => f64::from(u8::from(self.meets_slos)),
            Amount::InputTokens => self.tokens.0 as f64,
            Amount::OutputTokens => self.tokens.1 as f64,
        }
    }
}

impl Sample {
    /// A sample of a run with about so many responses, which are to meet these SLOs.
    pub(super) fn new(slos: &[Condition], gaps: u64) -> Self {
        let of_responses = |metric: &&Metric| {
            matches!(metric.kind, MetricKind::Statistics(_)) && metric.is_of_responses()
        };
        let columns = crate::stats::METRICS.iter().filter(of_responses);
        let slos = slos.iter().filter(|slo| slo.is_per_request());
        Self {
            columns: columns
                .map(|metric| Column {
                    metric,
                    values: Vec::new(),
                })
                .collect(),
            slos: slos.cloned().collect(),
            gap_step: (gaps as usize).div_ceil(MAX_GAPS).max(1),
            ..Self::default()
        }
    }

    pub(super) fn has_slos(&self) -> bool {
        !self.slos.is_empty()
    }

    /// Whether there is no response.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many responses there are, and how many of them failed.
    pub(super) fn counts(&self) -> (u64, u64) {
        let failed = self.rows.iter().filter(|row| row.is_failed).count();
        (self.rows.len() as u64, failed as u64)
    }

    pub(super) fn push(&mut self, response: &InvocationResponse) {
        let is_failed = response.error.is_some();
        for column in &mut self.columns {
            let value = column.metric.value_of(response).filter(|_| !is_failed);
            column.values.push(value.unwrap_or(f64::NAN));
        }
        let from = self.gaps.len();
        if !is_failed && response.detail.delivery != Some(Delivery::Buffered) {
            // Another place in each response, so that none of a stream's gaps is left out each time.
            let skipped = self.rows.len() % self.gap_step;
            let gaps = response.detail.inter_token_latencies.iter();
            let gaps = gaps.skip(skipped).step_by(self.gap_step);
            self.gaps.extend(gaps.filter(|gap| gap.is_finite()));
        }
        self.rows.push(Row {
            sent: response.request_time,
            seconds: response.time_in_flight().unwrap_or(0.0),
            is_failed,
            meets_slos: self.slos.iter().all(|slo| is_met_by(slo, response)),
            tokens: (
                response.num_tokens_input.unwrap_or(0),
                response.num_tokens_output.unwrap_or(0),
            ),
            gaps: (from, self.gaps.len()),
        });
    }

    /// Puts requests into the order in which they were sent, if that is known of all. To be called when all
    /// are there.
    pub(super) fn sort(&mut self) {
        self.order = (0..self.rows.len()).collect();
        if self.rows.iter().all(|row| row.sent.is_some()) {
            self.order.sort_by_key(|at| self.rows[*at].sent);
        }
    }

    /// The values of a metric of single responses.
    pub(super) fn values(&self, metric: &Metric) -> Series {
        let column = self.columns.iter().find(|one| one.metric.key == metric.key);
        let Some(column) = column else {
            return Series::of(Vec::new());
        };
        let values = self.order.iter().map(|at| column.values[*at]);
        Series::of(values.filter(|value| !value.is_nan()).collect())
    }

    /// All gaps, by request.
    pub(super) fn gaps(&self) -> Series {
        let (mut values, mut ends) = (Vec::with_capacity(self.gaps.len()), Vec::new());
        for at in &self.order {
            let (from, to) = self.rows[*at].gaps;
            if from < to {
                values.extend(self.gaps[from..to].iter().map(|gap| f64::from(*gap)));
                ends.push(values.len());
            }
        }
        Series {
            values,
            ends: Some(ends),
            weight: 1.0,
        }
    }

    /// An amount of each request.
    pub(super) fn amounts(&self, amount: Amount) -> Series {
        let order = self.order.iter();
        Series::of(order.map(|at| self.rows[*at].amount(amount)).collect())
    }

    /// An amount of the requests that ended in each of many equal times of a run that took `window`
    /// seconds; empty if it is not known when they were sent.
    pub(super) fn rate(&self, amount: Amount, window: Option<f64>) -> Series {
        let empty = Series::of(Vec::new());
        let first = self.rows.iter().map(|row| row.sent).min().flatten();
        let (Some(first), Some(window)) = (first, window.filter(|window| *window > 0.0)) else {
            return empty;
        };
        let bins = (self.rows.len() / REQUESTS_PER_BIN).min(MAX_BINS);
        if bins == 0 {
            return empty;
        }
        let width = window / bins as f64;
        let mut amounts = vec![0.0; bins];
        for row in &self.rows {
            let Some(sent) = row.sent else {
                return empty;
            };
            let at = sent.duration_since(first).as_secs_f64() + row.seconds;
            let bin = ((at / width) as usize).min(bins - 1);
            amounts[bin] += row.amount(amount);
        }
        Series {
            values: amounts,
            ends: None,
            weight: width,
        }
    }
}
