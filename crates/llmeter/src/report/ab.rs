//! A test by blocks: the variants, what differs, and the answer.

use std::fmt::Write;

use crate::experiment::{AbComparison, AbEnd, AbResult, AbVariantPlan};
use crate::report::escaped;
use crate::report::intervals::{MARK, legend};
use crate::report::summary::{duration, figure, or_dash, percent as percent_of, plural};
use crate::report::table::table;
use crate::report::terminal::compared;
use crate::stats::{Answer, Metric, Support, least_support, support_of};

/// Statistics that are shown beside the one that decides.
const SHOWN: [&str; 7] = [
    "time_to_first_token-p50",
    "time_to_first_token-p90",
    "time_per_output_token-p50",
    "time_to_last_token-p50",
    "time_to_last_token-p90",
    "output_tps",
    "requests_per_minute",
];

/// The variants, their differences with intervals, and the answer.
pub fn ab(test: &AbResult) -> String {
    ab_within(test, usize::MAX)
}

/// [`ab`] in at most so many columns, as far as that can be.
pub fn ab_within(test: &AbResult, width: usize) -> String {
    let mut text = String::new();
    table(&mut text, &variant_rows(test), width);
    let metrics = metrics(test);
    for at in 1..test.plan.variants.len() {
        text.push('\n');
        let rows = difference_rows(test, &metrics, at);
        table(&mut text, &rows, width);
        text.extend(legend(rows.iter().flatten()));
    }
    text.push('\n');
    text.push_str(&remarks(test));
    let variants = test.plan.variants.iter().enumerate();
    let variants = variants.map(|(at, variant)| {
        let name = escaped(&variant.name).into_owned();
        (name, test.blocks_of(at).collect())
    });
    compared(&mut text, &variants.collect::<Vec<_>>(), width);
    text
}

/// A row for each variant, the titles first.
pub(super) fn variant_rows(test: &AbResult) -> Vec<Vec<String>> {
    let mut titles = vec!["variant", "blocks", "requests", "failed"];
    let has_goodput = test
        .blocks()
        .any(|block| block.stats().goodput_rate.is_some());
    let has_slos = test
        .blocks()
        .any(|block| !block.stats().slos_met.is_empty());
    titles.extend(has_goodput.then_some("goodput"));
    titles.extend(has_slos.then_some("SLOs"));
    titles.push("what");
    let mut rows = vec![titles.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for (at, variant) in test.plan.variants.iter().enumerate() {
        let count = |of: fn(&crate::RunResult) -> u64| -> String {
            figure(test.blocks_of(at).map(of).sum::<u64>() as f64)
        };
        let mut row = vec![
            escaped(&variant.name).into_owned(),
            figure(test.blocks_of(at).count() as f64),
            count(|block| block.summary.total_requests.unwrap_or(0)),
            count(|block| block.stats().failed_requests),
        ];
        if has_goodput {
            row.push(or_dash(test.goodput_rate(at), percent_of));
        }
        if has_slos {
            row.push(slos_met(test, at));
        }
        row.push(escaped(&what(variant)).into_owned());
        rows.push(row);
    }
    rows
}

/// `b.toml (max_tokens 32)`.
fn what(variant: &AbVariantPlan) -> String {
    let about = variant.about.clone().unwrap_or_default();
    match variant.payload.is_empty() {
        true => about,
        false => format!("{about} ({})", variant.payload.join(", ")),
    }
}

/// How many blocks of a variant meet all SLOs about figures of the run.
fn slos_met(test: &AbResult, variant: usize) -> String {
    let judged = test.blocks_of(variant).map(|block| block.stats().slos_met);
    let met = judged.filter(|slos| slos.iter().all(|(_, is_met)| *is_met));
    format!(
        "met by {} of {} blocks",
        met.count(),
        test.blocks_of(variant).count()
    )
}

/// How the test was to be carried out.
pub(super) fn plan_rows(test: &AbResult) -> Vec<[String; 2]> {
    let plan = &test.plan;
    let row = |name: &str, value: String| [name.to_owned(), value];
    vec![
        row("metric", escaped(&plan.metric).into_owned()),
        row("error rate of an answer (alpha)", plan.alpha.to_string()),
        row(
            "difference that does not matter (margin)",
            format!("±{} %", figure(plan.margin * 100.0)),
        ),
        row("rounds at most", figure(plan.max_rounds as f64)),
        row("rounds carried out", figure(test.rounds.len() as f64)),
    ]
}

/// How far the samples of blocks carry a statistic.
fn support(test: &AbResult, metric: &str) -> Support {
    least_support(
        test.blocks()
            .map(|block| support_of(metric, &block.stats_map())),
    )
}

/// What the statistics that are shown say, the deciding one first. Rates are those of the steady state where
/// that is wanted; percentiles beyond which no block has a value are none, unless one decides.
pub(super) fn metrics(test: &AbResult) -> Vec<(&str, Vec<AbComparison>)> {
    let decides = test.plan.metric.as_str();
    let is_steady = test.blocks().all(|block| {
        let stats = block.stats();
        stats.steady_rates && stats.steady_output_tps.is_some()
    });
    let steady = |key: &'static str| match key {
        "output_tps" if is_steady => "steady_output_tps",
        "requests_per_minute" if is_steady => "steady_requests_per_minute",
        key => key,
    };
    let others = SHOWN
        .into_iter()
        .map(steady)
        .filter(|shown| *shown != decides);
    let others = others.filter(|shown| support(test, shown) != Support::None);
    std::iter::once(decides)
        .chain(others)
        .map(|metric| (metric, test.by(metric)))
        .collect()
}

fn first(test: &AbResult) -> &str {
    let first = test.plan.variants.first();
    first.map_or("", |variant| &variant.name)
}

/// A row for each statistic of a variant, counted from 1, against the first, the titles first.
pub(super) fn difference_rows(
    test: &AbResult,
    metrics: &[(&str, Vec<AbComparison>)],
    at: usize,
) -> Vec<Vec<String>> {
    let (first, name) = (first(test), &test.plan.variants[at].name);
    let titles = [
        &format!("{name} against {first}"),
        first,
        name,
        "difference",
        "interval",
    ];
    let mut rows = vec![titles.map(|title| escaped(title).into_owned()).to_vec()];
    for (metric, compared) in metrics {
        let compared = compared.get(at - 1);
        let Some((comparison, means)) = compared.and_then(|one| Some((one, one.means?))) else {
            continue;
        };
        let (one, other) = means;
        let interval = comparison.interval().map_or_else(
            || "—".to_owned(),
            |(low, high)| format!("{} … {}", percent(low), percent(high)),
        );
        let mark = match support(test, metric) {
            Support::Full => "",
            Support::Weak | Support::None => MARK,
        };
        rows.push(vec![
            label(metric),
            shown(metric, one) + mark,
            shown(metric, other) + mark,
            comparison
                .difference()
                .map_or_else(|| "—".to_owned(), percent),
            interval,
        ]);
    }
    rows
}

/// The answer, what intervals hold for, and how the test ended, a line each.
pub(super) fn remarks(test: &AbResult) -> String {
    let mut text = String::new();
    for comparison in test.comparisons() {
        text.push_str(&answer(test, &comparison, first(test)));
    }
    let _ = writeln!(
        text,
        "Intervals hold with {} % at every look together.",
        figure(100.0 * (1.0 - test.plan.alpha))
    );
    let verdicts = test
        .blocks()
        .filter_map(|block| block.stats().measurement_verdict);
    let unclean = verdicts.filter(|verdict| verdict != "clean").count();
    if unclean > 0 {
        let count = test.blocks().count();
        let _ = writeln!(
            text,
            "measurement: {unclean} of {count} blocks are not clean"
        );
    }
    text.push_str(why(test));
    text
}

fn answer(test: &AbResult, comparison: &AbComparison, first: &str) -> String {
    let (name, metric) = (escaped(&comparison.variant), label(&test.plan.metric));
    let first = escaped(first);
    let Some(analysis) = &comparison.analysis else {
        return format!("{name}: no round has {metric} for both.\n");
    };
    let rounds = analysis.differences;
    let after = format!("after {rounds} {}", plural(rounds as f64, "round"));
    let by = comparison.difference().map_or_else(String::new, |share| {
        format!("{} %", figure((share.abs() * 1000.0).round() / 10.0))
    });
    match analysis.answer {
        Answer::Lower => {
            format!("{metric} is lower with {name} than with {first}, by {by}: known {after}.\n")
        }
        Answer::Higher => {
            format!("{metric} is higher with {name} than with {first}, by {by}: known {after}.\n")
        }
        Answer::NoDifference => format!(
            "{metric} of {name} and {first} differ by less than {} %: known {after}.\n",
            figure(100.0 * test.plan.margin)
        ),
        Answer::Open => format!("{metric} of {name} against {first}: not known {after}.\n"),
    }
}

fn why(test: &AbResult) -> &'static str {
    match test.plan.ended_by {
        Some(AbEnd::Answered) | None => "",
        Some(AbEnd::Rounds) => "Ended after the last round.\n",
        Some(AbEnd::Requests) => "Ended by the limit of requests.\n",
        Some(AbEnd::Duration) => "Ended by the limit of time.\n",
        Some(AbEnd::Cost) => "Ended by the limit of cost.\n",
        Some(AbEnd::Interrupted) => "Interrupted.\n",
        Some(AbEnd::Failed) => {
            "Ended by a block that could not be carried out or failed too much.\n"
        }
        Some(AbEnd::Unwritten) => "Ended, since files could not be written.\n",
    }
}

/// `TTFT p50`.
pub(super) fn label(key: &str) -> String {
    let Some((metric, _)) = Metric::of(key) else {
        return escaped(key).into_owned();
    };
    match key
        .strip_prefix(metric.key)
        .and_then(|rest| rest.strip_prefix('-'))
    {
        Some(statistic) => format!("{} {statistic}", metric.label),
        None => metric.label.to_owned(),
    }
}

fn shown(key: &str, value: f64) -> String {
    match Metric::of(key).is_some_and(|(metric, _)| metric.unit == "s") {
        true => duration(value),
        false => figure(value),
    }
}

/// `+12.3 %`.
fn percent(share: f64) -> String {
    format!("{:+.1} %", 100.0 * share)
}
