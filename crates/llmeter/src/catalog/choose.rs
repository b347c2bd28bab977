//! Choosing entries of a catalog, and their order.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::entry::Entry;
use super::scan::Catalog;
use crate::base::error::{Error, Result};
use crate::stats::{Condition, Figure};

/// Which entries of a catalog are wanted: those that fulfil everything.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    conditions: Vec<Condition>,
    model: Option<String>,
    since: Option<Timestamp>,
}

impl Filter {
    /// Entries with a run that fulfils all conditions. A run without the figure does not.
    #[must_use]
    pub fn condition(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// Entries with this text in their model's name, in upper or lower case.
    #[must_use]
    pub fn model(mut self, text: &str) -> Self {
        self.model = Some(text.to_lowercase());
        self
    }

    /// Entries that began at this time or later.
    #[must_use]
    pub fn since(mut self, time: Timestamp) -> Self {
        self.since = Some(time);
        self
    }

    /// Whether an entry is wanted.
    pub fn admits(&self, entry: &Entry) -> bool {
        let is_late = self
            .since
            .is_none_or(|since| entry.started.is_some_and(|started| started >= since));
        is_late && entry.each_run().any(|run| self.admits_run(run))
    }

    fn admits_run(&self, run: &Entry) -> bool {
        let is_model = self.model.as_ref().is_none_or(|text| {
            let model = run.model.as_deref().unwrap_or_default();
            model.to_lowercase().contains(text)
        });
        let holds = |condition: &Condition| {
            let value = run.figures.get(&condition.figure().key());
            value.is_some_and(|value| condition.holds(value))
        };
        is_model && self.conditions.iter().all(holds)
    }
}

/// What entries are ordered by.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SortKey {
    /// When they began.
    When,
    /// Their names.
    Name,
    /// What they are.
    Kind,
    /// Their models.
    Model,
    /// How far they came.
    State,
    /// Their verdicts.
    Verdict,
    /// A figure; of an experiment the smallest among its runs.
    Figure(Figure),
}

impl SortKey {
    const WORDS: [(&str, Self); 6] = [
        ("when", Self::When),
        ("name", Self::Name),
        ("kind", Self::Kind),
        ("model", Self::Model),
        ("state", Self::State),
        ("verdict", Self::Verdict),
    ];
}

impl FromStr for SortKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some((_, key)) = Self::WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(key.clone());
        }
        let refused = |reason: String| {
            let words: Vec<_> = Self::WORDS.iter().map(|(word, _)| *word).collect();
            let expected = format!("{} or a figure like ttft-p50: {reason}", words.join(", "));
            Error::field("sort", text, expected)
        };
        let figure = Figure::named(text).map_err(|reason| refused(reason.to_string()))?;
        match figure.is_per_request() {
            true => Err(refused(format!(
                "{text} needs a statistic, like {text}-p50"
            ))),
            false => Ok(Self::Figure(figure)),
        }
    }
}

impl fmt::Display for SortKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS.iter().find(|(_, key)| key == self);
        match (word, self) {
            (Some((word, _)), _) => formatter.write_str(word),
            (None, Self::Figure(figure)) => figure.fmt(formatter),
            (None, _) => Ok(()),
        }
    }
}

/// The order of entries: the newest first, unless told otherwise.
#[derive(Debug, Clone)]
pub struct Order {
    /// What they are ordered by.
    pub key: SortKey,
    /// Whether large values, and late times, are first.
    pub is_descending: bool,
}

impl Default for Order {
    fn default() -> Self {
        Self::by(SortKey::When)
    }
}

impl Order {
    /// By this key, in the direction that is usual for it: times from the newest, all else upwards.
    pub fn by(key: SortKey) -> Self {
        let is_descending = key == SortKey::When;
        Self { key, is_descending }
    }

    /// The other way round.
    #[must_use]
    pub fn reversed(mut self) -> Self {
        self.is_descending = !self.is_descending;
        self
    }

    /// Which of two entries is first. One that has no such value is last.
    pub fn compare(&self, one: &Entry, other: &Entry) -> Ordering {
        let by = match &self.key {
            SortKey::When => self.known(one.started, other.started, Ord::cmp),
            SortKey::Name => self.directed(one.name.cmp(&other.name)),
            SortKey::Kind => self.directed(one.kind.cmp(&other.kind)),
            SortKey::Model => self.known(one.model.as_ref(), other.model.as_ref(), Ord::cmp),
            SortKey::State => self.directed(one.state.cmp(&other.state)),
            SortKey::Verdict => self.known(one.verdict.as_ref(), other.verdict.as_ref(), Ord::cmp),
            SortKey::Figure(figure) => {
                let key = figure.key();
                let value = |entry: &Entry| entry.range(&key).map(|(low, _)| low);
                self.known(value(one), value(other), f64::total_cmp)
            }
        };
        by.then_with(|| one.name.cmp(&other.name))
    }

    fn directed(&self, order: Ordering) -> Ordering {
        match self.is_descending {
            true => order.reverse(),
            false => order,
        }
    }

    fn known<T>(
        &self,
        one: Option<T>,
        other: Option<T>,
        compare: impl Fn(&T, &T) -> Ordering,
    ) -> Ordering {
        match (one, other) {
            (Some(one), Some(other)) => self.directed(compare(&one, &other)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        }
    }
}

impl Catalog {
    /// The entries that are wanted, in an order.
    pub fn chosen(&self, filter: &Filter, order: &Order) -> Vec<&Entry> {
        let entries = self.entries.iter();
        let mut chosen: Vec<_> = entries.filter(|entry| filter.admits(entry)).collect();
        chosen.sort_by(|one, other| order.compare(one, other));
        chosen
    }
}

/// A time as people write it: a date (`2026-11-28`), a date with a time (`2026-11-28 09:30`), in the time
/// zone given unless it has one, or how long before `now` it is (`7d`, `12h`).
///
/// # Errors
/// If it is none of these.
///
/// ```
/// use jiff::{Timestamp, tz::TimeZone};
///
/// let now: Timestamp = "2026-11-28T12:00:00Z".parse()?;
/// let since = |text| llmeter::catalog::parse_since(text, now, &TimeZone::UTC);
/// assert_eq!(since("2h")?, "2026-11-28T10:00:00Z".parse()?);
/// assert_eq!(since("2026-11-27")?, "2026-11-27T00:00:00Z".parse()?);
/// assert!(since("yesterday").is_err());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub fn parse_since(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp> {
    let text = text.trim();
    let refused = || {
        let expected =
            "a date like 2026-11-28, one with a time like 2026-11-28T09:30, or a time span like 7d";
        Error::field("since", text, expected)
    };
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    if let Ok(span) = humantime::parse_duration(text) {
        let span = SignedDuration::try_from(span).map_err(|_| refused())?;
        return now.checked_sub(span).map_err(|_| refused());
    }
    let civil: DateTime = text.parse().map_err(|_| refused())?;
    let time = civil.to_zoned(zone.clone()).map_err(|_| refused())?;
    Ok(time.timestamp())
}
