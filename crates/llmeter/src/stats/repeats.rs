//! How figures of repeated runs differ.

use super::student::student_t;

/// One figure of several repeats of the same run: how it differs from repeat to repeat, beside how the
/// requests of one repeat differ.
///
/// Requests of one run share the state of machine, network and server, so that an interval from within a
/// run is too narrow where that state changes. [`half_width`](Self::half_width) takes the wider of the two.
///
/// ```
/// use llmeter::stats::RepeatSpread;
///
/// let spread = RepeatSpread::new(vec![1.0, 2.0, 3.0], None).unwrap();
/// assert_eq!((spread.mean, spread.between), (2.0, Some(1.0)));
/// let (low, high) = spread.interval(0.95, None).unwrap();
/// assert!((low + 0.484).abs() < 1e-3 && (high - 4.484).abs() < 1e-3);
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
        })
    }

    /// Half the width of the interval of the mean with this confidence: that of Student's t over repeats,
    /// or, where that is wider, `within`, which comes from the requests of the repeats. `None` for one
    /// repeat without `within`.
    pub fn half_width(&self, confidence: f64, within: Option<f64>) -> Option<f64> {
        let repeats = self.values.len() as f64;
        let between = self.between.map(|deviation| {
            let t = student_t(f64::midpoint(1.0, confidence), repeats - 1.0);
            t * deviation / repeats.sqrt()
        });
        match (between, within) {
            (Some(between), Some(within)) => Some(between.max(within)),
            (one, other) => one.or(other),
        }
    }

    /// The interval of the mean, by [`half_width`](Self::half_width).
    pub fn interval(&self, confidence: f64, within: Option<f64>) -> Option<(f64, f64)> {
        let half = self.half_width(confidence, within)?;
        Some((self.mean - half, self.mean + half))
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
        let between = spread.half_width(0.95, None).unwrap();
        assert!((between - 3.182 * (5.0_f64 / 3.0).sqrt() / 2.0).abs() < 1e-3);
        assert_eq!(spread.half_width(0.95, Some(0.1)), Some(between));
        assert_eq!(spread.half_width(0.95, Some(9.0)), Some(9.0));
        let single = RepeatSpread::new(vec![10.0], None).unwrap();
        assert_eq!(
            (single.between, single.half_width(0.95, None)),
            (None, None)
        );
        assert_eq!(single.half_width(0.95, Some(1.0)), Some(1.0));
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
