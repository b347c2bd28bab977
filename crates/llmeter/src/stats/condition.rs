//! Conditions on figures: `ttft-p99 < 500ms`, `failed_requests_rate > 1%`.

mod figure;
mod target;
#[cfg(test)]
mod tests;
mod unit;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::percentile::Support;
pub use figure::Figure;
pub use target::PrecisionTarget;
pub use unit::Unit;

/// How a condition begins, and how it goes on.
const FORM: &str = "METRIC[-STATISTIC] OPERATOR VALUE[UNIT], like ttft-p99 < 500ms";

/// A condition on a figure: `METRIC[-STATISTIC] OPERATOR VALUE[UNIT]`.
///
/// Metrics have the names of `stats.json` (`time_to_first_token-p90`) or those of the fields of
/// [`Stats`](super::Stats) (`ttft-p90`). Times take `s`, `ms`, `us` and `min`, rates `/s` and `/min`, shares
/// `%`; without a unit a value is in the metric's own. A value with a sign and `%` is a change from a base:
/// `ttft-p90 > +10%`.
///
/// ```
/// use llmeter::stats::Condition;
///
/// let condition: Condition = "time_to_first_token-p99<0.5s".parse()?;
/// assert_eq!(condition.to_string(), "ttft-p99 < 0.5s");
/// assert!(condition.holds(0.25) && !condition.holds(0.5));
///
/// let error = "ttf-p99 < 500ms".parse::<Condition>().unwrap_err();
/// assert_eq!(error.to_string(), "no metric is called ttf; the nearest are ttft, ttfat, ttlt");
/// # Ok::<(), llmeter::stats::ConditionError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    figure: Figure,
    comparator: Comparator,
    value: f64,
    unit: Unit,
    is_change: bool,
}

/// How a figure is compared with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparator {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparator {
    /// Every one, each before one that begins it.
    const ALL: [Self; 4] = [
        Self::LessOrEqual,
        Self::GreaterOrEqual,
        Self::Less,
        Self::Greater,
    ];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    /// Whether `value` is on the wanted side of `limit`.
    pub fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Less => value < limit,
            Self::LessOrEqual => value <= limit,
            Self::Greater => value > limit,
            Self::GreaterOrEqual => value >= limit,
        }
    }

    /// Whether large values hold.
    pub const fn is_upward(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterOrEqual)
    }
}

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConditionError(String);

impl ConditionError {
    pub(crate) fn new(reason: String) -> Self {
        Self(reason)
    }
}

impl Condition {
    /// The figure.
    pub fn figure(&self) -> &Figure {
        &self.figure
    }

    /// The comparison.
    pub fn comparator(&self) -> Comparator {
        self.comparator
    }

    /// The value in the metric's own unit: seconds for a time, a share for `%`. Of a change the share of
    /// the base, `0.1` for `+10%`.
    pub fn limit(&self) -> f64 {
        match self.is_change {
            true => self.value / 100.0,
            false => self.unit.in_units_of(self.value, self.figure.metric().unit),
        }
    }

    /// Whether it is about the change from a base.
    pub fn is_change(&self) -> bool {
        self.is_change
    }

    /// Whether it is about each request: a metric of single responses without a statistic.
    pub fn is_per_request(&self) -> bool {
        self.figure.is_per_request()
    }

    /// The same limit for each request, of a condition about a percentile or mean of a value of single
    /// responses.
    pub(crate) fn of_each_request(&self) -> Option<Self> {
        let figure = self.figure.of_each_request()?;
        Some(Self {
            figure,
            ..self.clone()
        })
    }

    /// Whether a value in the metric's own unit, or a share of change, fulfils it.
    pub fn holds(&self, value: f64) -> bool {
        self.comparator.holds(value, self.limit())
    }

    /// Whether statistics fulfil it; `None` if they do not have the figure.
    pub fn holds_in(&self, stats: &Map<String, Value>) -> Option<bool> {
        Some(self.holds(self.figure.value_in(stats)?))
    }

    /// What to say of statistics that fulfil it, or that do not have its figure; `None` if they do not
    /// fulfil it. It is for conditions that must not hold.
    pub fn finding(&self, stats: &Map<String, Value>) -> Option<String> {
        self.finding_of(self.figure.value_in(stats), self.figure.support_in(stats))
    }

    /// [`finding`](Self::finding) of a value that its sample carries so far.
    pub(crate) fn finding_of(&self, value: Option<f64>, support: Support) -> Option<String> {
        match value {
            None => Some(format!("{self}: the run has no such figure")),
            Some(value) if self.holds(value) => {
                Some(format!("{self}: it is {}", self.shown_with(value, support)))
            }
            Some(_) => None,
        }
    }

    /// A value in words, in the condition's unit, and how little its sample carries it, if so.
    pub(crate) fn shown_with(&self, value: f64, support: Support) -> String {
        let shown = self.shown(value);
        match (support, self.figure.statistic()) {
            (Support::None, Some(statistic)) => {
                format!("{shown} by too few values for a {statistic}: none lies beyond it")
            }
            (Support::Weak, Some(_)) => format!("{shown}, with fewer than 5 values beyond it"),
            _ => shown,
        }
    }

    /// A value in words, in the condition's unit.
    pub fn shown(&self, value: f64) -> String {
        let unit = self.figure.metric().unit;
        self.unit.shown(value, unit)
    }

    /// The reason why it cannot stand where single requests do not count; `Ok` if it can.
    ///
    /// # Errors
    /// If it is about each request, or, unless there is a base, about a change.
    pub fn check_of_run(&self, has_base: bool) -> Result<(), ConditionError> {
        if self.is_per_request() {
            return refuse(format!(
                "{} needs a statistic here, like {}-p90; an SLO takes it for each request",
                self.figure, self.figure
            ));
        }
        self.check_base(has_base)
    }

    /// The reason why it cannot be an SLO; `Ok` if it can.
    ///
    /// # Errors
    /// If it is about a change.
    pub fn check_slo(&self) -> Result<(), ConditionError> {
        self.check_base(false)
    }

    fn check_base(&self, has_base: bool) -> Result<(), ConditionError> {
        if self.is_change && !has_base {
            return refuse(format!(
                "{self} is about a change, and there is no base to compare with; `llmeter compare` has one"
            ));
        }
        Ok(())
    }
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let Some(at) = text.find(['<', '>', '=', '≤', '≥']) else {
            return refuse(format!(
                "it has no operator <, <=, > or >=: expected {FORM}"
            ));
        };
        let (name, rest) = text.split_at(at);
        let found = Comparator::ALL.iter().find_map(|&comparator| {
            let rest = rest.strip_prefix(comparator.as_str());
            Some((comparator, rest?))
        });
        let Some((comparator, rest)) = found else {
            return refuse(format!(
                "its operator is none of <, <=, > and >=: expected {FORM}"
            ));
        };
        let figure = Figure::named(name.trim())?;
        let (value, unit, sign) = unit::parse(rest.trim(), figure.metric().unit)?;
        if sign && unit != Unit::Percent {
            return refuse(format!(
                "{} has a sign, which stands for a change from a base: expected one in %, like +10%",
                rest.trim()
            ));
        }
        if !sign && unit == Unit::Percent && !figure.is_share() {
            return refuse(format!(
                "{figure} is no share, so that % is no unit for it; a change from a base has a sign, like \
                 +10%"
            ));
        }
        Ok(Self {
            figure,
            comparator,
            value,
            unit,
            is_change: sign,
        })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.is_change && self.value.is_sign_positive() {
            true => "+",
            false => "",
        };
        let (comparator, value, unit) = (self.comparator.as_str(), self.value, self.unit.as_str());
        write!(
            formatter,
            "{} {comparator} {sign}{value}{unit}",
            self.figure
        )
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, ConditionError> {
    Err(ConditionError(reason.into()))
}
