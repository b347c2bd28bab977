//! Checking of prices and amounts.

use std::fmt::Display;

use crate::base::error::{Error, Result};

/// A price or amount: finite and not negative.
pub(super) fn at_least_zero(field: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() && value >= 0.0 {
        Ok(value)
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
