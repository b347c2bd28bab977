//! Costs of a run by its length.

use serde::{Deserialize, Serialize};

use super::dimension::RunDimension;
use super::price::{above_zero, at_least_zero};
use crate::RunResult;
use crate::base::error::{Error, Result};
use crate::saved::{Field, Saved, SavedObject};

/// A price for the time that an endpoint runs: the length of the run, rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct EndpointTime {
    price_per_hour: f64,
    granularity_secs: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    price_per_hour: f64,
    #[serde(default = "one")]
    granularity_secs: f64,
}

fn one() -> f64 {
    1.0
}

impl TryFrom<Unchecked> for EndpointTime {
    type Error = Error;

    fn try_from(unchecked: Unchecked) -> Result<Self> {
        Self::with_granularity(unchecked.price_per_hour, unchecked.granularity_secs)
    }
}

impl EndpointTime {
    /// A price for an hour, billed by the second.
    ///
    /// # Errors
    /// If the price is negative or not finite.
    pub fn new(price_per_hour: f64) -> Result<Self> {
        Self::with_granularity(price_per_hour, 1.0)
    }

    /// A price for an hour, billed in steps of so many seconds, rounded up.
    ///
    /// # Errors
    /// If the price is negative or not finite, or the granularity is not above 0.
    pub fn with_granularity(price_per_hour: f64, granularity_secs: f64) -> Result<Self> {
        Ok(Self {
            price_per_hour: at_least_zero("price_per_hour", price_per_hour)?,
            granularity_secs: above_zero("granularity_secs", granularity_secs)?,
        })
    }
}

impl Saved for EndpointTime {
    const CLASS: &'static str = "llmeter.callbacks.cost.dimensions.EndpointTime";
    const ABOUT: &'static str = "A price for the time that an endpoint runs";
    const FIELDS: &'static [Field] = &[
        Field::new("price_per_hour", "price of an hour"),
        Field::new(
            "granularity_secs",
            "seconds that are billed at once, rounded up [default: 1]",
        ),
    ];

    fn example() -> Option<Self> {
        Self::new(12.5).ok()
    }
}

impl RunDimension for EndpointTime {
    fn saved(&self) -> Result<SavedObject> {
        SavedObject::of(self)
    }

    fn cost(&self, result: &RunResult) -> Option<f64> {
        let seconds = result.summary.total_test_time?;
        let billable = (seconds / self.granularity_secs).ceil() * self.granularity_secs;
        Some(billable * self.price_per_hour / 3600.0)
    }
}
