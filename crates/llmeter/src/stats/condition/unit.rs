//! Values of conditions and their units.

use super::{ConditionError, refuse};
use crate::base::shown::duration;

/// The unit of a condition's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// The metric's own.
    Own,
    /// `min`
    Minutes,
    /// `s`
    Seconds,
    /// `ms`
    Milliseconds,
    /// `us`
    Microseconds,
    /// `%`
    Percent,
    /// `/s`
    PerSecond,
    /// `/min`
    PerMinute,
}

/// Every unit that is written, with its names; the first is its own.
const NAMES: &[(Unit, &[&str])] = &[
    (Unit::Minutes, &["min"]),
    (Unit::Seconds, &["s"]),
    (Unit::Milliseconds, &["ms"]),
    (Unit::Microseconds, &["us", "µs", "μs"]),
    (Unit::Percent, &["%"]),
    (Unit::PerSecond, &["/s"]),
    (Unit::PerMinute, &["/min"]),
];

impl Unit {
    /// As it is written behind a value.
    pub fn as_str(self) -> &'static str {
        let known = NAMES.iter().find(|(unit, _)| *unit == self);
        known.map_or("", |(_, names)| names[0])
    }

    /// A value in the unit of a metric.
    pub(super) fn in_units_of(self, value: f64, metric: &str) -> f64 {
        match self {
            Self::Own | Self::Seconds => value,
            Self::Minutes => value * 60.0,
            Self::Milliseconds => value / 1e3,
            Self::Microseconds => value / 1e6,
            Self::Percent => value / 100.0,
            Self::PerSecond if metric.ends_with("/min") => value * 60.0,
            Self::PerMinute if metric.ends_with("/s") => value / 60.0,
            Self::PerSecond | Self::PerMinute => value,
        }
    }

    /// A metric's value for people.
    pub(super) fn shown(self, value: f64, metric: &str) -> String {
        match (self, metric) {
            (Self::Percent, _) => format!("{}%", rounded(value * 100.0)),
            (_, "s") => duration(value),
            (Self::PerSecond, unit) if unit.ends_with("/min") => {
                format!("{}/s", rounded(value / 60.0))
            }
            (Self::PerMinute, unit) if unit.ends_with("/s") => {
                format!("{}/min", rounded(value * 60.0))
            }
            _ => rounded(value),
        }
    }
}

/// Four significant digits or so.
fn rounded(value: f64) -> String {
    let size = value.abs();
    if value.fract() == 0.0 && size < 1e15 || size >= 1000.0 {
        format!("{value:.0}")
    } else if size >= 1.0 {
        let text = format!("{value:.2}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        format!("{value:.4}")
    }
}

/// The units that a metric takes, for a message.
fn accepted(metric: &str) -> &'static str {
    match metric {
        "s" => "s, ms, us or min",
        "" => "%, or none",
        unit if unit.ends_with("/s") || unit.ends_with("/min") => "/s or /min",
        _ => "none",
    }
}

fn is_accepted(unit: Unit, metric: &str) -> bool {
    match unit {
        // Also a change, whatever the metric is.
        Unit::Own | Unit::Percent => true,
        Unit::Minutes | Unit::Seconds | Unit::Milliseconds | Unit::Microseconds => metric == "s",
        Unit::PerSecond | Unit::PerMinute => metric.ends_with("/s") || metric.ends_with("/min"),
    }
}

/// Value, unit, and whether a sign is given.
pub(super) fn parse(text: &str, metric: &str) -> Result<(f64, Unit, bool), ConditionError> {
    let is_number = |(at, letter): &(usize, char)| {
        let is_exponent = |rest: &str| rest.starts_with(|next: char| next.is_ascii_digit());
        let rest = &text[at + letter.len_utf8()..];
        match letter {
            '0'..='9' | '.' => true,
            '+' | '-' => *at == 0 || text[..*at].ends_with(['e', 'E']),
            'e' | 'E' => *at > 0 && is_exponent(rest.trim_start_matches(['+', '-'])),
            _ => false,
        }
    };
    let end = text.char_indices().find(|letter| !is_number(letter));
    let (number, unit) = text.split_at(end.map_or(text.len(), |(at, _)| at));
    let value = number.parse::<f64>().ok().filter(|value| value.is_finite());
    let Some(value) = value else {
        return refuse(match text {
            "" => "it has no value".to_owned(),
            _ => format!("{text} is no number with a unit"),
        });
    };
    let unit = unit.trim();
    let known = NAMES.iter().find(|(_, names)| names.contains(&unit));
    let unit = match known {
        Some((known, _)) if is_accepted(*known, metric) => *known,
        None if unit.is_empty() => Unit::Own,
        _ => {
            let accepted = accepted(metric);
            return refuse(format!(
                "{unit} is no unit of this metric: expected {accepted}"
            ));
        }
    };
    Ok((value, unit, number.starts_with(['+', '-'])))
}
