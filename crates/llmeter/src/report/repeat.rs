//! Repeats: how figures differ from one to the next.

use std::fmt::Write;

use crate::experiment::{RepeatResult, TestEnd, of_clients};
use crate::report::escaped;
use crate::report::summary::{duration, figure, or_dash};
use crate::report::table::table;
use crate::report::terminal::compared;

/// What stands behind an interval that comes from the requests.
const WITHIN: &str = "†";

/// Figures that are shown: name, key, whether it is a time.
pub(super) const FIGURES: [(&str, &str, bool); 8] = [
    ("requests per minute", "requests_per_minute", false),
    ("output tokens per second", "output_tps", false),
    ("TTFT p50", "time_to_first_token-p50", true),
    ("TTFT p90", "time_to_first_token-p90", true),
    ("TPOT p50", "time_per_output_token-p50", true),
    ("TPOT p90", "time_per_output_token-p90", true),
    ("TTLT p50", "time_to_last_token-p50", true),
    ("TTLT p90", "time_to_last_token-p90", true),
];

/// The spread between repeats of each figure, beside the spread within.
pub fn repeats(repeats: &RepeatResult) -> String {
    repeats_within(repeats, usize::MAX)
}

/// [`repeats`] in at most so many columns, as far as that can be.
pub fn repeats_within(repeats: &RepeatResult, width: usize) -> String {
    let mut text = String::new();
    for (clients, results) in &repeats.results {
        let count = results.len();
        let times = if count == 1 { "repeat" } else { "repeats" };
        let failed: u64 = results.iter().map(|one| one.stats().failed_requests).sum();
        let requests = results.iter().filter_map(|one| one.summary.total_requests);
        let _ = writeln!(
            text,
            "{}, {count} {times}: {} requests, {} failed",
            of_clients(*clients),
            figure(requests.sum::<u64>() as f64),
            figure(failed as f64),
        );
        table(&mut text, &rows(repeats, *clients), width);
        let verdicts = results
            .iter()
            .filter_map(|one| one.stats().measurement_verdict);
        let mut unclean: Vec<_> = verdicts.filter(|verdict| verdict != "clean").collect();
        unclean.sort();
        let total = unclean.len();
        unclean.dedup();
        if !unclean.is_empty() {
            let unclean = unclean.join(", ");
            let _ = writeln!(
                text,
                "measurement: {total} of {count} {times} {}",
                escaped(&unclean)
            );
        }
        text.push('\n');
    }
    text.push_str(METHOD);
    text.push_str(&ending(repeats));
    let levels = repeats.results.iter();
    let levels = levels.map(|(clients, runs)| match &runs[..] {
        // Of one number of clients, the repeats themselves.
        _ if repeats.results.len() > 1 => vec![(of_clients(*clients), runs.iter().collect())],
        runs => {
            let each = runs.iter().enumerate();
            let each = each.map(|(at, run)| (format!("repeat {}", at + 1), vec![run]));
            each.collect()
        }
    });
    compared(&mut text, &levels.flatten().collect::<Vec<_>>(), width);
    text
}

/// What intervals rest on.
pub(super) const METHOD: &str = "The interval is that of Student's t over the repeats: what changes from repeat \
                                 to repeat is in it; marked †, that of their requests, where it is wider.\n";

/// A row for each figure at a number of clients, the titles first.
pub(super) fn rows(repeats: &RepeatResult, clients: usize) -> Vec<Vec<String>> {
    let titles = [
        "",
        "mean",
        "95% interval",
        "SD between repeats",
        "SD of requests",
    ];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for (name, key, is_time) in FIGURES {
        let Some(spread) = repeats.spread(clients, key) else {
            continue;
        };
        let format = if is_time { duration } else { figure };
        let mark = if spread.is_within() { WITHIN } else { "" };
        let interval = spread.interval().map(|interval| {
            // No time and no rate is below 0.
            let low = format(interval.low.max(0.0));
            format!("{low} – {}{mark}", format(interval.high))
        });
        rows.push(vec![
            name.to_owned(),
            format(spread.mean),
            interval.unwrap_or_else(|| "—".to_owned()),
            or_dash(spread.between, format),
            or_dash(spread.within, format),
        ]);
    }
    rows
}

/// Why repeats are missing.
pub(super) fn ending(repeats: &RepeatResult) -> String {
    let why = match &repeats.ended_by {
        Some(TestEnd::Interrupted) => ": interrupted",
        Some(TestEnd::Failures(..)) => ": too many requests failed",
        Some(TestEnd::Cost) => ": the limit of cost is reached",
        Some(TestEnd::Unwritten(_)) => ": files could not be written",
        None => "",
    };
    match repeats.missing {
        0 if why.is_empty() => String::new(),
        0 => format!("The last repeat ended early{why}.\n"),
        missing => format!("Not measured: {missing} more{why}.\n"),
    }
}
