//! Several runs of one endpoint under rising load, side by side.

use crate::report::summary::{duration, or_dash, table};
use crate::result::RunResult;

const TITLES: [&str; 11] = [
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
];

/// A row for each run: load, rates, latencies, failures, verdict.
pub fn sweep(results: &[RunResult]) -> String {
    let mut rows = vec![TITLES.map(str::to_owned).to_vec()];
    for result in results {
        let stats = result.stats();
        let rounded = |value: Option<f64>| or_dash(value, |value| format!("{value:.0}"));
        let count = |value: Option<u64>| rounded(value.map(|count| count as f64));
        let time = |value: Option<f64>| or_dash(value, duration);
        rows.push(vec![
            count(stats.clients),
            count(stats.total_requests),
            count(Some(stats.failed_requests)),
            rounded(stats.requests_per_minute),
            rounded(stats.output_tps),
            time(stats.ttft.p50),
            time(stats.ttft.p99),
            time(stats.itl.p50),
            time(stats.itl.p99),
            time(stats.ttlt.p50),
            stats.measurement_verdict.unwrap_or_else(|| "—".to_owned()),
        ]);
    }
    let mut text = String::new();
    table(&mut text, &rows);
    text
}
