//! How a server came back from a spike, or woke up.

use std::fmt::Write;

use super::drift::drift_lines;
use super::numbers::{counted, or_dash};
use super::table::table;
use crate::base::shown::{SHOWN, duration, one_line};
use crate::stats::Stats;

/// What experiments of one run found: a spike's recovery, the times of a cold start, drift under load.
pub(super) fn recovery(text: &mut String, stats: &Stats, width: usize) {
    let rows = recovery_rows(stats);
    if !rows.is_empty() {
        text.push('\n');
        table(text, &rows, width);
    }
    let lines = cold_start_lines(stats).into_iter();
    for line in lines.chain(drift_lines(stats)) {
        let _ = writeln!(text, "{line}");
    }
}

/// The table of a spike's recovery, its titles first; empty without a spike.
pub(super) fn recovery_rows(stats: &Stats) -> Vec<Vec<String>> {
    if stats.recovery.is_empty() {
        return Vec::new();
    }
    let titles = ["after the spike", "before", "limit", "highest", "recovered"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for one in &stats.recovery {
        let time = |key: &str| one.get(key).and_then(serde_json::Value::as_f64);
        let name = one.get("figure").and_then(serde_json::Value::as_str);
        let recovered = match (time("recovered_after"), time("limit"), time("watched")) {
            (Some(after), ..) => format!("after {}", duration(after)),
            (None, None, _) => "unknown: too few requests or failures before".to_owned(),
            (None, Some(_), watched) => format!("not within {}", or_dash(watched, duration)),
        };
        rows.push(vec![
            one_line(name.unwrap_or("—"), SHOWN),
            or_dash(time("before"), duration),
            or_dash(time("limit"), duration),
            or_dash(time("highest"), duration),
            recovered,
        ]);
    }
    rows
}

/// The times of a cold start, a line each; none of other runs.
pub(super) fn cold_start_lines(stats: &Stats) -> Vec<String> {
    let Some(failures) = stats.cold_start_failures else {
        return Vec::new();
    };
    let failed = match failures {
        0 => String::new(),
        failures => format!(", after {} that failed", counted(failures, "request")),
    };
    let mut lines = Vec::new();
    match (stats.cold_start_first_token, stats.cold_start_response) {
        (Some(first), Some(whole)) => lines.push(format!(
            "cold start: first token after {}, first response after {}{failed}",
            duration(first),
            duration(whole)
        )),
        (None, Some(whole)) => lines.push(format!(
            "cold start: first response after {}{failed}",
            duration(whole)
        )),
        _ => lines.push(format!("cold start: no response{failed}")),
    }
    match (stats.cold_start_steady, stats.cold_start_limit) {
        (Some(steady), Some(limit)) => lines.push(format!(
            "steady after {}: from then on no slower than {}",
            duration(steady),
            duration(limit)
        )),
        (None, Some(_)) => lines.push("never steady: latencies vary to the end".to_owned()),
        _ => {}
    }
    lines
}
