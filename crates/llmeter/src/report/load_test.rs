//! A load test: its levels side by side, and what its curve says.

use crate::cost::price::price;
use crate::experiment::{Knee, LoadTestResult, TestEnd, of_clients};
use crate::report::intervals::{cell, interval, legend, range};
use crate::report::summary::{figure, or_dash, percent};
use crate::report::table::table;
use crate::report::terminal::compared;
use crate::stats::{Interval, Latency, Stats};

/// A row for each level, the knee, and what is missing.
pub fn load_test(test: &LoadTestResult) -> String {
    load_test_within(test, usize::MAX)
}

/// [`load_test`] in at most so many columns, as far as that can be.
pub fn load_test_within(test: &LoadTestResult, width: usize) -> String {
    let rows = level_rows(test);
    let mut text = String::new();
    table(&mut text, &rows, width);
    level_notes(&rows)
        .iter()
        .for_each(|note| text.push_str(note));
    let intervals = interval_rows(test);
    if !intervals.is_empty() {
        text.push('\n');
        table(&mut text, &intervals, width);
    }
    text.push('\n');
    text.push_str(&remarks(test));
    let levels = test.results.iter();
    let levels = levels.map(|(clients, level)| (of_clients(*clients), vec![level]));
    compared(&mut text, &levels.collect::<Vec<_>>(), width);
    text
}

/// A row of the intervals of each level's headline figures, the titles first; empty where no level has any.
pub(super) fn interval_rows(test: &LoadTestResult) -> Vec<Vec<String>> {
    let times = |latency: &Latency, name: &str| interval(latency, name);
    type Level = (String, Vec<(&'static str, Option<String>)>);
    let all: Vec<Level> = test
        .results
        .iter()
        .map(|(clients, result)| {
            let stats = result.stats();
            let rates = stats.shown_rates();
            let of = |one: Option<Interval>| one.map(|one| range(&one, figure));
            let failed = stats.failed_requests_rate_interval;
            let failed = failed.filter(|_| stats.failed_requests > 0);
            let cells = vec![
                ("req/min", of(rates.requests_per_minute.1)),
                ("out tok/s", of(rates.output_tps.1)),
                ("TTFT p50", times(&stats.ttft, "p50")),
                ("TTFT p90", times(&stats.ttft, "p90")),
                ("TPOT p50", times(&stats.tpot, "p50")),
                ("TTLT p50", times(&stats.ttlt, "p50")),
                ("TTLT p90", times(&stats.ttlt, "p90")),
                ("failed", failed.map(|one| range(&one, percent))),
            ];
            (clients.to_string(), cells)
        })
        .collect();
    let has_any = |at: usize| all.iter().any(|(_, cells)| cells[at].1.is_some());
    let columns = all.first().map_or(0, |(_, cells)| cells.len());
    let columns: Vec<usize> = (0..columns).filter(|at| has_any(*at)).collect();
    let Some((_, first)) = all.first().filter(|_| !columns.is_empty()) else {
        return Vec::new();
    };
    let level = figure(Interval::LEVEL * 100.0);
    let titles = columns.iter().map(|at| first[*at].0.to_owned());
    let titles = std::iter::once(format!("{level} % interval")).chain(titles);
    let mut rows: Vec<Vec<String>> = vec![titles.collect()];
    for (clients, cells) in &all {
        let cells = columns
            .iter()
            .map(|at| cells[*at].1.clone().unwrap_or_default());
        rows.push(std::iter::once(clients.clone()).chain(cells).collect());
    }
    rows
}

/// A row for each level, the titles first.
pub(super) fn level_rows(test: &LoadTestResult) -> Vec<Vec<String>> {
    let levels: Vec<Stats> = test.results.values().map(|result| result.stats()).collect();
    let has_failures = levels.iter().any(|stats| stats.failed_requests > 0);
    let has_costs = levels.iter().any(|stats| stats.cost_total.is_some());
    let has_goodput = levels.iter().any(|stats| stats.goodput_rate.is_some());
    let has_slos = levels.iter().any(|stats| !stats.slos_met.is_empty());
    let has_vectors = levels.iter().any(|stats| stats.total_vectors > 0);
    let is_generating = !has_vectors || levels.iter().any(|stats| stats.total_output_tokens > 0);
    let is_shown = |title: &str| match title {
        "goodput/s" | "goodput" => has_goodput,
        "SLOs" => has_slos,
        "ok req/min" => has_failures,
        "cost" => has_costs,
        "vectors/s" => has_vectors,
        "out tok/s" | "tok/s/client" => is_generating,
        _ => true,
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    for stats in &levels {
        let cells = cells(stats).into_iter();
        let (titles, cells): (Vec<_>, Vec<_>) = cells.filter(|(title, _)| is_shown(title)).unzip();
        if rows.is_empty() {
            rows.push(titles);
        }
        rows.push(cells);
    }
    rows
}

/// What marks and dashes in the rows mean, a line each.
pub(super) fn level_notes(rows: &[Vec<String>]) -> Vec<&'static str> {
    let mut notes: Vec<_> = legend(rows.iter().flatten()).into_iter().collect();
    if rows.iter().flatten().any(|cell| cell == "—") {
        notes
            .push("— too few values (p50 needs 2, p90 10, p99 100), not known, or the level was broken off\n");
    }
    notes
}

/// The knee, where the meter is the limit, and what is missing, a line each.
pub(super) fn remarks(test: &LoadTestResult) -> String {
    let mut text = knee(test);
    let levels: Vec<Stats> = test.results.values().map(|result| result.stats()).collect();
    let is_bound = |stats: &&Stats| stats.measurement_verdict.as_deref() == Some("client-bound");
    let bound = levels.iter().filter(is_bound);
    let bound: Vec<_> = bound
        .filter_map(|stats| usize::try_from(stats.clients?).ok())
        .collect();
    if !bound.is_empty() {
        let levels = list(&bound);
        text.push_str(&format!(
            "The meter, not the endpoint, is the limit at {levels}.\n"
        ));
    }
    text.push_str(&steadiness(&levels, test));
    text.push_str(&ending(test));
    text
}

/// Of what the rates are, if those of the steady state are wanted.
fn steadiness(levels: &[Stats], test: &LoadTestResult) -> String {
    if !levels.iter().any(|stats| stats.steady_rates) {
        return String::new();
    }
    let clients = test.results.keys().copied().zip(levels);
    let whole = clients.filter(|(_, stats)| !stats.shown_rates().is_steady);
    let whole: Vec<usize> = whole.map(|(clients, _)| clients).collect();
    match whole.is_empty() {
        true => "Rates are those of the steady state.\n".to_owned(),
        false => format!(
            "Rates are those of the steady state, where there is one; of the whole run at {}.\n",
            list(&whole)
        ),
    }
}

// Without intervals, which have a table of their own: this one is as wide as a terminal already.
fn cells(stats: &Stats) -> Vec<(String, String)> {
    let rounded = |value: Option<f64>| or_dash(value, |value| format!("{value:.0}"));
    let count = |value: Option<u64>| rounded(value.map(|count| count as f64));
    let rates = stats.shown_rates();
    let per_client = rates.output_tps.0.zip(stats.clients);
    let per_client = per_client.map(|(rate, clients)| rate / clients.max(1) as f64);
    let mut cells = vec![
        ("clients".to_owned(), count(stats.clients)),
        ("requests".to_owned(), count(stats.total_requests)),
        ("failed".to_owned(), count(Some(stats.failed_requests))),
        ("req/min".to_owned(), rounded(rates.requests_per_minute.0)),
        (
            "ok req/min".to_owned(),
            rounded(rates.successful_requests_per_minute.0),
        ),
        ("out tok/s".to_owned(), rounded(rates.output_tps.0)),
        ("vectors/s".to_owned(), rounded(stats.vectors_per_second)),
        (
            "tok/s/client".to_owned(),
            or_dash(per_client, |rate| format!("{rate:.1}")),
        ),
    ];
    let latencies: [(&str, &Latency); 3] = [
        ("TTFT", &stats.ttft),
        ("TPOT", &stats.tpot),
        ("TTLT", &stats.ttlt),
    ];
    for (name, latency) in latencies {
        for percentile in ["p50", "p90", "p99"] {
            let value = cell(latency, percentile);
            cells.push((format!("{name} {percentile}"), value));
        }
    }
    let goodput = or_dash(rates.goodput.0, |rate| format!("{rate:.1}"));
    cells.push(("goodput/s".to_owned(), goodput));
    cells.push(("goodput".to_owned(), or_dash(rates.goodput_rate, percent)));
    let slos = super::slo::verdict(stats).unwrap_or_else(|| "—".to_owned());
    cells.push(("SLOs".to_owned(), slos));
    cells.push(("cost".to_owned(), or_dash(stats.cost_total, price)));
    let verdict = stats.measurement_verdict.as_deref().unwrap_or("—");
    cells.push(("measurement".to_owned(), verdict.to_owned()));
    cells
}

fn knee(test: &LoadTestResult) -> String {
    match test.knee() {
        Knee::At(clients) => format!(
            "Knee at {}: beyond it latency (TTLT p50) grows by a larger factor than throughput.\n",
            of_clients(clients)
        ),
        Knee::NotReached => {
            "No knee yet: up to the last level throughput grows by a larger factor than \
             latency (TTLT p50); measure more clients.\n"
                .to_owned()
        }
        Knee::Unknown => String::new(),
    }
}

/// What there is not, and why.
fn ending(test: &LoadTestResult) -> String {
    let mut text = String::new();
    if !test.resumed.is_empty() {
        let levels = list(&test.resumed);
        text.push_str(&format!("Kept from an earlier test: {levels}.\n"));
    }
    let why = match &test.ended_by {
        Some(TestEnd::Interrupted) => "interrupted".to_owned(),
        Some(TestEnd::Failures(clients, by)) => {
            let by = match by.as_str() {
                "max_failures" => "`max_failures`",
                "error_rate" => "`stop_on_error_rate`",
                _ => "none of the first can pass by itself",
            };
            format!(
                "too many requests failed with {} ({by})",
                of_clients(*clients)
            )
        }
        Some(TestEnd::Cost) => "the limit of cost is reached".to_owned(),
        Some(TestEnd::Unwritten(clients)) => {
            format!(
                "the files with {} could not be written",
                of_clients(*clients)
            )
        }
        None => String::new(),
    };
    if !test.missing.is_empty() {
        let why = match why.as_str() {
            "" => String::new(),
            why => format!(": {why}"),
        };
        let levels = list(&test.missing);
        text.push_str(&format!("Not measured: {levels}{why}.\n"));
    } else if !why.is_empty() {
        text.push_str(&format!("The test ended early: {why}.\n"));
    }
    text
}

/// `1, 2 clients`.
fn list(levels: &[usize]) -> String {
    let named: Vec<String> = levels.iter().map(ToString::to_string).collect();
    match levels {
        [only] => of_clients(*only),
        _ => format!("{} clients", named.join(", ")),
    }
}
