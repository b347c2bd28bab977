//! A load test: its levels side by side, and what its curve says.

use crate::cost::price::price;
use crate::experiment::{Knee, LoadTestResult, TestEnd, of_clients};
use crate::report::intervals::{MARK, MARKED, cell};
use crate::report::summary::{or_dash, percent};
use crate::report::table::table;
use crate::report::terminal::compared;
use crate::stats::{Latency, Stats};

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
    text.push('\n');
    text.push_str(&remarks(test));
    let levels = test.results.iter();
    let levels = levels.map(|(clients, level)| (of_clients(*clients), vec![level]));
    compared(&mut text, &levels.collect::<Vec<_>>(), width);
    text
}

/// A row for each level, the titles first.
pub(super) fn level_rows(test: &LoadTestResult) -> Vec<Vec<String>> {
    let levels: Vec<Stats> = test.results.values().map(|result| result.stats()).collect();
    let has_failures = levels.iter().any(|stats| stats.failed_requests > 0);
    let has_costs = levels.iter().any(|stats| stats.cost_total.is_some());
    let has_goodput = levels.iter().any(|stats| stats.goodput_rate.is_some());
    let has_slos = levels.iter().any(|stats| !stats.slos_met.is_empty());
    let is_shown = |title: &str| match title {
        "goodput/s" | "goodput" => has_goodput,
        "SLOs" => has_slos,
        "ok req/min" => has_failures,
        "cost" => has_costs,
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
    let mut notes = Vec::new();
    let mut shown = rows.iter().skip(1).flatten();
    if shown.any(|cell| cell.ends_with(MARK)) {
        notes.push(MARKED);
    }
    if rows.iter().flatten().any(|cell| cell == "—") {
        notes
            .push("— too few values (p50 needs 2, p90 10, p99 100), or the level was broken off\n");
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
    text.push_str(&ending(test));
    text
}

// Without intervals: the table is as wide as a terminal already, and each level's own summary has them.
fn cells(stats: &Stats) -> Vec<(String, String)> {
    let rounded = |value: Option<f64>| or_dash(value, |value| format!("{value:.0}"));
    let count = |value: Option<u64>| rounded(value.map(|count| count as f64));
    let per_client = stats.output_tps.zip(stats.clients);
    let per_client = per_client.map(|(rate, clients)| rate / clients.max(1) as f64);
    let mut cells = vec![
        ("clients".to_owned(), count(stats.clients)),
        ("requests".to_owned(), count(stats.total_requests)),
        ("failed".to_owned(), count(Some(stats.failed_requests))),
        ("req/min".to_owned(), rounded(stats.requests_per_minute)),
        (
            "ok req/min".to_owned(),
            rounded(stats.successful_requests_per_minute),
        ),
        ("out tok/s".to_owned(), rounded(stats.output_tps)),
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
    let goodput = or_dash(stats.goodput, |rate| format!("{rate:.1}"));
    cells.push(("goodput/s".to_owned(), goodput));
    cells.push(("goodput".to_owned(), or_dash(stats.goodput_rate, percent)));
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
