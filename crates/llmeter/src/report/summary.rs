//! The summary of one run as text.

use std::fmt::Write;

use super::control::control_lines;
use super::intervals::{self, MARK, MARKED, carried, cell};
use super::notes::in_backticks;
pub(crate) use super::numbers::{counted, figure, or_dash, percent, plural};
use super::table::table;
use super::{parts, rates};
use crate::base::setting::Setting;
pub(crate) use crate::base::shown::duration;
use crate::base::shown::{SHOWN, escaped, one_line};
use crate::result::RunResult;
use crate::stats::{Delays, Latency, METRICS, Percentile, Stats, Support};
use llmeter_wire::Phase;

/// Errors that are listed.
const MAX_ERRORS: usize = 5;

/// What a dash in a table of latencies means.
const DASHES: &str = "— too few values: p50 needs 2, p90 10, p95 20, p99 100, p99.9 1,000\n";

/// The summary of a run: what it was, its latencies, rates, failures, and how far to trust them.
pub fn summary(result: &RunResult) -> String {
    summary_within(result, usize::MAX)
}

/// [`summary`] with tables of at most so many columns, as far as that can be. Longer lines of text are
/// left to [`fitted`](super::fitted).
pub fn summary_within(result: &RunResult, width: usize) -> String {
    summary_with(result, width, &in_backticks)
}

/// [`summary_within`] with settings called as `name` says.
pub fn summary_with(result: &RunResult, width: usize, name: &dyn Fn(Setting) -> String) -> String {
    let stats = result.stats();
    let mut text = String::new();
    heading(&mut text, &stats);
    latencies(&mut text, result, &stats, width);
    for change in control_lines(&stats.control_changes) {
        let _ = writeln!(text, "{change}");
    }
    parts::tables(&mut text, &stats, width);
    super::recovery::recovery(&mut text, &stats, width);
    rates::rates(&mut text, &stats, width);
    super::cost::costs(&mut text, &stats, width);
    super::slo::slos(&mut text, result, width);
    failures(&mut text, result, &stats);
    limits(&mut text, &stats);
    callbacks(&mut text, result);
    measurement(&mut text, result, &stats, name);
    text
}

fn heading(text: &mut String, stats: &Stats) {
    fn or(known: &Option<String>, unknown: &str) -> String {
        shown(known.as_deref().unwrap_or(unknown))
    }
    let _ = writeln!(
        text,
        "{}: {} at {}",
        or(&stats.run_name, "run"),
        or(&stats.model_id, "unknown model"),
        or(&stats.endpoint_name, "unknown endpoint")
    );
    if let Some(description) = &stats.run_description {
        let _ = writeln!(text, "{}", shown(description));
    }
    let requests = counted(stats.total_requests.unwrap_or(0), "request");
    let _ = write!(text, "{requests} {}", load(stats));
    if let Some(time) = stats.total_test_time {
        let _ = write!(text, " in {}", duration(time));
    }
    let _ = write!(text, ", {} failed", figure(stats.failed_requests as f64));
    for (count, what) in [
        (stats.cancelled_requests, "cancelled"),
        (stats.slow_reader_requests, "read slowly"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {} {what}", figure(count as f64));
        }
    }
    if stats.interrupted {
        text.push_str(", interrupted");
    }
    if stats.cost_limit_reached == Some(true) {
        text.push_str(", stopped at the cost limit");
    }
    if stats.stopped_by.is_some() {
        text.push_str(", stopped by failures");
    }
    text.push('\n');
    if let Some(sessions) = sessions(stats) {
        let _ = writeln!(text, "{sessions}");
    }
}

/// What became of conversations, in a line; empty without any.
pub(super) fn sessions(stats: &Stats) -> Option<String> {
    let begun = stats.sessions_begun?;
    let counts = [
        (stats.sessions_completed.unwrap_or(0), "completed"),
        (stats.sessions_broken, "broken by a failed turn"),
        (stats.sessions_cancelled, "cancelled"),
        (stats.sessions_unfinished, "unfinished at the end"),
    ];
    let counts = counts
        .into_iter()
        .filter(|(count, what)| *count > 0 || *what == "completed");
    let counts: Vec<_> = counts
        .map(|(count, what)| format!("{} {what}", figure(count as f64)))
        .collect();
    let mut text = format!("{}: {}", counted(begun, "session"), counts.join(", "));
    if let Some(turns) = stats.session_turns.average {
        let _ = write!(text, "; {} turns on average", figure(turns));
    }
    if stats.sub_agents > 0 {
        let _ = write!(text, "; {}", counted(stats.sub_agents, "sub-agent"));
    }
    Some(text)
}

/// By what share the achieved rate may be lower than the offered one without being told apart.
const MISSED: f64 = 0.01;

/// What made the load.
pub(super) fn load(stats: &Stats) -> String {
    if !stats.workloads.is_empty() {
        return format!("of {}", counted(stats.workloads.len() as u64, "workload"));
    }
    if stats.due_requests.is_none() {
        let clients = stats.clients.unwrap_or(0);
        return match stats.sessions_begun {
            Some(_) => format!("in {} at a time", counted(clients, "session")),
            None => format!("by {}", counted(clients, "client")),
        };
    }
    match (stats.achieved_rate, stats.offered_rate) {
        (None, None) => "by an arrival rate".to_owned(),
        (Some(achieved), Some(offered)) if achieved < offered * (1.0 - MISSED) => {
            format!(
                "by {} a second, of {} asked for",
                figure(achieved),
                figure(offered)
            )
        }
        (achieved, offered) => {
            let rate = achieved.or(offered).unwrap_or_default();
            format!("by {} a second", figure(rate))
        }
    }
}

fn latencies(text: &mut String, result: &RunResult, stats: &Stats, width: usize) {
    let known = known_latencies(result, stats);
    let rows = latency_rows(&known);
    if rows.is_empty() {
        return;
    }
    text.push('\n');
    table(text, &rows, width);
    latency_notes(&rows)
        .iter()
        .for_each(|note| text.push_str(note));
    intervals::latencies(text, &known, width);
    super::terminal::distributions(text, result, width);
}

/// The latencies of a run that have values, in the order of the table, by what the field calls them.
pub(super) fn known_latencies(result: &RunResult, stats: &Stats) -> Vec<(&'static str, Latency)> {
    let map = result.stats_map();
    let mut metrics: Vec<_> = METRICS.iter().collect();
    metrics.retain(|metric| metric.summary_row.is_some());
    metrics.sort_by_key(|metric| metric.summary_row);
    metrics
        .into_iter()
        .map(|metric| (metric, Latency::of(&map, metric)))
        // Without reasoning the first answer token is the first token: the row would only repeat it.
        .filter(|(metric, times)| metric.label != "TTFAT" || *times != stats.ttft)
        // The network is a part beside the others, or none.
        .filter(|(metric, _)| {
            metric.short != "network_min_round_trip" || stats.server_ttft.average.is_some()
        })
        .map(|(metric, times)| (metric.label, times))
        .filter(|(_, times)| times.average.is_some())
        .collect()
}

/// The table of latencies, its titles first; empty without latencies.
pub(super) fn latency_rows(known: &[(&str, Latency)]) -> Vec<Vec<String>> {
    if known.is_empty() {
        return Vec::new();
    }
    let is_shown = |name: &&&str| {
        known
            .iter()
            .any(|(_, times)| carried(times, name).is_some())
    };
    let columns: Vec<&str> = LATENCY_COLUMNS.iter().filter(is_shown).copied().collect();
    let titles = columns.iter().map(|name| match *name {
        "average" => "mean".to_owned(),
        name => name.to_owned(),
    });
    let mut rows = vec![
        std::iter::once("latency".to_owned())
            .chain(titles)
            .collect(),
    ];
    for (label, times) in known {
        let cells = columns.iter().map(|name| cell(times, name));
        rows.push(std::iter::once((*label).to_owned()).chain(cells).collect());
    }
    rows
}

/// What marks and dashes in the table of latencies mean, a line each.
pub(super) fn latency_notes(rows: &[Vec<String>]) -> Vec<&'static str> {
    let mut cells = rows.iter().skip(1).flatten();
    let has_dash = cells.clone().any(|cell| cell == "—");
    let has_mark = cells.any(|cell| cell.ends_with(MARK));
    let notes = [has_mark.then_some(MARKED), has_dash.then_some(DASHES)];
    notes.into_iter().flatten().collect()
}

const LATENCY_COLUMNS: [&str; 6] = ["average", "p50", "p90", "p95", "p99", "p99.9"];

/// A foreign text on one line.
pub(super) fn shown(text: &str) -> String {
    one_line(text, SHOWN)
}

fn failures(text: &mut String, result: &RunResult, stats: &Stats) {
    if stats.failed_requests == 0 {
        return;
    }
    let kinds = result.failures();
    if kinds.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nfailures");
    for group in kinds.iter().take(MAX_ERRORS) {
        let failure = &group.example;
        let _ = write!(text, "  {} × {}", group.count, shown(failure.message()));
        let phase = failure.phase().map(Phase::as_str);
        let known: Vec<_> = failure.recorded_kind().into_iter().chain(phase).collect();
        if !known.is_empty() {
            let _ = write!(text, " [{}]", known.join(", "));
        }
        if group.messages > 1 {
            let others = (group.messages - 1) as f64;
            let _ = write!(text, " and {others} other {}", plural(others, "message"));
        }
        text.push('\n');
    }
    if let Some(more) = kinds.len().checked_sub(MAX_ERRORS).filter(|more| *more > 0) {
        let _ = writeln!(text, "  and {more} other {}", plural(more as f64, "kind"));
    }
}

/// What the server said of its limits, if they were felt.
fn limits(text: &mut String, stats: &Stats) {
    let lines = limit_lines(stats);
    if !lines.is_empty() {
        let _ = writeln!(text, "\nrate limits and retries");
    }
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
}

/// What the server said of its limits, if they were felt, a line each.
pub(super) fn limit_lines(stats: &Stats) -> Vec<String> {
    let (refused, retries) = (stats.rate_limited_answers, stats.total_retries);
    let mut lines = Vec::new();
    if refused == 0 && retries == 0 {
        return lines;
    }
    let by_error = &stats.rate_limited_answers_by_error;
    let others = refused.saturating_sub(by_error.iter().map(|(_, count)| count).sum());
    if others > 0 {
        lines.push(format!("{} with status 429", counted(others, "response")));
    }
    for (error, count) in by_error {
        let responses = counted(*count, "response");
        lines.push(format!("{responses} with {}", shown(error)));
    }
    if retries > 0 {
        let noun = if retries == 1 { "retry" } else { "retries" };
        let waited = duration(stats.total_retry_wait);
        let retries = figure(retries as f64);
        lines.push(format!("{retries} {noun}, after {waited} of waiting"));
    }
    for (header, remaining) in &stats.rate_limits_remaining {
        lines.push(format!("{}: at least {remaining:?}", shown(header)));
    }
    for (header, value) in &stats.rate_limits {
        // Folders of earlier versions have texts of the server's here.
        if let Some(value) = value.as_f64() {
            lines.push(format!("{}: {value:?}", shown(header)));
        }
    }
    lines
}

fn callbacks(text: &mut String, result: &RunResult) {
    if result.callback_errors.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\ncallbacks that failed (the figures above are not affected)"
    );
    for failure in &result.callback_errors {
        let _ = writeln!(text, "  {}", shown(&failure.to_string()));
    }
}

fn measurement(
    text: &mut String,
    result: &RunResult,
    stats: &Stats,
    name: &dyn Fn(Setting) -> String,
) {
    let verdict = stats.measurement_verdict.as_ref();
    if let Some(verdict) = verdict.filter(|_| stats.total_requests != Some(0)) {
        let _ = write!(text, "\nmeasurement: {}", shown(verdict));
        if let Some(stamps) = &stats.measurement_stamps {
            let stamps = if stamps == "none" { "no" } else { stamps };
            let _ = write!(text, " ({} stamps)", shown(stamps));
        }
        text.push('\n');
        // Reads are many more than requests.
        for (label, delays, sample) in [
            ("receive delay", stats.measurement_receive_delay, None),
            (
                "send lateness",
                stats.measurement_send_lateness,
                stats.total_requests,
            ),
        ] {
            if let Delays {
                p50: Some(p50),
                p99: Some(p99),
                ..
            } = delays
            {
                let support = sample.map(|sample| Percentile::P99.support(sample));
                let p99 = match support {
                    Some(Support::None) => "—".to_owned(),
                    Some(Support::Weak) => duration(p99) + MARK,
                    Some(Support::Full) | None => duration(p99),
                };
                let _ = writeln!(text, "  {label}  p50 {}  p99 {p99}", duration(p50));
            }
        }
        let (ttft, itl) = (
            stats.measurement_calibration_ttft,
            stats.measurement_calibration_itl,
        );
        if let (Some(ttft_mean), Some(itl_mean)) = (ttft.mean, itl.mean) {
            let _ = writeln!(
                text,
                "  calibrated: this machine adds {} to TTFT (p99 {}) and {} to ITL (p99 {})",
                duration(ttft_mean),
                or_dash(ttft.p99, duration),
                duration(itl_mean),
                or_dash(itl.p99, duration),
            );
        }
    }
    for reason in &stats.measurement_reasons {
        let reason = Setting::rename_all(reason, name);
        let _ = writeln!(text, "  {}", escaped(&reason));
    }
    for note in super::notes::of_stats(stats, name) {
        let _ = writeln!(text, "note: {note}");
    }
    for warning in &result.warnings {
        let warning = Setting::rename_all(warning, name);
        let _ = writeln!(text, "warning: {}", escaped(&warning));
    }
    if let Some(folder) = &result.summary.output_path {
        let _ = writeln!(text, "files: {}", escaped(&folder.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_of_an_open_loop_is_what_was_achieved() {
        let of = |offered, achieved| {
            load(&Stats {
                due_requests: Some(10),
                offered_rate: offered,
                achieved_rate: achieved,
                ..Stats::default()
            })
        };
        assert_eq!(of(Some(20.0), Some(19.9)), "by 19.9 a second");
        assert_eq!(
            of(Some(20.0), Some(12.5)),
            "by 12.5 a second, of 20 asked for"
        );
        assert_eq!(of(Some(20.0), None), "by 20 a second");
        assert_eq!(of(None, None), "by an arrival rate");
        let clients = Stats {
            clients: Some(3),
            ..Stats::default()
        };
        assert_eq!(load(&clients), "by 3 clients");
    }

    #[test]
    fn durations_take_the_unit_that_reads_best() {
        for (seconds, text) in [
            (0.0, "0"),
            (0.000_012_34, "12.3 µs"),
            (0.012_345, "12.35 ms"),
            (0.512_3, "512.3 ms"),
            (1.5, "1.50 s"),
            (150.0, "2 min 30 s"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
