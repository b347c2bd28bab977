//! Values that come in groups, as the gaps of a response do.

use super::batches::Batches;
use super::dependence::MeanError;
use super::{Interval, MIN_VALUES, Percentile, at_rank, between, effective_size};

/// Beyond so many values, every second group is left out.
const MAX_VALUES: usize = 2 << 20;

/// Groups of values in time order: values of one group may be alike, and groups may depend on one
/// another. Memory is bounded; where groups had to be left out, intervals are wider.
#[derive(Debug, Clone)]
pub(crate) struct Groups {
    values: Vec<f32>,
    /// Where each group ends among the values.
    ends: Vec<usize>,
    /// One of so many groups is kept.
    stride: u64,
    groups: u64,
    /// Whether some groups are samples of larger ones.
    is_sampled: bool,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            ends: Vec::new(),
            stride: 1,
            groups: 0,
            is_sampled: false,
        }
    }
}

impl Groups {
    /// Takes in the next group; each of its values stands for `times` values.
    pub(crate) fn push(&mut self, values: &[f32], times: u64) {
        self.is_sampled |= times > 1;
        if values.is_empty() {
            return;
        }
        self.groups += 1;
        if !self.groups.is_multiple_of(self.stride) {
            return;
        }
        let usable = values.iter().filter(|value| value.is_finite());
        self.values.extend(usable);
        self.ends.push(self.values.len());
        if self.values.len() > MAX_VALUES && self.ends.len() > 1 {
            self.thin();
        }
    }

    fn thin(&mut self) {
        let mut thinned = Self {
            stride: self.stride * 2,
            groups: self.groups,
            is_sampled: self.is_sampled,
            ..Self::default()
        };
        // The groups that the doubled stride keeps.
        let groups: Vec<&[f32]> = self.groups().collect();
        for group in groups.into_iter().skip(1).step_by(2) {
            thinned.values.extend(group);
            thinned.ends.push(thinned.values.len());
        }
        *self = thinned;
    }

    fn groups(&self) -> impl Iterator<Item = &[f32]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, &end)| &self.values[start..end])
    }

    /// The intervals of some percentiles, each as [`Interval::of_percentile`] but for the effective
    /// sample size, which rests on groups. None if groups are samples or too few.
    pub(crate) fn percentiles(
        &self,
        percentiles: &[Percentile],
        level: f64,
    ) -> Vec<Option<Interval>> {
        if self.is_sampled || self.ends.len() < MIN_VALUES {
            return vec![None; percentiles.len()];
        }
        let mut sorted = self.values.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        let interval = |percentile: &Percentile| {
            let share = percentile.fraction();
            let count = sorted.len() as f64;
            let at = at_rank(&sorted, share * (count + 1.0))?;
            let effective = match self.error(|value| f64::from(u8::from(f64::from(value) <= at))) {
                Some(error) => {
                    let ratio = error.variance * count / (error.mean * (1.0 - error.mean));
                    effective_size(count, ratio, error.freedom, level)
                }
                // All groups have the same share below it.
                None => self.ends.len() as f64,
            };
            between(&sorted, share, effective, level)
        };
        percentiles.iter().map(interval).collect()
    }

    /// The mean over all values of a function of them, as a ratio of sums over groups.
    fn error(&self, of: impl Fn(f32) -> f64) -> Option<MeanError> {
        let mut sums = Batches::default();
        for group in self.groups() {
            let sum: f64 = group.iter().map(|&value| of(value)).sum();
            sums.push([sum, group.len() as f64]);
        }
        MeanError::of_ratio(&sums)
    }
}
