//! The kinds of value that statistics are made of, and their arithmetic.

use std::cmp::Ordering;

use super::exact_sum::{ExactSum, ratio};
use super::summary::Number;

/// Steps of a kept gap per second: gaps are written to disk with seven decimals, so that a gap
/// means the same before and after.
pub(crate) const GAP_STEPS: u64 = 10_000_000;
const NANOS: f64 = 1e9;
/// Below, a float of steps has a whole number of 64 bits and what is left as floats without rounding.
const NARROW: f64 = (1_u64 << 52) as f64;

/// A kind of value.
pub(crate) trait Measure: Copy {
    /// A running sum without rounding.
    type Sum: Default + Clone + std::fmt::Debug;

    /// Whether it can enter statistics at all.
    fn is_usable(self) -> bool {
        true
    }
    /// The order of values.
    fn compare(&self, other: &Self) -> Ordering;
    /// The value as a number.
    fn number(self) -> Number;
    /// (`low` · w₀ + `high` · w₁) / w₂.
    fn between(low: Self, high: Self, weights: (i64, i64, i64)) -> f64;
    /// Adds to a sum.
    fn add_to(self, sum: &mut Self::Sum);
    /// Adds to a sum, `times` times.
    fn add_times_to(self, sum: &mut Self::Sum, times: u64) {
        (0..times).for_each(|_| self.add_to(sum));
    }
    /// The sum divided by a count that is not 0.
    fn mean(sum: &Self::Sum, count: u64) -> Number;
    /// The value in whole units of a sketch.
    fn to_units(self) -> u64;
    /// Back from whole units.
    fn from_units(units: u64) -> f64 {
        units as f64 / NANOS
    }
}

/// Seconds.
impl Measure for f64 {
    type Sum = ExactSum;

    fn is_usable(self) -> bool {
        !self.is_nan()
    }
    fn compare(&self, other: &Self) -> Ordering {
        self.total_cmp(other)
    }
    fn number(self) -> Number {
        Number::Float(self)
    }
    fn between(low: Self, high: Self, (w0, w1, whole): (i64, i64, i64)) -> f64 {
        (low * w0 as f64 + high * w1 as f64) / whole as f64
    }
    #[inline]
    fn add_to(self, sum: &mut ExactSum) {
        sum.add(self);
    }
    fn mean(sum: &ExactSum, count: u64) -> Number {
        Number::Float(sum.mean(count).unwrap_or(0.0))
    }
    #[inline]
    fn to_units(self) -> u64 {
        // Saturates; a negative time is 0.
        (self * NANOS).round() as u64
    }
}

/// Gaps between the chunks of a response, in seconds.
impl Measure for f32 {
    /// In steps.
    type Sum = i128;

    fn is_usable(self) -> bool {
        self.is_finite()
    }
    fn compare(&self, other: &Self) -> Ordering {
        self.total_cmp(other)
    }
    fn number(self) -> Number {
        Number::Float(gap_seconds(self))
    }
    fn between(low: Self, high: Self, (w0, w1, whole): (i64, i64, i64)) -> f64 {
        ratio(
            gap_steps(low) * i128::from(w0) + gap_steps(high) * i128::from(w1),
            whole as u64 * GAP_STEPS,
        )
    }
    #[inline]
    fn add_to(self, sum: &mut i128) {
        *sum += gap_steps(self);
    }
    #[inline]
    fn add_times_to(self, sum: &mut i128, times: u64) {
        *sum += gap_steps(self) * i128::from(times);
    }
    fn mean(sum: &i128, count: u64) -> Number {
        Number::Float(ratio(*sum, count * GAP_STEPS))
    }
    #[inline]
    fn to_units(self) -> u64 {
        (f64::from(self) * NANOS).round() as u64
    }
}

/// A gap in the steps in which it is written to disk.
#[inline]
pub(crate) fn gap_steps(gap: f32) -> i128 {
    let steps = f64::from(gap) * GAP_STEPS as f64;
    if steps.abs() < NARROW {
        // What `round` does, in a few instructions: there is one for each token of a run.
        let whole = steps as i64;
        let rest = steps - whole as f64;
        return i128::from(whole + i64::from(rest >= 0.5) - i64::from(rest <= -0.5));
    }
    steps.round() as i128
}

/// A gap in seconds, as it is written to disk.
pub(crate) fn gap_seconds(gap: f32) -> f64 {
    ratio(gap_steps(gap), GAP_STEPS)
}

macro_rules! whole_numbers {
    ($($kind:ty),*) => {$(
        impl Measure for $kind {
            type Sum = i128;

            fn compare(&self, other: &Self) -> Ordering {
                self.cmp(other)
            }
            fn number(self) -> Number {
                Number::Int(i64::from(self))
            }
            fn between(low: Self, high: Self, (w0, w1, whole): (i64, i64, i64)) -> f64 {
                let sum = i128::from(low) * i128::from(w0) + i128::from(high) * i128::from(w1);
                ratio(sum, whole as u64)
            }
            #[inline]
            fn add_to(self, sum: &mut i128) {
                *sum += i128::from(self);
            }
            fn mean(sum: &i128, count: u64) -> Number {
                match i64::try_from(sum / i128::from(count)) {
                    Ok(whole) if sum % i128::from(count) == 0 => Number::Int(whole),
                    _ => Number::Float(ratio(*sum, count)),
                }
            }
            #[inline]
            fn to_units(self) -> u64 {
                u64::try_from(self).unwrap_or(0)
            }
            fn from_units(units: u64) -> f64 {
                units as f64
            }
        }
    )*};
}

whole_numbers!(i64, u32);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn steps_are_rounded_as_ever(bits: u32, milliseconds in -2e3_f32..2e3) {
            for gap in [f32::from_bits(bits), milliseconds * 1e-3, milliseconds * 1e-7, 0.5e-7, -1.5e-7] {
                let steps = (f64::from(gap) * GAP_STEPS as f64).round() as i128;
                prop_assert_eq!(gap_steps(gap), steps, "{}", gap);
            }
        }
    }
}
