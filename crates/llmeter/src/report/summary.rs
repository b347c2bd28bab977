//! The summary of one run as text.

use std::fmt::Write;

use super::intervals::{self, MARK, MARKED, carried, cell};
use super::notes::in_backticks;
use super::numbers::rate_figure;
pub(crate) use super::numbers::{counted, figure, or_dash, percent, plural};
use super::slo;
use super::table::{pairs, table};
use crate::base::setting::Setting;
pub(crate) use crate::base::shown::duration;
use crate::base::shown::{SHOWN, escaped, one_line};
use crate::endpoint::TokenSource;
use crate::result::RunResult;
use crate::stats::{Delays, Latency, METRICS, Percentile, Rate, Stats, Support};
use llmeter_wire::Phase;
use serde_json::Value;

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
    control_changes(&mut text, &stats);
    breakdown(&mut text, &stage_rows(&stats), width);
    breakdown(&mut text, &workload_rows(&stats), width);
    breakdown(&mut text, &turn_rows(&stats), width);
    breakdown(&mut text, &server_rows(&stats), width);
    super::recovery::recovery(&mut text, &stats, width);
    rates(&mut text, &stats, width);
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

fn breakdown(text: &mut String, rows: &[Vec<String>], width: usize) {
    if !rows.is_empty() {
        text.push('\n');
        table(text, rows, width);
    }
}

/// A column of a table of parts of a run: its title, the statistic, and how that is shown.
type Column = (&'static str, &'static str, fn(f64) -> String);
/// What was changed while the run was in progress.
fn control_changes(text: &mut String, stats: &Stats) {
    for change in control_lines(stats) {
        let _ = writeln!(text, "{change}");
    }
}

/// What was changed while the run was in progress, a line for each change.
pub(super) fn control_lines(stats: &Stats) -> Vec<String> {
    control_lines_of(&stats.control_changes)
}

/// Changes of a load as `control_changes` has them, a line for each.
pub(super) fn control_lines_of(changes: &[serde_json::Value]) -> Vec<String> {
    let change = |change: &serde_json::Value| {
        let word = |key: &str| change.get(key).and_then(serde_json::Value::as_str);
        let at = change.get("time").and_then(serde_json::Value::as_f64);
        let at = or_dash(at, duration);
        match (word("setting").unwrap_or("—"), word("from"), word("to")) {
            ("stop", ..) => format!("stopped after {at}, as asked for by llmeter control"),
            (setting, from, to) => {
                let name = setting.replace('_', " ");
                let [from, to] = [from, to].map(|value| value.unwrap_or("—"));
                shown(&format!("changed after {at}: {name} {from} → {to}"))
            }
        }
    };
    changes.iter().map(change).collect()
}

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

fn rates(text: &mut String, stats: &Stats, width: usize) {
    let rows = rate_rows(stats);
    if rows.is_empty() {
        return;
    }
    text.push('\n');
    pairs(text, &rows, width);
    for line in token_source_lines(stats) {
        let _ = writeln!(text, "{line}");
    }
}

/// Rates and sums of a run with their names; empty where all requests failed: how fast failures come is no
/// rate of the endpoint's.
pub(super) fn rate_rows(stats: &Stats) -> Vec<[String; 2]> {
    if stats.total_requests == Some(stats.failed_requests) {
        return Vec::new();
    }
    let tokens = |total: u64, sources: &[(String, f64)], part: u64, name: &str| {
        let is_unknown =
            |(source, _): &(String, f64)| TokenSource::named(source) == TokenSource::Unknown;
        if !sources.is_empty() && sources.iter().all(is_unknown) {
            return Some("—".to_owned());
        }
        let part = match part {
            0 => String::new(),
            part => format!(" ({} {name})", figure(part as f64)),
        };
        Some(figure(total as f64) + &part)
    };
    let per_stream = stats.tpot.p50.filter(|time| *time > 0.0);
    let (input, output) = (stats.total_input_tokens, stats.total_output_tokens);
    let (cached, reasoning) = (
        stats.total_cached_input_tokens,
        stats.total_reasoning_output_tokens,
    );
    let all_requests = match stats.failed_requests {
        0 => "requests per minute",
        _ => "requests per minute, failed ones included",
    };
    let failed = stats.failed_requests_rate_interval.map(|interval| {
        let share = percent(stats.failed_requests_rate);
        format!("{share} ({})", intervals::range(&interval, percent))
    });
    let failed = failed.filter(|_| stats.failed_requests > 0);
    let rates = stats.shown_rates();
    let shown = |(rate, interval): Rate| Some(intervals::rate(rate?, interval));
    let is_generating = stats.total_vectors == 0 || output > 0;
    let with = |mean: Option<f64>, rate: f64| match mean {
        Some(mean) => format!("{} (in flight: {})", rate_figure(rate), figure(mean)),
        None => rate_figure(rate),
    };
    [
        (
            "offered requests per second",
            stats
                .offered_rate
                .map(|rate| with(stats.offered_in_flight, rate)),
        ),
        (
            "achieved requests per second",
            stats
                .achieved_rate
                .map(|rate| with(stats.achieved_in_flight, rate)),
        ),
        (
            "most requests in flight",
            stats
                .peak_in_flight
                .map(|peak| match stats.in_flight_limit {
                    Some(limit) => format!(
                        "{} of {} allowed",
                        figure(peak as f64),
                        figure(limit as f64)
                    ),
                    None => figure(peak as f64),
                }),
        ),
        (
            "requests that waited for that limit",
            stats.in_flight_waits.map(|waits| match waits {
                0 => "0".to_owned(),
                waits => format!(
                    "{}, {} in all",
                    figure(waits as f64),
                    duration(stats.in_flight_wait.unwrap_or(0.0))
                ),
            }),
        ),
        (
            "requests whose time was over",
            (stats.unsent_requests > 0).then(|| figure(stats.unsent_requests as f64)),
        ),
        (
            "successful requests per minute",
            shown(rates.successful_requests_per_minute).filter(|_| stats.failed_requests > 0),
        ),
        (all_requests, shown(rates.requests_per_minute)),
        (
            "vectors per second (one for each input)",
            stats.vectors_per_second.map(figure),
        ),
        (
            "vectors",
            (stats.total_vectors > 0).then(|| figure(stats.total_vectors as f64)),
        ),
        (
            "output tokens per second",
            shown(rates.output_tps).filter(|_| is_generating),
        ),
        (
            "output tokens per second of one stream (median)",
            per_stream.map(|time| figure(1.0 / time)),
        ),
        (
            "input tokens",
            tokens(input, &stats.input_token_sources, cached, "cached"),
        ),
        (
            "output tokens",
            tokens(output, &stats.output_token_sources, reasoning, "reasoning")
                .filter(|_| is_generating),
        ),
        ("tokens per frame", stats.tokens_per_frame.map(figure)),
        ("failed requests", failed),
    ]
    .into_iter()
    .filter_map(|(label, value)| Some([label.to_owned(), value?]))
    .collect()
}

/// Where token counts come from, a line each for input and output.
pub(super) fn token_source_lines(stats: &Stats) -> Vec<String> {
    let is_generating = stats.total_vectors == 0 || stats.total_output_tokens > 0;
    let mut lines = Vec::new();
    for (label, sources, is_shown) in [
        ("input", &stats.input_token_sources, true),
        ("output", &stats.output_token_sources, is_generating),
    ] {
        if let Some(sources) = token_sources(sources).filter(|_| is_shown) {
            lines.push(format!("{label} token counts: {sources}"));
        }
    }
    lines
}

/// Where token counts come from, unless the server reported all of them and they agree.
fn token_sources(shares: &[(String, f64)]) -> Option<String> {
    let is_plain = |(source, _): &(String, f64)| source == TokenSource::Reported.as_str();
    if shares.iter().all(is_plain) {
        return None;
    }
    let mut shares: Vec<_> = shares.iter().collect();
    shares.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let shown = shares.into_iter().map(|(source, share)| {
        let meaning = match TokenSource::named(source) {
            TokenSource::Estimated => " (by words and frames; set a tokenizer for better counts)",
            TokenSource::Corrected => " (the server's counts contradict each other in one way)",
            TokenSource::Contradictory => " (the server's counts contradict each other)",
            TokenSource::Unknown => " (in no sum and no rate; set a tokenizer to count them)",
            _ => "",
        };
        format!("{} {source}{meaning}", percent(*share))
    });
    Some(shown.collect::<Vec<_>>().join(", "))
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
