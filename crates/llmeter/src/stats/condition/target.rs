//! How precisely a figure is to be known: `ttft-p90 ±5%`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ConditionError, Figure, Unit, refuse, unit};
use crate::InvocationResponse;
use crate::stats::{Percentile, PrecisionWatch, Statistic, Tolerance};

/// How a target is written.
const FORM: &str = "METRIC-STATISTIC ±VALUE[UNIT|%], like ttft-p90 ±5%";
/// What stands for ± where that is hard to type.
const SIGNS: [&str; 3] = ["±", "+/-", "+-"];

/// How precisely a figure is to be known: `METRIC-STATISTIC ±VALUE[UNIT|%]`.
///
/// The metric is one of single responses, the statistic `average` (or `mean`) or a percentile; the
/// value is half the width of the interval in which the true figure lies with a probability of 95 %,
/// as a share of the figure or in the metric's unit.
///
/// ```
/// use llmeter::stats::PrecisionTarget;
///
/// let target: PrecisionTarget = "time_to_first_token-p90 +-5%".parse()?;
/// assert_eq!(target.to_string(), "ttft-p90 ±5%");
/// assert!("output_tps ±5%".parse::<PrecisionTarget>().is_err());
/// # Ok::<(), llmeter::stats::ConditionError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PrecisionTarget {
    figure: Figure,
    statistic: Statistic,
    value: f64,
    unit: Unit,
}

impl PrecisionTarget {
    /// What collects values until the target is reached.
    pub fn watch(&self) -> PrecisionWatch {
        let tolerance = match self.unit {
            Unit::Percent => Tolerance::Share(self.value / 100.0),
            unit => Tolerance::Absolute(unit.in_units_of(self.value, self.figure.metric().unit)),
        };
        PrecisionWatch::new(self.statistic, tolerance)
    }

    /// The metric's value in a response; `None` if it has none or failed.
    pub fn value_of(&self, response: &InvocationResponse) -> Option<f64> {
        if response.detail.read_rate > 0 {
            return None;
        }
        match response.error {
            Some(_) => None,
            None => self.figure.metric().value_of(response),
        }
    }
}

impl FromStr for PrecisionTarget {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let found = SIGNS.iter().find_map(|sign| text.split_once(sign));
        let Some((name, value)) = found else {
            return refuse(format!("it has no ±: expected {FORM}"));
        };
        let figure = Figure::named(name.trim())?;
        let statistic = match figure.statistic() {
            Some("average") => Some(Statistic::Mean),
            Some(name) => Percentile::named(name).map(Statistic::Percentile),
            None => None,
        };
        let Some(statistic) = statistic.filter(|_| figure.metric().is_of_responses()) else {
            return refuse(format!(
                "{figure} is no mean or percentile of a value of each response: expected {FORM}"
            ));
        };
        let (value, unit, has_sign) = unit::parse(value.trim(), figure.metric().unit)?;
        if has_sign || value <= 0.0 {
            return refuse(format!("after ± comes a number above 0: expected {FORM}"));
        }
        Ok(Self {
            figure,
            statistic,
            value,
            unit,
        })
    }
}

impl fmt::Display for PrecisionTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.unit.as_str();
        write!(formatter, "{} ±{}{unit}", self.figure, self.value)
    }
}

impl Serialize for PrecisionTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PrecisionTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_shown_in_one_form() {
        for (text, shown) in [
            ("ttft-p90 ±5%", "ttft-p90 ±5%"),
            ("ttlt-mean +/-20ms", "ttlt-average ±20ms"),
            ("time_per_output_token-p50+-0.5 ms", "tpot-p50 ±0.5ms"),
            ("ttft-p99 ± 0.01", "ttft-p99 ±0.01"),
        ] {
            let target: PrecisionTarget = text.parse().unwrap();
            assert_eq!(target.to_string(), shown);
            assert_eq!(target.to_string().parse(), Ok(target));
        }
    }

    #[test]
    fn what_is_none_is_refused_with_what_is_wrong() {
        for (text, part) in [
            ("ttft-p90 < 5%", "no ±"),
            ("ttft ±5%", "no mean or percentile"),
            ("itl-p50 ±5%", "no mean or percentile"),
            ("output_tps ±5%", "no mean or percentile"),
            ("ttf-p90 ±5%", "nearest are"),
            ("ttft-p90 ±-5%", "above 0"),
            ("ttft-p90 ±0", "above 0"),
            ("ttft-p90 ±5 GB", "no unit"),
            ("ttft-p90 ±", "no value"),
        ] {
            let error = text.parse::<PrecisionTarget>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
