"""Charts of runs and load tests."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from ..utils import DeferredError

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from .._core import RunData
    from ..experiments import LoadTestResult
    from ..results import Result

    color_sequences: Any
    """Plotly's sequential colour scales."""

_MODULES = {"go": "plotly.graph_objects", "px": "plotly.express", "color_sequences": "plotly.colors"}

# What the charts of a load test are drawn from.
_LOAD_TEST_FIELDS = ("time_to_first_token", "time_to_last_token")


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(_MODULES[name])
    except ImportError as error:
        return DeferredError(ImportError(f"charts need Plotly: pip install plotly ({error})"))
    return module.sequential if name == "color_sequences" else module


def _go() -> Any:
    return sys.modules[__name__].go


# One run


def plot_heatmap(
    result: Result,
    dimension: str,
    n_bins_x: int | None = None,
    n_bins_y: int | None = None,
    show_scatter: bool = False,
) -> go.Figure:
    """The average of a field over input and output tokens.

    Args:
        result: the run.
        dimension: the field, like `time_to_first_token`.
        n_bins_x: bins of input tokens.
        n_bins_y: bins of output tokens.
        show_scatter: whether to show the requests as well.

    Raises:
        ValueError: if responses have no such field.
    """
    fields = ("num_tokens_input", "num_tokens_output", dimension)
    arguments = {
        "dimension": dimension,
        "n_bins_x": n_bins_x,
        "n_bins_y": n_bins_y,
        "show_scatter": show_scatter,
    }
    return _figure("heatmap", [_data(result, fields)], arguments)


def scatter_histogram_2d(
    result: Result,
    x_dimension: str,
    y_dimension: str,
    n_bins_x: int | None = None,
    n_bins_y: int | None = None,
) -> go.Figure:
    """Two fields of every request against each other, with the distribution of each.

    Raises:
        ValueError: if responses have no such field.
    """
    arguments = {
        "x_dimension": x_dimension,
        "y_dimension": y_dimension,
        "n_bins_x": n_bins_x,
        "n_bins_y": n_bins_y,
    }
    try:
        data = _data(result, (x_dimension, y_dimension))
    except ValueError as error:
        raise ValueError(f"Invalid dimension: {x_dimension} or {y_dimension}") from error
    return _figure("scatter_histogram_2d", [data], arguments)


def histogram_by_dimension(
    result: Result,
    dimension: str,
    filter_dimension: str | None = None,
    filter_value: Any = None,
    **histogram_kwargs: Any,
) -> go.Histogram:
    """The distribution of a field, as a trace.

    Args:
        result: the run.
        dimension: the field.
        filter_dimension: a field by which requests are chosen.
        filter_value: its value.
        histogram_kwargs: further arguments of `plotly.graph_objects.Histogram`.
    """
    arguments = {
        "x": result.get_dimension(dimension, filter_dimension=filter_dimension, filter_value=filter_value),
        "name": result.run_name,
        "histnorm": "probability",
        **{name: value for name, value in histogram_kwargs.items() if value is not None},
    }
    return _go().Histogram(**arguments)


def boxplot_by_dimension(
    result: Result, dimension: str, name: str | None = None, **box_kwargs: Any
) -> go.Box:
    """The distribution of a field as a box, as a trace.

    Args:
        result: the run.
        dimension: the field.
        name: the trace's name; by default the run's.
        box_kwargs: further arguments of `plotly.graph_objects.Box`.
    """
    values = result.get_dimension(dimension)
    return _go().Box(x=values, name=name or result.run_name, **box_kwargs)


# Several runs


def histogram(*results: Result, dimension: str, names: Sequence[str] | None = None) -> go.Figure:
    """The distributions of a field in runs."""
    return _of_runs("histogram", results, names, dimension)


def ecdf(*results: Result, dimension: str, names: Sequence[str] | None = None) -> go.Figure:
    """Which share of the requests stays below which value of a field, in runs."""
    return _of_runs("ecdf", results, names, dimension)


def percentile_curve(*results: Result, dimension: str, names: Sequence[str] | None = None) -> go.Figure:
    """The percentiles of a field in runs, with the tail drawn out."""
    return _of_runs("percentile_curve", results, names, dimension)


def timeline(*results: Result, names: Sequence[str] | None = None) -> go.Figure:
    """How runs went over time."""
    return _of_runs("timeline", results, names)


def failures_by_kind(*results: Result, names: Sequence[str] | None = None) -> go.Figure:
    """Why requests failed in runs."""
    return _of_runs("failures_by_kind", results, names)


def waterfall(result: Result) -> go.Figure:
    """The phases of a run's requests, one below the other."""
    return _of_runs("waterfall", [result], None)


def _of_runs(
    name: str,
    results: Sequence[Result],
    names: Sequence[str] | None,
    dimension: str | None = None,
) -> go.Figure:
    data = [_data(result, (dimension,) if dimension else ()) for result in results]
    return _figure(name, data, {"dimension": dimension, "names": names})


# Load tests


def plot_load_test_results(
    load_test_result: LoadTestResult, log_scale: bool = True
) -> dict[str, go.Figure]:
    """The charts of a load test: TTFT and TTLT, throughput, failures, tokens, over the clients.

    Args:
        load_test_result: the load test.
        log_scale: whether axes are logarithmic.
    """
    drawn = _LoadTestCharts(load_test_result, log_scale)
    given: dict[str, Any] = {"log_scale": log_scale, "drawn": drawn}
    ttft, ttlt = _LOAD_TEST_FIELDS
    return {
        ttft: latency_clients_fig(load_test_result, ttft, **given),
        ttlt: latency_clients_fig(load_test_result, ttlt, **given),
        "requests_per_minute": rpm_clients_fig(load_test_result, **given),
        "error_rate": error_clients_fig(load_test_result, **given),
        "average_input_tokens_clients": average_input_tokens_clients_fig(load_test_result, **given),
        "average_output_tokens_clients": average_output_tokens_clients_fig(load_test_result, **given),
    }


def throughput_latency_curve(load_test_result: LoadTestResult) -> go.Figure:
    """Latency over throughput: where a server saturates."""
    data = [_data(one, _LOAD_TEST_FIELDS) for one in _levels(load_test_result).values()]
    arguments = {"test_name": load_test_result.test_name}
    return _figure("throughput_latency_curve", data, arguments)


def stat_clients(load_test_result: LoadTestResult, stat: str, **scatter_kwargs: Any) -> go.Scatter:
    """A statistic over the clients, as a trace.

    Args:
        load_test_result: the load test.
        stat: its key in `stats`, like `requests_per_minute`.
        scatter_kwargs: further arguments of `plotly.graph_objects.Scatter`.
    """
    levels = _levels(load_test_result).values()
    arguments = {
        "x": [result.clients for result in levels],
        "y": [result.stats.get(stat) for result in levels],
        "mode": "lines+markers",
        "name": load_test_result.test_name,
        "opacity": 0.5,
        "line": {"dash": "dot"},
        **scatter_kwargs,
    }
    return _go().Scatter(**arguments)


def latency_clients(load_test_result: LoadTestResult, dimension: str, **box_kwargs: Any) -> go.Box:
    """The distribution of a latency by clients, as a trace.

    Args:
        load_test_result: the load test.
        dimension: `time_to_first_token` or `time_to_last_token`.
        box_kwargs: further arguments of `plotly.graph_objects.Box`.

    Raises:
        ValueError: if responses have no such field, or there are none.
    """
    values: list[Any] = []
    clients: list[int] = []
    for level, result in _levels(load_test_result).items():
        try:
            column = result.get_dimension(dimension)
        except AttributeError as error:
            raise ValueError(f"Invalid dimension: {dimension}") from error
        values.extend(column)
        clients.extend([level] * len(column))
    if not values:
        raise ValueError("No valid data points found in results")
    name = dimension.replace("_", " ").capitalize()
    return _go().Box(**{"x": clients, "y": values, "name": name, **box_kwargs})


def latency_clients_fig(
    load_test_result: LoadTestResult,
    dimension: str,
    log_scale: bool = False,
    *,
    drawn: _LoadTestCharts | None = None,
    **box_kwargs: Any,
) -> go.Figure:
    """The distribution of a latency over the clients.

    Raises:
        ValueError: if it cannot be drawn.
    """
    if dimension not in _LOAD_TEST_FIELDS:
        raise ValueError(f"Invalid dimension: {dimension}: {' or '.join(_LOAD_TEST_FIELDS)}")
    return _load_test_figure(load_test_result, dimension, log_scale, drawn, box_kwargs)


def rpm_clients_fig(
    load_test_result: LoadTestResult,
    log_scale: bool = False,
    *,
    drawn: _LoadTestCharts | None = None,
    **scatter_kwargs: Any,
) -> go.Figure:
    """Requests per minute over the clients."""
    key = "requests_per_minute"
    return _load_test_figure(load_test_result, key, log_scale, drawn, scatter_kwargs)


def error_clients_fig(
    load_test_result: LoadTestResult,
    log_scale: bool = False,
    *,
    drawn: _LoadTestCharts | None = None,
    **scatter_kwargs: Any,
) -> go.Figure:
    """The share of failed requests over the clients."""
    return _load_test_figure(load_test_result, "error_rate", log_scale, drawn, scatter_kwargs)


def average_input_tokens_clients_fig(
    load_test_result: LoadTestResult,
    log_scale: bool = False,
    *,
    drawn: _LoadTestCharts | None = None,
    **scatter_kwargs: Any,
) -> go.Figure:
    """Input tokens per minute over the clients."""
    key = "average_input_tokens_clients"
    return _load_test_figure(load_test_result, key, log_scale, drawn, scatter_kwargs)


def average_output_tokens_clients_fig(
    load_test_result: LoadTestResult,
    log_scale: bool = False,
    *,
    drawn: _LoadTestCharts | None = None,
    **scatter_kwargs: Any,
) -> go.Figure:
    """Output tokens per minute over the clients."""
    key = "average_output_tokens_clients"
    return _load_test_figure(load_test_result, key, log_scale, drawn, scatter_kwargs)


class _LoadTestCharts:
    """All charts of a load test, which the core draws at once."""

    def __init__(self, load_test_result: LoadTestResult, log_scale: bool):
        self._result = load_test_result
        self._log_scale = log_scale

    @cached_property
    def by_key(self) -> dict[str, Any]:
        """The charts as Plotly's JSON."""
        from .. import _core

        levels = _levels(self._result).values()
        arguments = {"test_name": self._result.test_name, "log_scale": self._log_scale}
        data = [_data(result, _LOAD_TEST_FIELDS) for result in levels]
        charts: dict[str, Any] = json.loads(_core.figure("load_test", data, json.dumps(arguments)))
        return charts


def _load_test_figure(
    load_test_result: LoadTestResult,
    key: str,
    log_scale: bool,
    drawn: _LoadTestCharts | None,
    trace_arguments: dict[str, Any],
) -> go.Figure:
    charts = drawn or _LoadTestCharts(load_test_result, log_scale)
    figure = _shown(charts.by_key[key])
    if trace_arguments:
        figure.update_traces(**trace_arguments)
    return figure


def _levels(load_test_result: LoadTestResult) -> dict[int, Result]:
    """The runs of a load test in the order of their clients."""
    return dict(sorted(load_test_result.results.items()))


# The core


def _figure(name: str, data: Sequence[RunData], arguments: Mapping[str, Any]) -> go.Figure:
    from .. import _core

    given = {key: value for key, value in arguments.items() if value is not None}
    return _shown(json.loads(_core.figure(name, data, json.dumps(given))))


def _shown(figure: dict[str, Any]) -> Any:
    """A figure of Plotly's, of the JSON that its script draws.

    The script passes over what a trace has no use for, and so do we.
    """
    return _go().Figure(figure, skip_invalid=True)


def _data(result: Any, fields: Iterable[str]) -> RunData:
    """A result as the core holds it.

    Of anything else that has its attributes, the fields are taken that a chart is drawn from.
    """
    from .. import _core
    from ..results import Result

    fields = tuple(fields)
    columns: dict[str, list[Any]] = {}
    for name in fields:
        try:
            columns[name] = result.get_dimension(name)
        except AttributeError as error:
            raise ValueError(f"Dimension {name} not found in result") from error
    if type(result) is Result and "get_dimension" not in vars(result):
        try:
            return result._core_data()  # pyright: ignore[reportPrivateUsage]
        except TypeError:
            # Its responses are stand-ins.
            pass
    rows = zip(*columns.values(), strict=True) if columns else iter(())
    lines = [json.dumps(dict(zip(columns, map(_plain, row), strict=True))) for row in rows]
    summary = json.dumps({"clients": _plain(result.clients), "total_requests": len(lines)})
    stats = {name: _plain(value) for name, value in result.stats.items()}
    numbers = {name: value for name, value in stats.items() if value is not None}
    data = _core.result_from_lines(lines, summary)
    data.update(summary, json.dumps(numbers))
    return data


def _plain(value: Any) -> Any:
    """A number as JSON has it, whatever package it is of; `None` of anything else."""
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else None
