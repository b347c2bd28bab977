"""Statistics of responses by their input and output tokens."""

from __future__ import annotations

import importlib
import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..results import _get_stats_from_results  # pyright: ignore[reportPrivateUsage]
from ..utils import DeferredError

if TYPE_CHECKING:
    from ..endpoints.base import InvocationResponse
    from ..results import Result

__all__ = ["Heatmap", "Interval", "initialize_map"]


def __getattr__(name: str) -> Any:
    if name != "jmespath":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return importlib.import_module(name)
    except ImportError as error:
        return DeferredError(error)


@dataclass(frozen=True, order=True)
class Interval:
    """The numbers between two others."""

    left: float
    """Where it begins."""
    right: float
    """Where it ends."""
    closed: Literal["right", "left", "both", "neither"] = "right"
    """Which of its ends belong to it."""

    def __contains__(self, value: float) -> bool:
        if value == self.left:
            return self.closed in ("left", "both")
        if value == self.right:
            return self.closed in ("right", "both")
        return self.left < value < self.right

    def __str__(self) -> str:
        before = "[" if self.closed in ("left", "both") else "("
        after = "]" if self.closed in ("right", "both") else ")"
        return f"{before}{self.left}, {self.right}{after}"

    @property
    def mid(self) -> float:
        """The number in its middle."""
        return (self.left + self.right) / 2


class Heatmap:
    """Responses by their numbers of input and output tokens. Those without a number are left out.

    Args:
        responses: the responses …
        result: … or the run that they are from.
        n_bins_output_tokens: into how many bins output tokens are divided.
        n_bins_input_tokens: the same of input tokens.

    Raises:
        ValueError: if neither responses nor a result is given.
    """

    def __init__(
        self,
        responses: list[InvocationResponse] | None = None,
        result: Result | None = None,
        n_bins_output_tokens: int = 10,
        n_bins_input_tokens: int = 10,
    ):
        if not responses:
            if result is None:
                raise ValueError("Either responses or result must be provided")
            responses = result.responses
        self.responses = responses
        self.bins_output_tokens = n_bins_output_tokens
        self.bins_input_tokens = n_bins_input_tokens
        self._map, self.bin_boundaries_input, self.bin_boundaries_output = _bin_responses_by_tokens(
            responses, n_bins_output_tokens, n_bins_input_tokens
        )

    def get_map(self, metric: str, aggregation: str | None = None) -> dict[Interval, dict[Interval, Any]]:
        """A statistic of each bin, by output tokens (descending) and input tokens (ascending).

        Args:
            metric: a field of responses, or `counts`, `errors` or `error_rate`.
            aggregation: which statistic of the field, like `p50`; by default all of them.
        """
        path = f"{metric}.{aggregation}" if aggregation else metric
        return _get_heatmap_stats(_calculate_maps(self._map, [metric]), path)


def _cut(arr: Sequence[float], bins: int) -> tuple[list[Interval], list[Interval]]:
    """The bin of each number, and all bins."""
    from .. import _core

    edges = _core.heatmap_bins([float(value) for value in arr], bins)
    intervals = [Interval(_short(left), _short(right), "left") for left, right in edges]
    starts = [interval.left for interval in intervals]
    return [intervals[bisect_right(starts, value) - 1] for value in arr], intervals


def _short(value: float) -> float:
    return int(value) if value == int(value) else value


def initialize_map(n_bin_input: int, n_bin_output: int) -> list[list[None]]:
    """An empty table: a list for each bin of output tokens."""
    return [[None] * n_bin_input for _ in range(n_bin_output)]


def _bin_responses_by_tokens(
    responses: Sequence[Any], bins_output_tokens: int, bins_input_tokens: int
) -> tuple[dict[Interval, dict[Interval, list[Any]]], list[Interval], list[Interval]]:
    """Responses by output and input tokens, and the bins of both."""
    counted = [
        one for one in responses if one.num_tokens_input is not None and one.num_tokens_output is not None
    ]
    if not counted:
        return {}, [], []
    inputs, bins_input = _cut([one.num_tokens_input for one in counted], bins_input_tokens)
    outputs, bins_output = _cut([one.num_tokens_output for one in counted], bins_output_tokens)
    binned: dict[Interval, dict[Interval, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for response, input_bin, output_bin in zip(counted, inputs, outputs, strict=True):
        binned[output_bin][input_bin].append(response)
    return binned, bins_input, bins_output


def _counts_and_errors(results: Sequence[Any]) -> dict[str, Any]:
    """How many responses there are, and how many failed."""
    errors = sum(1 for response in results if response.error)
    rate = errors / len(results) if results else 0
    return {"counts": len(results), "errors": errors, "error_rate": rate}


def _calculate_maps(
    binned_data: Mapping[Any, Mapping[Any, Sequence[Any]]], metrics: Sequence[str]
) -> dict[Any, dict[Any, Any]]:
    """The statistics of each bin."""

    def of_bin(results: Sequence[Any]) -> dict[str, Any]:
        return {**_get_stats_from_results(results, metrics=metrics), **_counts_and_errors(results)}

    return _sort_map_labels(_map_nested_dicts(binned_data, of_bin))


def _sort_map_labels(heatmaps: Mapping[Any, Mapping[Any, Any]]) -> dict[Any, dict[Any, Any]]:
    return {outer: dict(sorted(heatmaps[outer].items())) for outer in sorted(heatmaps, reverse=True)}


def _map_nested_dicts(ob: Any, func: Callable[[Any], Any]) -> Any:
    """Calls a function on all values of dicts in dicts."""
    if isinstance(ob, Mapping):
        return {key: _map_nested_dicts(value, func) for key, value in ob.items()}
    return func(ob)


def _get_heatmap_stats(
    heatmaps: Mapping[Any, Mapping[Any, Any]], search_expression: str
) -> dict[Any, dict[Any, Any]]:
    """What a JMESPath finds in each bin."""
    jmespath = sys.modules[__name__].jmespath
    return {
        outer: {inner: jmespath.search(search_expression, value) for inner, value in bins.items()}
        for outer, bins in heatmaps.items()
    }
