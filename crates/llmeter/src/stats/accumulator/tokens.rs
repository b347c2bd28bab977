//! Where token counts come from, and whether there are any.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Totals;
use crate::endpoint::TokenSource;
use crate::stats::exact_sum::ratio;

/// How many responses have their token count from which source.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceCounts(BTreeMap<String, u64>);

impl SourceCounts {
    pub(super) fn record(&mut self, source: Option<&TokenSource>) {
        let Some(source) = source.map(TokenSource::as_str) else {
            return;
        };
        match self.0.get_mut(source) {
            Some(count) => *count += 1,
            None => drop(self.0.insert(source.to_owned(), 1)),
        }
    }

    /// The share of each source.
    pub(in crate::stats) fn shares(&self) -> Vec<(String, Value)> {
        let all: u64 = self.0.values().sum();
        let share = |count: u64| ratio(i128::from(count), all).into();
        self.0
            .iter()
            .map(|(name, &count)| (name.clone(), share(count)))
            .collect()
    }
}

impl Totals {
    /// Whether there is a number of input tokens, or no success that could have one.
    fn knows_inputs(&self) -> bool {
        self.known_inputs > 0 || self.recorded == self.failed
    }

    /// The same of output tokens.
    pub(in crate::stats) fn knows_outputs(&self) -> bool {
        self.known_outputs > 0 || self.recorded == self.failed
    }

    /// Input tokens for each `seconds` of the run; null where no response has a count.
    pub(in crate::stats) fn input_rate(&self, seconds: f64) -> Value {
        match self.knows_inputs() {
            true => self.rate(self.input_tokens, seconds),
            false => Value::Null,
        }
    }

    /// The same of output tokens.
    pub(in crate::stats) fn output_rate(&self, seconds: f64) -> Value {
        match self.knows_outputs() {
            true => self.rate(self.output_tokens, seconds),
            false => Value::Null,
        }
    }
}
