//! A search for capacity: its probes, and what they say.

use crate::experiment::{CapacityResult, Knee, Over, ProbeVerdict, TestEnd, of_clients};
use crate::report::intervals::cell;
use crate::report::summary::{or_dash, percent};
use crate::report::table::table;

/// A row for each probe in the order of their loads, and the capacity.
pub fn capacity(found: &CapacityResult) -> String {
    capacity_within(found, usize::MAX)
}

/// [`capacity`] in at most so many columns, as far as that can be.
pub fn capacity_within(found: &CapacityResult, width: usize) -> String {
    let mut text = String::new();
    if !found.plan.probes.is_empty() {
        table(&mut text, &probe_rows(found), width);
        text.push('\n');
    }
    text.push_str(&remarks(found));
    text
}

/// A row for each probe, the titles first.
pub(super) fn probe_rows(found: &CapacityResult) -> Vec<Vec<String>> {
    let titles = [
        match found.plan.over {
            Over::Rate => "rate",
            Over::Sessions => "sessions",
            _ => "clients",
        },
        "SLOs",
        "requests",
        "req/s",
        "goodput/s",
        "goodput",
        "out tok/s",
        "TTFT p50",
        "TTFT p99",
        "TPOT p90",
        "TTLT p50",
        "measurement",
    ];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    let mut probes: Vec<_> = found.plan.probes.iter().collect();
    probes.sort_by(|one, other| one.level.total_cmp(&other.level));
    for probe in probes {
        let stats = found.at(probe.level).map(|it| it.stats());
        let stats = stats.unwrap_or_default();
        let rate = |value: Option<f64>| or_dash(value, |value| format!("{value:.1}"));
        rows.push(vec![
            match found.plan.over {
                Over::Rate => found.plan.over.in_words(probe.level),
                _ => probe.level.to_string(),
            },
            in_words(probe.verdict).to_owned(),
            probe.requests.to_string(),
            rate(stats.requests_per_minute.map(|rate| rate / 60.0)),
            rate(stats.goodput),
            or_dash(stats.goodput_rate, percent),
            or_dash(stats.output_tps, |rate| format!("{rate:.0}")),
            cell(&stats.ttft, "p50"),
            cell(&stats.ttft, "p99"),
            cell(&stats.tpot, "p90"),
            cell(&stats.ttlt, "p50"),
            stats.measurement_verdict.unwrap_or_else(|| "—".to_owned()),
        ]);
    }
    rows
}

fn in_words(verdict: ProbeVerdict) -> &'static str {
    match verdict {
        ProbeVerdict::Held => "hold",
        ProbeVerdict::Broken => "broken",
        ProbeVerdict::Saturated => "saturated",
        ProbeVerdict::LikelyHeld => "hold?",
        ProbeVerdict::LikelyBroken => "broken?",
    }
}

/// The capacity, what it rests on and what ended the search, a line each.
pub(super) fn remarks(found: &CapacityResult) -> String {
    let slos: Vec<String> = found.plan.slos.iter().map(ToString::to_string).collect();
    let slos = slos.join(", ");
    let over = found.plan.over;
    let mut text = match (found.level(), found.breaks_at()) {
        (Some(held), Some(broken)) => format!(
            "Capacity: {}. There {slos} holds; with {} it does not.\n",
            over.in_words(held),
            over.in_words(broken)
        ),
        (Some(held), None) => format!(
            "Capacity: {} or more. {slos} holds up to the most that was tried.\n",
            over.in_words(held)
        ),
        (None, Some(broken)) => format!(
            "Capacity: below {}, the lowest load that was tried: {slos} does not hold there.\n",
            over.in_words(broken)
        ),
        (None, None) => "Capacity: unknown; no probe came to its end.\n".to_owned(),
    };
    if found.plan.is_one_run {
        let words = |level: Option<f64>, none: &str| {
            level.map_or_else(|| none.to_owned(), |level| over.in_words(level))
        };
        let (low, high) = found.interval();
        text.push_str(&format!(
            "By the intervals of the steps it lies between {} and {}.\n",
            words(low, "nothing"),
            words(high, "more than was tried")
        ));
    }
    if let Some(goodput) = found.goodput() {
        let interval = found.goodput_interval();
        let interval = interval.map_or_else(String::new, |(low, high)| {
            format!(" (95 % interval {low:.1} to {high:.1})")
        });
        text.push_str(&format!(
            "Goodput there: {goodput:.1} requests/s{interval}.\n"
        ));
    }
    if let Knee::At(clients) = found.knee() {
        text.push_str(&format!(
            "Knee at {}: beyond it latency (TTLT p50) grows by a larger factor than throughput.\n",
            of_clients(clients)
        ));
    }
    let probes = &found.plan.probes;
    if probes.iter().any(|probe| !probe.verdict.is_resolved()) {
        text.push_str(
            match found.plan.is_one_run {
                true => {
                    "? The time of a step was over before the interval of every figure was on one side of its \
                     limit: a longer --adaptive gives it more.\n"
                }
                false => {
                    "? The time of a probe was over before the interval of every figure was on one side of its \
                     limit: --probe-duration gives it more.\n"
                }
            },
        );
    }
    let resumed = probes.iter().filter(|probe| probe.is_resumed).count();
    if resumed > 0 {
        text.push_str(&format!(
            "Kept from an earlier search: {resumed} of {} probes.\n",
            probes.len()
        ));
    }
    let why = match &found.ended_by {
        Some(TestEnd::Interrupted) => "it was interrupted".to_owned(),
        Some(TestEnd::Cost) => "the limit of cost is reached".to_owned(),
        Some(TestEnd::Unwritten(level)) => {
            let level = over.in_words(*level as f64);
            format!("the files with {level} could not be written")
        }
        Some(TestEnd::Failures(level, by)) => {
            let level = over.in_words(*level as f64);
            format!("too many requests failed with {level} ({by})")
        }
        None if !found.plan.is_complete => "it was interrupted, or had too few probes".to_owned(),
        None => return text,
    };
    text.push_str(&format!(
        "The search ended early: {why}. --resume goes on with it.\n"
    ));
    text
}
