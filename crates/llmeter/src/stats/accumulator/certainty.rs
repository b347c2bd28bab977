//! How many values a metric has, and how far they carry its figures.

use super::MetricAccumulator;
use crate::stats::Percentile;
use crate::stats::interval::{Batches, Interval};

impl MetricAccumulator {
    /// How many values there are.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Seconds(_, series, _) => series.len(),
            Self::Count(_, series) => series.len(),
            Self::Gaps(counts, ..) => counts.len(),
            Self::SketchedGaps(series, _) => series.len(),
            Self::RateInterval(..)
            | Self::ShareInterval(_)
            | Self::Steady(_)
            | Self::Total(_)
            | Self::TotalPerName(_) => 0,
        }
    }

    /// The intervals of the average and of some percentiles, by name; in low memory that of the
    /// average alone.
    pub(super) fn intervals(&self, percentiles: &[Percentile]) -> Vec<(String, Interval)> {
        let level = Interval::LEVEL;
        let (average, of_percentiles) = match self {
            Self::Seconds(_, series, batches) => (
                Interval::of_batches(batches),
                series.kept().map_or_else(Vec::new, |values| {
                    Interval::of_percentiles(values, percentiles, level)
                }),
            ),
            Self::Gaps(_, groups, batches) => (
                Interval::of_ratio(batches),
                groups.percentiles(percentiles, level),
            ),
            Self::SketchedGaps(_, batches) => (Interval::of_ratio(batches), Vec::new()),
            _ => return Vec::new(),
        };
        let named = percentiles.iter().map(ToString::to_string);
        let named = named.zip(of_percentiles);
        std::iter::once(("average".to_owned(), average))
            .chain(named)
            .filter_map(|(name, interval)| Some((name, interval?)))
            .collect()
    }
}

/// Adds one response's gaps, each of which stands for `times` gaps.
pub(super) fn push_gaps(batches: &mut Batches<2>, gaps: &[f32], times: u64) {
    let (mut sum, mut count) = (0.0, 0.0);
    for gap in gaps.iter().copied().filter(|gap| gap.is_finite()) {
        sum += f64::from(gap);
        count += 1.0;
        batches.extend_range(f64::from(gap));
    }
    if count > 0.0 {
        batches.push([sum * times as f64, count * times as f64]);
    }
}
