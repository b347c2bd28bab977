//! Values made ready for drawing: bins, a cumulative curve, marks.

use crate::RunResult;
use crate::report::intervals::carried;
use crate::stats::{Latency, Metric, Source};

/// Bins are as wide as makes about so many.
const BINS: f64 = 30.0;
/// Points of a cumulative curve, at most: more are not seen.
const MAX_POINTS: usize = 1000;
/// Percentiles that are marked.
const MARKS: [&str; 3] = ["p50", "p90", "p99"];

/// The unit in which a distribution reads best.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    pub(super) name: &'static str,
    per_second: f64,
}

pub(super) struct Bin {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) count: usize,
}

/// How one latency is distributed. Values are in `unit`.
pub(super) struct Distribution {
    pub(super) name: &'static str,
    pub(super) meaning: String,
    pub(super) unit: Unit,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) bins: Vec<Bin>,
    /// Value, and the share of values that are at most it.
    pub(super) cumulative: Vec<(f64, f64)>,
    /// Percentiles as the statistics have them.
    pub(super) marks: Vec<(&'static str, f64)>,
}

/// The metrics that are drawn.
const DRAWN: [&str; 3] = [
    "time_to_first_token",
    "time_per_output_token",
    "time_to_last_token",
];

impl Distribution {
    /// Those of the successful requests that have values.
    pub(super) fn of_latencies(result: &RunResult) -> Vec<Self> {
        let stats = result.stats_map();
        let metrics = DRAWN.into_iter().filter_map(Metric::named);
        metrics
            .filter_map(|metric| {
                let Source::Seconds(pick) = metric.source else {
                    return None;
                };
                let succeeded = result.responses.iter().filter(|one| one.error.is_none());
                let values = succeeded.filter_map(pick).filter(|value| value.is_finite());
                let times = Latency::of(&stats, metric);
                let marks = times.named().map(|(name, _)| name).into_iter();
                let marks = marks
                    .filter(|name| MARKS.contains(name))
                    .filter_map(|name| Some((name, carried(&times, name)?.0)));
                Self::new(metric, values.collect(), marks.collect())
            })
            .collect()
    }

    fn new(
        metric: &Metric,
        mut values: Vec<f64>,
        mut marks: Vec<(&'static str, f64)>,
    ) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let unit = unit(*values.last()?);
        for value in values
            .iter_mut()
            .chain(marks.iter_mut().map(|mark| &mut mark.1))
        {
            *value *= unit.per_second;
        }
        let (min, max) = (*values.first()?, *values.last()?);
        Some(Self {
            name: metric.label,
            meaning: metric.key.replace('_', " "),
            unit,
            min,
            max,
            bins: bins(&values, min, max),
            cumulative: cumulative(&values),
            marks,
        })
    }
}

fn unit(max: f64) -> Unit {
    let (name, per_second) = if max >= 1.0 {
        ("s", 1.0)
    } else if max >= 1e-3 {
        ("ms", 1e3)
    } else {
        ("µs", 1e6)
    };
    Unit { name, per_second }
}

/// A step of 1, 2 or 5 times a power of ten, at least as large as `min`.
pub(super) fn round_step(min: f64) -> f64 {
    let power = 10_f64.powf(min.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= min)
        .unwrap_or(10.0 * power)
}

/// Counts of sorted values in bins of equal width.
fn bins(values: &[f64], min: f64, max: f64) -> Vec<Bin> {
    let spread = max - min;
    // One value, or values that differ by rounding, fill one bin.
    let smallest = max.abs().max(1e-9) * 1e-6;
    let width = round_step((spread / BINS).max(smallest));
    let first = (min / width).floor();
    let count = ((max / width).floor() - first) as usize + 1;
    let mut bins: Vec<_> = (0..count)
        .map(|number| Bin {
            from: (first + number as f64) * width,
            to: (first + number as f64 + 1.0) * width,
            count: 0,
        })
        .collect();
    for value in values {
        let number = ((value / width).floor() - first) as usize;
        bins[number.min(count - 1)].count += 1;
    }
    bins
}

fn cumulative(values: &[f64]) -> Vec<(f64, f64)> {
    let count = values.len();
    let point = |rank: usize| (values[rank], (rank + 1) as f64 / count as f64);
    if count <= MAX_POINTS + 1 {
        return (0..count).map(point).collect();
    }
    (0..=MAX_POINTS)
        .map(|number| point(number * (count - 1) / MAX_POINTS))
        .collect()
}
