//! The values of one metric of a run, sorted and counted.

use std::collections::HashMap;

use super::Series;
use crate::endpoint::Delivery;
use crate::stats::{GAP_STEPS, Latency, Metric, Percentile, Support, gap_steps};
use crate::{InvocationResponse, RunResult};

/// The values of a latency over the successful responses of a run, in seconds.
#[derive(Debug, Clone)]
pub struct Values {
    /// What the run is called.
    pub name: String,
    /// The metric.
    pub metric: &'static Metric,
    /// Each value, in order, with the number of values up to it.
    counted: Vec<(f64, u64)>,
    /// The statistics of the metric, as the run has them.
    pub(super) latency: Latency,
}

impl Values {
    /// Those of a metric, by its key in `stats.json`; `None` if there is no such metric, or if the run has
    /// no values of it, as after a run in low memory.
    pub fn of(series: Series<'_>, metric: &str) -> Option<Self> {
        let metric = Metric::named(metric)?;
        let counted = match metric.is_of_gaps() {
            true => gaps(series.result),
            false => values(series.result, metric),
        };
        if counted.is_empty() {
            return None;
        }
        Some(Self {
            name: series.name.to_owned(),
            metric,
            counted,
            latency: Latency::of(&series.result.stats_map(), metric),
        })
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.counted.last().map_or(0, |(_, count)| *count)
    }

    /// The value with this rank, counted from 0; the largest beyond the end.
    pub fn at(&self, rank: u64) -> f64 {
        let at = self.counted.partition_point(|(_, count)| *count <= rank);
        let value = self.counted.get(at).or(self.counted.last());
        value.map_or(f64::NAN, |(value, _)| *value)
    }

    /// The smallest and the largest value.
    pub fn range(&self) -> (f64, f64) {
        (self.at(0), self.at(u64::MAX))
    }

    /// The largest value with at most this share of the values below it.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        self.at((share * self.count() as f64) as u64)
    }

    /// A percentile by the rule of the statistics; `None` where the sample does not carry it.
    pub(crate) fn percentile(&self, wanted: Percentile) -> Option<f64> {
        let count = self.count();
        if count < 2 || wanted.support(count) == Support::None {
            return None;
        }
        let place = wanted.place(count as usize);
        let low = self.at(place.lower as u64);
        let Some((lower, upper, all)) = place.weights else {
            return Some(low);
        };
        let high = self.at(place.lower as u64 + 1);
        Some((low * lower as f64 + high * upper as f64) / all as f64)
    }

    /// At most about `most` of the values that stand for all: equally spaced by rank, both ends included.
    pub(super) fn drawn(&self, most: usize) -> Vec<f64> {
        let count = self.count();
        let most = (most.max(2) as u64).min(count);
        let rank = |at: u64| match most {
            0 | 1 => 0,
            most => (u128::from(at) * u128::from(count - 1) / u128::from(most - 1)) as u64,
        };
        (0..most).map(|at| self.at(rank(at))).collect()
    }

    /// How many values are below a bound.
    pub(super) fn below(&self, bound: f64) -> u64 {
        let at = self.counted.partition_point(|(value, _)| *value < bound);
        at.checked_sub(1).map_or(0, |at| self.counted[at].1)
    }

    /// Percentiles as the statistics have them, where the sample carries them: name, share of values below,
    /// value.
    pub(super) fn percentiles(&self) -> Vec<(&'static str, f64, f64)> {
        let named = self.latency.named().into_iter();
        named
            .filter_map(|(name, _)| {
                let share = Percentile::named(name)?.fraction();
                let (value, _) = crate::report::intervals::carried(&self.latency, name)?;
                Some((name, share, value))
            })
            .collect()
    }
}

/// The successful responses of a run.
pub(super) fn succeeded(result: &RunResult) -> impl Iterator<Item = &InvocationResponse> {
    result.responses.iter().filter(|one| one.error.is_none())
}

/// Each value of a metric over the successful responses of a run, in no order.
pub(crate) fn each_value(result: &RunResult, metric: &Metric, mut take: impl FnMut(f64)) {
    let mut take = |value: f64| {
        if value.is_finite() {
            take(value);
        }
    };
    match metric.is_of_gaps() {
        true => streamed(result).for_each(|one| {
            let gaps = one.detail.inter_token_latencies.iter();
            gaps.for_each(|gap| take(f64::from(*gap)));
        }),
        false => succeeded(result)
            .filter_map(|one| metric.value_of(one))
            .for_each(take),
    }
}

/// The successful responses whose gaps are the server's.
fn streamed(result: &RunResult) -> impl Iterator<Item = &InvocationResponse> {
    succeeded(result).filter(|one| one.detail.delivery != Some(Delivery::Buffered))
}

fn values(result: &RunResult, metric: &Metric) -> Vec<(f64, u64)> {
    let values = succeeded(result).filter_map(|one| metric.value_of(one));
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_unstable_by(f64::total_cmp);
    let counts = (1..=values.len() as u64).collect::<Vec<_>>();
    values.into_iter().zip(counts).collect()
}

/// All gaps. There are far more of them than different ones.
fn gaps(result: &RunResult) -> Vec<(f64, u64)> {
    let mut counts: HashMap<i128, u64> = HashMap::new();
    for gap in streamed(result).flat_map(|one| &one.detail.inter_token_latencies) {
        if gap.is_finite() {
            *counts.entry(gap_steps(*gap)).or_default() += 1;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable();
    let mut total = 0;
    let mut counted = Vec::with_capacity(counts.len());
    for (steps, count) in counts {
        total += count;
        counted.push((steps as f64 / GAP_STEPS as f64, total));
    }
    counted
}
