//! The numbers of a run's statistics, in little memory.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::stats::{Support, support_by, support_of};

/// Numbers that are kept of one run.
const MAX_FIGURES: usize = 2_000;
/// Longest key that is kept, in bytes.
const MAX_KEY: usize = 200;

/// The numbers of a run's statistics by their keys in `stats.json`. Runs with the same keys share them.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFigures {
    /// In alphabetical order.
    keys: Arc<[String]>,
    values: Box<[f64]>,
}

impl Default for RunFigures {
    fn default() -> Self {
        Self {
            keys: Arc::new([]),
            values: Box::default(),
        }
    }
}

impl RunFigures {
    /// The figure of this key.
    ///
    /// ```
    /// let figures = llmeter::catalog::RunFigures::default();
    /// assert_eq!(figures.get("time_to_first_token-p50"), None);
    /// ```
    pub fn get(&self, key: &str) -> Option<f64> {
        let found = self
            .keys
            .binary_search_by(|known| known.as_str().cmp(key))
            .ok()?;
        self.values.get(found).copied()
    }

    /// How far the sample of the figure of this key carries it.
    pub(crate) fn support(&self, key: &str) -> Support {
        support_by(key, |key| self.get(key))
    }

    /// All figures, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        let keys = self.keys.iter().map(String::as_str);
        keys.zip(self.values.iter().copied())
    }

    pub(super) fn keys(&self) -> &Arc<[String]> {
        &self.keys
    }

    pub(super) fn values(&self) -> &[f64] {
        &self.values
    }
}

/// Makes figures that share their keys.
#[derive(Debug, Default)]
pub(super) struct KeySets(HashMap<Arc<[String]>, ()>);

impl KeySets {
    /// The numbers among statistics.
    pub(super) fn figures(&mut self, stats: &Map<String, Value>) -> RunFigures {
        let numbers = stats.iter().filter_map(|(key, value)| {
            let value = value.as_f64().filter(|value| value.is_finite())?;
            let is_carried = support_of(key, stats) != Support::None;
            (key.len() <= MAX_KEY && is_carried).then_some((key, value))
        });
        let mut numbers: Vec<_> = numbers.take(MAX_FIGURES).collect();
        numbers.sort_unstable_by_key(|(key, _)| *key);
        let keys: Vec<String> = numbers.iter().map(|(key, _)| (*key).clone()).collect();
        RunFigures {
            keys: self.shared(keys.into()),
            values: numbers.iter().map(|(_, value)| *value).collect(),
        }
    }

    /// Figures as they were kept; `None` if they cannot be right.
    pub(super) fn kept(&mut self, keys: &Arc<[String]>, values: Vec<f64>) -> Option<RunFigures> {
        (keys.len() == values.len()).then(|| RunFigures {
            keys: self.shared(keys.clone()),
            values: values.into(),
        })
    }

    fn shared(&mut self, keys: Arc<[String]>) -> Arc<[String]> {
        if let Some((known, ())) = self.0.get_key_value(&keys) {
            return known.clone();
        }
        self.0.insert(keys.clone(), ());
        keys
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn runs_with_the_same_keys_share_them() {
        let mut sets = KeySets::default();
        let mut figures = |stats: Value| sets.figures(stats.as_object().unwrap());
        let one = figures(json!({"b": 1, "a": 0.5, "text": "x", "flag": true}));
        let other = figures(json!({"a": 2, "b": 3, "none": null}));
        assert!(Arc::ptr_eq(one.keys(), other.keys()));
        assert_eq!((one.get("a"), one.get("b")), (Some(0.5), Some(1.0)));
        assert_eq!((other.get("a"), other.get("text")), (Some(2.0), None));
    }

    #[test]
    fn percentiles_that_are_shown_nowhere_are_in_no_list() {
        let mut sets = KeySets::default();
        let stats = json!({
            "time_to_first_token-count": 60, "time_to_first_token-p50": 0.1, "time_to_first_token-p99": 0.3,
            "time_to_last_token-p99": 2.5,
        });
        let figures = sets.figures(stats.as_object().unwrap());
        assert_eq!(figures.get("time_to_first_token-p50"), Some(0.1));
        assert_eq!(figures.get("time_to_first_token-p99"), None);
        // How many values the Python package's have is not known by itself.
        assert_eq!(figures.get("time_to_last_token-p99"), Some(2.5));
        let stats = json!({"total_requests": 60, "time_to_last_token-p99": 2.5});
        let figures = sets.figures(stats.as_object().unwrap());
        assert_eq!(figures.get("time_to_last_token-p99"), None);
    }
}
