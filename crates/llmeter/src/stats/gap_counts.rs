//! The gaps between tokens over a run: by far the most numerous values.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use super::exact_sum::ratio;
use super::measure::{GAP_STEPS, gap_steps};
use super::percentile::Percentile;
use super::summary::Number;

/// How often each gap occurred.
///
/// Gaps are counted in the steps in which they are written to disk, of which a run has far fewer
/// different ones than it has gaps: figures are exact, and memory hardly grows with the run.
#[derive(Debug, Clone, Default)]
pub(crate) struct ItlCounts {
    counts: HashMap<i64, u64, FxBuildHasher>,
    total: u64,
    sum: i128,
}

impl ItlCounts {
    /// Counts a gap, `times` times.
    #[inline]
    pub(crate) fn push(&mut self, gap: f32, times: u64) {
        if !gap.is_finite() {
            return;
        }
        let steps = gap_steps(gap);
        self.total += times;
        self.sum += steps * i128::from(times);
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        *self.counts.entry(steps).or_default() += times;
    }

    pub(crate) fn len(&self) -> u64 {
        self.total
    }

    /// The summary, exact.
    pub(crate) fn summarize(&self, percentiles: &[Percentile]) -> Vec<(String, Number)> {
        if self.total == 0 {
            return Vec::new();
        }
        let seconds = |steps: i128, parts: u64| Number::Float(ratio(steps, parts * GAP_STEPS));
        let mut summary = vec![("average".to_owned(), seconds(self.sum, self.total))];
        let mut ranked: Vec<(i64, u64)> = self.counts.iter().map(|(&k, &n)| (k, n)).collect();
        ranked.sort_unstable();
        // From each value's own count to how many values are at or below it.
        let mut below = 0;
        for (_, count) in &mut ranked {
            below += *count;
            *count = below;
        }
        let at = |rank: usize| {
            let place = ranked.partition_point(|&(_, upto)| upto <= rank as u64);
            i128::from(ranked[place.min(ranked.len() - 1)].0)
        };
        let greatest = at(self.total as usize - 1);
        for percentile in percentiles {
            let value = if self.total == 1 {
                seconds(greatest, 1)
            } else {
                let place = percentile.place(self.total as usize);
                match place.weights {
                    None => seconds(at(place.lower), 1),
                    Some((low, high, whole)) => {
                        let weighted = at(place.lower) * i128::from(low)
                            + at(place.lower + 1) * i128::from(high);
                        // Percentiles never leave the range of the data.
                        let limit = i128::from(whole);
                        let weighted = weighted.clamp(at(0) * limit, greatest * limit);
                        seconds(weighted, whole as u64)
                    }
                }
            };
            summary.push((percentile.to_string(), value));
        }
        summary
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::summary::summarize_kind;
    use super::*;

    proptest! {
        #[test]
        fn counting_agrees_with_keeping(
            gaps in prop::collection::vec(0_u32..3000, 1..300),
        ) {
            let mut gaps: Vec<f32> = gaps.into_iter().map(|steps| steps as f32 * 1e-5).collect();
            let mut counts = ItlCounts::default();
            gaps.iter().for_each(|&gap| counts.push(gap, 1));
            let percentiles = [
                Percentile::P50,
                Percentile::P90,
                Percentile::P95,
                Percentile::P99,
                Percentile::P99_9,
            ];
            prop_assert_eq!(
                counts.summarize(&percentiles),
                summarize_kind(&mut gaps, &percentiles)
            );
        }
    }
}
