//! Runs side by side: as text, as Markdown for a pull request, and as JUnit XML.

mod junit;
mod markdown;

use crate::base::shown::{SHOWN, escaped, one_line};
use crate::experiment::{Comparison, Difference, Outcome, Pair, Spread, of_clients};
use crate::report::intervals::{MARK, MARKED};
use crate::report::repeat::WITHIN;
use crate::report::summary::{duration, figure};
use crate::report::table::table;
use crate::stats::Support;

pub use junit::comparison_junit;
pub use markdown::comparison_markdown;

/// Which figures a comparison shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rows {
    /// Those that are better or worse, and the headline figures.
    Telling,
    /// All.
    All,
}

/// A comparison as text, in at most so many columns, as far as that can be.
pub fn comparison_within(comparison: &Comparison, rows: Rows, width: usize) -> String {
    let mut text = String::new();
    for pair in &comparison.pairs {
        text.push_str(&format!("{}\n", one_line(&title(comparison, pair), SHOWN)));
        if let Some(means) = means(pair) {
            text.push_str(&format!("{means}\n"));
        }
        for unlike in &pair.unlike {
            text.push_str(&format!(
                "not measured alike: {}\n",
                one_line(unlike, SHOWN)
            ));
        }
        text.push('\n');
        let (told, rest) = told(pair, rows);
        let mut cells = vec![TITLES.map(str::to_owned).to_vec()];
        cells.extend(told.iter().map(|one| compact(pair, one).to_vec()));
        table(&mut text, &cells, width);
        if let Some(left) = left_out(&rest) {
            text.push_str(&format!("{left}: --all has them\n"));
        }
        text.push('\n');
    }
    for unmatched in &comparison.unmatched {
        text.push_str(&format!("not compared: {}\n", escaped(unmatched)));
    }
    let pairs = || comparison.pairs.iter();
    text.push_str(legend(pairs().flat_map(|pair| told(pair, rows).0)));
    text.push_str(dashes(pairs().flat_map(|pair| {
        let told = told(pair, rows).0;
        told.into_iter().map(|one| row(pair, one))
    })));
    text.push_str(&conclusion(comparison, |name| one_line(name, SHOWN)));
    text.push('\n');
    text.push_str(method(comparison));
    text.push('\n');
    text
}

/// A row for narrow terminals.
fn compact(pair: &Pair, one: &Difference) -> [String; 6] {
    let mut cells = row(pair, one);
    let name = cells[0]
        .replace(" per second", "/s")
        .replace(" per minute", "/min");
    cells[0] = match one.figure.is_share() {
        true => name
            .strip_suffix(" rate")
            .map_or(name.clone(), str::to_owned),
        false => name,
    };
    if one.outcome == Some(Outcome::NoDifference) {
        cells[5] = "no difference".to_owned();
    }
    cells
}

/// How many figures have no row, by their verdict.
pub(super) fn left_out(rest: &[&Difference]) -> Option<String> {
    let of = |outcome: Option<Outcome>| rest.iter().filter(|one| one.outcome == outcome).count();
    let parts = [
        (of(Some(Outcome::NoDifference)), "with no difference shown"),
        (of(Some(Outcome::NotEnoughData)), "without enough data"),
        (of(None), "without a verdict"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<_> = parts
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    (!rest.is_empty()).then(|| format!("more figures, {}", parts.join(", ")))
}

/// The tables of a comparison, one for each pair: its title and its rows, of which the first one names the
/// columns.
pub fn comparison_tables(comparison: &Comparison) -> Vec<(String, Vec<[String; 6]>)> {
    let tables = comparison.pairs.iter().map(|pair| {
        let titles = std::iter::once(TITLES.map(str::to_owned));
        let rows = titles
            .chain(shown(pair).map(|one| row(pair, one)))
            .collect();
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
const METHOD: &str = "Intervals: bootstrap of blocks of requests. Verdicts: permutation test of such blocks, \
                      Holm's correction over all figures (2.5 % for all verdicts together), changes under 1 % left out.";
/// The same where there are repeats.
const METHOD_OF_REPEATS: &str = "Intervals: Student's t over repeats, or, where it is wider, marked †, bootstrap of \
                                 blocks of requests. Verdicts: Student's t and permutation test of such blocks, the \
                                 larger p-value, Holm's correction over all figures (2.5 % for all verdicts together), \
                                 changes under 1 % left out.";

pub(super) fn method(comparison: &Comparison) -> &'static str {
    match comparison.pairs.iter().any(has_repeats) {
        true => METHOD_OF_REPEATS,
        false => METHOD,
    }
}

fn has_repeats(pair: &Pair) -> bool {
    pair.base_repeats + pair.new_repeats > 2
}

/// That figures are those of several runs.
pub(super) fn means(pair: &Pair) -> Option<String> {
    let of = |count: usize| match count {
        1 => "1 run".to_owned(),
        count => format!("{count} repeats"),
    };
    has_repeats(pair).then(|| {
        let (base, new) = (of(pair.base_repeats), of(pair.new_repeats));
        format!("means of {base} (base) and of {new} (new)")
    })
}

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

/// The figures that are told in these rows, what is worse first, and those that are left.
pub(super) fn told(pair: &Pair, rows: Rows) -> (Vec<&Difference>, Vec<&Difference>) {
    let differs = |one: &Difference| matches!(one.outcome, Some(Outcome::Worse | Outcome::Better));
    let (mut told, rest): (Vec<_>, Vec<_>) =
        shown(pair).partition(|one| rows == Rows::All || one.is_headline || differs(one));
    told.sort_by_key(|one| match one.outcome {
        Some(Outcome::Worse) => 0,
        Some(Outcome::Better) => 1,
        _ => 2,
    });
    (told, rest)
}

/// Whether few values lie beyond it.
fn is_weak(one: &Difference) -> bool {
    one.support == Support::Weak
}

/// What a mark stands for, if a row has one.
pub(super) fn legend<'a>(mut rows: impl Iterator<Item = &'a Difference>) -> &'static str {
    match rows.any(is_weak) {
        true => MARKED,
        false => "",
    }
}

/// What a dash stands for, if a row has one.
pub(super) fn dashes(mut rows: impl Iterator<Item = [String; 6]>) -> &'static str {
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

pub(super) fn row(pair: &Pair, one: &Difference) -> [String; 6] {
    let mark = if is_weak(one) { MARK } else { "" };
    let value = |value: Option<f64>| {
        value.map_or_else(|| "—".to_owned(), |at| format!("{}{mark}", valued(one, at)))
    };
    let (change, mut interval) = changed(one);
    if has_repeats(pair) && one.spread == Some(Spread::Requests) {
        interval.push_str(WITHIN);
    }
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

/// The change and its interval: of a share in percentage points, of everything else as a share of the base.
fn changed(one: &Difference) -> (String, String) {
    let (change, interval, unit) = match one.figure.is_share() {
        true => (one.difference, one.difference_interval, "pp"),
        false => (one.change, one.change_interval, "%"),
    };
    let signed = |value: f64| match value * 100.0 {
        // Not +0.0 and -0.0.
        percent if percent.abs() < 0.05 => "0.0".to_owned(),
        percent => format!("{percent:+.1}"),
    };
    // From nothing to something there is no share.
    let amount = one.difference.filter(|_| one.base == Some(0.0));
    let change = change.map(|change| format!("{} {unit}", signed(change)));
    let change = change.or(amount.map(|amount| format!("+{}", valued(one, amount))));
    let change = change.unwrap_or_else(|| "—".to_owned());
    let interval =
        interval.map(|(low, high)| format!("{} to {} {unit}", signed(low), signed(high)));
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
