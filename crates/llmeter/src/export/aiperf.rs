//! The records of requests of AIPerf: a line of `profile_export.jsonl` each.

use serde_json::{Map, Value, json};

use crate::InvocationResponse;
use crate::result::RunResult;
use crate::stats::gap_seconds;

/// A line for each response.
pub(super) fn records(result: &RunResult) -> String {
    let mut lines = String::new();
    for (index, response) in result.responses.iter().enumerate() {
        lines.push_str(&record(index, response).to_string());
        lines.push('\n');
    }
    lines
}

/// An object of the entries that have a value.
fn object<const N: usize>(entries: [(&str, Option<Value>); N]) -> Value {
    let entries = entries.into_iter();
    let known = entries.filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(known.collect())
}

fn record(index: usize, response: &InvocationResponse) -> Value {
    let start = response
        .request_time
        .map(|time| time.as_nanosecond() as i64);
    let at = |seconds: Option<f64>| Some(start? + (seconds? * 1e9).round() as i64);
    let metadata = object([
        ("session_num", Some(index.into())),
        ("turn_index", Some(0.into())),
        ("request_start_ns", start.map(Value::from)),
        (
            "request_ack_ns",
            at(response.detail.time_to_headers).map(Value::from),
        ),
        (
            "request_end_ns",
            at(response.time_to_last_token).map(Value::from),
        ),
        (
            "worker_id",
            response
                .detail
                .client
                .map(|client| format!("llmeter_client_{client}").into()),
        ),
        ("record_processor_id", Some("llmeter".into())),
        ("benchmark_phase", Some("profiling".into())),
        ("was_cancelled", Some(false.into())),
    ]);
    let error = response.error.as_ref().map(|failure| {
        object([
            (
                "code",
                failure.status().or(response.detail.status).map(Value::from),
            ),
            ("type", Some(failure.kind_name().into())),
            ("message", Some(failure.message().into())),
        ])
    });
    let metrics = match error {
        None => metrics(response),
        Some(_) => failed(response),
    };
    json!({ "metadata": metadata, "metrics": metrics, "error": error })
}

fn value(value: impl Into<Value>, unit: &str) -> Value {
    json!({ "value": value.into(), "unit": unit })
}

fn failed(response: &InvocationResponse) -> Map<String, Value> {
    let length = response
        .num_tokens_input
        .map(|count| value(count, "tokens"));
    let length = length.map(|length| ("error_isl".to_owned(), length));
    length.into_iter().collect()
}

fn metrics(response: &InvocationResponse) -> Map<String, Value> {
    let detail = &response.detail;
    let ms = |seconds: Option<f64>| seconds.map(|seconds| value(seconds * 1e3, "ms"));
    let tokens = |count: Option<u64>| count.map(|count| value(count, "tokens"));
    let reasoning = response.num_tokens_output_reasoning;
    let visible = response
        .num_tokens_output
        .map(|count| count.saturating_sub(reasoning.unwrap_or(0)));
    // A sample of the gaps is no list of them.
    let is_whole = detail.inter_token_latencies_dropped == 0;
    let gaps: Vec<f64> = match is_whole {
        true => detail
            .inter_token_latencies
            .iter()
            .map(|gap| gap_seconds(*gap) * 1e3)
            .collect(),
        false => Vec::new(),
    };
    let per_token = response.time_per_output_token;
    let rate = per_token.filter(|time| *time > 0.0).map(|time| 1.0 / time);
    let metrics = object([
        ("input_sequence_length", tokens(response.num_tokens_input)),
        ("output_sequence_length", tokens(response.num_tokens_output)),
        ("output_token_count", tokens(visible)),
        ("reasoning_token_count", tokens(reasoning)),
        ("time_to_first_token", ms(response.time_to_first_token)),
        (
            "time_to_first_output_token",
            ms(detail.time_to_first_answer_token),
        ),
        (
            "time_to_second_token",
            gaps.first().map(|gap| value(*gap, "ms")),
        ),
        ("request_latency", ms(response.time_to_last_token)),
        (
            "inter_chunk_latency",
            (!gaps.is_empty()).then(|| value(gaps.clone(), "ms")),
        ),
        ("inter_token_latency", ms(per_token)),
        (
            "output_token_throughput_per_user",
            rate.map(|rate| value(rate, "tokens/sec/user")),
        ),
    ]);
    match metrics {
        Value::Object(metrics) => metrics,
        _ => Map::new(),
    }
}
