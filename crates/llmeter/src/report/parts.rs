//! Tables of the parts of a run: its stages, workloads, servers and turns.

use serde_json::Value;

use super::numbers::{figure, or_dash, percent, rate_figure};
use super::slo;
use super::summary::shown;
use super::table::table;
use crate::base::shown::duration;
use crate::stats::Stats;

/// The tables of a run's parts, below one another.
pub(super) fn tables(text: &mut String, stats: &Stats, width: usize) {
    for rows in [
        stage_rows(stats),
        workload_rows(stats),
        turn_rows(stats),
        server_rows(stats),
    ] {
        if !rows.is_empty() {
            text.push('\n');
            table(text, &rows, width);
        }
    }
}

/// A column of a table of parts of a run: its title, the statistic, and how that is shown.
type Column = (&'static str, &'static str, fn(f64) -> String);

/// The table of stages, its titles first; empty without stages.
pub(super) fn stage_rows(stats: &Stats) -> Vec<Vec<String>> {
    let columns: [Column; 8] = [
        ("requests", "total_requests", figure),
        ("failed", "failed_requests", figure),
        ("offered/s", "offered_rate", rate_figure),
        ("sent/s", "achieved_rate", rate_figure),
        ("TTFT p50", "time_to_first_token-p50", duration),
        ("TTFT p99", "time_to_first_token-p99", duration),
        ("TTLT p50", "time_to_last_token-p50", duration),
        ("TTLT p99", "time_to_last_token-p99", duration),
    ];
    breakdown_rows(["stage", "load"], &columns, &stats.stages)
}

/// The table of workloads, its titles first; empty without several.
pub(super) fn workload_rows(stats: &Stats) -> Vec<Vec<String>> {
    let columns: [Column; 9] = [
        ("requests", "total_requests", figure),
        ("failed", "failed_requests", figure),
        ("sent/s", "achieved_rate", rate_figure),
        ("TTFT p50", "time_to_first_token-p50", duration),
        ("TTFT p99", "time_to_first_token-p99", duration),
        ("TPOT p50", "time_per_output_token-p50", duration),
        ("TTLT p99", "time_to_last_token-p99", duration),
        ("tokens/s", "output_tps", rate_figure),
        ("goodput", "goodput_rate", percent),
    ];
    let mut rows = breakdown_rows(["workload", "workload"], &columns, &stats.workloads);
    // What the others do to each.
    let times = |workload: &Value, key: &str| workload.get("times_alone")?.get(key)?.as_f64();
    for (title, key) in [
        ("TTFT/alone", "time_to_first_token-p50"),
        ("TPOT/alone", "time_per_output_token-p50"),
    ] {
        let cells: Vec<_> = stats.workloads.iter().map(|one| times(one, key)).collect();
        if cells.iter().any(Option::is_some) {
            let shown = cells
                .iter()
                .map(|cell| or_dash(*cell, |times| format!("×{times:.2}")));
            let cells = std::iter::once(title.to_owned()).chain(shown);
            rows.iter_mut()
                .zip(cells)
                .for_each(|(row, cell)| row.push(cell));
        }
    }
    rows
}

/// The table of servers, its titles first; empty with one server.
pub(super) fn server_rows(stats: &Stats) -> Vec<Vec<String>> {
    let columns: [Column; 9] = [
        ("requests", "total_requests", figure),
        ("failed", "failed_requests", figure),
        ("TTFT p50", "time_to_first_token-p50", duration),
        ("TTFT p99", "time_to_first_token-p99", duration),
        ("TPOT p50", "time_per_output_token-p50", duration),
        ("tokens/s", "output_tps", rate_figure),
        ("DNS", "time_to_resolve", duration),
        ("connect p50", "time_to_connect-p50", duration),
        ("TLS p50", "time_to_tls-p50", duration),
    ];
    let mut rows = breakdown_rows(["server", "server"], &columns, &stats.servers);
    // Which server is down, and why.
    let failure = |server: &Value| Some(shown(server.get("failure")?.as_str()?));
    let failures: Vec<_> = stats.servers.iter().map(failure).collect();
    if failures.iter().any(Option::is_some) {
        let cells = std::iter::once(Some("most frequent failure".to_owned())).chain(failures);
        for (row, cell) in rows.iter_mut().zip(cells) {
            row.push(cell.unwrap_or_else(|| "—".to_owned()));
        }
    }
    rows
}

/// The table of the turns of conversations, its titles first; empty without any.
pub(super) fn turn_rows(stats: &Stats) -> Vec<Vec<String>> {
    let columns: [Column; 8] = [
        ("requests", "total_requests", figure),
        ("failed", "failed_requests", figure),
        ("TTFT p50", "time_to_first_token-p50", duration),
        ("TTFT p90", "time_to_first_token-p90", duration),
        ("TTLT p50", "time_to_last_token-p50", duration),
        ("input tokens", "num_tokens_input-average", figure),
        ("cached", "num_tokens_input_cached-average", figure),
        ("output tokens", "num_tokens_output-average", figure),
    ];
    breakdown_rows(["turn", "turn"], &columns, &stats.turns)
}

/// The table of parts of a run with the columns that have values, its titles first; empty without parts.
/// `name`: the title of the first column, and where a part has its name.
fn breakdown_rows(name: [&str; 2], columns: &[Column], parts: &[Value]) -> Vec<Vec<String>> {
    if parts.is_empty() {
        return Vec::new();
    }
    let value = |part: &Value, key: &str| part.get(key)?.as_f64();
    let is_known = |(_, key, _): &&Column| parts.iter().any(|part| value(part, key).is_some());
    let columns: Vec<_> = columns.iter().filter(is_known).collect();
    let titles = columns.iter().map(|(title, ..)| (*title).to_owned());
    let slos: Vec<_> = parts.iter().map(slo::verdict_of_part).collect();
    let has_slos = slos.iter().any(Option::is_some);
    let titles = titles.chain(has_slos.then(|| "SLOs".to_owned()));
    let mut rows = vec![std::iter::once(name[0].to_owned()).chain(titles).collect()];
    for (part, slo) in parts.iter().zip(slos) {
        let cells = columns
            .iter()
            .map(|(_, key, show)| or_dash(value(part, key), *show));
        let called = match part.get(name[1]) {
            Some(Value::String(text)) => shown(text),
            Some(number) if part.get("and_later").is_some() => format!("{number} and later"),
            Some(number) => number.to_string(),
            None => "—".to_owned(),
        };
        let slo = has_slos.then(|| slo.unwrap_or_else(|| "—".to_owned()));
        rows.push(std::iter::once(called).chain(cells).chain(slo).collect());
    }
    rows
}
