//! What SageMaker endpoints consist of, and AWS's prices for that.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{CostModel, SageMakerRTEndpointCompute, SageMakerRTEndpointStorage};
use crate::aws::{AwsService, call, region_or_default};
use crate::base::error::{Error, Result};
use crate::base::runtime::block_on;

/// The Price List API, of which there is one for all regions.
const PRICES: AwsService = AwsService {
    about: "the AWS Price List API",
    name: "pricing",
    host: "api.pricing",
    target: "AWSPriceListService",
    variable: "AWS_ENDPOINT_URL_PRICING",
};
const PRICES_REGION: &str = "us-east-1";

const SAGEMAKER: AwsService = AwsService {
    about: "SageMaker",
    name: "sagemaker",
    host: "api.sagemaker",
    target: "SageMaker",
    variable: "AWS_ENDPOINT_URL_SAGEMAKER",
};

/// Hours of a month, for which storage has its price.
const HOURS_A_MONTH: f64 = 720.0;

/// The price of an hour of an instance, in US dollars, on demand.
pub(super) async fn instance_price(instance_type: &str, region: &str) -> Result<f64> {
    let filters = [
        ("component", "Hosting"),
        ("instanceName", instance_type),
        ("regionCode", region),
    ];
    price(&filters, "Hrs").await
}

/// The price of a gigabyte for an hour, in US dollars.
pub(super) async fn storage_price(region: &str) -> Result<f64> {
    let filters = [
        ("volumeType", "General Purpose-Hosting"),
        ("regionCode", region),
    ];
    Ok(price(&filters, "GB-Mo").await? / HOURS_A_MONTH)
}

/// The price on demand of the one product that matches, for this unit.
async fn price(filters: &[(&str, &str)], unit: &str) -> Result<f64> {
    let asked: Vec<Value> = filters
        .iter()
        .map(|(field, value)| json!({"Field": field, "Type": "TERM_MATCH", "Value": value}))
        .collect();
    let mut products = Vec::new();
    let mut request = json!({"ServiceCode": "AmazonSageMaker", "Filters": asked});
    loop {
        let page = call(PRICES, PRICES_REGION, "GetProducts", &request).await?;
        products.extend(page["PriceList"].as_array().into_iter().flatten().cloned());
        match page["NextToken"].as_str() {
            Some(token) if !token.is_empty() => request["NextToken"] = token.into(),
            _ => break,
        }
    }
    let product = one("product", products.iter(), filters)?;
    // Each is JSON within a text.
    let product: Value = match product {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        other => other.clone(),
    };
    let terms = values(&product["terms"]["OnDemand"]);
    let term = one("OnDemand term", terms, filters)?;
    let prices = values(&term["priceDimensions"]).filter(|price| {
        let its = price["unit"].as_str();
        its.is_some_and(|its| its.eq_ignore_ascii_case(unit))
    });
    let price = one(&format!("price of unit {unit}"), prices, filters)?;
    let dollars = price["pricePerUnit"]["USD"].as_str();
    let dollars = dollars.and_then(|text| text.parse::<f64>().ok());
    dollars.ok_or_else(|| not_one("price in USD", 0, filters))
}

fn values(object: &Value) -> impl Iterator<Item = &Value> {
    object.as_object().into_iter().flat_map(Map::values)
}

/// The only one there is.
fn one<'v>(
    what: &str,
    mut all: impl Iterator<Item = &'v Value>,
    filters: &[(&str, &str)],
) -> Result<&'v Value> {
    match (all.next(), all.count()) {
        (Some(only), 0) => Ok(only),
        (None, _) => Err(not_one(what, 0, filters)),
        (Some(_), others) => Err(not_one(what, 1 + others, filters)),
    }
}

fn not_one(what: &str, count: usize, filters: &[(&str, &str)]) -> Error {
    let filters: Vec<_> = filters
        .iter()
        .map(|(field, value)| format!("{field} {value}"))
        .collect();
    Error::Service {
        service: PRICES.about,
        operation: "GetProducts".to_owned(),
        reason: format!(
            "{count} results where one {what} is expected for SageMaker with {}: is it spelled \
             right? Otherwise give the price itself",
            filters.join(", ")
        ),
        source: None,
    }
}

/// A variant of an endpoint.
struct Variant {
    name: String,
    instances: f64,
    instance_type: Option<String>,
    gigabytes: f64,
}

/// The variants of an endpoint as they are now.
async fn variants(endpoint: &str, region: &str) -> Result<Vec<Variant>> {
    let named = json!({"EndpointName": endpoint});
    let now = call(SAGEMAKER, region, "DescribeEndpoint", &named).await?;
    let named = json!({"EndpointConfigName": now["EndpointConfigName"]});
    let config = call(SAGEMAKER, region, "DescribeEndpointConfig", &named).await?;
    let list = |from: &Value| from["ProductionVariants"].as_array().cloned();
    let configured = list(&config).unwrap_or_default();
    let variant = |variant: Value| {
        let name = &variant["VariantName"];
        let config = configured
            .iter()
            .find(|config| config["VariantName"] == *name);
        let config = config.unwrap_or(&Value::Null);
        Variant {
            name: name.as_str().unwrap_or_default().to_owned(),
            instances: variant["CurrentInstanceCount"].as_f64().unwrap_or(0.0),
            instance_type: config["InstanceType"].as_str().map(str::to_owned),
            gigabytes: config["VolumeSizeInGB"].as_f64().unwrap_or(0.0),
        }
    };
    let variants = list(&now).unwrap_or_default();
    Ok(variants.into_iter().map(variant).collect())
}

/// The name of a variant's dimension: the type's if it is the only one.
fn dimension_name(variants: &[Variant], variant: &Variant, class: &str) -> String {
    match variants {
        [_] => class.to_owned(),
        _ => format!("{}_{class}", variant.name),
    }
}

async fn compute(
    endpoint: &str,
    region: &str,
) -> Result<Vec<(String, SageMakerRTEndpointCompute)>> {
    let variants = variants(endpoint, region).await?;
    let mut dimensions = Vec::new();
    for variant in &variants {
        let name = dimension_name(&variants, variant, "SageMakerRTEndpointCompute");
        let kind = variant.instance_type.as_deref().ok_or_else(|| {
            let name = &variant.name;
            let expected = format!("an endpoint with instances; the variant {name} has none");
            Error::field("endpoint", endpoint, expected)
        })?;
        let price = instance_price(kind, region).await?;
        let dimension = SageMakerRTEndpointCompute::new(kind, variant.instances, price)?;
        dimensions.push((name, dimension.in_region(region)));
    }
    Ok(dimensions)
}

async fn storage(
    endpoint: &str,
    region: &str,
    merge_variants: bool,
) -> Result<Vec<(String, SageMakerRTEndpointStorage)>> {
    let variants = variants(endpoint, region).await?;
    let gigabytes = |variant: &Variant| variant.gigabytes * variant.instances;
    let with_storage = || variants.iter().filter(|variant| variant.gigabytes > 0.0);
    if with_storage().next().is_none() {
        return Ok(Vec::new());
    }
    let class = "SageMakerRTEndpointStorage";
    let sizes: Vec<(String, f64)> = if merge_variants {
        vec![(class.to_owned(), with_storage().map(gigabytes).sum())]
    } else {
        let name = |variant| dimension_name(&variants, variant, class);
        with_storage()
            .map(|variant| (name(variant), gigabytes(variant)))
            .collect()
    };
    let price = storage_price(region).await?;
    let dimension = |(name, size)| {
        let dimension = SageMakerRTEndpointStorage::new(size, price)?;
        Ok((name, dimension.in_region(region)))
    };
    sizes.into_iter().map(dimension).collect()
}

impl SageMakerRTEndpointCompute {
    /// The instances of an endpoint as they are now, at AWS's prices on demand in US dollars: one
    /// dimension of this type's name, or with several variants one for each, named
    /// `<variant>_SageMakerRTEndpointCompute`. Region and credentials are those of the environment
    /// unless a region is given. Blocks.
    ///
    /// # Errors
    /// If AWS cannot be asked, refuses, or has no or several prices.
    pub fn from_endpoint(endpoint: &str, region: Option<&str>) -> Result<Vec<(String, Self)>> {
        let (endpoint, region) = (endpoint.to_owned(), region_or_default(region)?);
        block_on(async move { compute(&endpoint, &region).await })
    }
}

impl SageMakerRTEndpointStorage {
    /// The storage of an endpoint as it is now, as
    /// [`SageMakerRTEndpointCompute::from_endpoint`] for the instances; none if no variant has
    /// storage of its own. `merge_variants` makes one dimension of all variants. Blocks.
    ///
    /// # Errors
    /// As [`SageMakerRTEndpointCompute::from_endpoint`].
    pub fn from_endpoint(
        endpoint: &str,
        region: Option<&str>,
        merge_variants: bool,
    ) -> Result<Vec<(String, Self)>> {
        let (endpoint, region) = (endpoint.to_owned(), region_or_default(region)?);
        block_on(async move { storage(&endpoint, &region, merge_variants).await })
    }
}

impl CostModel {
    /// Instances and storage of a SageMaker endpoint, at AWS's prices. Blocks.
    ///
    /// # Errors
    /// As [`SageMakerRTEndpointCompute::from_endpoint`].
    pub fn from_sagemaker_endpoint(endpoint: &str, region: Option<&str>) -> Result<Self> {
        let compute = SageMakerRTEndpointCompute::from_endpoint(endpoint, region)?;
        let storage = SageMakerRTEndpointStorage::from_endpoint(endpoint, region, false)?;
        let mut model = Self::new();
        for (name, dimension) in compute {
            model = model.with_named_run(name, Arc::new(dimension))?;
        }
        for (name, dimension) in storage {
            model = model.with_named_run(name, Arc::new(dimension))?;
        }
        Ok(model)
    }
}

/// The price that a saved dimension lacks: looked up, with the region that it was found for.
pub(super) fn missing_instance_price(
    instance_type: &str,
    region: Option<&str>,
) -> Result<(f64, String)> {
    let (kind, region) = (instance_type.to_owned(), region_or_default(region)?);
    block_on(async move { Ok((instance_price(&kind, &region).await?, region)) })
}

/// As [`missing_instance_price`], for storage.
pub(super) fn missing_storage_price(region: Option<&str>) -> Result<(f64, String)> {
    let region = region_or_default(region)?;
    block_on(async move { Ok((storage_price(&region).await?, region)) })
}
