//! How figures of repeated runs differ.

use super::interval::Interval;
use super::student::student_t;

/// One figure of several repeats of the same run: how it differs from repeat to repeat, beside how the
/// requests of one repeat differ.
///
/// Requests of one run share the state of machine, network and server, so that an interval from within a
/// run is too narrow where that state changes. [`interval`](Self::interval) takes the wider of the two.
///
/// ```
/// use llmeter::stats::RepeatSpread;
///
/// let spread = RepeatSpread::new(vec![1.0, 2.0, 3.0], None).unwrap();
/// assert_eq!((spread.mean, spread.between), (2.0, Some(1.0)));
/// let interval = spread.interval().unwrap();
/// assert!((interval.low + 0.484).abs() < 1e-3 && (interval.high - 4.484).abs() < 1e-3);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RepeatSpread {
    /// The figure of each repeat, in their order.
    pub values: Vec<f64>,
    /// The mean of the figures.
    pub mean: f64,
    /// The standard deviation between repeats; `None` for one repeat.
    pub between: Option<f64>,
    /// The standard deviation between the requests of a repeat, pooled over repeats; `None` for a figure
    /// that requests do not have.
    pub within: Option<f64>,
    /// Half the width of the interval of the mean as the requests of each repeat alone have it; `None`
    /// where a repeat has no interval.
    pub half_width_within: Option<f64>,
}

impl RepeatSpread {
    /// Of the figure of each repeat, with the standard deviation within. `None` without a figure.
    pub fn new(values: Vec<f64>, within: Option<f64>) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let degrees = values.len() as f64 - 1.0;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Self {
            between: (degrees > 0.0).then(|| (squares / degrees).sqrt()),
            values,
            mean,
            within,
            half_width_within: None,
        })
    }

    /// Takes in the interval that each repeat has by its own requests. Repeats are independent of one
    /// another, so that the half-widths add up by their squares.
    #[must_use]
    pub fn with_intervals(mut self, intervals: &[Interval]) -> Self {
        let repeats = self.values.len();
        let squares = intervals.iter().map(|one| one.half_width().powi(2));
        self.half_width_within =
            (intervals.len() == repeats).then(|| squares.sum::<f64>().sqrt() / repeats as f64);
        self
    }

    /// Whether the interval is that of the requests, since repeats differ by less.
    pub fn is_within(&self) -> bool {
        match (self.half_width_between(), self.half_width_within) {
            (Some(between), Some(within)) => within > between,
            (between, within) => between.is_none() && within.is_some(),
        }
    }

    /// The 95 % interval of the mean: that of Student's t over repeats, or that of the requests of all
    /// repeats where it is wider. `None` for one repeat whose requests have none.
    pub fn interval(&self) -> Option<Interval> {
        let half = match self.is_within() {
            true => self.half_width_within,
            false => self.half_width_between(),
        }?;
        Some(Interval {
            low: self.mean - half,
            high: self.mean + half,
            level: Interval::LEVEL,
        })
    }

    fn half_width_between(&self) -> Option<f64> {
        let repeats = self.values.len() as f64;
        let t = student_t(f64::midpoint(1.0, Interval::LEVEL), repeats - 1.0);
        Some(t * self.between? / repeats.sqrt())
    }
}

/// The standard deviation of values about the mean of their own group, over all groups.
pub(crate) fn pooled_deviation<I: Iterator<Item = f64> + Clone>(
    groups: impl Iterator<Item = I>,
) -> Option<f64> {
    let (mut squares, mut degrees) = (0.0, 0_usize);
    for group in groups {
        let count = group.clone().count();
        if count < 2 {
            continue;
        }
        let mean = group.clone().sum::<f64>() / count as f64;
        squares += group.map(|value| (value - mean).powi(2)).sum::<f64>();
        degrees += count - 1;
    }
    (degrees > 0).then(|| (squares / degrees as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wider_of_the_two_is_taken() {
        let spread = RepeatSpread::new(vec![10.0, 12.0, 11.0, 13.0], Some(5.0)).unwrap();
        let half = |spread: &RepeatSpread| spread.interval().map(|one| one.half_width());
        let between = half(&spread).unwrap();
        assert!((between - 3.182 * (5.0_f64 / 3.0).sqrt() / 2.0).abs() < 1e-3);
        let of = |middle: f64, half: f64| Interval {
            low: middle - half,
            high: middle + half,
            level: Interval::LEVEL,
        };
        // Four half-widths of 2 make one of 1 for their mean.
        let narrow = spread.clone().with_intervals(&[of(10.0, 2.0); 4]);
        assert_eq!(narrow.half_width_within, Some(1.0));
        assert_eq!((half(&narrow), narrow.is_within()), (Some(between), false));
        let wide = spread.clone().with_intervals(&[of(10.0, 18.0); 4]);
        assert_eq!((half(&wide), wide.is_within()), (Some(9.0), true));
        let partly = spread.with_intervals(&[of(10.0, 18.0); 3]);
        assert_eq!((half(&partly), partly.is_within()), (Some(between), false));
        let single = RepeatSpread::new(vec![10.0], None).unwrap();
        assert_eq!((single.between, half(&single)), (None, None));
        let single = single.with_intervals(&[of(10.0, 1.0)]);
        assert_eq!((half(&single), single.is_within()), (Some(1.0), true));
        assert_eq!(RepeatSpread::new(vec![], None), None);
    }

    #[test]
    fn the_deviation_within_does_not_see_the_shift_between() {
        let groups = [[1.0, 2.0, 3.0], [101.0, 102.0, 103.0]];
        let pooled = pooled_deviation(groups.iter().map(|group| group.iter().copied()));
        assert_eq!(pooled, Some(1.0));
        assert_eq!(
            pooled_deviation([[1.0]].iter().map(|group| group.iter().copied())),
            None
        );
    }
}
