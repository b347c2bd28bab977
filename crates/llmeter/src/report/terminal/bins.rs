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
    /// So many bins from the smallest to the largest of some values; `None` without values.
    pub(super) fn of(values: &[f64], bins: usize) -> Option<Self> {
        let ends = values
            .iter()
            .fold(None, |ends, value| Some(widened(ends, *value)));
        let mut counted = Self::between(ends?, bins);
        values.iter().for_each(|value| counted.count(*value));
        Some(counted)
    }

    /// So many empty bins from one value to another.
    pub(super) fn between((low, high): (f64, f64), bins: usize) -> Self {
        let is_log = low > 0.0 && high >= low * LOG_FACTOR;
        let least = (high.abs() * MIN_SPREAD).max(f64::MIN_POSITIVE);
        // Values that are all the same are in the middle.
        let widened = (least - (high - low)).max(0.0) / 2.0;
        let range = low - widened..high + widened;
        Self {
            edges: (0..=bins)
                .map(|at| edge(&range, at, bins, is_log))
                .collect(),
            counts: vec![0; bins],
            is_log,
        }
    }

    /// Counts a value.
    pub(super) fn count(&mut self, value: f64) {
        let below = self.edges.partition_point(|edge| *edge <= value);
        let last = self.counts.len().saturating_sub(1);
        if let Some(count) = self.counts.get_mut(below.saturating_sub(1).min(last)) {
            *count += 1;
        }
    }

    /// The largest count.
    pub(super) fn highest(&self) -> usize {
        self.counts.iter().copied().max().unwrap_or(0)
    }
}

/// The ends of values with one more.
pub(super) fn widened(ends: Option<(f64, f64)>, value: f64) -> (f64, f64) {
    let (low, high) = ends.unwrap_or((value, value));
    (low.min(value), high.max(value))
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
