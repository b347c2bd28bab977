//! The figure that a condition is about: a metric, or one of its statistics.

use std::fmt;

use serde_json::{Map, Value};

use super::{ConditionError, refuse};
use crate::InvocationResponse;
use crate::stats::{METRICS, Metric, MetricKind, Support, support_of};

/// Nearest names that an error lists.
const MAX_NEAREST: usize = 3;
/// How similar a name must be for that (Jaro-Winkler).
const MIN_SIMILARITY: f64 = 0.75;
/// Longest name that is looked for.
const MAX_NAME: usize = 200;

/// A figure of a run by its name: a metric, with its statistic if it has several. One without a statistic
/// that has several is that of each response.
#[derive(Debug, Clone)]
pub struct Figure {
    metric: &'static Metric,
    /// What stands in the place of the metric's placeholder.
    name: String,
    statistic: Option<&'static str>,
}

impl PartialEq for Figure {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Figure {
    /// The figure of this name, long (`time_to_first_token-p90`) or short (`ttft-p90`).
    ///
    /// # Errors
    /// If there is none, or it is no number; the nearest names are in the message.
    pub fn named(text: &str) -> Result<Self, ConditionError> {
        if text.is_empty() {
            return refuse("it has no metric");
        }
        if text.len() > MAX_NAME || text.chars().any(char::is_control) {
            return refuse("its metric has no name that a metric can have");
        }
        // As it is written, else as tables write it: no key of a metric has capitals.
        let plain = Self::plain(text);
        let lower = text.to_lowercase();
        let figure = match plain {
            Ok(Some(figure)) => Some(figure),
            plain => match Self::of_placeholder(text) {
                Some(figure) => Some(figure),
                None if lower != text => Self::plain(&lower)?,
                None => plain?,
            },
        };
        let figure = figure.map_or_else(|| refuse(unknown(text)), Ok)?;
        match figure.metric.kind {
            MetricKind::Statistics(names) if figure.statistic.is_none() => {
                match figure.metric.is_of_responses() {
                    true => Ok(figure),
                    false => refuse(format!("{text} needs a statistic: {}", listed(names))),
                }
            }
            MetricKind::Text | MetricKind::List => refuse(format!("{text} is no number")),
            _ => Ok(figure),
        }
    }

    /// Of a metric without a placeholder.
    fn plain(text: &str) -> Result<Option<Self>, ConditionError> {
        let metrics = || METRICS.iter().filter(|metric| !metric.key.contains('<'));
        let of = |metric, statistic| Self {
            metric,
            name: String::new(),
            statistic,
        };
        let long = metrics().find(|metric| metric.key == text);
        if let Some(metric) = long.or_else(|| metrics().find(|metric| metric.short == text)) {
            return Ok(Some(of(metric, None)));
        }
        // Names of statistics have dashes, too: `p50-ci_low`.
        let mut refused = None;
        for (at, _) in text.match_indices('-') {
            let (name, statistic) = (&text[..at], &text[at + 1..]);
            for metric in metrics().filter(|metric| metric.key == name || metric.short == name) {
                let MetricKind::Statistics(names) = metric.kind else {
                    continue;
                };
                let find = |wanted: &str| names.iter().find(|known| **known == wanted);
                let mean = || find("average").filter(|_| statistic == "mean");
                if let Some(found) = find(statistic).or_else(mean) {
                    return Ok(Some(of(metric, Some(*found))));
                }
                refused.get_or_insert_with(|| {
                    let names = listed(names);
                    format!("{name} has no statistic {statistic}: expected one of {names}")
                });
            }
        }
        refused.map_or(Ok(None), refuse)
    }

    fn of_placeholder(text: &str) -> Option<Self> {
        let (metric, name) = Metric::of(text)?;
        let statistic = match metric.kind {
            MetricKind::PerName(MetricKind::Statistics(names)) => {
                let (_, statistic) = text.rsplit_once('-')?;
                names.iter().find(|name| **name == statistic)
            }
            _ => None,
        };
        Some(Self {
            metric,
            name: name.to_owned(),
            statistic: statistic.copied(),
        })
    }

    /// Its metric.
    pub fn metric(&self) -> &'static Metric {
        self.metric
    }

    /// Its statistic, if its metric has several.
    pub fn statistic(&self) -> Option<&'static str> {
        self.statistic
    }

    /// Its key in `stats.json`; of single responses that of the metric.
    pub fn key(&self) -> String {
        self.with_statistic(self.metric.key_for(&self.name))
    }

    fn with_statistic(&self, key: String) -> String {
        match self.statistic {
            Some(statistic) => format!("{key}-{statistic}"),
            None => key,
        }
    }

    /// Its value in statistics, if they have it: 1 and 0 for yes and no.
    pub fn value_in(&self, stats: &Map<String, Value>) -> Option<f64> {
        match stats.get(&self.key())? {
            Value::Bool(is_so) => Some(f64::from(u8::from(*is_so))),
            value => value.as_f64(),
        }
    }

    /// How far the sample carries its value in statistics.
    pub fn support_in(&self, stats: &Map<String, Value>) -> Support {
        support_of(&self.key(), stats)
    }

    /// Its value in a response; `None` for a figure of the run.
    pub fn value_of(&self, response: &InvocationResponse) -> Option<f64> {
        match self.statistic {
            Some(_) => None,
            None => self.metric.value_of(response),
        }
    }

    /// The figure of each response of which this one is a percentile or the mean.
    pub(super) fn of_each_request(&self) -> Option<Self> {
        let is_of_responses = self.statistic.is_some() && self.metric.is_of_responses();
        is_of_responses.then(|| Self {
            statistic: None,
            ..self.clone()
        })
    }

    /// Whether it is a figure of each response.
    pub fn is_per_request(&self) -> bool {
        self.statistic.is_none() && matches!(self.metric.kind, MetricKind::Statistics(_))
    }

    /// Whether it is a sum or a price over the whole run.
    pub(crate) fn is_sum(&self) -> bool {
        matches!(
            self.metric.unit,
            "requests" | "tokens" | "currency" | "vectors"
        ) && self.statistic.is_none()
    }

    /// Whether it is a share, or another figure without a unit.
    pub fn is_share(&self) -> bool {
        self.metric.unit.is_empty()
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = match self.name.as_str() {
            "" => self.metric.short.to_owned(),
            name => self.metric.key_for(name),
        };
        formatter.write_str(&self.with_statistic(key))
    }
}

/// Statistics in words, without those about a statistic.
fn listed(names: &[&str]) -> String {
    let plain = names
        .iter()
        .copied()
        .filter(|name| !name.contains(['-', '_']));
    plain.collect::<Vec<_>>().join(", ")
}

/// That there is no such metric, and which are near.
fn unknown(text: &str) -> String {
    // A statistic that is one does not make names similar.
    let is_statistic = |statistic: &str| {
        METRICS.iter().any(|metric| match metric.kind {
            MetricKind::Statistics(names) => names.contains(&statistic),
            _ => false,
        })
    };
    let name = match text.rsplit_once('-') {
        Some((name, statistic)) if is_statistic(statistic) => name,
        _ => text,
    };
    let is_number = |metric: &&Metric| match metric.kind {
        MetricKind::Count | MetricKind::Number => true,
        // Ends of an interval are no figure of their own.
        MetricKind::Statistics(names) => !names.iter().all(|name| name.starts_with("ci_")),
        _ => false,
    };
    let names = METRICS.iter().filter(is_number).flat_map(|metric| {
        let long = Some(metric.key).filter(|key| *key != metric.short);
        [Some(metric.short), long].into_iter().flatten()
    });
    let lower = name.to_lowercase();
    // Abbreviations are what people try: rpm, osl.
    let similarity = |known: &str| match initials(known) == lower && lower.len() > 1 {
        true => 1.0,
        false => strsim::jaro_winkler(known, &lower),
    };
    let mut near: Vec<_> = names.map(|known| (similarity(known), known)).collect();
    near.sort_by(|one, other| other.0.total_cmp(&one.0));
    let is_near = |(similarity, _): &&(f64, &str)| *similarity >= MIN_SIMILARITY;
    // Where none is near, the nearest are still better than none.
    let some = near.iter().take(MAX_NEAREST).filter(is_near).count();
    let shown = near.iter().take(if some > 0 { some } else { MAX_NEAREST });
    let near: Vec<_> = shown.map(|(_, name)| *name).collect();
    match near.as_slice() {
        [only] => format!("no metric is called {name}; the nearest is {only}"),
        near if some == 0 => format!(
            "no metric is called {name}; the nearest are {}, and docs/metrics.md has all of them",
            near.join(", ")
        ),
        near => format!(
            "no metric is called {name}; the nearest are {}",
            near.join(", ")
        ),
    }
}

/// The first letters of a name's words.
fn initials(name: &str) -> String {
    let words = name.split('_');
    words.filter_map(|word| word.chars().next()).collect()
}
