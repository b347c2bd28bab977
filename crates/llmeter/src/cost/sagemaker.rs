//! Costs of a real-time endpoint of Amazon SageMaker, by the run's length in whole seconds.

use serde::{Deserialize, Serialize};

use super::dimension::RunDimension;
use super::price::at_least_zero;
#[cfg(feature = "aws")]
use super::sagemaker_lookup;
use crate::RunResult;
use crate::base::error::{Error, Result};
use crate::saved::{Field, Saved, SavedObject};

#[cfg(not(feature = "aws"))]
const PRICE_MISSING: &str = "a price; this build does not look prices up";

/// The instances of an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedCompute")]
pub struct SageMakerRTEndpointCompute {
    instance_type: String,
    instance_count: f64,
    price_per_hour: f64,
    region: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedCompute {
    instance_type: String,
    #[serde(default = "super::price::one")]
    instance_count: f64,
    price_per_hour: Option<f64>,
    region: Option<String>,
}

impl TryFrom<UncheckedCompute> for SageMakerRTEndpointCompute {
    type Error = Error;

    fn try_from(unchecked: UncheckedCompute) -> Result<Self> {
        let (price, region) = match unchecked.price_per_hour {
            Some(price) => (price, unchecked.region),
            #[cfg(feature = "aws")]
            None => {
                let (kind, region) = (&unchecked.instance_type, unchecked.region.as_deref());
                let (price, region) = sagemaker_lookup::missing_instance_price(kind, region)?;
                (price, Some(region))
            }
            #[cfg(not(feature = "aws"))]
            None => return Err(Error::field("price_per_hour", "null", PRICE_MISSING)),
        };
        let dimension = Self::new(unchecked.instance_type, unchecked.instance_count, price)?;
        Ok(Self {
            region,
            ..dimension
        })
    }
}

impl SageMakerRTEndpointCompute {
    /// So many instances of a type like `ml.g5.4xlarge`, at a price for an hour of each.
    ///
    /// # Errors
    /// If the count or the price is negative or not finite.
    pub fn new(
        instance_type: impl Into<String>,
        instance_count: f64,
        price_per_hour: f64,
    ) -> Result<Self> {
        Ok(Self {
            instance_type: instance_type.into(),
            instance_count: at_least_zero("instance_count", instance_count)?,
            price_per_hour: at_least_zero("price_per_hour", price_per_hour)?,
            region: None,
        })
    }

    /// The same in a region, for the record.
    #[must_use]
    pub fn in_region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }
}

impl Saved for SageMakerRTEndpointCompute {
    const CLASS: &'static str =
        "llmeter.callbacks.cost.providers.sagemaker.SageMakerRTEndpointCompute";
    const ABOUT: &'static str = "The instances of a SageMaker real-time endpoint";
    const FIELDS: &'static [Field] = &[
        Field::new("instance_type", "like ml.g5.4xlarge"),
        Field::new("instance_count", "instances [default: 1]"),
        Field::new(
            "price_per_hour",
            "price of one instance for an hour [default: AWS's, in USD]",
        ),
        Field::new("region", "where it runs [default: the environment's]"),
    ];

    fn example() -> Option<Self> {
        Self::new("ml.g5.4xlarge", 1.0, 2.03).ok()
    }
}

impl RunDimension for SageMakerRTEndpointCompute {
    fn saved(&self) -> Result<SavedObject> {
        SavedObject::of(self)
    }

    fn cost(&self, result: &RunResult) -> Option<f64> {
        let seconds = result.summary.total_test_time?.ceil();
        Some(seconds * self.instance_count * self.price_per_hour / 3600.0)
    }
}

/// The storage of an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedStorage")]
pub struct SageMakerRTEndpointStorage {
    gbs_provisioned: f64,
    price_per_gb_hour: f64,
    region: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedStorage {
    gbs_provisioned: f64,
    price_per_gb_hour: Option<f64>,
    region: Option<String>,
}

impl TryFrom<UncheckedStorage> for SageMakerRTEndpointStorage {
    type Error = Error;

    fn try_from(unchecked: UncheckedStorage) -> Result<Self> {
        let (price, region) = match unchecked.price_per_gb_hour {
            Some(price) => (price, unchecked.region),
            #[cfg(feature = "aws")]
            None => {
                let region = unchecked.region.as_deref();
                let (price, region) = sagemaker_lookup::missing_storage_price(region)?;
                (price, Some(region))
            }
            #[cfg(not(feature = "aws"))]
            None => return Err(Error::field("price_per_gb_hour", "null", PRICE_MISSING)),
        };
        let dimension = Self::new(unchecked.gbs_provisioned, price)?;
        Ok(Self {
            region,
            ..dimension
        })
    }
}

impl SageMakerRTEndpointStorage {
    /// So many gigabytes, at a price for an hour of each.
    ///
    /// # Errors
    /// If the size or the price is negative or not finite.
    pub fn new(gbs_provisioned: f64, price_per_gb_hour: f64) -> Result<Self> {
        Ok(Self {
            gbs_provisioned: at_least_zero("gbs_provisioned", gbs_provisioned)?,
            price_per_gb_hour: at_least_zero("price_per_gb_hour", price_per_gb_hour)?,
            region: None,
        })
    }

    /// The same in a region, for the record.
    #[must_use]
    pub fn in_region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }
}

impl Saved for SageMakerRTEndpointStorage {
    const CLASS: &'static str =
        "llmeter.callbacks.cost.providers.sagemaker.SageMakerRTEndpointStorage";
    const ABOUT: &'static str = "The storage of a SageMaker real-time endpoint";
    const FIELDS: &'static [Field] = &[
        Field::new("gbs_provisioned", "gigabytes, over all instances"),
        Field::new(
            "price_per_gb_hour",
            "price of one gigabyte for an hour [default: AWS's, in USD]",
        ),
        Field::new("region", "where it is [default: the environment's]"),
    ];

    fn example() -> Option<Self> {
        Self::new(100.0, 0.0002).ok()
    }
}

impl RunDimension for SageMakerRTEndpointStorage {
    fn saved(&self) -> Result<SavedObject> {
        SavedObject::of(self)
    }

    fn cost(&self, result: &RunResult) -> Option<f64> {
        let seconds = result.summary.total_test_time?.ceil();
        Some(seconds * self.gbs_provisioned * self.price_per_gb_hour / 3600.0)
    }
}
