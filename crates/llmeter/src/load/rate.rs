//! How often something arrives.

use std::fmt;
use std::str::FromStr;

use crate::base::setting::RATE;

/// The highest rate, per second: more than any machine sends.
const MAX_PER_SECOND: f64 = 1e6;

/// An arrival rate, such as `20/s` or `90/min`.
///
/// ```
/// use llmeter::load::Rate;
///
/// let rate: Rate = "90/min".parse()?;
/// assert_eq!((rate.per_second(), rate.to_string()), (1.5, "90/min".to_owned()));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    count: f64,
    unit: RateUnit,
}

/// The time that a rate is counted in.
#[derive(Debug, Clone, Copy, PartialEq)]
enum RateUnit {
    Second,
    Minute,
    Hour,
}

impl RateUnit {
    /// As it is written, and in seconds.
    const ALL: [(&'static str, Self, f64); 3] = [
        ("s", Self::Second, 1.0),
        ("min", Self::Minute, 60.0),
        ("h", Self::Hour, 3600.0),
    ];
}

impl Rate {
    /// So many arrivals in a second.
    ///
    /// # Errors
    /// If that is not above 0 and at most a million.
    pub fn of_seconds(count: f64) -> Result<Self, String> {
        let rate = Self::new(count, RateUnit::Second);
        rate.filter(|rate| rate.count > 0.0)
            .ok_or_else(|| RATE.to_owned())
    }

    fn new(count: f64, unit: RateUnit) -> Option<Self> {
        let rate = Self { count, unit };
        let per_second = rate.per_second();
        (0.0..=MAX_PER_SECOND).contains(&per_second).then_some(rate)
    }

    /// So much of it, a share from 0 to 1.
    pub(crate) fn part(self, share: f64) -> Self {
        Self {
            count: self.count * share,
            ..self
        }
    }

    /// Arrivals in a second.
    pub fn per_second(self) -> f64 {
        let units = RateUnit::ALL.iter();
        let seconds = units.filter(|(_, unit, _)| *unit == self.unit);
        self.count / seconds.map(|(.., seconds)| seconds).sum::<f64>()
    }

    /// As [`str::parse`] reads it, except that it may be 0: a pause.
    ///
    /// # Errors
    /// In words, if it is no rate.
    pub fn of_text_or_zero(text: &str) -> Result<Self, String> {
        Self::parse_or_zero(text).ok_or_else(|| RATE.to_owned())
    }

    /// Reads a count and its unit; a count alone is one of a second. Unlike other rates, it may be 0.
    pub(crate) fn parse_or_zero(text: &str) -> Option<Self> {
        let (count, unit) = match text.split_once('/') {
            Some((count, unit)) => (count, unit.trim()),
            None => (text, "s"),
        };
        let unit = match unit {
            "sec" | "second" => "s",
            "m" | "minute" => "min",
            "hour" => "h",
            unit => unit,
        };
        let mut units = RateUnit::ALL.iter();
        let (_, unit, _) = units.find(|(name, ..)| *name == unit)?;
        Self::new(count.trim().parse().ok()?, *unit)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rate = Self::parse_or_zero(text);
        rate.filter(|rate| rate.count > 0.0)
            .ok_or_else(|| RATE.to_owned())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut units = RateUnit::ALL.iter();
        let name = units.find(|(_, unit, _)| *unit == self.unit);
        let name = name.map_or("s", |(name, ..)| name);
        write!(formatter, "{}/{name}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_count_in_a_time() {
        for (text, per_second, shown) in [
            ("20/s", 20.0, "20/s"),
            (" 0.5 / s ", 0.5, "0.5/s"),
            ("90/min", 1.5, "90/min"),
            ("1800/h", 0.5, "1800/h"),
            ("7", 7.0, "7/s"),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.per_second(), &*rate.to_string()), (per_second, shown));
            assert_eq!(shown.parse(), Ok(rate));
        }
        for text in [
            "",
            "0/s",
            "-1/s",
            "1/day",
            "x/s",
            "1000001/s",
            "inf",
            "nan/s",
            "1/s/s",
        ] {
            assert_eq!(text.parse::<Rate>(), Err(RATE.to_owned()), "{text}");
        }
    }
}
