//! Checking of prices and amounts.

use std::fmt::Display;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::base::error::{Error, Result};

/// Reads a number that `check` accepts, for serde.
pub(super) fn checked<'de, N: Deserialize<'de>, D: Deserializer<'de>>(
    number: D,
    check: impl FnOnce(N) -> Result<N>,
) -> Result<N, D::Error> {
    check(N::deserialize(number)?).map_err(D::Error::custom)
}

/// What stands for an amount that is not given, for serde.
pub(super) fn one<N: From<u8>>() -> N {
    N::from(1)
}

/// A price or amount: finite and not negative.
pub(super) fn at_least_zero(field: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() && value >= 0.0 {
        // Of a negative zero, the zero.
        Ok(value.abs())
    } else {
        Err(Error::field(field, value, "0 or more"))
    }
}

/// A step in which something is billed.
pub(super) fn above_zero<N: Copy + Display + Into<f64>>(
    field: &'static str,
    value: N,
) -> Result<N> {
    if value.into().is_finite() && value.into() > 0.0 {
        Ok(value)
    } else {
        Err(Error::field(field, value, "more than 0"))
    }
}

/// An amount of money with four significant digits or so, and cents.
pub(crate) fn price(amount: f64) -> String {
    if amount == 0.0 {
        return "0".to_owned();
    }
    let magnitude = amount.abs().log10().floor();
    let decimals = (3.0 - magnitude).clamp(2.0, 12.0) as usize;
    format!("{amount:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_have_four_digits_and_cents() {
        for (amount, text) in [
            (0.0, "0"),
            (0.000_096, "0.00009600"),
            (0.021_596, "0.02160"),
            (2.5, "2.500"),
            (1234.567, "1234.57"),
            (-0.5, "-0.5000"),
        ] {
            assert_eq!(price(amount), text);
        }
    }
}
