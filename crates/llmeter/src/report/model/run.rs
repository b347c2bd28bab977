//! The report of one run.

use super::{Block, KeyFigure, Report, Tone, charts, configuration, measurement};
use crate::RunResult;
use crate::base::shown::duration;
use crate::report::figure::Series;
use crate::report::summary::{self, figure, percent};
use crate::report::{cost, intervals, slo};
use crate::stats::Stats;

impl Report {
    /// The report of a run with its responses. Without them it has figures and tables, and no charts of
    /// single values.
    pub fn of_run(result: &RunResult) -> Self {
        let stats = result.stats();
        let mut report = Self::new(&title(&stats), about(&stats));
        let series = [Series::of(result)];
        let mut first = vec![key_figures(&stats)];
        if stats.total_requests == Some(0) {
            first.push(Block::text(
                Tone::Note,
                "No request was recorded: there is nothing to show.",
            ));
        } else if result.responses.is_empty() {
            let text = "The single responses are not there: charts of single values are left out.";
            first.push(Block::text(Tone::Note, text));
        } else if stats.total_requests == Some(stats.failed_requests) {
            first.push(Block::text(
                Tone::Bad,
                "Every request failed: there is no latency to show.",
            ));
        }
        first.extend(measurement::verdict(result));
        report.add("summary", "Summary", first);
        let slos = Block::pairs("SLOs", ["SLO", "outcome"], slo::slo_rows(result));
        report.add("slos", "SLOs and goodput", slos.into_iter().collect());
        let mut latency: Vec<Block> = latency_tables(result, &stats);
        latency.extend(charts::latencies(&series));
        report.add("latency", "Latency", latency);
        let over_time = charts::timeline(&series).into_iter().collect();
        report.add("timeline-section", "Over time", over_time);
        let single = charts::waterfall(result).into_iter().collect();
        report.add("requests", "Single requests", single);
        report.add("lengths", "Latency by length", charts::lengths(&series));
        report.add("throughput", "Throughput and tokens", rates(&stats));
        report.add("cost", "Cost", costs(&stats));
        report.add("failures", "Failures", charts::failures(&series));
        let limits = summary::limit_lines(&stats);
        let limits = limits.iter().map(|line| Block::text(Tone::Plain, line));
        report.add("limits", "Rate limits and retries", limits.collect());
        report.add(
            "measurement",
            "The measurement itself",
            measurement::record(result).into_iter().collect(),
        );
        let folder = result.summary.output_path.as_ref();
        report.add(
            "configuration",
            "Configuration",
            configuration::tables(folder),
        );
        report
    }
}

/// `name: model`.
pub(super) fn title(stats: &Stats) -> String {
    let name = stats.run_name.as_deref().unwrap_or("run");
    match stats.model_id.as_deref() {
        Some(model) => format!("{name}: {model}"),
        None => name.to_owned(),
    }
}

/// What was measured, where and when.
pub(super) fn about(stats: &Stats) -> Vec<String> {
    let mut about = Vec::new();
    about.extend(stats.run_description.clone());
    let mut what = summary::counted(stats.total_requests.unwrap_or(0), "request");
    what += &format!(
        " by {}",
        summary::counted(stats.clients.unwrap_or(0), "client")
    );
    what += &stats
        .total_test_time
        .map_or_else(String::new, |time| format!(" in {}", duration(time)));
    if let Some(endpoint) = &stats.endpoint_name {
        what += &format!(", endpoint {endpoint}");
    }
    if let Some(start) = &stats.start_time {
        what += &format!(", {}", start.replace('T', " ").replace('Z', " UTC"));
    }
    for (is_so, why) in [
        (stats.interrupted, ", interrupted"),
        (
            stats.cost_limit_reached == Some(true),
            ", stopped at the cost limit",
        ),
        (stats.stopped_by.is_some(), ", stopped by failures"),
    ] {
        what += if is_so { why } else { "" };
    }
    about.push(what);
    about.extend(stats.output_path.clone());
    about
}

/// The figures that count most, with their intervals.
pub(super) fn key_figures(stats: &Stats) -> Block {
    let mut figures = Vec::new();
    let mut add = |label: &str, value: Option<String>, below: Option<String>| {
        figures.extend(value.map(|value| KeyFigure {
            label: label.to_owned(),
            value,
            below,
        }));
    };
    let (total, failed) = (stats.total_requests.unwrap_or(0), stats.failed_requests);
    add("requests", Some(figure(total as f64)), None);
    let share = (total > 0).then(|| percent(failed as f64 / total as f64));
    let failures = match share {
        Some(share) if failed > 0 => format!("{} ({share})", figure(failed as f64)),
        _ => figure(failed as f64),
    };
    add("failed", Some(failures), None);
    for (label, times, percentiles) in [
        ("TTFT", &stats.ttft, &["p50", "p90", "p99"][..]),
        ("ITL", &stats.itl, &["p50", "p99"][..]),
        ("TTLT", &stats.ttlt, &["p50", "p90", "p99"][..]),
    ] {
        for percentile in percentiles {
            let value =
                intervals::carried(times, percentile).map(|_| intervals::cell(times, percentile));
            add(
                &format!("{label} {percentile}"),
                value,
                intervals::interval(times, percentile),
            );
        }
    }
    if failed < total {
        let rates = stats.shown_rates();
        let interval =
            |one: Option<crate::stats::Interval>| one.map(|one| intervals::range(&one, figure));
        let (rate, of_rate) = rates.requests_per_minute;
        add("requests per minute", rate.map(figure), interval(of_rate));
        let (rate, of_rate) = rates.output_tps;
        let rate = rate.filter(|_| stats.total_output_tokens > 0);
        add(
            "output tokens per second",
            rate.map(figure),
            interval(of_rate),
        );
    }
    let per_second = stats
        .goodput
        .map(|rate| format!("{} per second", figure(rate)));
    add("goodput", stats.goodput_rate.map(percent), per_second);
    add("cost", stats.cost_total.map(figure_of_cost), None);
    Block::KeyFigures { figures }
}

fn figure_of_cost(cost: f64) -> String {
    crate::cost::price::price(cost)
}

/// Latencies with llmeter's own error beside each, and their intervals.
fn latency_tables(result: &RunResult, stats: &Stats) -> Vec<Block> {
    let known = summary::known_latencies(result, stats);
    let mut rows = summary::latency_rows(&known);
    let notes = summary::latency_notes(&rows);
    let errors: Vec<_> = known
        .iter()
        .map(|(label, _)| measurement::own_error(stats, label))
        .collect();
    if errors.iter().any(Option::is_some) {
        let title = "may be wrong by over 1 ms".to_owned();
        let cells = errors
            .into_iter()
            .map(|error| error.unwrap_or_else(|| "—".to_owned()));
        for (row, cell) in rows.iter_mut().zip(std::iter::once(title).chain(cells)) {
            row.push(cell);
        }
    }
    let intervals = intervals::latency_rows(&known);
    let tables = [
        Block::table("Latencies", rows, &notes),
        Block::table("Their 95 % intervals", intervals, &[""; 0]),
    ];
    tables.into_iter().flatten().collect()
}

fn rates(stats: &Stats) -> Vec<Block> {
    let table = Block::pairs(
        "Throughput and tokens",
        ["figure", "value"],
        summary::rate_rows(stats),
    );
    let sources = summary::token_source_lines(stats);
    let sources = sources.iter().map(|line| Block::text(Tone::Note, line));
    table.into_iter().chain(sources).collect()
}

pub(super) fn costs(stats: &Stats) -> Vec<Block> {
    let (rows, notes) = cost::cost_rows(stats);
    match Block::table("Cost", rows, &notes) {
        Some(table) => vec![table],
        None => notes
            .iter()
            .map(|note| Block::text(Tone::Plain, note))
            .collect(),
    }
}
