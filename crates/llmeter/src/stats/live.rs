//! The few statistics that are shown while a run goes on.

use serde_json::{Map, Value};

use crate::{Error, Result};

/// What stands where a value is not known.
const MISSING: &str = "—";

/// Groups in order, each with the parts of labels that belong to it.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Throughput", &["rpm", "tps"]),
    ("TTFT", &["ttft"]),
    ("TTLT", &["ttlt"]),
    ("Tokens", &["token"]),
    ("Errors", &["fail"]),
];
const OTHER: &str = "Other";

/// The rate of all requests, and that of those that succeeded.
const SUCCESSFUL_RATE: (&str, &str) = ("requests_per_minute", "successful_requests_per_minute");

/// Which statistic to show, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatSpec {
    /// The statistic's key.
    pub key: String,
    /// Whether to show the reciprocal, so that seconds per token become tokens per second.
    pub is_inverted: bool,
}

/// Labels, and the statistics that they stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveDisplay {
    entries: Vec<(String, StatSpec)>,
    /// Whether the rate is that of successful requests, once some have failed.
    leaves_out_failures: bool,
}

impl Default for LiveDisplay {
    fn default() -> Self {
        let entries = [
            ("rpm", "requests_per_minute", false),
            ("output_tps", "output_tps", false),
            ("p50_ttft", "time_to_first_token-p50", false),
            ("p90_ttft", "time_to_first_token-p90", false),
            ("p50_ttlt", "time_to_last_token-p50", false),
            ("p90_ttlt", "time_to_last_token-p90", false),
            ("p50_tps", "time_per_output_token-p50", true),
            ("input_tokens", "total_input_tokens", false),
            ("output_tokens", "total_output_tokens", false),
            ("fail", "failed_requests", false),
        ];
        let entries = entries.map(|(label, key, is_inverted)| {
            let key = key.to_owned();
            (label.to_owned(), StatSpec { key, is_inverted })
        });
        Self {
            leaves_out_failures: true,
            ..Self::new(entries)
        }
    }
}

impl LiveDisplay {
    /// A display of these labels, in this order.
    pub fn new(entries: impl IntoIterator<Item = (String, StatSpec)>) -> Self {
        Self {
            entries: entries.into_iter().collect(),
            leaves_out_failures: false,
        }
    }

    /// From `progress_bar_stats` of a saved configuration: null is the default set; a value is a
    /// key or a list of a key and `"inv"`.
    ///
    /// # Errors
    /// If it is neither.
    pub fn from_saved(saved: &Value) -> Result<Self> {
        let invalid = |value: &Value| {
            Error::field(
                "progress_bar_stats",
                value,
                "a statistic's key for each label, or [key, \"inv\"]",
            )
        };
        let entries = match saved {
            Value::Null => return Ok(Self::default()),
            Value::Object(entries) => entries,
            other => return Err(invalid(other)),
        };
        let entry = |(label, value): (&String, &Value)| {
            let parts = value
                .as_array()
                .map_or(std::slice::from_ref(value), Vec::as_slice);
            let (key, is_inverted) = match parts {
                [Value::String(key)] => (key, false),
                [Value::String(key), Value::String(way)] => (key, way == "inv"),
                _ => return Err(invalid(value)),
            };
            let key = key.clone();
            Ok((label.clone(), StatSpec { key, is_inverted }))
        };
        let entries = entries.iter().map(entry).collect::<Result<Vec<_>>>()?;
        Ok(Self::new(entries))
    }

    /// The labels with their values as text.
    pub fn format(&self, stats: &Map<String, Value>) -> Vec<(String, String)> {
        let (all, successful) = SUCCESSFUL_RATE;
        let failed = stats.get("failed_requests").and_then(Value::as_u64);
        let has_failures = self.leaves_out_failures && failed.unwrap_or(0) > 0;
        let format = |(label, spec): &(String, StatSpec)| match stats.get(successful) {
            Some(rate) if has_failures && spec.key == all => {
                (format!("ok_{label}"), format_stat(spec, Some(rate)))
            }
            _ => (label.clone(), format_stat(spec, stats.get(&spec.key))),
        };
        self.entries.iter().map(format).collect()
    }

    /// The formatted labels by group, in the groups' order; empty groups are left out.
    pub fn groups(&self, stats: &Map<String, Value>) -> Vec<(&'static str, Vec<(String, String)>)> {
        let mut groups: Vec<(&'static str, Vec<_>)> = GROUPS
            .iter()
            .map(|(name, _)| (*name, Vec::new()))
            .chain([(OTHER, Vec::new())])
            .collect();
        for (label, value) in self.format(stats) {
            let lower = label.to_lowercase();
            let group = GROUPS
                .iter()
                .position(|(_, parts)| parts.iter().any(|part| lower.contains(part)))
                .unwrap_or(GROUPS.len());
            groups[group].1.push((label, value));
        }
        groups.retain(|(_, entries)| !entries.is_empty());
        groups
    }

    /// One line for each group, for a terminal.
    pub fn lines(&self, stats: &Map<String, Value>) -> Vec<String> {
        self.groups(stats)
            .into_iter()
            .map(|(name, entries)| {
                let entries: Vec<String> = entries
                    .into_iter()
                    .map(|(label, value)| format!("{label}={value}"))
                    .collect();
                format!("  {name}: {}", entries.join("  "))
            })
            .collect()
    }
}

fn format_stat(spec: &StatSpec, value: Option<&Value>) -> String {
    let number = match value {
        None | Some(Value::Null) => return MISSING.to_owned(),
        Some(Value::Number(number)) => number,
        Some(Value::String(text)) => return text.clone(),
        Some(other) => return other.to_string(),
    };
    let key = spec.key.as_str();
    let value = number.as_f64().unwrap_or(f64::NAN);
    if spec.is_inverted && value > 0.0 {
        format!("{:.1} tok/s", 1.0 / value)
    } else if key.contains("tps") {
        format!("{value:.1} tok/s")
    } else if ["time", "ttft", "ttlt"]
        .iter()
        .any(|part| key.contains(part))
    {
        format!("{value:.3}s")
    } else if !number.is_f64() || key == "failed_requests" || key.starts_with("total_") {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn failures_are_not_in_the_rate_that_is_shown() {
        let stats = |failed: u64| {
            let stats = json!({
                "requests_per_minute": 600.0, "successful_requests_per_minute": 150.0,
                "failed_requests": failed,
            });
            stats.as_object().unwrap().clone()
        };
        let line = |display: &LiveDisplay, failed| display.lines(&stats(failed))[0].clone();
        let default = LiveDisplay::default();
        let all = "  Throughput: rpm=600.0  output_tps=—  p50_tps=—";
        assert_eq!(line(&default, 0), all);
        let successful = "  Throughput: ok_rpm=150.0  output_tps=—  p50_tps=—";
        assert_eq!(line(&default, 3), successful);
        // What a configuration names is what it gets.
        let own = LiveDisplay::from_saved(&json!({"rpm": "requests_per_minute"})).unwrap();
        assert_eq!(line(&own, 3), "  Throughput: rpm=600.0");
    }
}
