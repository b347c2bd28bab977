"""The callback that puts costs on responses and runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .._native import native
from ..base import Callback
from . import dimensions
from .dimensions import (
    CachedInputTokens,
    InputTokens,
    IRequestCostDimension,
    IRunCostDimension,
    OutputTokens,
    ReasoningTokens,
)
from .results import CalculatedCostWithDimensions

if TYPE_CHECKING:
    from ...endpoints.base import InvocationResponse
    from ...results import Result
    from ...runner import _RunConfig  # pyright: ignore[reportPrivateUsage]

__all__ = ["CostModel"]

_PREFIX = "cost_"
# Whose tokens another dimension takes out of its own, and where they stand in a response.
_APART = {
    InputTokens: (CachedInputTokens, "num_tokens_input", "num_tokens_input_cached"),
    OutputTokens: (ReasoningTokens, "num_tokens_output", "num_tokens_output_reasoning"),
}


@native
class CostModel(Callback):
    """What a run costs: a price for each dimension of its use.

    As a callback it puts `cost_<dimension>` and `cost_total` into the annotations of every response
    and into the statistics of the run. A dimension that has no count for a request is left out of
    it and voids nothing else; how many requests lack one is the statistic `cost_unknown_requests`.

    Args:
        request_dims: prices of each request, by name or named as their classes.
        run_dims: prices of the run as a whole.

    Raises:
        ValueError: if two dimensions have one name.

    Example:
        >>> from llmeter.callbacks.cost.dimensions import InputTokens, OutputTokens
        >>> model = CostModel([InputTokens(3.0), OutputTokens(15.0)])
    """

    def __init__(
        self,
        request_dims: (Mapping[str, IRequestCostDimension] | Iterable[IRequestCostDimension] | None) = None,
        run_dims: Mapping[str, IRunCostDimension] | Iterable[IRunCostDimension] | None = None,
    ):
        self.request_dims: dict[str, IRequestCostDimension] = {}
        self.run_dims: dict[str, IRunCostDimension] = {}
        # Costs of the present run's requests, if the run does not keep them.
        self._seen: list[CalculatedCostWithDimensions] | None = None
        for name, dimension in _named(request_dims):
            self._check_free(name)
            self.request_dims[name] = dimension
        for name, dimension in _named(run_dims):
            self._check_free(name)
            self.run_dims[name] = dimension

    def __repr__(self) -> str:
        return f"CostModel(request_dims={self.request_dims!r}, run_dims={self.run_dims!r})"

    def _check_free(self, name: str) -> None:
        if name in self.request_dims or name in self.run_dims:
            raise ValueError(
                f"Duplicate cost dimension name {name!r}: give the dimensions as a dict, by names"
            )

    def _parts(self) -> list[object]:
        return [*self.request_dims.values(), *self.run_dims.values()]

    async def calculate_request_cost(
        self, response: InvocationResponse, save: bool = False
    ) -> CalculatedCostWithDimensions:
        """What a request costs, without its share of the run's.

        Args:
            response: the request's response.
            save: whether to put the costs into the response's `annotations` too.
        """
        cost = CalculatedCostWithDimensions()
        for name, dimension in self.request_dims.items():
            part = await dimension.calculate(self._billed(response, dimension))
            if part is not None:
                cost[name] = part
        if save and cost:
            cost.save_on_namespace(response.annotations, key_prefix=_PREFIX)
        return cost

    async def calculate_run_cost(
        self, result: Result, recalculate_request_costs: bool = True, save: bool = False
    ) -> CalculatedCostWithDimensions:
        """What a run costs, its requests included.

        Args:
            result: the run.
            recalculate_request_costs: whether to calculate the costs of requests again instead of
                taking those on the responses.
            save: whether to put the costs on the result and into its `stats` too.
        """
        of_requests = await self._request_costs(result, recalculate_request_costs, save)
        total = CalculatedCostWithDimensions()
        for name, dimension in self.run_dims.items():
            part = await dimension.calculate(result)
            if part is not None:
                total[name] = part
        for cost in of_requests:
            total.merge({name: part for name, part in cost.items() if part is not None})
        if save:
            total.save_on_namespace(result, key_prefix=_PREFIX)
            stats = CalculatedCostWithDimensions.summary_statistics(
                [cost for cost in of_requests if cost],
                key_prefix=_PREFIX,
                key_dim_name_suffix="_per_request",
                key_total_name_and_suffix="per_request",
            )
            if unknown := self._count_unknown(of_requests):
                stats["cost_unknown_requests"] = unknown
            total.save_on_namespace(stats, key_prefix=_PREFIX)
            result._update_contributed_stats(stats)  # pyright: ignore[reportPrivateUsage]
        return total

    async def _request_costs(
        self, result: Result, again: bool, save: bool
    ) -> list[CalculatedCostWithDimensions]:
        if again:
            return [await self.calculate_request_cost(one, save=save) for one in result.responses]
        if not result.responses and self._seen is not None:
            return self._seen
        return [
            CalculatedCostWithDimensions.load_from_namespace(one.annotations, key_prefix=_PREFIX)
            for one in result.responses
        ]

    def _count_unknown(self, costs: list[CalculatedCostWithDimensions]) -> int:
        """Requests that lack a cost which every request has."""
        apart = tuple(part for part, _, _ in _APART.values())
        needed = [name for name, one in self.request_dims.items() if not isinstance(one, apart)]
        return sum(any(cost.get(name) is None for name in needed) for cost in costs)

    def _billed(self, response: InvocationResponse, dimension: IRequestCostDimension) -> InvocationResponse:
        """The response without those tokens that another dimension has a price for."""
        for cls, (part, name, part_name) in _APART.items():
            tokens, apart = getattr(response, name), getattr(response, part_name)
            is_apart = any(isinstance(other, part) for other in self.request_dims.values())
            if isinstance(dimension, cls) and is_apart and tokens and apart:
                return dataclasses.replace(response, **{name: max(tokens - apart, 0)})
        return response

    async def before_run(self, run_config: _RunConfig) -> None:
        """Tells the run's dimensions that it begins."""
        self._seen = [] if getattr(run_config, "low_memory", False) is True else None
        for dimension in self.run_dims.values():
            await dimension.before_run_start(run_config)

    async def after_invoke(self, response: InvocationResponse) -> None:
        """Puts the request's costs on the response."""
        cost = await self.calculate_request_cost(response, save=True)
        if self._seen is not None:
            self._seen.append(cost)

    async def after_run(self, result: Result) -> None:
        """Puts the run's costs on the result."""
        await self.calculate_run_cost(result, recalculate_request_costs=False, save=True)


def _named(given: Mapping[str, Any] | Iterable[Any] | None) -> list[tuple[str, Any]]:
    if isinstance(given, Mapping):
        return [(str(name), dimension) for name, dimension in given.items()]
    return [(type(dimension).__name__, dimension) for dimension in given or ()]


def load_former_cost_model(saved: dict[str, Any]) -> CostModel:
    """Makes a cost model of the forms that were written before 0.2.0.

    Raises:
        ValueError: if it is no cost model, or has a dimension that is not llmeter's own.
    """
    if saved.get("_type", "CostModel") != "CostModel" or not (saved.keys() & {"request_dims", "run_dims"}):
        raise ValueError("a saved callback is expected, with its class in __llmeter_class__")
    return CostModel(
        request_dims={
            name: _former(dimension) for name, dimension in (saved.get("request_dims") or {}).items()
        },
        run_dims={name: _former(dimension) for name, dimension in (saved.get("run_dims") or {}).items()},
    )


def _former(saved: dict[str, Any]) -> Any:
    arguments = dict(saved)
    kind = arguments.pop("_type", None)
    if kind in dimensions.__all__:
        return getattr(dimensions, kind)(**arguments)
    from .providers import sagemaker

    if kind in sagemaker.__all__:
        return getattr(sagemaker, kind)(**arguments)
    raise ValueError(f"a saved cost dimension is of an unknown type {kind!r}")
