//! The Benchmark Report of llm-d, version 0.2.1.

use serde_json::{Map, Value, json};

use super::yaml;
use crate::InvocationResponse;
use crate::base::error::{Error, Result};
use crate::result::{OWN_CONFIG_FILE, RunResult};
use crate::saved::json as saved_json;
use crate::stats::{Number, Percentile, Support, gap_seconds, summarize};

type Object = Map<String, Value>;

/// Percentiles that the report has a place for.
const PERCENTILES: [u8; 9] = [1, 5, 10, 25, 50, 75, 90, 95, 99];
/// Tokens per frame up to which a gap between frames is one between tokens.
const MAX_TOKENS_PER_FRAME: f64 = 1.05;

/// The report as YAML.
///
/// # Errors
/// If the result has no time and no name, of which its identifier is made.
pub(super) fn report(result: &RunResult) -> Result<String> {
    let mut report = Object::new();
    report.insert("version".to_owned(), "0.2.1".into());
    report.insert("run".to_owned(), run(result)?);
    if let Some(load) = load(result)? {
        report.insert("scenario".to_owned(), json!({ "load": load }));
    }
    report.insert(
        "results".to_owned(),
        json!({ "request_performance": { "aggregate": aggregate(result) } }),
    );
    Ok(yaml::document(&report.into()))
}

/// An object of the entries that have a value.
fn object<const N: usize>(entries: [(&str, Option<Value>); N]) -> Value {
    let entries = entries.into_iter();
    let known = entries.filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(known.collect())
}

fn run(result: &RunResult) -> Result<Value> {
    let summary = &result.summary;
    let name = summary.run_name.as_deref();
    let start = summary.start_time.map(|time| time.to_string());
    let parts: Vec<&str> = name.into_iter().chain(start.as_deref()).collect();
    if parts.is_empty() {
        return Err(Error::refused(
            "result",
            "it has neither a name nor a time, of which the report's uid is made",
        ));
    }
    let seconds = summary.total_test_time;
    let time = object([
        ("start", start.clone().map(Value::from)),
        ("end", summary.end_time.map(|time| time.to_string().into())),
        ("duration", seconds.map(|time| format!("PT{time}S").into())),
    ]);
    Ok(object([
        ("uid", Some(parts.join(" ").into())),
        ("time", Some(time)),
        (
            "description",
            summary.run_description.clone().map(Value::from),
        ),
    ]))
}

/// The load, if the folder tells which version of llmeter made it.
fn load(result: &RunResult) -> Result<Option<Value>> {
    let Some(folder) = &result.summary.output_path else {
        return Ok(None);
    };
    let Some(text) = folder.join(OWN_CONFIG_FILE).read_if_there()? else {
        return Ok(None);
    };
    let own: Object = saved_json::read(&text).unwrap_or_default();
    let version = own.get("llmeter_version").and_then(Value::as_str);
    let (Some(version), Some(length)) = (version, result.stats().input_tokens.average) else {
        return Ok(None);
    };
    Ok(Some(json!({
        "metadata": {},
        "standardized": {
            "tool": "llmeter",
            "tool_version": version,
            "source": "unknown",
            "input_seq_len": { "distribution": "other", "value": length },
            "concurrency": result.summary.clients,
        },
        "native": {},
    })))
}

fn aggregate(result: &RunResult) -> Value {
    let stats = result.stats();
    let of = |value: fn(&InvocationResponse) -> Option<f64>| -> Vec<f64> {
        let succeeded = result.responses.iter().filter(|one| one.error.is_none());
        succeeded.filter_map(value).collect()
    };
    let tokens = |count: Option<u64>| count.map(|count| count as f64);
    let input = of(|one| one.num_tokens_input.map(|count| count as f64));
    let output = of(|one| one.num_tokens_output.map(|count| count as f64));
    let normalized = of(|one| {
        let tokens = one.num_tokens_output.filter(|count| *count > 0)?;
        Some(one.time_to_last_token? / tokens as f64)
    });
    let gaps: Vec<f64> = match stats.tokens_per_frame {
        Some(share) if share <= MAX_TOKENS_PER_FRAME => {
            let succeeded = result.responses.iter().filter(|one| one.error.is_none());
            let gaps = succeeded.flat_map(|one| &one.detail.inter_token_latencies);
            gaps.map(|gap| gap_seconds(*gap)).collect()
        }
        _ => Vec::new(),
    };
    let rate =
        |value: Option<f64>, units: &str| value.map(|mean| json!({ "units": units, "mean": mean }));
    let input_rate = stats
        .average_input_tokens_per_minute
        .map(|rate| rate / 60.0);
    let total_rate = input_rate
        .zip(stats.output_tps)
        .map(|(one, other)| one + other);
    object([
        (
            "requests",
            Some(object([
                (
                    "total",
                    Some(tokens(stats.total_requests).map_or(0, |n| n as u64).into()),
                ),
                ("failures", Some(stats.failed_requests.into())),
                ("input_length", statistics(&input, "count")),
                ("output_length", statistics(&output, "count")),
            ])),
        ),
        (
            "latency",
            Some(object([
                (
                    "time_to_first_token",
                    statistics(&of(|one| one.time_to_first_token), "s"),
                ),
                (
                    "normalized_time_per_output_token",
                    statistics(&normalized, "s/token"),
                ),
                (
                    "time_per_output_token",
                    statistics(&of(|one| one.time_per_output_token), "s/token"),
                ),
                ("inter_token_latency", statistics(&gaps, "s/token")),
                (
                    "request_latency",
                    statistics(&of(|one| one.time_to_last_token), "s"),
                ),
            ])),
        ),
        (
            "throughput",
            Some(object([
                ("input_token_rate", rate(input_rate, "tokens/s")),
                ("output_token_rate", rate(stats.output_tps, "tokens/s")),
                ("total_token_rate", rate(total_rate, "tokens/s")),
                (
                    "request_rate",
                    rate(
                        stats.requests_per_minute.map(|rate| rate / 60.0),
                        "queries/s",
                    ),
                ),
            ])),
        ),
    ])
}

/// Statistics of values; percentiles as far as there are enough values for them. `None` without values.
fn statistics(values: &[f64], units: &str) -> Option<Value> {
    let count = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let mut object = Object::new();
    object.insert("units".to_owned(), units.into());
    object.insert("mean".to_owned(), mean.into());
    if values.len() > 1 {
        let deviation = (squares / (count - 1.0)).sqrt();
        object.insert("stddev".to_owned(), deviation.into());
    }
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    object.insert("min".to_owned(), min.into());
    let numbers: Vec<Number> = values.iter().map(|value| Number::Float(*value)).collect();
    let known = PERCENTILES.into_iter().filter(|percent| {
        // One below 50 needs as many values as its mirror image.
        let mirrored = Percentile::whole((*percent).max(100 - percent));
        mirrored.is_some_and(|one| one.support(values.len() as u64) != Support::None)
    });
    let mut wanted: Vec<_> = known.filter_map(Percentile::whole).collect();
    if Percentile::P99_9.support(values.len() as u64) != Support::None {
        wanted.push(Percentile::P99_9);
    }
    let summary = summarize(&numbers, &wanted);
    for percentile in wanted {
        let name = percentile.to_string();
        let value = summary.iter().find(|(key, _)| **key == name);
        if let Some((_, value)) = value {
            object.insert(name.replace('.', "p"), value.as_f64().into());
        }
    }
    object.insert("max".to_owned(), max.into());
    Some(object.into())
}
