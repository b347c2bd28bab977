"""Costs of real-time endpoints of Amazon SageMaker, at list prices."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from ....endpoints import _aws
from ..._native import native
from ..dimensions import RunCostDimensionBase
from ..model import CostModel

if TYPE_CHECKING:
    from ....results import Result

__all__ = [
    "SageMakerRTEndpointCompute",
    "SageMakerRTEndpointStorage",
    "cost_model_from_sagemaker_realtime_endpoint",
]

_SERVICE = "AmazonSageMaker"
_HOURS_PER_MONTH = 30 * 24


def cost_model_from_sagemaker_realtime_endpoint(endpoint_name: str, region: str | None = None) -> CostModel:
    """A cost model of an endpoint that is running, with its instances and their storage.

    Needs the permissions `sagemaker:DescribeEndpoint`, `sagemaker:DescribeEndpointConfig` and
    `pricing:GetProducts`. Data transfer is not included.
    """
    return CostModel(
        run_dims={
            **SageMakerRTEndpointCompute.from_endpoint(endpoint_name, region=region),
            **SageMakerRTEndpointStorage.from_endpoint(endpoint_name, region=region),
        }
    )


@native
@dataclass
class SageMakerRTEndpointCompute(RunCostDimensionBase):
    """The instances of an endpoint.

    Args:
        instance_type: like `ml.g5.4xlarge`.
        instance_count: how many there are.
        price_per_hour: of one instance; by default AWS's list price.
        region: where it runs; by default the environment's.
    """

    instance_type: str
    instance_count: float = 1
    price_per_hour: float | None = None
    region: str | None = None

    def __post_init__(self) -> None:
        self.region = _aws.region_of(self.region)
        if self.price_per_hour is None:
            self.price_per_hour = self.fetch_sm_hosting_od_price(self.instance_type, self.region)

    async def calculate(self, result: Result, /) -> float | None:
        return _hourly(result, self.instance_count, self.price_per_hour)

    @classmethod
    def from_endpoint(
        cls, endpoint_name: str, region: str | None = None
    ) -> dict[str, SageMakerRTEndpointCompute]:
        """The instances of an endpoint as they are now: one dimension per variant."""
        region, variants = _variants(endpoint_name, region)
        return {
            _name(cls, name, variants): cls(
                instance_type=config["InstanceType"], instance_count=count, region=region
            )
            for name, (config, count) in variants.items()
        }

    @staticmethod
    def fetch_sm_hosting_od_price(instance_type: str, region: str | None) -> float:
        """The list price of an instance for an hour, in USD."""
        attributes = {"component": "Hosting", "instanceName": instance_type}
        price, _ = _fetch_single_product_ondemand_unit_price(
            region=region, attribute_values=attributes, dim_unit="Hrs"
        )
        return price


@native
@dataclass
class SageMakerRTEndpointStorage(RunCostDimensionBase):
    """The storage of an endpoint.

    Args:
        gbs_provisioned: its gigabytes.
        price_per_gb_hour: by default AWS's list price.
        region: where it is; by default the environment's.
    """

    gbs_provisioned: float
    price_per_gb_hour: float | None = None
    region: str | None = None

    def __post_init__(self) -> None:
        self.region = _aws.region_of(self.region)
        if self.price_per_gb_hour is None:
            self.price_per_gb_hour = self.fetch_sm_hosting_ebs_price(self.region)

    async def calculate(self, result: Result, /) -> float | None:
        return _hourly(result, self.gbs_provisioned, self.price_per_gb_hour)

    @classmethod
    def from_endpoint(
        cls, endpoint_name: str, region: str | None = None, merge_variants: bool = False
    ) -> dict[str, SageMakerRTEndpointStorage]:
        """The storage of an endpoint as it is now: one dimension per variant, or one for all.

        Variants without storage are left out.
        """
        region, variants = _variants(endpoint_name, region)
        sizes = {
            name: config["VolumeSizeInGB"] * count
            for name, (config, count) in variants.items()
            if config.get("VolumeSizeInGB")
        }
        if merge_variants and sizes:
            return {cls.__name__: cls(gbs_provisioned=sum(sizes.values()), region=region)}
        return {
            _name(cls, name, variants): cls(gbs_provisioned=size, region=region)
            for name, size in sizes.items()
        }

    @staticmethod
    def fetch_sm_hosting_ebs_price(region: str | None) -> float:
        """The list price of a gigabyte for an hour, in USD, with months of 30 days."""
        price, _ = _fetch_single_product_ondemand_unit_price(
            region=region,
            attribute_values={"volumeType": "General Purpose-Hosting"},
            dim_unit="GB-Mo",
        )
        return price / _HOURS_PER_MONTH


def _hourly(result: Result, amount: float, price: float | None) -> float | None:
    if result.total_test_time is None or price is None:
        return None
    return ceil(result.total_test_time) * amount * price / 3600


def _variants(
    endpoint_name: str, region: str | None
) -> tuple[str, dict[str, tuple[dict[str, Any], float]]]:
    """The region of an endpoint, and the configuration and instances of each of its variants."""
    import boto3

    client: Any = boto3.client("sagemaker", region_name=region)
    endpoint = client.describe_endpoint(EndpointName=endpoint_name)
    config = client.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    configs = {one["VariantName"]: one for one in config["ProductionVariants"]}
    return client.meta.region_name, {
        one["VariantName"]: (configs[one["VariantName"]], one["CurrentInstanceCount"])
        for one in endpoint["ProductionVariants"]
    }


def _name(cls: type, variant: str, variants: dict[str, Any]) -> str:
    return cls.__name__ if len(variants) == 1 else f"{variant}_{cls.__name__}"


def _fetch_single_product_ondemand_unit_price(
    service_code: str = _SERVICE,
    region: str | None = None,
    attribute_values: dict[str, str] | None = None,
    dim_unit: str | None = None,
    currency: str = "USD",
) -> tuple[float, dict[str, Any]]:
    """The list price of a unit of the one product that has these attributes, and the product.

    Raises:
        ValueError: if not exactly one product, term and price match.
    """
    import boto3

    wanted = dict(attribute_values or {})
    if region:
        wanted["regionCode"] = region
    filters: Any = [{"Field": name, "Type": "TERM_MATCH", "Value": value} for name, value in wanted.items()]
    pricing: Any = boto3.client("pricing", region_name="us-east-1")
    pages = pricing.get_paginator("get_products").paginate(ServiceCode=service_code, Filters=filters)
    products = [json.loads(product) for page in pages for product in page["PriceList"]]
    product = _only(products, f"product with {wanted}")
    term = _only(list(product["terms"].get("OnDemand", {}).values()), "OnDemand term")
    prices = [
        price
        for price in term["priceDimensions"].values()
        if dim_unit is None or price["unit"].lower() == dim_unit.lower()
    ]
    by_currency = _only(prices, f"price with the unit {dim_unit!r}")["pricePerUnit"]
    if currency not in by_currency:
        raise ValueError(f"Expected a price in {currency}, got {', '.join(by_currency)}")
    return float(by_currency[currency]), product


def _only(found: list[Any], what: str) -> Any:
    if len(found) != 1:
        raise ValueError(f"Expected exactly one {what} in AWS's price list, got {len(found)}")
    return found[0]
