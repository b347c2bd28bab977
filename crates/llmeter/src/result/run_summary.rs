//! The fields of `summary.json`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::datetime;
use crate::stats::METRICS;
use crate::storage::Location;

/// What a run was and how long it took: `summary.json`, field by field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunSummary {
    /// Recorded responses, not planned ones.
    pub total_requests: Option<u64>,
    /// How many clients sent at the same time.
    pub clients: u64,
    /// Requests for each client.
    pub n_requests: Option<u64>,
    /// Seconds from the start of the clients to the end of the last.
    pub total_test_time: Option<f64>,
    /// The model, as the API calls it.
    pub model_id: Option<String>,
    /// The run's folder.
    pub output_path: Option<Location>,
    /// A name for the endpoint, for people.
    pub endpoint_name: Option<String>,
    /// Who runs the endpoint.
    pub provider: Option<String>,
    /// The run's name.
    pub run_name: Option<String>,
    /// What the run is for, in the user's words.
    pub run_description: Option<String>,
    /// When the run began.
    #[serde(with = "datetime::optional")]
    pub start_time: Option<Timestamp>,
    /// When the first request was sent.
    #[serde(with = "datetime::optional")]
    pub first_request_time: Option<Timestamp>,
    /// When the last request was sent.
    #[serde(with = "datetime::optional")]
    pub last_request_time: Option<Timestamp>,
    /// When everything was processed.
    #[serde(with = "datetime::optional")]
    pub end_time: Option<Timestamp>,
}

impl Default for RunSummary {
    fn default() -> Self {
        Self {
            total_requests: None,
            clients: 1,
            n_requests: None,
            total_test_time: None,
            model_id: None,
            output_path: None,
            endpoint_name: None,
            provider: None,
            run_name: None,
            run_description: None,
            start_time: None,
            first_request_time: None,
            last_request_time: None,
            end_time: None,
        }
    }
}

impl RunSummary {
    /// The names of the fields, in order.
    pub fn fields() -> impl Iterator<Item = &'static str> {
        METRICS
            .iter()
            .filter(|metric| metric.is_of_summary())
            .map(|metric| metric.key)
    }

    /// Whether there is a field of this name.
    pub(crate) fn has_field(key: &str) -> bool {
        Self::fields().any(|field| field == key)
    }

    /// The fields as they are written to `summary.json`.
    pub fn to_map(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(map)) => map,
            // A struct with string keys always becomes an object.
            _ => Map::new(),
        }
    }

    /// Takes the fields that can be read from a saved object; the others keep what they are.
    pub(crate) fn fill_from(&mut self, saved: &Map<String, Value>) {
        let mut map = self.to_map();
        for (key, value) in saved {
            if value.is_null() || !Self::has_field(key) {
                continue;
            }
            let previous = map.insert(key.clone(), value.clone());
            match serde_json::from_value(Value::Object(map.clone())) {
                Ok(summary) => *self = summary,
                Err(_) => {
                    map.insert(key.clone(), previous.unwrap_or(Value::Null));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_fields_are_written_in_order() {
        let map = RunSummary::default().to_map();
        assert!(map.keys().eq(RunSummary::fields()));
    }

    #[test]
    fn unusable_values_are_passed_over() {
        let mut summary = RunSummary::default();
        let saved = json!({
            "clients": "many", "n_requests": 7, "model_id": null, "provider": "p", "other": 1,
        });
        summary.fill_from(saved.as_object().unwrap());
        assert_eq!(summary.clients, 1);
        assert_eq!(summary.n_requests, Some(7));
        assert_eq!(summary.provider.as_deref(), Some("p"));
    }
}
