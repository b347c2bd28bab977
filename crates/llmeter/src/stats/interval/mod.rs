//! Intervals: where the true figure lies, given values that depend on one another.
//!
//! Belongs here: intervals of percentiles, means and rates from plain values in time order.
//! Does not belong here: which figures get one (`accumulator`), comparisons of two runs.

mod dependence;
mod special;

use super::percentile::Percentile;
use dependence::MeanError;
use special::{beta, bisect, student_t};

/// Fewer amounts than this give no interval of a rate.
const MIN_EVENTS: usize = 20;
/// The most slices of time that a rate is looked at in.
const MAX_SLICES: usize = 256;
/// Events in a slice of time, at least.
const EVENTS_PER_SLICE: usize = 4;

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
    /// these do (Woodruff 1952). `None` if an end would lie beyond the smallest or the largest
    /// value.
    pub fn of_percentile(values: &[f64], percentile: Percentile, level: f64) -> Option<Self> {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|one| !one.is_nan()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let share = percentile.fraction();
        let at = at_rank(&sorted, share * (sorted.len() + 1) as f64)?;
        let below: Vec<f64> = values
            .iter()
            .filter(|value| !value.is_nan())
            .map(|&value| f64::from(u8::from(value <= at)))
            .collect();
        let effective = match MeanError::of(&below) {
            Some(error) => effective_size(&error, sorted.len(), level),
            None => sorted.len() as f64,
        };
        let (low, high) = ranks(share, effective, level)?;
        let scale = (sorted.len() + 1) as f64 / (effective + 1.0);
        Some(Self {
            low: at_rank(&sorted, low * scale)?,
            high: at_rank(&sorted, high * scale)?,
            level,
        })
    }

    /// The interval of the mean of `values` in time order.
    ///
    /// Batch means with an autoregressive model of what dependence is left between batches, and
    /// Student's t with an adjustment for skewness. `None` with fewer than ten values or if all are
    /// the same.
    pub fn of_mean(values: &[f64], level: f64) -> Option<Self> {
        let values: Vec<f64> = values.iter().copied().filter(|one| !one.is_nan()).collect();
        let (low, high) = MeanError::of(&values)?.interval(level);
        Some(Self { low, high, level })
    }

    /// The interval of the rate, a second, at which amounts come up: `amounts[i]` (tokens; or 1 for a
    /// request) at `times[i]`, seconds since the start of a window of `window` seconds.
    ///
    /// The mean over slices of the window, as [`of_mean`](Self::of_mean). `None` with fewer than
    /// twenty amounts.
    pub fn of_rate(times: &[f64], amounts: &[f64], window: f64, level: f64) -> Option<Self> {
        let count = times.len().min(amounts.len());
        if count < MIN_EVENTS || !(window.is_finite() && window > 0.0) {
            return None;
        }
        let slices = (count / EVENTS_PER_SLICE).clamp(10, MAX_SLICES);
        let mut sums = vec![0.0; slices];
        for (time, amount) in times.iter().zip(amounts) {
            let slice = (time / window * slices as f64) as usize;
            sums[slice.min(slices - 1)] += amount;
        }
        let (low, high) = MeanError::of(&sums)?.interval(level);
        let scale = slices as f64 / window;
        Some(Self {
            low: (low * scale).max(0.0),
            high: high * scale,
            level,
        })
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
fn effective_size(error: &MeanError, count: usize, level: f64) -> f64 {
    let count = count as f64;
    let independent = error.mean * (1.0 - error.mean) / count;
    let probability = f64::midpoint(1.0, level);
    let widening = student_t(probability, error.freedom) / student_t(probability, count - 1.0);
    count * (independent / error.variance / widening.powi(2)).min(1.0)
}

/// The ranks, from 1 to `count`, of the fractional order statistics between which the quantile of
/// this share lies: the value of rank r is above it with probability I_share(r, count + 1 − r).
fn ranks(share: f64, count: f64, level: f64) -> Option<(f64, f64)> {
    let tail = (1.0 - level) / 2.0;
    let is_below = |rank: f64| beta(share, rank, count + 1.0 - rank);
    if count < 2.0 || is_below(1.0) < 1.0 - tail || is_below(count) > tail {
        return None;
    }
    let low = bisect(|rank| is_below(rank) < 1.0 - tail, 1.0, count);
    let high = bisect(|rank| is_below(rank) < tail, 1.0, count);
    Some((low, high))
}

/// The value of a rank, counted from 1, between two neighbours in proportion.
fn at_rank(sorted: &[f64], rank: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = (rank - 1.0).clamp(0.0, last as f64);
    let lower = rank as usize;
    let (low, high) = (sorted[lower], sorted[(lower + 1).min(last)]);
    Some(low + (high - low) * rank.fract())
}
