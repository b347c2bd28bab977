//! What became of warm-up requests, which are no part of the figures.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::base::failure::Failure;
use crate::endpoint::InvocationResponse;

/// Counts warm-up requests.
#[derive(Debug, Default)]
pub(crate) struct WarmupTally {
    requests: u64,
    failed: u64,
    first_failure: Option<Failure>,
    /// When the first was sent.
    begun: Option<Timestamp>,
}

impl WarmupTally {
    pub(crate) fn record(&mut self, response: InvocationResponse) {
        self.requests += 1;
        let sent = response.request_time;
        self.begun = [self.begun, sent].into_iter().flatten().min();
        if let Some(failure) = response.error {
            self.failed += 1;
            self.first_failure.get_or_insert(failure);
        }
    }

    /// The statistics, of a run whose first request was sent at `first`; none without a warm-up.
    pub(crate) fn stats(&self, first: Option<Timestamp>) -> Map<String, Value> {
        if self.requests == 0 {
            return Map::new();
        }
        let length = self.begun.zip(first);
        let length = length.map(|(begun, first)| first.duration_since(begun).as_secs_f64());
        let failed = self.first_failure.as_ref().map(|_| self.failed);
        let stats = [
            ("warmup_requests", json!(self.requests)),
            ("warmup_time", json!(length)),
            ("warmup_failed_requests", json!(failed)),
            (
                "warmup_first_failure",
                json!(self.first_failure.as_ref().map(Failure::message)),
            ),
        ];
        stats
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }
}
