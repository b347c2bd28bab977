//! What of a result becomes parameters, metrics and tags.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::RunResult;

/// The parameters, those of the Python system. All other numbers are metrics.
pub(super) const PARAMS: [&str; 9] = [
    "total_requests",
    "clients",
    "n_requests",
    "model_id",
    "output_path",
    "endpoint_name",
    "provider",
    "run_name",
    "run_description",
];

/// The maximum length in characters of a parameter's value, in today's and in older servers.
pub(super) const PARAM_LIMITS: [usize; 3] = [6000, 500, 250];
/// The maximum length in characters of a tag's value in every server since 1.0.
const MAX_TAG: usize = 5000;
/// The maximum length in characters of a name.
const MAX_NAME: usize = 250;

pub(super) const RUN_NAME: &str = "mlflow.runName";
pub(super) const PARENT_RUN_ID: &str = "mlflow.parentRunId";

/// The parameters, each truncated to `limit` characters. What is unset is "None", as the Python system
/// logs it.
pub(super) fn params(stats: &Map<String, Value>, limit: usize) -> Vec<Value> {
    let param = |name: &&str| {
        let value = match stats.get(*name) {
            None | Some(Value::Null) => "None".to_owned(),
            Some(Value::String(text)) => truncated(text, limit),
            Some(other) => other.to_string(),
        };
        json!({"key": name, "value": value})
    };
    PARAMS.iter().map(param).collect()
}

/// The length of the longest parameter in characters.
pub(super) fn longest_param(stats: &Map<String, Value>) -> usize {
    let length = |name: &&str| stats.get(*name)?.as_str().map(|text| text.chars().count());
    PARAMS.iter().filter_map(length).max().unwrap_or(0)
}

/// Every number that is no parameter.
pub(super) fn metrics(
    stats: &Map<String, Value>,
    step: Option<i64>,
    timestamp_ms: i64,
) -> Vec<Value> {
    stats
        .iter()
        .filter(|(name, _)| !PARAMS.contains(&name.as_str()))
        .filter_map(|(name, value)| {
            let number = value.as_f64().filter(|number| number.is_finite())?;
            let key = metric_name(name)?;
            Some(json!({
                "key": key,
                "value": number,
                "timestamp": timestamp_ms,
                "step": step.unwrap_or(0),
            }))
        })
        .collect()
}

/// A name that MLflow accepts: letters, digits and `_-. :/`, as a path without detours. A
/// statistic of a callback's may have any other.
fn metric_name(name: &str) -> Option<String> {
    let is_path = !name
        .split('/')
        .any(|part| part.is_empty() || part.starts_with('.'));
    let accepted = |character: char| match character {
        '/' => is_path,
        '_' | '-' | '.' | ' ' => true,
        // A server on Windows takes no colon.
        other => other.is_alphanumeric(),
    };
    let name: String = name
        .chars()
        .take(MAX_NAME)
        .map(|character| if accepted(character) { character } else { '_' })
        .collect();
    let is_usable = !name.is_empty() && !name.starts_with('.') && !name.ends_with('/');
    is_usable.then_some(name)
}

/// How the run ended, in MLflow's words: `KILLED` after an interruption, `FAILED` if no request
/// succeeded, else `FINISHED`.
pub(super) fn status(result: &RunResult, stats: &Map<String, Value>) -> &'static str {
    let count = |key: &str| stats.get(key).and_then(Value::as_f64).unwrap_or(0.0);
    if result.interrupted {
        "KILLED"
    } else if count("failed_requests") >= count("total_requests") {
        "FAILED"
    } else {
        "FINISHED"
    }
}

/// Tags that any run may get: what only llmeter knows, and over that the user's.
pub(super) fn own_tags(
    result: &RunResult,
    stats: &Map<String, Value>,
    tags: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let verdict = stats.get("measurement_verdict").and_then(Value::as_str);
    let mut all = tags_of([
        (
            "llmeter.version",
            Some(env!("CARGO_PKG_VERSION").to_owned()),
        ),
        ("llmeter.measurement_verdict", verdict.map(str::to_owned)),
        (
            "llmeter.interrupted",
            result.interrupted.then(|| "true".to_owned()),
        ),
    ]);
    all.extend(tags.clone());
    all
}

/// Those that have a value.
fn tags_of<const N: usize>(tags: [(&str, Option<String>); N]) -> BTreeMap<String, String> {
    tags.into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
}

/// Tags of a run that is llmeter's own, as MLflow's clients set them.
pub(super) fn source_tags(
    result: &RunResult,
    parent: Option<&str>,
    user: Option<String>,
) -> BTreeMap<String, String> {
    let summary = &result.summary;
    tags_of([
        ("mlflow.source.name", Some("llmeter".to_owned())),
        ("mlflow.source.type", Some("LOCAL".to_owned())),
        ("mlflow.user", user),
        ("mlflow.note.content", summary.run_description.clone()),
        (RUN_NAME, summary.run_name.clone()),
        (PARENT_RUN_ID, parent.map(str::to_owned)),
    ])
}

pub(super) fn as_list(tags: &BTreeMap<String, String>) -> Vec<Value> {
    tags.iter()
        .map(|(key, value)| json!({"key": key, "value": truncated(value, MAX_TAG)}))
        .collect()
}

/// The first characters of a text.
fn truncated(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn numbers_are_metrics_and_nothing_else_is() {
        let stats = map(json!({
            "clients": 4, "total_test_time": 2.5, "failed_requests": 0, "interrupted": true,
            "start_time": "2026-01-02T03:04:05Z", "time_to_first_token-p99.9": 0.5, "gone": null,
            "cost_(eur)": 1, "a/b": 1, "a//b": 2, "../c": 3, "": 4, "ratio:x": 5, "größe": 6,
        }));
        let metrics = metrics(&stats, Some(7), 1000);
        let names: Vec<_> = metrics
            .iter()
            .map(|one| one["key"].as_str().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "total_test_time",
                "failed_requests",
                "time_to_first_token-p99.9",
                "cost__eur_",
                "a/b",
                "a__b",
                "ratio_x",
                "größe",
            ]
        );
        assert_eq!(
            metrics[0],
            json!({"key": "total_test_time", "value": 2.5, "timestamp": 1000, "step": 7})
        );
    }

    #[test]
    fn parameters_are_texts_of_bounded_length() {
        let long = "ü".repeat(600);
        let stats = map(json!({"clients": 4, "model_id": "m", "run_description": long}));
        assert_eq!(longest_param(&stats), 600);
        let params = params(&stats, 500);
        let value = |name: &str| {
            let param = params.iter().find(|param| param["key"] == name).unwrap();
            param["value"].as_str().unwrap().to_owned()
        };
        assert_eq!(params.len(), PARAMS.len());
        assert_eq!(value("clients"), "4");
        assert_eq!(value("model_id"), "m");
        assert_eq!(value("provider"), "None");
        assert_eq!(value("run_description"), "ü".repeat(500));
    }

    #[test]
    fn a_run_ends_as_it_went() {
        let counts = |total: u64, failed: u64| {
            map(json!({"total_requests": total, "failed_requests": failed}))
        };
        let mut result = RunResult::default();
        assert_eq!(status(&result, &counts(4, 3)), "FINISHED");
        assert_eq!(status(&result, &counts(4, 4)), "FAILED");
        assert_eq!(status(&result, &counts(0, 0)), "FAILED");
        result.interrupted = true;
        assert_eq!(status(&result, &counts(4, 4)), "KILLED");
    }
}
