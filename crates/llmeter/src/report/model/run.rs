//! The report of one run.

use super::sections::{Part, Shown};
use super::{Block, KeyFigure, Report, Tone, measurement};
use crate::RunResult;
use crate::base::shown::duration;
use crate::report::figure::Series;
use crate::report::intervals;
use crate::report::summary::{self, figure, percent};
use crate::stats::Stats;

impl Report {
    /// The report of a run with its responses. Without them it has figures and tables, and no charts of
    /// single values.
    pub fn of_run(result: &RunResult) -> Self {
        let stats = result.stats();
        let mut report = Self::new(&title(&stats), about(&stats));
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
        let parts = [Part::of(Series::of(result).name, result)];
        report.add_details(&Shown::all(&parts));
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
    what += &format!(" {}", summary::load(stats));
    what += &stats
        .total_test_time
        .map_or_else(String::new, |time| format!(" in {}", duration(time)));
    if let Some(endpoint) = &stats.endpoint_name {
        what += &format!(", endpoint {endpoint}");
    }
    if let Some(start) = &stats.start_time {
        what += &format!(", {}", start_text(start));
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
        add("output tokens/s", rate.map(figure), interval(of_rate));
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

/// A start in UTC as people read it, to the second.
pub(super) fn start_text(start: &str) -> String {
    let Some(utc) = start.strip_suffix('Z') else {
        return start.replace('T', " ");
    };
    let seconds = utc.split_once('.').map_or(utc, |(seconds, _)| seconds);
    format!("{} UTC", seconds.replace('T', " "))
}
