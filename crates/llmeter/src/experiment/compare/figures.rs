//! Which figures a comparison has, what is better, and what they are made of.

use serde_json::{Map, Value};

use super::blocks::{Series, Statistic};
use super::sample::{Amount, Sample};
use crate::stats::{Figure, METRICS, Metric, MetricKind, Percentile};

/// The figures that a comparison stands or falls by.
const HEADLINE: &[&str] = &[
    "time_to_first_token-p50",
    "time_to_first_token-p90",
    "time_per_output_token-p50",
    "time_to_last_token-p50",
    "time_to_last_token-p90",
    "output_tps",
    "failed_requests_rate",
];

/// Rates: which amount in which seconds of the run.
const RATES: &[(&str, Amount, f64)] = &[
    ("requests_per_minute", Amount::Requests, 60.0),
    ("successful_requests_per_minute", Amount::Successes, 60.0),
    ("average_input_tokens_per_minute", Amount::InputTokens, 60.0),
    (
        "average_output_tokens_per_minute",
        Amount::OutputTokens,
        60.0,
    ),
    ("output_tps", Amount::OutputTokens, 1.0),
    ("goodput", Amount::GoodRequests, 1.0),
];

/// Shares of all requests.
const SHARES: &[(&str, Amount)] = &[
    ("failed_requests_rate", Amount::Failures),
    ("goodput_rate", Amount::GoodRequests),
];

/// Figures of which less is better, beside latencies.
const LESS_IS_BETTER: &[&str] = &["failed_requests_rate", "cost_total", "cost_per_request"];
/// Figures of which more is better.
const MORE_IS_BETTER: &[&str] = &[
    "requests_per_minute",
    "successful_requests_per_minute",
    "average_output_tokens_per_minute",
    "output_tps",
    "goodput",
    "goodput_rate",
    "vectors_per_second",
];
/// Figures without a verdict that tables have a row for. The others are in JSON, and there for gates.
const SHOWN: &[&str] = &[
    "total_requests",
    "failed_requests",
    "cost_total",
    "vectors_per_second",
];

/// What is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    Less,
    More,
    Neither,
}

/// One figure of a comparison.
#[derive(Debug, Clone)]
pub(super) struct Compared {
    pub(super) figure: Figure,
    pub(super) better: Better,
    pub(super) is_headline: bool,
    /// Whether it has a row in tables.
    pub(super) is_listed: bool,
    /// The least difference that is one, in the figure's unit.
    pub(super) least: f64,
    source: Source,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Values(Statistic),
    Gaps(Statistic),
    Rate(Amount, f64),
    Share(Amount),
    /// A sum or a price, which does not vary by what is in the responses.
    Figure,
}

/// Every figure that a comparison of runs with these statistics can have, in the order of `stats.json`.
pub(super) fn all(stats: &Map<String, Value>) -> Vec<Compared> {
    METRICS
        .iter()
        .flat_map(|metric| of_metric(metric, stats))
        .collect()
}

fn of_metric(metric: &'static Metric, stats: &Map<String, Value>) -> Vec<Compared> {
    let one = |key: &str, source| {
        let figure = Figure::named(key).ok()?;
        Some(Compared {
            better: better(metric),
            is_headline: HEADLINE.contains(&key),
            is_listed: !matches!(source, Source::Figure) || SHOWN.contains(&metric.key),
            least: if metric.unit == "s" { MIN_TIME } else { 0.0 },
            figure,
            source,
        })
    };
    match metric.kind {
        MetricKind::Statistics(names) if metric.is_of_responses() || metric.is_of_gaps() => {
            let of = |name: &&'static str| {
                let statistic = match Percentile::named(name) {
                    Some(percentile) => Statistic::Quantile(percentile.fraction()),
                    None if *name == "average" => Statistic::Mean,
                    None => return None,
                };
                let source = match metric.is_of_gaps() {
                    true => Source::Gaps(statistic),
                    false => Source::Values(statistic),
                };
                one(&format!("{}-{name}", metric.key), source)
            };
            names.iter().filter_map(of).collect()
        }
        MetricKind::Number | MetricKind::Count => {
            let rate = RATES.iter().find(|(key, ..)| *key == metric.key);
            let share = SHARES.iter().find(|(key, _)| *key == metric.key);
            let source = match (rate, share) {
                (Some((_, amount, seconds)), _) => Source::Rate(*amount, *seconds),
                (_, Some((_, amount))) => Source::Share(*amount),
                _ if is_outcome(metric) => Source::Figure,
                _ => return Vec::new(),
            };
            one(metric.key, source).into_iter().collect()
        }
        // Those with a name of their own, and distributions of what is no value of a response.
        MetricKind::PerName(_) | MetricKind::Statistics(_) if is_outcome(metric) => {
            let keys = stats.keys().filter(|key| {
                let statistic = key.rsplit('-').next().unwrap_or_default();
                let is_end =
                    statistic.starts_with("ci_") || matches!(statistic, "beyond" | "count");
                !is_end && Metric::of(key).is_some_and(|(of, _)| of.key == metric.key)
            });
            keys.filter_map(|key| one(key, Source::Figure)).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether it says what came of a run, not how it was set up or measured.
fn is_outcome(metric: &Metric) -> bool {
    let is_setup = matches!(metric.short, "clients" | "n_requests" | "cost_limit");
    let is_time = metric.short.starts_with("steady_") && metric.unit == "s";
    !is_setup && !is_time && metric.is_of_outcome()
}

/// Differences of a time that are within the meter's own error, in seconds.
const MIN_TIME: f64 = 20e-6;

fn better(metric: &Metric) -> Better {
    if metric.unit == "s" || LESS_IS_BETTER.contains(&metric.key) {
        Better::Less
    } else if MORE_IS_BETTER.contains(&metric.key) {
        Better::More
    } else {
        Better::Neither
    }
}

impl Compared {
    /// Whether it is an amount a time.
    pub(super) fn is_rate(&self) -> bool {
        matches!(self.source, Source::Rate(..))
    }

    /// What there is to draw anew, with its statistic; `None` of a figure that is one number.
    pub(super) fn series(
        &self,
        sample: &Sample,
        window: Option<f64>,
    ) -> Option<(Statistic, Series)> {
        Some(match self.source {
            Source::Values(statistic) => (statistic, sample.values(self.figure.metric())),
            Source::Gaps(statistic) => (statistic, sample.gaps()),
            Source::Rate(amount, seconds) => {
                let mut rate = sample.rate(amount, window);
                rate.weight /= seconds;
                (Statistic::Mean, rate)
            }
            Source::Share(Amount::GoodRequests) if !sample.has_slos() => return None,
            Source::Share(amount) => (Statistic::Mean, sample.amounts(amount)),
            Source::Figure => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_that_of_a_metric() {
        let stats = serde_json::json!({
            "slo_rate-ttft < 2s": 0.5, "cost_per_request-p99": 1.0, "cost_per_request-p99-ci_low": 1.0,
            "tokens_per_frame-average": 1.0,
        });
        let compared = all(stats.as_object().unwrap());
        let keys: Vec<_> = compared.iter().map(|one| one.figure.key()).collect();
        for key in [
            "slo_rate-ttft < 2s",
            "cost_per_request-p99",
            "total_output_tokens",
            "steady_output_tps",
            "tokens_per_frame-average",
        ] {
            assert!(keys.iter().any(|known| known == key), "{key}");
        }
        for key in ["clients", "n_requests", "cost_per_request-p99-ci_low"] {
            assert!(keys.iter().all(|known| known != key), "{key}");
        }
        for key in HEADLINE {
            assert!(keys.iter().any(|known| known == key), "{key}");
        }
        let of_tables = RATES.iter().map(|(key, ..)| *key);
        let of_tables = of_tables.chain(SHARES.iter().map(|(key, _)| *key));
        for key in of_tables.chain(
            LESS_IS_BETTER
                .iter()
                .chain(MORE_IS_BETTER)
                .chain(SHOWN)
                .copied(),
        ) {
            assert!(Metric::named(key).is_some(), "{key}");
        }
        assert!(keys.iter().any(|key| key == "inter_token_latency-p99"));
    }
}
