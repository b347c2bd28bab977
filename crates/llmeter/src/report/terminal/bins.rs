//! Values in bins.

use std::ops::Range;

/// From this factor between the largest and the smallest value on, bins grow by a factor.
const LOG_FACTOR: f64 = 10.0;
/// The smallest width of all bins together, as a share of the largest value.
const MIN_SPREAD: f64 = 1e-3;

/// How many values lie where.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bins {
    /// The ends of the bins, one more than there are bins.
    pub(super) edges: Vec<f64>,
    pub(super) counts: Vec<usize>,
    /// Whether each bin is as many times wider than the one before.
    pub(super) is_log: bool,
}

impl Bins {
    /// So many bins from the smallest to the largest of sorted values; `None` without values.
    pub(super) fn of(sorted: &[f64], bins: usize) -> Option<Self> {
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        let is_log = low > 0.0 && high >= low * LOG_FACTOR;
        let least = (high.abs() * MIN_SPREAD).max(f64::MIN_POSITIVE);
        // Values that are all the same are in the middle.
        let widened = (least - (high - low)).max(0.0) / 2.0;
        let range = low - widened..high + widened;
        let edges: Vec<f64> = (0..=bins)
            .map(|at| edge(&range, at, bins, is_log))
            .collect();
        let mut counts = vec![0; bins];
        let mut bin = 0;
        for value in sorted {
            while bin + 1 < bins && *value >= edges[bin + 1] {
                bin += 1;
            }
            counts[bin] += 1;
        }
        Some(Self {
            edges,
            counts,
            is_log,
        })
    }

    /// The largest count.
    pub(super) fn highest(&self) -> usize {
        self.counts.iter().copied().max().unwrap_or(0)
    }
}

fn edge(range: &Range<f64>, at: usize, bins: usize, is_log: bool) -> f64 {
    let share = at as f64 / bins as f64;
    match is_log {
        true => range.start * (range.end / range.start).powf(share),
        false => range.start + (range.end - range.start) * share,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bins_grow_where_values_span_a_factor_of_ten() {
        let bins = Bins::of(&[1.0, 2.0, 3.0], 2).unwrap();
        assert_eq!((bins.edges, bins.counts), (vec![1.0, 2.0, 3.0], vec![1, 2]));
        let bins = Bins::of(&[1.0, 2.0, 100.0], 2).unwrap();
        assert!(bins.is_log && (bins.edges[1] - 10.0).abs() < 1e-9);
        assert_eq!(bins.counts, [2, 1]);
        assert_eq!(Bins::of(&[0.5, 0.5], 3).unwrap().counts, [0, 2, 0]);
        assert_eq!(Bins::of(&[0.0], 3).unwrap().counts.iter().sum::<usize>(), 1);
        assert_eq!(Bins::of(&[], 3), None);
    }

    proptest! {
        #[test]
        fn every_value_is_in_one_bin(mut values in prop::collection::vec(0.0..1e6_f64, 1..100), bins in 1..40_usize) {
            values.sort_by(f64::total_cmp);
            let count = values.len();
            let bins = Bins::of(&values, bins).unwrap();
            prop_assert_eq!(bins.counts.iter().sum::<usize>(), count);
            prop_assert!(bins.edges.iter().is_sorted());
        }
    }
}
