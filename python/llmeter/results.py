"""What a run leaves behind."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from numbers import Number
from typing import TYPE_CHECKING, Any

from . import _lazy
from ._table import RequestTable
from .endpoints._response import InvocationResponse
from .serialization import json_default, restore_dataclass_types
from .utils import AnyPath, ensure_path

if TYPE_CHECKING:
    from ._core import RunData

__all__ = ["Result"]

logger = logging.getLogger(__name__)


@dataclass(repr=False)
class Result(RequestTable):
    """The outcome of a run: its responses, what it was, and its statistics.

    Attributes:
        responses: the responses in order of completion; empty after a run in low memory, or if they
            were not loaded.
        total_requests: recorded responses, not planned ones.
        clients: how many clients sent at the same time.
        n_requests: requests for each client.
        total_test_time: seconds from the start of the clients to the end of the last.
        model_id: the model, as the API calls it.
        output_path: the run's folder; `None` if nothing was written.
        endpoint_name: what the endpoint is called.
        provider: who runs it.
        run_name: the run's name.
        run_description: what the run is for.
        start_time: when the run began.
        first_request_time: when the first request was sent.
        last_request_time: when the last one was sent.
        end_time: when everything was processed.
    """

    responses: list[InvocationResponse]
    total_requests: int | None = None
    clients: int = 1
    n_requests: int | None = None
    total_test_time: float | None = None
    model_id: str | None = None
    output_path: AnyPath | None = None
    endpoint_name: str | None = None
    provider: str | None = None
    run_name: str | None = None
    run_description: str | None = None
    start_time: datetime | None = None
    first_request_time: datetime | None = None
    last_request_time: datetime | None = None
    end_time: datetime | None = None

    def __post_init__(self) -> None:
        self._contributed_stats: dict[str, Any] = {}
        self._preloaded_stats: dict[str, Any] | None = None
        self._data: RunData | None = None

    @classmethod
    def _of_data(cls, data: RunData, extras: dict[str, Any] | None = None) -> Result:
        """The result that the core has."""
        summary: dict[str, Any] = json.loads(data.summary())
        restore_dataclass_types(cls, summary)
        if summary.get("output_path") is not None:
            summary["output_path"] = ensure_path(summary["output_path"])
        result = cls(responses=_lazy.responses_of(data, extras), **summary)
        result._data = data
        result._preloaded_stats = result._stats_of(data)
        return result

    def _stats_of(self, data: RunData) -> dict[str, Any]:
        return {**json.loads(data.stats()), **self.to_dict()}

    def _core_data(self) -> RunData:
        """The result as the core works with it, with what Python changed of it."""
        from . import _core

        known = self._preloaded_stats or {}
        errors = {key: known[key] for key in ("callback_errors",) if key in known}
        contributed = json.dumps({**errors, **self._contributed_stats}, default=json_default)
        if self._data is not None and (
            _lazy.are_unread(self.responses, self._data) or not self.responses
        ):
            self._data.update(self.to_json(), contributed)
            return self._data
        lines = [response.to_json() for response in self.responses]
        names = {field.name for field in fields(self)}
        stats = {key: value for key, value in known.items() if key not in names}
        data = _core.result_from_lines(
            lines, self.to_json(), json.dumps(stats, default=json_default)
        )
        data.update(self.to_json(), contributed)
        return data

    # Statistics

    @property
    def stats(self) -> dict[str, Any]:
        """All statistics, flat: the fields of the result, those of the requests, the measurement's record.

        A metric has `-average`, `-p50`, `-p90`, `-p99` and more, as in `time_to_first_token-p90`.
        docs/metrics.md lists every key. Each access gives a fresh dict.
        """
        if self._preloaded_stats is None:
            self._preloaded_stats = self._compute_stats(self)
        return {**self._preloaded_stats, **self._contributed_stats}

    @classmethod
    def _compute_stats(cls, result: Result) -> dict[str, Any]:
        from . import _core

        lines = [response.to_json() for response in result.responses]
        return {**json.loads(_core.stats(lines, result.to_json())), **result.to_dict()}

    def _update_contributed_stats(self, stats: dict[str, Any]) -> None:
        """Adds statistics of a callback's own, which stand above all others.

        Raises:
            ValueError: if it is no dict, or a value is no number.
        """
        if not isinstance(stats, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError("Stats must be a dictionary")
        for key, value in stats.items():
            if not isinstance(value, Number):
                raise ValueError(f"Value for key {key} must be a number, got {type(value)}")
        self._contributed_stats.update(stats)

    def get_dimension(
        self,
        dimension: str,
        filter_dimension: str | None = None,
        filter_value: Any = None,
    ) -> list[Any]:
        """The values of one field over all responses, `None` where it is unset.

        Args:
            dimension: a field of `InvocationResponse`.
            filter_dimension: take only responses in which this field …
            filter_value: … has this value.
        """
        if filter_dimension is None:
            values = self._column(dimension)
        else:
            pairs = zip(self._column(dimension), self._column(filter_dimension), strict=True)
            values = [value for value, other in pairs if other == filter_value]
        if not any(values):
            logger.warning("Dimension %s not found in any response", dimension)
        return values

    def _column(self, name: str) -> list[Any]:
        data = self._data
        plain = InvocationResponse.__annotations__.get(name, "")
        if data is None or not _lazy.are_unread(self.responses, data) or not plain.startswith(
            ("float", "int", "str |")
        ) or "dict" in plain:
            return [getattr(response, name) for response in self.responses]
        return data.column(name)

    # Files

    def save(self, output_path: AnyPath | None = None) -> None:
        """Writes `summary.json` and `stats.json`, and `responses.jsonl` if it is not there.

        Args:
            output_path: the folder, by default the run's own.

        Raises:
            ValueError: if there is no folder.
        """
        path = output_path or self.output_path
        if path is None:
            raise ValueError("No output path provided")
        self._core_data().save(str(path))

    @classmethod
    def load(cls, result_path: AnyPath, load_responses: bool = True) -> Result:
        """Loads a run folder, also of an interrupted run or of an older version.

        Args:
            result_path: the folder, here or in the cloud.
            load_responses: without them, only summary and statistics are read, as they were saved;
                `load_responses()` reads them later.

        Raises:
            FileNotFoundError: if the folder holds no run.
        """
        from . import _core

        try:
            data = _core.load_result(str(result_path), load_responses)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error}: there is no data to recover") from None
        for warning in data.warnings():
            logger.warning("%s", warning)
        return cls._of_data(data)

    def load_responses(self) -> list[InvocationResponse]:
        """Reads the responses of a result that was made or loaded without them.

        Raises:
            ValueError: if the result has no folder.
            FileNotFoundError: if the folder has no responses.
        """
        if not self.output_path:
            raise ValueError("No output_path set on this Result. Cannot locate responses file.")
        from . import _core

        data = _core.load_result(str(self.output_path), True)
        if len(data) == 0 and not (ensure_path(self.output_path) / "responses.jsonl").exists():
            raise FileNotFoundError(f"{self.output_path} has no responses.jsonl")
        self._data = data
        self.responses = _lazy.responses_of(data)
        self._preloaded_stats = self._stats_of(data)
        return self.responses

    # Other forms

    def to_dict(self, include_responses: bool = False) -> dict[str, Any]:
        """The fields as a dict with Python values; `include_responses` adds the responses."""
        if include_responses:
            return asdict(self)
        names = (field.name for field in fields(self) if field.name != "responses")
        return {name: getattr(self, name) for name in names}

    def to_json(
        self, default: Callable[[Any], Any] | None = json_default, **kwargs: Any
    ) -> str:
        """The fields as JSON, without responses. Keyword arguments are those of `json.dumps`."""
        return json.dumps(self.to_dict(), default=default, **kwargs)

    def _runs(self) -> dict[str, RunData]:
        return {self.run_name or "run": self._core_data()}

    def summary(self) -> str:
        """The summary that the command line prints."""
        from . import _core

        return _core.summary_text(self._core_data())

    @property
    def warnings(self) -> list[str]:
        """What was found wrong with the run or its files, one sentence each."""
        return [] if self._data is None else self._data.warnings()

    @property
    def verdict(self) -> str | None:
        """How far the measurement can be trusted: `clean`, `degraded` or `client-bound`."""
        return self.stats.get("measurement_verdict")

    def check(self, *conditions: str) -> list[str]:
        """Which conditions, like `ttft-p99 < 500ms`, the run does not meet, and why; none if all are met.

        Raises:
            ValueError: if one is no condition.
        """
        from . import _core

        data = self._core_data()
        found = (_core.check(data, condition) for condition in conditions)
        return [reason for reason in found if reason is not None]

    def report(self, path: AnyPath | None = None, format: str = "html") -> str:
        """Makes a report with charts of the run, which must have a folder.

        Args:
            path: the file, or for images the folder; `None` gives the report as text.
            format: `html`, `md`, `json`, `csv`, `parquet`, `svg` or `png`.
        """
        from . import _core

        if self.output_path is None:
            raise ValueError("a report needs the run's folder: give output_path, or save the result")
        return _core.report([str(self.output_path)], format, None if path is None else str(path))

    def __str__(self) -> str:
        return json.dumps(self.stats, indent=4, default=json_default)

    def __repr__(self) -> str:
        return self.to_json()

    def _repr_html_(self) -> str:
        from ._html import result_table

        return result_table(self)


# Names of 0.2.0 that scripts may have imported.

_RUN_STATS = (
    "failed_requests",
    "failed_requests_rate",
    "requests_per_minute",
    "total_input_tokens",
    "total_output_tokens",
    "total_cached_input_tokens",
    "total_reasoning_output_tokens",
    "average_input_tokens_per_minute",
    "average_output_tokens_per_minute",
)


def _get_stats_from_results(  # pyright: ignore[reportUnusedFunction]
    results: Result | Sequence[InvocationResponse | dict[str, Any]], metrics: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Average and percentiles of some metrics."""
    from . import _core

    responses = results.responses if isinstance(results, Result) else results
    lines = [
        json.dumps(one, default=json_default) if isinstance(one, dict) else one.to_json()
        for one in responses
    ]
    stats: dict[str, Any] = json.loads(_core.stats(lines, "{}"))
    names = ("average", "p50", "p90", "p99")
    return {
        metric: {name: stats[key] for name in names if (key := f"{metric}-{name}") in stats}
        for metric in metrics
    }


def _get_run_stats(results: Result) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
    """Counts and rates of a run."""
    stats = Result._compute_stats(results)  # pyright: ignore[reportPrivateUsage]
    return {name: stats.get(name) for name in _RUN_STATS}
