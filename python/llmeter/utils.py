"""Small tools that users of llmeter import: paths, times, statistics of a list."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, cast, overload

__all__ = [
    "AnyPath",
    "DeferredError",
    "RunningStats",
    "ensure_path",
    "now_utc",
    "summary_stats_from_list",
]

AnyPath: TypeAlias = str | os.PathLike[str]
"""A local path, or a URL like `s3://bucket/folder`."""


class DeferredError:
    """Stands for a package that is missing, and raises its error when it is used.

    Example:
        >>> try:
        ...     import plotly
        ... except ImportError as error:
        ...     plotly = DeferredError(error)
    """

    def __init__(self, exception: BaseException):
        self.exc = exception

    def __getattr__(self, name: str) -> NoReturn:
        raise self.exc


def now_utc() -> datetime:
    """The present time in UTC."""
    return datetime.now(timezone.utc)


@overload
def ensure_path(path: AnyPath) -> Path: ...
@overload
def ensure_path(path: None) -> None: ...
def ensure_path(path: AnyPath | None) -> Path | None:
    """A path object of what users give as a path; `None` stays `None`.

    With the package universal-pathlib it is a `UPath`, which reaches cloud storage too.

    Raises:
        ImportError: if the path is a URL and universal-pathlib is missing.
    """
    given: Any = path
    if given is None or hasattr(given, "fs"):
        return cast("Path | None", given)
    try:
        from upath import UPath
    except ImportError as error:
        if "://" in os.fspath(given):
            raise ImportError(f"{os.fspath(given)!r} is a URL: pip install universal-pathlib") from error
        return Path(given)
    return cast("Path", UPath(given))


def summary_stats_from_list(
    data: Sequence[int | float], percentiles: Sequence[int] = (50, 90, 99)
) -> dict[str, int | float]:
    """The average and percentiles (`p50`, …) of a list, in which NaN does not count.

    The percentiles are those of `statistics.quantiles`, which can lie beyond the data. Statistics
    of a run come from the core, whose percentiles never do.

    Raises:
        ValueError: if a percentile is no whole number from 1 to 99.
    """
    values = sorted(value for value in data if not math.isnan(value))
    if not values:
        return {}
    result: dict[str, int | float] = {"average": statistics.mean(values)}
    for percentile in percentiles:
        if not 1 <= percentile <= 99 or percentile != int(percentile):
            raise ValueError(f"Invalid percentile {percentile}: give a whole number from 1 to 99")
        result[f"p{percentile}"] = _percentile(values, int(percentile))
    return result


def _percentile(values: list[int | float], percentile: int) -> int | float:
    if len(values) == 1:
        return values[0]
    if percentile == 50:
        return statistics.median(values)
    # The coarsest base that has the percentile, since the result's rounding depends on it.
    base = next(base for base in (4, 10, 100) if percentile * base % 100 == 0)
    return statistics.quantiles(values, n=base)[percentile * base // 100 - 1]


class RunningStats:
    """Statistics of responses as they come, for progress displays of your own.

    A run computes its own in the core; `Runner.run` returns them in `Result.stats`.

    Args:
        metrics: the fields of a response to summarize, like `time_to_first_token`.

    Example:
        >>> stats = RunningStats(["time_to_first_token"])
        >>> stats.update({"time_to_first_token": 0.25, "error": None})
        >>> stats.to_stats()["time_to_first_token-p50"]
        0.25
    """

    def __init__(self, metrics: Iterable[str]):
        self._metrics = list(metrics)
        self._count = 0
        self._failed = 0
        self._first_send_time: datetime | None = None
        self._last_send_time: datetime | None = None
        self._sums: dict[str, float] = {metric: 0.0 for metric in self._metrics}
        self._values: dict[str, list[float]] = {metric: [] for metric in self._metrics}

    def update(self, response_dict: Mapping[str, Any]) -> None:
        """Counts one response, in the form of `InvocationResponse.to_dict`."""
        self._count += 1
        self._failed += response_dict.get("error") is not None
        if (sent := response_dict.get("request_time")) is not None:
            self._first_send_time = min(sent, self._first_send_time or sent)
            self._last_send_time = max(sent, self._last_send_time or sent)
        for metric in self._metrics:
            value = response_dict.get(metric)
            if value is not None and not math.isnan(value):
                self._sums[metric] += value
                self._values[metric].append(value)

    def to_stats(
        self,
        end_time: datetime | None = None,
        result_dict: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The statistics so far, after the keys of `result_dict`.

        Rates of output need `end_time`, the end of the run; without it they are left out.
        """
        total_in = self._sums.get("num_tokens_input", 0)
        total_out = self._sums.get("num_tokens_output", 0)
        stats: dict[str, Any] = {
            **(result_dict or {}),
            "failed_requests": self._failed,
            "failed_requests_rate": self._failed / self._count if self._count else 0,
            "total_input_tokens": total_in,
            "total_output_tokens": total_out,
        }
        for metric, values in self._values.items():
            summary = summary_stats_from_list(values)
            stats.update({f"{metric}-{name}": value for name, value in summary.items()})
        if window := self._send_window():
            stats["requests_per_minute"] = self._count * 60 / window
            stats["average_input_tokens_per_minute"] = total_in * 60 / window
        first = self._first_send_time
        if first is not None and end_time is not None and end_time > first:
            window = (end_time - first).total_seconds()
            stats["average_output_tokens_per_minute"] = total_out * 60 / window
            stats["output_tps"] = total_out / window
        return stats

    def _send_window(self) -> float | None:
        """Seconds from the first request to the last; `None` of fewer than two times."""
        first, last = self._first_send_time, self._last_send_time
        if first is None or last is None or first == last:
            return None
        return (last - first).total_seconds()
