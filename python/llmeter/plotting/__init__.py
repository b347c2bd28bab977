"""Charts as figures of Plotly: `pip install 'llmeter[plotting]'`.

The core draws them; Plotly shows them, and lets you change them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .plotting import (
    boxplot_by_dimension,
    ecdf,
    failures_by_kind,
    histogram,
    histogram_by_dimension,
    percentile_curve,
    plot_heatmap,
    plot_load_test_results,
    scatter_histogram_2d,
    throughput_latency_curve,
    timeline,
    waterfall,
)

if TYPE_CHECKING:
    from .plotting import color_sequences

__all__ = [
    "boxplot_by_dimension",
    "color_sequences",
    "ecdf",
    "failures_by_kind",
    "histogram",
    "histogram_by_dimension",
    "percentile_curve",
    "plot_heatmap",
    "plot_load_test_results",
    "scatter_histogram_2d",
    "throughput_latency_curve",
    "timeline",
    "waterfall",
]


def __getattr__(name: str) -> Any:
    if name != "color_sequences":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import plotting

    return plotting.color_sequences
