//! Repeats: how figures differ from one to the next.

use std::fmt::Write;

use crate::RunResult;
use crate::experiment::{RepeatResult, TestEnd, of_clients};
use crate::report::escaped;
use crate::report::intervals::{MARK, legend};
use crate::report::summary::{duration, figure, or_dash, percent};
use crate::report::table::table;
use crate::report::terminal::compared;
use crate::stats::{Metric, Stats, Support, least_support, support_of};

/// What stands behind an interval that comes from the requests.
pub(super) const WITHIN: &str = "†";

/// Rates that are shown: name, key, key in the steady state.
const RATES: [(&str, &str, &str); 2] = [
    (
        "requests per minute",
        "requests_per_minute",
        "steady_requests_per_minute",
    ),
    (
        "output tokens per second",
        "output_tps",
        "steady_output_tps",
    ),
];
/// Times that are shown: name, key.
const TIMES: [(&str, &str); 6] = [
    ("TTFT p50", "time_to_first_token-p50"),
    ("TTFT p90", "time_to_first_token-p90"),
    ("TPOT p50", "time_per_output_token-p50"),
    ("TPOT p90", "time_per_output_token-p90"),
    ("TTLT p50", "time_to_last_token-p50"),
    ("TTLT p90", "time_to_last_token-p90"),
];

/// A figure that is shown.
pub(super) struct Shown {
    pub(super) name: String,
    pub(super) key: String,
    format: fn(f64) -> String,
}

/// The figures that are shown at a number of clients: rates, of the steady state where that is wanted and all
/// repeats have one, times, and what requests meet of SLOs.
pub(super) fn figures(repeats: &RepeatResult, clients: usize) -> Vec<Shown> {
    let runs = repeats.results.get(&clients).map_or(&[][..], Vec::as_slice);
    let mut all = runs.iter().map(RunResult::stats);
    let is_steady = |stats: &Stats| stats.steady_rates && stats.steady_output_tps.is_some();
    let is_steady = all.all(|stats| is_steady(&stats));
    let one = |name: &str, key: &str, format| Shown {
        name: name.to_owned(),
        key: key.to_owned(),
        format,
    };
    let rates = RATES.iter().map(|(name, run, steady)| match is_steady {
        true => one(&format!("{name}, steady state"), steady, figure),
        false => one(name, run, figure),
    });
    let times = TIMES.iter().map(|(name, key)| one(name, key, duration));
    let slos = runs.first().map_or(&[][..], RunResult::slos);
    let of_requests = slos.iter().filter(|slo| slo.is_per_request());
    let mut shares: Vec<_> = of_requests
        .map(|slo| one(&slo.to_string(), &format!("slo_rate-{slo}"), percent))
        .collect();
    if !shares.is_empty() {
        shares.push(one("goodput", "goodput_rate", percent));
        shares.push(one("goodput per second", "goodput", figure));
    }
    rates.chain(times).chain(shares).collect()
}

/// How many repeats meet each SLO about figures of the run.
fn slos_met(runs: &[RunResult]) -> Vec<(String, String)> {
    let slos = runs.first().map_or(&[][..], RunResult::slos);
    let of_run = slos.iter().filter(|slo| !slo.is_per_request());
    let met = of_run.map(|slo| {
        let judged = runs.iter().map(|run| slo.holds_in(&run.stats_map()));
        let met = judged.filter(|is_met| *is_met == Some(true)).count();
        (slo.to_string(), format!("met by {met} of {}", runs.len()))
    });
    met.collect()
}

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
        let rows = rows(repeats, *clients);
        table(&mut text, &rows, width);
        text.extend(legend(rows.iter().flatten()));
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
    let runs = repeats.results.get(&clients).map_or(&[][..], Vec::as_slice);
    for Shown { name, key, format } in figures(repeats, clients) {
        let Some(spread) = repeats.spread(clients, &key) else {
            continue;
        };
        let supports = runs.iter().map(|run| support_of(&key, &run.stats_map()));
        let support = least_support(supports);
        // No value lies beyond it, so that its mean is one of largest values.
        if support == Support::None {
            continue;
        }
        let is_share = Metric::of(&key).is_some_and(|(metric, _)| metric.unit.is_empty());
        let weak = if support == Support::Weak { MARK } else { "" };
        let mark = if spread.is_within() { WITHIN } else { "" };
        let interval = spread.interval().map(|interval| {
            // No time and no rate is below 0, and no share above 1.
            let low = format(interval.low.max(0.0));
            let high = match is_share {
                true => interval.high.min(1.0),
                false => interval.high,
            };
            format!("{low} – {}{mark}", format(high))
        });
        rows.push(vec![
            name,
            format(spread.mean) + weak,
            interval.unwrap_or_else(|| "—".to_owned()),
            or_dash(spread.between, format),
            or_dash(spread.within, format),
        ]);
    }
    for (slo, met) in slos_met(runs) {
        let dash = || "—".to_owned();
        rows.push(vec![slo, met, dash(), dash(), dash()]);
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
