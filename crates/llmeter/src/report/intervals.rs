//! Percentiles that their sample carries, and intervals, as text.

use super::summary::{duration, figure};
use super::table::table;
use crate::stats::{Interval, Latency, Percentile, Support};

/// What stands behind a percentile with few values beyond it.
pub(super) const MARK: &str = "*";
/// What the mark means.
pub(super) const MARKED: &str = "* fewer than 5 values lie beyond it\n";

/// What the mark in cells means, if one has it.
pub(super) fn legend<'c>(mut cells: impl Iterator<Item = &'c String>) -> Option<&'static str> {
    cells.any(|cell| cell.ends_with(MARK)).then_some(MARKED)
}

/// Statistics of a latency that have an interval in the summary.
const COLUMNS: [&str; 4] = ["average", "p50", "p90", "p99"];

/// A statistic of a latency if its sample carries it, and whether it is to be marked.
pub(super) fn carried(times: &Latency, name: &str) -> Option<(f64, bool)> {
    let mut named = times.named().into_iter();
    let (_, time) = named.find(|(known, _)| *known == name)?;
    let support = match (Percentile::named(name), times.count) {
        (Some(percentile), Some(count)) => percentile.support(count as u64),
        _ => Support::Full,
    };
    match support {
        Support::None => None,
        Support::Weak => Some((time?, true)),
        Support::Full => Some((time?, false)),
    }
}

/// A statistic of a latency as a cell of a table: with its mark, or a dash.
pub(super) fn cell(times: &Latency, name: &str) -> String {
    match carried(times, name) {
        Some((time, true)) => duration(time) + MARK,
        Some((time, false)) => duration(time),
        None => "—".to_owned(),
    }
}

/// The table of intervals; nothing if there are none.
pub(super) fn latencies(text: &mut String, known: &[(&str, Latency)], width: usize) {
    let rows = latency_rows(known);
    if rows.is_empty() {
        return;
    }
    text.push('\n');
    table(text, &rows, width);
}

/// The rows of the table of intervals, its titles first; empty if there are none.
pub(super) fn latency_rows(known: &[(&str, Latency)]) -> Vec<Vec<String>> {
    let has = |name: &str| {
        known
            .iter()
            .any(|(_, times)| interval(times, name).is_some())
    };
    let columns: Vec<&str> = COLUMNS.into_iter().filter(|name| has(name)).collect();
    if columns.is_empty() {
        return Vec::new();
    }
    let level = figure(Interval::LEVEL * 100.0);
    let mut rows = vec![vec![format!("{level} % interval")]];
    rows[0].extend(columns.iter().map(|name| match *name {
        "average" => "mean".to_owned(),
        name => name.to_owned(),
    }));
    for (label, times) in known {
        let cells: Vec<_> = columns.iter().map(|name| interval(times, name)).collect();
        if cells.iter().any(Option::is_some) {
            let cells = cells.into_iter().map(Option::unwrap_or_default);
            rows.push(std::iter::once((*label).to_owned()).chain(cells).collect());
        }
    }
    rows
}

/// The interval of a statistic of a latency, if its sample carries it.
pub(super) fn interval(times: &Latency, name: &str) -> Option<String> {
    let interval = times.intervals.of(name);
    let interval = interval.filter(|_| carried(times, name).is_some());
    interval.map(|interval| range(&interval, duration))
}

/// A rate with its interval.
pub(super) fn rate(rate: f64, interval: Option<Interval>) -> String {
    match interval {
        Some(interval) => format!("{} ({})", figure(rate), range(&interval, figure)),
        None => figure(rate),
    }
}

/// Both ends, the unit once if both have the same.
pub(super) fn range(interval: &Interval, format: fn(f64) -> String) -> String {
    let (low, high) = (format(interval.low), format(interval.high));
    match (low.split_once(' '), high.split_once(' ')) {
        (Some((number, unit)), Some((_, other))) if unit == other => format!("{number}–{high}"),
        _ => format!("{low}–{high}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(low: f64, high: f64) -> Interval {
        let level = Interval::LEVEL;
        Interval { low, high, level }
    }

    #[test]
    fn a_unit_is_named_once() {
        assert_eq!(range(&between(0.0981, 0.103), duration), "98.10–103.0 ms");
        assert_eq!(range(&between(0.98, 1.2), duration), "980.0 ms–1.20 s");
        assert_eq!(rate(61.25, Some(between(59.0, 63.5))), "61.2 (59–63.5)");
        assert_eq!(rate(61.25, None), "61.2");
    }

    #[test]
    fn a_percentile_needs_values_beyond_it() {
        let with = |count: f64| Latency {
            p99: Some(0.5),
            count: Some(count),
            ..Latency::default()
        };
        assert_eq!(cell(&with(99.0), "p99"), "—");
        assert_eq!(cell(&with(100.0), "p99"), "500.0 ms*");
        assert_eq!(cell(&with(500.0), "p99"), "500.0 ms");
        let unknown = Latency {
            count: None,
            ..with(0.0)
        };
        assert_eq!(
            cell(&unknown, "p99"),
            "500.0 ms",
            "folders of the Python package"
        );
    }
}
