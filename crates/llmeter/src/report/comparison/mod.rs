//! Runs side by side: as text, as Markdown for a pull request, and as JUnit XML.

mod junit;
mod markdown;

use crate::base::shown::{SHOWN, escaped, one_line};
use crate::experiment::{Comparison, Difference, Outcome, Pair, of_clients};
use crate::report::intervals::{MARK, MARKED};
use crate::report::summary::{duration, figure};
use crate::report::table::table;
use crate::stats::Support;

pub use junit::comparison_junit;
pub use markdown::comparison_markdown;

/// A comparison as text, in at most so many columns, as far as that can be.
pub fn comparison_within(comparison: &Comparison, width: usize) -> String {
    let mut text = String::new();
    for pair in &comparison.pairs {
        text.push_str(&format!("{}\n", one_line(&title(comparison, pair), SHOWN)));
        for unlike in &pair.unlike {
            text.push_str(&format!(
                "not measured alike: {}\n",
                one_line(unlike, SHOWN)
            ));
        }
        text.push('\n');
        let mut rows = vec![TITLES.map(str::to_owned).to_vec()];
        rows.extend(shown(pair).map(|one| row(one).to_vec()));
        table(&mut text, &rows, width);
        text.push('\n');
    }
    for unmatched in &comparison.unmatched {
        text.push_str(&format!("not compared: {}\n", escaped(unmatched)));
    }
    text.push_str(legend(comparison));
    text.push_str(dashes(comparison));
    text.push_str(&conclusion(comparison, |name| one_line(name, SHOWN)));
    text.push('\n');
    text.push_str(METHOD);
    text.push('\n');
    text
}

/// The tables of a comparison, one for each pair: its title and its rows, of which the first one names the
/// columns.
pub fn comparison_tables(comparison: &Comparison) -> Vec<(String, Vec<[String; 6]>)> {
    let tables = comparison.pairs.iter().map(|pair| {
        let titles = std::iter::once(TITLES.map(str::to_owned));
        let rows = titles.chain(shown(pair).map(row)).collect();
        (title(comparison, pair), rows)
    });
    tables.collect()
}

/// What a comparison comes to: which figures are worse and which are better.
pub fn comparison_conclusion(comparison: &Comparison) -> String {
    conclusion(comparison, str::to_owned)
}

pub(super) const TITLES: [&str; 6] = ["", "base", "new", "change", "95 % interval", "verdict"];

const DASHES: &str = "— none: a figure that is one number, too few values, or a change from 0\n";

/// What verdicts rest on.
pub(super) const METHOD: &str = "Intervals: bootstrap of blocks of requests. Verdicts: permutation test of such blocks, \
                      Holm's correction over all figures (3 % for all verdicts together), changes under 1 % left out.";

/// The figures that are worth a row: all that have a verdict, and sums that differ, but for what only
/// repeats another one, and percentiles with no value beyond them.
pub(super) fn shown(pair: &Pair) -> impl Iterator<Item = &Difference> {
    let differences = pair
        .differences
        .iter()
        .filter(|one| one.repeats.is_none() && one.support != Support::None);
    differences
        .filter(|one| one.outcome.is_some() || one.is_listed() && one.difference != Some(0.0))
}

/// Whether few values lie beyond it.
fn is_weak(one: &Difference) -> bool {
    one.support == Support::Weak
}

/// What a mark stands for, if a row has one.
pub(super) fn legend(comparison: &Comparison) -> &'static str {
    match comparison.pairs.iter().flat_map(shown).any(is_weak) {
        true => MARKED,
        false => "",
    }
}

/// What a dash stands for, if a row has one.
pub(super) fn dashes(comparison: &Comparison) -> &'static str {
    let mut rows = comparison.pairs.iter().flat_map(shown).map(row);
    match rows.any(|cells| cells.iter().any(|cell| cell == "—")) {
        true => DASHES,
        false => "",
    }
}

pub(super) fn title(comparison: &Comparison, pair: &Pair) -> String {
    let level = pair
        .clients
        .map(|clients| format!(", {}", of_clients(clients)));
    let level = level.unwrap_or_default();
    format!("{} against {}{level}", pair.new, comparison.base)
}

pub(super) fn row(one: &Difference) -> [String; 6] {
    let mark = if is_weak(one) { MARK } else { "" };
    let value = |value: Option<f64>| {
        value.map_or_else(|| "—".to_owned(), |at| format!("{}{mark}", valued(one, at)))
    };
    let (change, interval) = changed(one);
    let outcome = one.outcome.map_or("", Outcome::as_str);
    [
        named(one),
        value(one.base),
        value(one.new),
        change,
        interval,
        outcome.to_owned(),
    ]
}

/// `TTFT p90`, `output tokens per second`.
pub(super) fn named(one: &Difference) -> String {
    let label = one.figure.metric().label.replace('_', " ");
    match one.figure.statistic() {
        Some("average") => format!("{label} mean"),
        Some(statistic) => format!("{label} {statistic}"),
        None => label,
    }
}

fn valued(one: &Difference, value: f64) -> String {
    match one.figure.metric().unit {
        "s" => duration(value),
        "" => format!("{:.2} %", value * 100.0),
        _ => figure(value),
    }
}

/// The change and its interval: of a share in points, of everything else as a share of the base.
fn changed(one: &Difference) -> (String, String) {
    let (change, interval, unit) = match one.figure.is_share() {
        true => (one.difference, one.difference_interval, "points"),
        false => (one.change, one.change_interval, "%"),
    };
    let signed = |value: f64| match value * 100.0 {
        // Not +0.0 and -0.0.
        percent if percent.abs() < 0.05 => format!("0.0 {unit}"),
        percent => format!("{percent:+.1} {unit}"),
    };
    // From nothing to something there is no share.
    let amount = one.difference.filter(|_| one.base == Some(0.0));
    let change = change.map(signed);
    let change = change.or(amount.map(|amount| format!("+{}", valued(one, amount))));
    let change = change.unwrap_or_else(|| "—".to_owned());
    let interval = interval.map(|(low, high)| format!("{} to {}", signed(low), signed(high)));
    (change, interval.unwrap_or_else(|| "—".to_owned()))
}

/// How many figures are worse, better, or cannot be told; of several that are compared a line each that
/// begins with its name as `shown`.
pub(super) fn conclusion(comparison: &Comparison, shown: fn(&str) -> String) -> String {
    let mut names: Vec<&str> = Vec::new();
    for pair in &comparison.pairs {
        if !names.contains(&pair.new.as_str()) {
            names.push(&pair.new);
        }
    }
    let of_name = |name: &&str| {
        let pairs = comparison.pairs.iter().filter(|pair| pair.new == **name);
        let concluded = concluded(pairs.flat_map(|pair| &pair.differences));
        match names.len() {
            1 => concluded,
            _ => format!("{}. {concluded}", shown(name)),
        }
    };
    names.iter().map(of_name).collect::<Vec<_>>().join("\n")
}

fn concluded<'a>(differences: impl Iterator<Item = &'a Difference>) -> String {
    let judged: Vec<_> = differences.filter(|one| one.repeats.is_none()).collect();
    let with = |wanted: Outcome| {
        let judged = judged.iter();
        judged.filter(move |one| one.outcome == Some(wanted))
    };
    let of = |wanted: Outcome| {
        let named: Vec<_> = with(wanted).map(|one| named(one)).collect();
        match named.len() {
            0 => "nothing".to_owned(),
            1..=4 => named.join(", "),
            more => format!("{more} figures ({}, …)", named[..3].join(", ")),
        }
    };
    let unknown = match with(Outcome::NotEnoughData).count() {
        0 => String::new(),
        1 => "; 1 figure has not enough data".to_owned(),
        more => format!("; {more} figures have not enough data"),
    };
    format!(
        "Worse: {}. Better: {}{unknown}.",
        of(Outcome::Worse),
        of(Outcome::Better)
    )
}
