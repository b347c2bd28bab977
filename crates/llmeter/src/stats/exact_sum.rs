//! Sums and means of floats without rounding on the way.

use std::cmp::Ordering;

/// The exact sum of any number of floats.
///
/// Kept as a few floats that do not overlap (Shewchuk's expansions), so adding is cheap, the order
/// of adding does not matter, and the mean can be rounded once, correctly. Exact as long as no
/// product leaves the range of normal floats.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExactSum {
    /// Non-overlapping, non-zero, increasing in magnitude.
    partials: Vec<f64>,
    /// The sum of what is not finite.
    special: Option<f64>,
}

impl ExactSum {
    /// Adds a float.
    #[inline]
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            *self.special.get_or_insert(0.0) += value;
            return;
        }
        let mut carry = value;
        let mut kept = 0;
        for index in 0..self.partials.len() {
            let mut small = self.partials[index];
            if carry.abs() < small.abs() {
                std::mem::swap(&mut carry, &mut small);
            }
            let high = carry + small;
            let low = small - (high - carry);
            if low != 0.0 {
                self.partials[kept] = low;
                kept += 1;
            }
            carry = high;
        }
        self.partials.truncate(kept);
        if !carry.is_finite() {
            *self.special.get_or_insert(0.0) += carry;
        } else if carry != 0.0 {
            self.partials.push(carry);
        }
    }

    /// Adds `a` × `b`, unrounded.
    fn add_product(&mut self, a: f64, b: f64) {
        let high = a * b;
        self.add(high);
        self.add(a.mul_add(b, -high));
    }

    /// Adds a whole number, unrounded.
    fn add_int(&mut self, mut value: i128) {
        // Each round leaves less than half an ulp of the previous part: three rounds cover 128 bits.
        while value != 0 {
            let part = value as f64;
            self.add(part);
            value -= part as i128;
        }
    }

    /// The sign of the exact sum.
    fn sign(&self) -> Ordering {
        match self.partials.last() {
            Some(largest) => largest.total_cmp(&0.0),
            None => Ordering::Equal,
        }
    }

    /// The sum, rounded to within an ulp or two.
    pub fn value(&self) -> f64 {
        match self.special {
            Some(special) => special,
            // A sum of nothing is -0.0.
            None => self.partials.iter().rev().sum::<f64>() + 0.0,
        }
    }

    /// The sum divided by `count`, rounded once, ties to even. `None` if `count` is 0.
    pub fn mean(&self, count: u64) -> Option<f64> {
        if count == 0 {
            return None;
        }
        if self.special.is_some() {
            return self.special;
        }
        let count = count as f64;
        let mut quotient = self.value() / count;
        loop {
            let mut residual = self.clone();
            residual.add_product(-quotient, count);
            let direction = residual.sign();
            let neighbour = match direction {
                Ordering::Equal => return Some(quotient),
                Ordering::Greater => quotient.next_up(),
                Ordering::Less => quotient.next_down(),
            };
            if !neighbour.is_finite() {
                return Some(quotient);
            }
            // Is the exact quotient beyond the middle between the two?
            for part in &mut residual.partials {
                *part *= 2.0;
            }
            residual.add_product(quotient - neighbour, count);
            match residual.sign() {
                beyond if beyond == direction => quotient = neighbour,
                Ordering::Equal if quotient.to_bits() & 1 == 1 => return Some(neighbour),
                _ => return Some(quotient),
            }
        }
    }
}

/// `numerator` / `denominator`, rounded once, ties to even. 0 if the denominator is 0.
pub(crate) fn ratio(numerator: i128, denominator: u64) -> f64 {
    const EXACT: u64 = 1 << f64::MANTISSA_DIGITS;
    if numerator.unsigned_abs() <= u128::from(EXACT) && denominator <= EXACT {
        return if denominator == 0 {
            0.0
        } else {
            numerator as f64 / denominator as f64
        };
    }
    let mut sum = ExactSum::default();
    sum.add_int(numerator);
    sum.mean(denominator).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mean(values: &[f64]) -> Option<f64> {
        let mut sum = ExactSum::default();
        values.iter().for_each(|&value| sum.add(value));
        sum.mean(values.len() as u64)
    }

    #[test]
    fn cancellation_loses_nothing() {
        assert_eq!(mean(&[1e100, 1.0, -1e100, 1.0]), Some(0.5));
        assert_eq!(mean(&[0.1; 10]), Some(0.1));
        assert_eq!(mean(&[1e-20, 1.0, -1.0]), Some(1e-20 / 3.0));
        assert_eq!(mean(&[]), None);
        assert!(mean(&[0.0, -0.0]).is_some_and(f64::is_sign_positive));
        assert_eq!(mean(&[f64::INFINITY, 1.0]), Some(f64::INFINITY));
    }

    #[test]
    fn a_tie_goes_to_the_even_neighbour() {
        let one = 1.0_f64;
        assert_eq!(mean(&[one, one.next_up()]), Some(one));
        let odd = one.next_up();
        assert_eq!(mean(&[odd, odd.next_up()]), Some(odd.next_up()));
    }

    #[test]
    fn large_whole_numbers_divide_exactly() {
        assert_eq!(ratio(i128::from(u64::MAX) * 3, 3), u64::MAX as f64);
        assert_eq!(ratio(1, 3), 1.0 / 3.0);
        assert_eq!(ratio(-7, 2), -3.5);
        assert_eq!(ratio(7, 0), 0.0);
    }

    proptest! {
        /// Whole nanoseconds have an exact mean in integers to compare with.
        #[test]
        fn agrees_with_integer_arithmetic(values in prop::collection::vec(0_i64..1 << 50, 1..200)) {
            let floats: Vec<f64> = values.iter().map(|&v| v as f64).collect();
            let sum: i128 = values.iter().map(|&v| i128::from(v)).sum();
            prop_assert_eq!(mean(&floats), Some(ratio(sum, values.len() as u64)));
        }

        #[test]
        fn order_does_not_matter(mut values in prop::collection::vec(-1e3_f64..1e3, 1..100)) {
            let forward = mean(&values);
            values.reverse();
            prop_assert_eq!(forward, mean(&values));
        }
    }
}
