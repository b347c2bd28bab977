//! Costs of a run by its length.

use serde::{Deserialize, Deserializer, Serialize};

use super::dimension::RunDimension;
use super::price::{above_zero, at_least_zero, checked};
use crate::RunResult;
use crate::base::error::Result;
use crate::saved::{Field, Saved, SavedObject};

/// A price for the time that an endpoint runs: the length of the run, rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointTime {
    #[serde(deserialize_with = "price_per_hour")]
    price_per_hour: f64,
    #[serde(default = "super::price::one", deserialize_with = "granularity_secs")]
    granularity_secs: f64,
}

fn price_per_hour<'de, D: Deserializer<'de>>(price: D) -> Result<f64, D::Error> {
    checked(price, |price| at_least_zero("price_per_hour", price))
}

fn granularity_secs<'de, D: Deserializer<'de>>(steps: D) -> Result<f64, D::Error> {
    checked(steps, |steps| above_zero("granularity_secs", steps))
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
