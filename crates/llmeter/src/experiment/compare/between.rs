//! What changes from repeat to repeat.

use crate::experiment::compare::resample::CONFIDENCE;
use crate::stats::{student_p_value, student_t};

/// How far the means of two groups of repeats differ by what changes from one repeat to the next: Student's t
/// of two samples, whose variances are taken to be the same, since one machine and one network make them. So
/// one run can be judged by the spread of the other side's repeats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Between {
    /// Half the interval of the difference.
    pub(super) half_width: f64,
    /// Half the interval of the change as a share of the base; `None` where the base is not above 0.
    pub(super) change_half_width: Option<f64>,
    /// How often chance alone makes so large a difference.
    pub(super) p_value: f64,
}

impl Between {
    /// Of the figure of each repeat; `None` where no side has two.
    pub(super) fn of(base: &[f64], new: &[f64]) -> Option<Self> {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (one, other) = (mean(base), mean(new));
        let squares = |values: &[f64], mean: f64| -> f64 {
            let each = values.iter().map(|value| (value - mean).powi(2));
            each.sum()
        };
        let freedom = (base.len() + new.len()).checked_sub(2)?;
        if freedom == 0 || base.is_empty() || new.is_empty() {
            return None;
        }
        let freedom = freedom as f64;
        let variance = (squares(base, one) + squares(new, other)) / freedom;
        let error = |of_base: f64| {
            (variance * (of_base / base.len() as f64 + 1.0 / new.len() as f64)).sqrt()
        };
        let t = student_t(f64::midpoint(1.0, CONFIDENCE), freedom);
        let difference = other - one;
        Some(Self {
            half_width: t * error(1.0),
            // The base's error weighs as much as the new figure is larger (the delta method).
            change_half_width: (one > 0.0).then(|| t * error((other / one).powi(2)) / one),
            p_value: match difference == 0.0 {
                true => 1.0,
                false => student_p_value(difference / error(1.0), freedom),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_samples_are_compared_as_the_textbook_does() {
        // t = 2 / sqrt(2.5 * (1/5 + 1/5)) = 2, of 8 degrees of freedom.
        let between = Between::of(&[1.0, 2.0, 3.0, 4.0, 5.0], &[3.0, 4.0, 5.0, 6.0, 7.0]).unwrap();
        assert!((between.half_width - 2.306).abs() < 1e-3, "{between:?}");
        assert!((between.p_value - 0.0805).abs() < 1e-4, "{between:?}");
        // 2.306 * sqrt(2.5 * ((5/3)²/5 + 1/5)) / 3
        let change = between.change_half_width.unwrap();
        assert!((change - 1.0565).abs() < 1e-3, "{between:?}");
    }

    #[test]
    fn one_run_is_judged_by_the_repeats_of_the_other_side() {
        let between = Between::of(&[1.0, 2.0, 3.0], &[2.0]).unwrap();
        // 4.303 * sqrt(1 + 1/3)
        assert!((between.half_width - 4.968).abs() < 1e-3, "{between:?}");
        assert_eq!(between.p_value, 1.0);
        assert_eq!(Between::of(&[1.0], &[2.0]), None);
        assert_eq!(Between::of(&[1.0, 2.0], &[]), None);
        let none = Between::of(&[0.0, 0.0], &[0.0]).unwrap();
        assert_eq!((none.half_width, none.change_half_width), (0.0, None));
    }
}
