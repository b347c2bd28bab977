//! What became of warm-up requests, which are no part of the figures.

use serde_json::{Map, Value, json};

use crate::base::failure::Failure;
use crate::endpoint::InvocationResponse;

/// Counts warm-up requests.
#[derive(Debug, Default)]
pub(crate) struct WarmupTally {
    requests: u64,
    failed: u64,
    first_failure: Option<Failure>,
}

impl WarmupTally {
    pub(crate) fn record(&mut self, response: InvocationResponse) {
        self.requests += 1;
        if let Some(failure) = response.error {
            self.failed += 1;
            self.first_failure.get_or_insert(failure);
        }
    }

    /// The statistics; none if no request failed.
    pub(crate) fn stats(&self) -> Map<String, Value> {
        let Some(first) = &self.first_failure else {
            return Map::new();
        };
        let stats = [
            ("warmup_failed_requests", json!(self.failed)),
            ("warmup_requests", json!(self.requests)),
            ("warmup_first_failure", json!(first.message())),
        ];
        stats
            .map(|(key, value)| (key.to_owned(), value))
            .into_iter()
            .collect()
    }
}
