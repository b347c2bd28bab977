"""A cost and what it consists of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...utils import summary_stats_from_list

__all__ = ["CalculatedCostWithDimensions"]


class CalculatedCostWithDimensions(dict[str, Any]):
    """Costs by the name of their dimension.

    Costs can be added with `+` and `sum`.

    Example:
        >>> cost = CalculatedCostWithDimensions(input=1, output=2)
        >>> (cost + {"output": 3}).total
        6
    """

    @property
    def total(self) -> Any:
        """The sum; `None` if a part of it is unknown."""
        parts = list(self.values())
        return None if any(part is None for part in parts) else sum(parts)

    def __add__(self, other: Mapping[str, Any] | int) -> CalculatedCostWithDimensions:
        result = CalculatedCostWithDimensions(self)
        # The sum of a list begins at 0.
        if other != 0:
            result.merge(other)
        return result

    __radd__ = __add__

    def merge(self, other: Any) -> None:
        """Adds another cost to this one.

        Raises:
            TypeError: if the other is no dict of costs.
        """
        if not isinstance(other, dict):
            raise TypeError(f"a cost is expected, a dict by dimension, got {type(other).__name__}")
        for name, cost in other.items():
            self[name] = self[name] + cost if name in self else cost

    @staticmethod
    def summary_statistics(
        calculated_costs: Iterable[CalculatedCostWithDimensions],
        key_prefix: str = "",
        key_dim_name_suffix: str = "",
        key_stat_name_prefix: str = "-",
        key_total_name_and_suffix: str = "total",
    ) -> dict[str, Any]:
        """Average and percentiles of many costs, by dimension and in total. Unknown costs do not count.

        A key is the prefix, the dimension with its suffix, the separator and the statistic.
        """
        by_key: dict[str, list[Any]] = {}
        totals: list[Any] = []
        for cost in calculated_costs:
            for name, part in cost.items():
                by_key.setdefault(f"{key_prefix}{name}{key_dim_name_suffix}", []).append(part)
            totals.append(cost.total)
        by_key[f"{key_prefix}{key_total_name_and_suffix}"] = totals
        return {
            f"{key}{key_stat_name_prefix}{statistic}": value
            for key, costs in by_key.items()
            for statistic, value in summary_stats_from_list(
                [cost for cost in costs if isinstance(cost, (int, float))]
            ).items()
        }

    @classmethod
    def load_from_namespace(
        cls, raw: object, key_prefix: str = "", ignore_total: bool = True
    ) -> CalculatedCostWithDimensions:
        """The costs among the attributes of an object or the items of a mapping.

        Args:
            raw: where to look, like a response's `annotations` or a `Result`.
            key_prefix: how the names of costs begin there, like `cost_`.
            ignore_total: whether to leave out the total.
        """
        if hasattr(raw, "__dict__"):
            items: Mapping[str, Any] = vars(raw)
        elif isinstance(raw, Mapping):
            items = raw
        else:
            items = {name: getattr(raw, name) for name in dir(raw)}
        costs = {
            name.removeprefix(key_prefix): value
            for name, value in items.items()
            if name.startswith(key_prefix)
        }
        if ignore_total:
            costs.pop("total", None)
        return cls(costs)

    def save_on_namespace(self, raw: object, key_prefix: str = "", include_total: bool = True) -> None:
        """Writes the costs to the attributes of an object or the items of a mapping."""
        costs = {**self, "total": self.total} if include_total else self
        for name, cost in costs.items():
            if hasattr(raw, "__setitem__"):
                raw[f"{key_prefix}{name}"] = cost  # pyright: ignore[reportIndexIssue]
            else:
                setattr(raw, f"{key_prefix}{name}", cost)
