//! How a run goes on, by time.

use serde_json::{Value, json};

use crate::InvocationResponse;
use crate::stats::{Number, Percentile, summarize};

/// Slices of time, at most.
const MAX_SLICES: usize = 240;
/// The length of a slice at first, in seconds; it doubles when there would be too many.
const FIRST_LENGTH: f64 = 0.5;

/// What ended in each of some slices of time.
#[derive(Debug)]
pub(super) struct Series {
    /// Seconds of a slice.
    length: f64,
    /// When the first request was sent, in microseconds.
    start: Option<i64>,
    /// When the last response ended, in seconds since then.
    end: f64,
    slices: Vec<Slice>,
}

#[derive(Debug, Default, Clone)]
struct Slice {
    succeeded: u64,
    failed: u64,
    tokens: u64,
    /// Times to first token, or, of responses without, to the last, in seconds.
    ttft: Vec<f32>,
    ttlt: Vec<f32>,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            length: FIRST_LENGTH,
            start: None,
            end: 0.0,
            slices: Vec::new(),
        }
    }
}

impl Series {
    /// Takes in a response.
    pub(super) fn record(&mut self, response: &InvocationResponse) {
        let Some(sent) = response.request_time else {
            return;
        };
        let sent = sent.as_microsecond();
        let start = *self.start.get_or_insert(sent);
        let since = sent.saturating_sub(start) as f64 * 1e-6;
        let end = (since + response.time_in_flight().unwrap_or(0.0)).max(0.0);
        if !end.is_finite() {
            return;
        }
        self.end = self.end.max(end);
        while end >= self.length * MAX_SLICES as f64 {
            self.double();
        }
        let at = (end / self.length) as usize;
        if self.slices.len() <= at {
            self.slices.resize(at + 1, Slice::default());
        }
        let slice = &mut self.slices[at];
        slice.tokens += response.num_tokens_output.unwrap_or(0);
        if response.error.is_some() {
            slice.failed += 1;
            return;
        }
        slice.succeeded += 1;
        slice
            .ttft
            .extend(response.time_to_first_token.map(|time| time as f32));
        slice
            .ttlt
            .extend(response.time_to_last_token.map(|time| time as f32));
    }

    /// Seconds from the first request to the end of the last response.
    pub(super) fn seconds(&self) -> f64 {
        self.end
    }

    fn double(&mut self) {
        self.length *= 2.0;
        let merged = self.slices.chunks(2).map(|two| {
            let mut merged = Slice::default();
            for one in two {
                merged.succeeded += one.succeeded;
                merged.failed += one.failed;
                merged.tokens += one.tokens;
                merged.ttft.extend_from_slice(&one.ttft);
                merged.ttlt.extend_from_slice(&one.ttlt);
            }
            merged
        });
        self.slices = merged.collect();
    }

    /// For the page: lists with a value for each slice; times are in seconds, rates a second.
    pub(super) fn to_json(&self) -> Value {
        let each = |of: &dyn Fn(&Slice) -> Value| -> Value { self.slices.iter().map(of).collect() };
        let rate = |count: u64| count as f64 / self.length;
        json!({
            "length": self.length,
            "requests": each(&|slice| rate(slice.succeeded).into()),
            "failures": each(&|slice| slice.failed.into()),
            "tokens": each(&|slice| rate(slice.tokens).into()),
            "ttft_p50": each(&|slice| percentile(&slice.ttft, Percentile::P50)),
            "ttft_max": each(&|slice| largest(&slice.ttft)),
            "ttlt_p50": each(&|slice| percentile(&slice.ttlt, Percentile::P50)),
            "ttlt_max": each(&|slice| largest(&slice.ttlt)),
        })
    }
}

fn largest(values: &[f32]) -> Value {
    let largest = values.iter().copied().reduce(f32::max);
    largest.map_or(Value::Null, |value| f64::from(value).into())
}

fn percentile(values: &[f32], wanted: Percentile) -> Value {
    let numbers: Vec<_> = values
        .iter()
        .map(|value| Number::Float(f64::from(*value)))
        .collect();
    let summary = summarize(&numbers, &[wanted]);
    let found = summary
        .into_iter()
        .find(|(name, _)| *name == wanted.to_string());
    found.map_or(Value::Null, |(_, value)| value.into())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn response(sent: f64, ttlt: f64) -> InvocationResponse {
        InvocationResponse {
            request_time: Timestamp::from_microsecond(1_700_000_000_000_000 + (sent * 1e6) as i64)
                .ok(),
            time_to_first_token: Some(ttlt / 2.0),
            time_to_last_token: Some(ttlt),
            num_tokens_output: Some(10),
            ..InvocationResponse::default()
        }
    }

    #[test]
    fn slices_double_when_there_would_be_too_many() {
        let mut series = Series::default();
        for second in 0..200_u32 {
            series.record(&response(f64::from(second), 0.25));
        }
        assert_eq!((series.length, series.slices.len()), (1.0, 200));
        let json = series.to_json();
        assert_eq!(json["requests"][7], 1.0);
        assert_eq!(json["tokens"][7], 10.0);
        assert_eq!(json["ttft_p50"][7], 0.125);
        series.record(&response(100_000.0, 0.5));
        assert!(series.slices.len() <= MAX_SLICES, "{}", series.slices.len());
        let succeeded: u64 = series.slices.iter().map(|slice| slice.succeeded).sum();
        assert_eq!(succeeded, 201);
        // What is beyond all bounds is left out.
        series.record(&response(0.0, f64::INFINITY));
        assert_eq!(series.seconds(), 100_000.5);
    }
}
