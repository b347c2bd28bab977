//! Intervals: where the true figure lies, given values that depend on one another.
//!
//! Belongs here: intervals of percentiles, means and rates from plain values in time order.
//! Does not belong here: which figures get one (`accumulator`), comparisons of two runs.

mod batches;
mod dependence;
mod groups;
mod pace;

use statrs::function::beta::checked_beta_reg;

use super::percentile::Percentile;
use super::student::student_t;
pub(super) use batches::Batches;
use dependence::{MeanError, Scores};
pub(super) use groups::Groups;
pub(super) use pace::Pace;

/// Steps of a bisection: each halves the range, down to the precision of an `f64`.
const HALVINGS: u32 = 80;
/// With more values, those beyond a percentile tell by themselves how they depend on one another.
const MAX_SCORES: usize = 1000;
/// Fewer values, or gaps of fewer responses, have no interval: if they depend on one another, so few
/// cannot tell by how much. From here on all coverages of `cargo xtask coverage` are as they should
/// be; with 50 values that come in batches 91 % of the intervals cover the mean, with 20 values 87 %.
const MIN_VALUES: usize = 100;

/// An interval that covers the true value with a stated probability.
///
/// Requests of a run are not independent: they share queues, batches and slow moments. Each method
/// here takes values in time order, estimates how strongly they depend on one another, and widens
/// the interval accordingly. Where the values cannot carry an interval, there is none.
///
/// ```
/// use llmeter::stats::{Interval, Percentile};
///
/// let ttft: Vec<f64> = (0..200_u32).map(|n| 0.2 + f64::from(n * 7919 % 101) * 1e-3).collect();
/// let median = Interval::of_percentile(&ttft, Percentile::P50, Interval::LEVEL).unwrap();
/// assert!(median.low < 0.25 && 0.25 < median.high);
/// // p99 of 200 values: the true one may be above all of them.
/// assert!(Interval::of_percentile(&ttft, Percentile::P99, Interval::LEVEL).is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The probability with which it covers the true value, such as 0.95.
    pub level: f64,
}

impl Interval {
    /// The level of all intervals that llmeter reports: 95 %.
    pub const LEVEL: f64 = 0.95;

    /// The interval of a percentile of `values` in time order.
    ///
    /// Fractional order statistics (Hutson 1999) at the effective sample size: the number of
    /// independent values that would know the share of values below the percentile as well as
    /// these do (Woodruff 1952). `None` with fewer than a hundred values, or if an end would
    /// lie beyond the smallest or the largest value.
    pub fn of_percentile(values: &[f64], percentile: Percentile, level: f64) -> Option<Self> {
        Self::of_percentiles(values, &[percentile], level).pop()?
    }

    /// Whether so many values can carry an interval of a percentile, or, without one, of their mean.
    pub(super) fn is_carried(count: usize, percentile: Option<Percentile>, level: f64) -> bool {
        let has_ranks = |one: Percentile| ranks(one.fraction(), count as f64, level).is_some();
        count >= MIN_VALUES && percentile.is_none_or(has_ranks)
    }

    /// [`of_percentile`](Self::of_percentile) for each of several percentiles.
    pub(crate) fn of_percentiles(
        values: &[f64],
        percentiles: &[Percentile],
        level: f64,
    ) -> Vec<Option<Self>> {
        let usable: Vec<f64> = values.iter().copied().filter(|one| !one.is_nan()).collect();
        if usable.len() < MIN_VALUES {
            return vec![None; percentiles.len()];
        }
        let mut sorted = usable.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let scores = match usable.len() <= MAX_SCORES {
            true => Scores::of(&usable),
            false => None,
        };
        let count = usable.len() as f64;
        let interval = |percentile: &Percentile| {
            let share = percentile.fraction();
            let at = at_rank(&sorted, share * (count + 1.0))?;
            let mut below = Batches::default();
            let is_below = usable.iter().map(|value| u8::from(*value <= at));
            is_below.for_each(|is_below| below.push([f64::from(is_below)]));
            let by_shares = MeanError::of_batches(&below).map(|error| {
                let independent = error.mean * (1.0 - error.mean) / count;
                (error.variance / independent, error.freedom)
            });
            let by_scores = scores.as_ref().map(|scores| scores.clipped(share));
            let effective = [by_shares, by_scores]
                .into_iter()
                .flatten()
                .map(|(ratio, freedom)| effective_size(count, ratio, freedom, level))
                .fold(count, f64::min);
            between(&sorted, share, effective, level)
        };
        percentiles.iter().map(interval).collect()
    }

    /// The interval of the mean of `values` in time order.
    ///
    /// Batch means with an autoregressive model of what dependence is left between batches, and
    /// Student's t with an adjustment for skewness; it never leaves the range of the values. `None`
    /// with fewer than a hundred values or if all are the same.
    pub fn of_mean(values: &[f64], level: f64) -> Option<Self> {
        let mut batches = Batches::default();
        let usable = values.iter().copied().filter(|one| !one.is_nan());
        usable.for_each(|value| batches.push_value(value));
        Self::of_mean_error(MeanError::of_batches, &batches, level)
    }

    /// The interval of the mean of values that were added up in batches.
    pub(super) fn of_batches(batches: &Batches<1>) -> Option<Self> {
        Self::of_mean_error(MeanError::of_batches, batches, Self::LEVEL)
    }

    /// The interval of the mean over all values of groups, from each group's sum and count.
    pub(super) fn of_ratio(sums: &Batches<2>) -> Option<Self> {
        Self::of_mean_error(MeanError::of_ratio, sums, Self::LEVEL)
    }

    fn of_mean_error<const N: usize>(
        error: impl Fn(&Batches<N>) -> Option<MeanError>,
        batches: &Batches<N>,
        level: f64,
    ) -> Option<Self> {
        if batches.count() < MIN_VALUES as u64 {
            return None;
        }
        let (low, high) = error(batches)?.interval(level);
        let [least, greatest] = batches.range();
        Some(Self {
            low: low.max(least),
            high: high.min(greatest),
            level,
        })
    }

    /// The interval of the rate, a second, at which amounts come up: `amounts[i]` (tokens; or 1 for a
    /// request) at `times[i]`, seconds since the start of a window of `window` seconds.
    ///
    /// The mean over slices of the window, as [`of_mean`](Self::of_mean). `None` with fewer than a
    /// hundred amounts.
    pub fn of_rate(times: &[f64], amounts: &[f64], window: f64, level: f64) -> Option<Self> {
        let mut pace = Pace::default();
        for (&time, &amount) in times.iter().zip(amounts) {
            pace.push(time, [amount]);
        }
        pace.interval(0, window, level)
    }

    /// The interval of a share, `part` of `all`: Clopper and Pearson, "The use of confidence or fiducial limits
    /// illustrated in the case of the binomial" (1934). It covers the truth with at least this level where
    /// each of `all` is by itself; where failures come together, less often. `None` of nothing.
    pub fn of_share(part: u64, all: u64, level: f64) -> Option<Self> {
        if all == 0 || part > all {
            return None;
        }
        let outside = (1.0 - level) / 2.0;
        let (part, all) = (part as f64, all as f64);
        // The share below which so large a part, or above which so small a one, is rare.
        let low = match part > 0.0 {
            true => inverse_beta(part, all - part + 1.0, outside),
            false => 0.0,
        };
        let high = match part < all {
            true => inverse_beta(part + 1.0, all - part, 1.0 - outside),
            false => 1.0,
        };
        Some(Self { low, high, level })
    }

    /// The interval of so many times the value.
    pub(super) fn scaled(self, factor: f64) -> Self {
        Self {
            low: self.low * factor,
            high: self.high * factor,
            ..self
        }
    }

    /// Whether the value is inside.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Half of its width.
    pub fn half_width(&self) -> f64 {
        (self.high - self.low) / 2.0
    }
}

/// How many independent values would know a share as well, so that a normal quantile in the place of
/// Student's covers as often (Korn and Graubard 1998).
fn effective_size(count: f64, ratio: f64, freedom: f64, level: f64) -> f64 {
    let probability = f64::midpoint(1.0, level);
    let widening = student_t(probability, freedom) / student_t(probability, count);
    count * (1.0 / ratio / widening.powi(2)).min(1.0)
}

/// The interval of the quantile of this share, of values that say as much as `effective` independent
/// ones.
fn between<T: Copy + Into<f64>>(
    sorted: &[T],
    share: f64,
    effective: f64,
    level: f64,
) -> Option<Interval> {
    let (low, high) = ranks(share, effective, level)?;
    let scale = (sorted.len() + 1) as f64 / (effective + 1.0);
    Some(Interval {
        low: at_rank(sorted, low * scale)?,
        high: at_rank(sorted, high * scale)?,
        level,
    })
}

/// The ranks, from 1 to `count`, of the fractional order statistics between which the quantile of
/// this share lies: the value of rank r is above it with probability I_share(r, count + 1 − r).
fn ranks(share: f64, count: f64, level: f64) -> Option<(f64, f64)> {
    let tail = (1.0 - level) / 2.0;
    let is_below =
        |rank: f64| checked_beta_reg(rank, count + 1.0 - rank, share).unwrap_or(f64::NAN);
    if count < 2.0 || is_below(1.0) < 1.0 - tail || is_below(count) > tail {
        return None;
    }
    let low = bisect(|rank| is_below(rank) < 1.0 - tail, 1.0, count);
    let high = bisect(|rank| is_below(rank) < tail, 1.0, count);
    Some((low, high))
}

/// The value below which a beta variable lies with this probability.
fn inverse_beta(a: f64, b: f64, probability: f64) -> f64 {
    let below = |value: f64| checked_beta_reg(a, b, value).unwrap_or(f64::NAN);
    bisect(|value| below(value) >= probability, 0.0, 1.0)
}

/// The value of a rank, counted from 1, between two neighbours in proportion.
fn at_rank<T: Copy + Into<f64>>(sorted: &[T], rank: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = (rank - 1.0).clamp(0.0, last as f64);
    let lower = rank as usize;
    let [low, high] = [lower, (lower + 1).min(last)].map(|at| sorted[at].into());
    Some(low + (high - low) * rank.fract())
}

/// Where a predicate that is false at `low` and true at `high` turns.
fn bisect(is_above: impl Fn(f64) -> bool, mut low: f64, mut high: f64) -> f64 {
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        match is_above(middle) {
            true => high = middle,
            false => low = middle,
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Most values are small, some are a hundred times as large.
    fn skewed(count: u32) -> Vec<f64> {
        let value = |n: u32| match n % 40 {
            7 => 10.0,
            _ => 0.1 + f64::from(n % 5) * 0.01,
        };
        (0..count).map(value).collect()
    }

    #[test]
    fn few_values_have_no_interval() {
        let level = Interval::LEVEL;
        let intervals = |count: u32| {
            let values = skewed(count);
            let times: Vec<f64> = (0..count).map(|n| f64::from(n) * 0.1).collect();
            let window = f64::from(count) * 0.1;
            let mut groups = Groups::default();
            let mut sums = Batches::<2>::default();
            for value in &values {
                groups.push(&[*value as f32, 0.2], 1);
                sums.push([value + 0.2, 2.0]);
                sums.extend_range(*value);
                sums.extend_range(0.2);
            }
            [
                Interval::of_mean(&values, level),
                Interval::of_percentile(&values, Percentile::P50, level),
                Interval::of_rate(&times, &values, window, level),
                Interval::of_ratio(&sums),
                groups.percentiles(&[Percentile::P50], level)[0],
            ]
        };
        assert_eq!(intervals(99), [None; 5]);
        assert!(intervals(100).iter().all(Option::is_some));
    }

    #[test]
    fn intervals_keep_to_the_range_of_the_values() {
        // One value decides the mean: without a bound the lower end would be negative.
        let mut values = vec![0.1; 120];
        values[60] = 1_000.0;
        let interval = Interval::of_mean(&values, Interval::LEVEL).unwrap();
        assert_eq!(interval.low, 0.1);
        assert!(interval.contains(1_000.0 / 120.0) && interval.high <= 1_000.0);
        let mut sums = Batches::<2>::default();
        for value in &values {
            sums.extend_range(*value);
            sums.push([*value, 1.0]);
        }
        let of_groups = Interval::of_ratio(&sums).unwrap();
        assert_eq!(of_groups.low, 0.1);
        let times: Vec<f64> = (0..120_u32).map(|n| f64::from(n) * 0.1).collect();
        // One that would reach down to nothing says nothing.
        let of_rate = Interval::of_rate(&times, &values, 12.0, Interval::LEVEL);
        assert!(of_rate.is_none(), "{of_rate:?}");
        let even = Interval::of_rate(&times, &[0.1; 120], 12.0, Interval::LEVEL).unwrap();
        assert!(even.low > 0.0 && even.contains(1.0), "{even:?}");
    }

    #[test]
    fn a_share_has_the_interval_of_tables() {
        // Clopper and Pearson's, as any table has it: 3 of 100, and none of 20.
        let of = |part, all| Interval::of_share(part, all, 0.95).unwrap();
        let some = of(3, 100);
        assert!((some.low - 0.006_230).abs() < 1e-5 && (some.high - 0.085_176).abs() < 1e-5);
        let none = of(0, 20);
        assert!(
            none.low == 0.0 && (none.high - 0.168_433).abs() < 1e-5,
            "{none:?}"
        );
        assert_eq!(of(20, 20).high, 1.0);
        assert_eq!(Interval::of_share(0, 0, 0.95), None);
    }
}
