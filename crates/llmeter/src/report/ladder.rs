//! Several runs of one endpoint under rising load, side by side.

use serde_json::Value;

use crate::report::summary::{duration, table};
use crate::result::RunResult;

/// A row for each run: load, rates, latencies, failures, verdict.
pub fn ladder(results: &[RunResult]) -> String {
    let mut rows = vec![
        [
            "clients",
            "requests",
            "failed",
            "req/min",
            "out tok/s",
            "TTFT p50",
            "TTFT p99",
            "ITL p50",
            "ITL p99",
            "TTLT p50",
            "measurement",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for result in results {
        let stats = result.stats();
        let number = |key: &str| stats.get(key).and_then(Value::as_f64);
        let count = |key: &str| number(key).map_or_else(|| "—".to_owned(), |n| format!("{n:.0}"));
        let time = |key: &str| number(key).map_or_else(|| "—".to_owned(), duration);
        rows.push(vec![
            count("clients"),
            count("total_requests"),
            count("failed_requests"),
            count("requests_per_minute"),
            count("output_tps"),
            time("time_to_first_token-p50"),
            time("time_to_first_token-p99"),
            time("inter_token_latency-p50"),
            time("inter_token_latency-p99"),
            time("time_to_last_token-p50"),
            stats
                .get("measurement_verdict")
                .and_then(Value::as_str)
                .unwrap_or("—")
                .to_owned(),
        ]);
    }
    let mut text = String::new();
    table(&mut text, &rows);
    text
}
