//! Several runs of one endpoint under rising load, side by side.

use crate::report::intervals::{MARK, MARKED, cell};
use crate::report::summary::or_dash;
use crate::report::table::table;
use crate::result::RunResult;

/// A row for each run: load, rates, latencies, failures, verdict.
pub fn sweep(results: &[RunResult]) -> String {
    sweep_within(results, usize::MAX)
}

/// [`sweep`] in at most so many columns, as far as that can be.
pub fn sweep_within(results: &[RunResult], width: usize) -> String {
    let stats: Vec<_> = results.iter().map(RunResult::stats).collect();
    let has_failures = stats.iter().any(|stats| stats.failed_requests > 0);
    let rounded = |value: Option<f64>| or_dash(value, |value| format!("{value:.0}"));
    let count = |value: Option<u64>| rounded(value.map(|count| count as f64));
    let mut rows: Vec<Vec<String>> = Vec::new();
    for stats in &stats {
        let verdict = stats.measurement_verdict.as_deref();
        let cells = [
            ("clients", count(stats.clients)),
            ("requests", count(stats.total_requests)),
            ("failed", count(Some(stats.failed_requests))),
            ("req/min", rounded(stats.requests_per_minute)),
            ("ok req/min", rounded(stats.successful_requests_per_minute)),
            ("out tok/s", rounded(stats.output_tps)),
            ("TTFT p50", cell(&stats.ttft, "p50")),
            ("TTFT p99", cell(&stats.ttft, "p99")),
            ("ITL p50", cell(&stats.itl, "p50")),
            ("ITL p99", cell(&stats.itl, "p99")),
            ("TTLT p50", cell(&stats.ttlt, "p50")),
            ("measurement", verdict.unwrap_or("—").to_owned()),
        ];
        let is_shown = |title: &str| has_failures || title != "ok req/min";
        let cells = cells.into_iter().filter(|(title, _)| is_shown(title));
        let (titles, cells): (Vec<_>, Vec<_>) = cells.unzip();
        if rows.is_empty() {
            rows.push(titles.into_iter().map(str::to_owned).collect());
        }
        rows.push(cells);
    }
    let mut text = String::new();
    table(&mut text, &rows, width);
    let mut cells = rows.iter().skip(1).flatten();
    if cells.any(|cell| cell.ends_with(MARK)) {
        text.push_str(MARKED);
    }
    if rows.iter().flatten().any(|cell| cell == "—") {
        text.push_str("— too few values (p50 needs 2, p99 100), or the run was interrupted\n");
    }
    text
}
