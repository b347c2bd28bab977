//! The table of metrics: every key of `stats.json`, what it means and where it comes from.
//!
//! The accumulator computes the rows that come from responses, [`Stats`](super::Stats) has a field
//! for every row, and reports, schemas and `docs/metrics.md` follow the table, so that a metric is
//! added here and nowhere else.

use serde_json::Value;

use super::METRICS;
use super::accumulator::{Amount, Totals, Window};
use super::steady::SteadyState;
use crate::InvocationResponse;

/// One metric: a row of [`METRICS`].
#[derive(Debug)]
pub struct Metric {
    /// Its key in `stats.json`. One in the form `rate_limit_<header>` stands for many keys, and a
    /// metric with several statistics has a key for each: `time_to_first_token-p50`.
    pub key: &'static str,
    /// Its field's name in [`Stats`](super::Stats), which conditions take, too: `ttft`.
    pub short: &'static str,
    /// What the field calls it, for tables.
    pub label: &'static str,
    /// Its unit, empty if it has none.
    pub unit: &'static str,
    /// What it means, with its formula.
    pub doc: &'static str,
    /// When there is no such key, or its value is null.
    pub absent: &'static str,
    /// What its values are.
    pub kind: MetricKind,
    /// Its row in the summary's table of latencies.
    pub(crate) summary_row: Option<u8>,
    pub(crate) source: Source,
}

/// What the values of a metric are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// A whole number.
    Count,
    /// Any number.
    Number,
    /// Whether something holds.
    Flag,
    /// Text.
    Text,
    /// A list of texts or objects.
    List,
    /// A number for each statistic of these names.
    Statistics(&'static [&'static str]),
    /// A value for each name that the key's placeholder stands for.
    PerName(&'static MetricKind),
    /// A number or text.
    Any,
}

/// Where a metric comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    /// The distribution of a time over the successful responses.
    Seconds(fn(&InvocationResponse) -> Option<f64>),
    /// The distribution of a count over the successful responses.
    Count(fn(&InvocationResponse) -> Option<u64>),
    /// The distribution of all gaps of the successful responses.
    Gaps,
    /// Sums over all responses, and what follows from them.
    Totals(fn(&Totals) -> Option<Value>),
    /// Sums over all responses by a name.
    TotalsPerName(fn(&Totals) -> Vec<(String, Value)>),
    /// The interval of a rate: of which amount, over what, for how many seconds.
    RateInterval(Amount, Window, f64),
    /// The interval of a share of all requests: how many of how many.
    ShareInterval(fn(&Totals) -> (u64, u64)),
    /// What of the steady state.
    Steady(fn(&SteadyState, &Totals) -> Option<Value>),
    /// A field of the run's summary.
    Summary,
    /// Something else than responses.
    Other(&'static str),
}

impl Metric {
    /// The metric that a key of `stats.json` belongs to, and what the key has in the place of the
    /// metric's placeholder: empty if it has none.
    pub fn of(key: &str) -> Option<(&'static Self, &str)> {
        let find = |is_pattern: bool| {
            METRICS
                .iter()
                .filter(|metric| metric.key.contains('<') == is_pattern)
                .find_map(|metric| Some((metric, metric.name_in(key)?)))
        };
        // A key of its own goes before what a placeholder stands for.
        find(false).or_else(|| find(true))
    }

    /// The metric of this key, without statistics and names.
    pub fn named(key: &str) -> Option<&'static Self> {
        METRICS.iter().find(|metric| metric.key == key)
    }

    /// What it is taken from.
    pub fn source(&self) -> &'static str {
        match self.source {
            Source::Seconds(_) | Source::Count(_) | Source::Gaps => "successful responses",
            Source::Totals(_) | Source::TotalsPerName(_) | Source::ShareInterval(_) => {
                "all responses"
            }
            Source::RateInterval(..) | Source::Steady(_) => "responses",
            Source::Summary => "the run",
            Source::Other(source) => source,
        }
    }

    /// What its intervals rest on, if it has some: a word that `docs/metrics.md` explains.
    pub fn interval(&self) -> Option<&'static str> {
        match self.source {
            Source::Seconds(_) => Some("by request"),
            Source::Gaps => Some("by response"),
            Source::RateInterval(..) => Some("by time"),
            Source::ShareInterval(_) => Some("by count"),
            _ => None,
        }
    }

    /// Whether it is a field of `summary.json`, which `stats.json` repeats.
    pub fn is_of_summary(&self) -> bool {
        matches!(self.source, Source::Summary)
    }

    /// Whether it is computed from the responses.
    pub(crate) fn is_computed(&self) -> bool {
        !matches!(self.source, Source::Summary | Source::Other(_))
    }

    /// Whether it is a value of each successful response.
    pub(crate) fn is_of_responses(&self) -> bool {
        matches!(self.source, Source::Seconds(_) | Source::Count(_))
    }

    /// Whether it says what came of a run: what is computed from responses, and what those cost.
    pub(crate) fn is_of_outcome(&self) -> bool {
        let is_of_meter =
            self.key.starts_with("measurement") || self.key.starts_with("rate_limit_");
        !is_of_meter && (self.is_computed() || self.unit == "currency" || self.unit == "requests")
    }

    /// Whether it is a value of each request that the meter itself takes.
    pub(crate) fn is_of_requests(&self) -> bool {
        self.short == "measurement_send_lateness"
    }

    /// Whether it is about all gaps of the successful responses.
    pub(crate) fn is_of_gaps(&self) -> bool {
        matches!(self.source, Source::Gaps)
    }

    /// The value that a response has, if the metric is one of each.
    pub(crate) fn value_of(&self, response: &InvocationResponse) -> Option<f64> {
        match self.source {
            Source::Seconds(take) => take(response),
            Source::Count(take) => take(response).map(|count| count as f64),
            _ => None,
        }
    }

    /// The key with a name in the place of its placeholder.
    pub(super) fn key_for(&self, name: &str) -> String {
        match (self.key.find('<'), self.key.find('>')) {
            (Some(from), Some(to)) => format!("{}{name}{}", &self.key[..from], &self.key[to + 1..]),
            _ => self.key.to_owned(),
        }
    }

    fn name_in<'a>(&self, key: &'a str) -> Option<&'a str> {
        let kind = match self.kind {
            MetricKind::PerName(kind) => *kind,
            kind => kind,
        };
        let key = match kind {
            MetricKind::Statistics(names) => {
                let key = |name: &&str| key.strip_suffix(*name)?.strip_suffix('-');
                names.iter().find_map(key)?
            }
            _ => key,
        };
        match self.key.split_once('<') {
            None => (key == self.key).then_some(""),
            Some((before, after)) => {
                let after = after.split_once('>').map_or("", |(_, after)| after);
                let name = key.strip_prefix(before)?.strip_suffix(after)?;
                (!name.is_empty()).then_some(name)
            }
        }
    }
}
