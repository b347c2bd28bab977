"""Results as HTML for notebooks, light and dark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .comparison import Comparison
    from .experiments import LoadTestResult
    from .results import Result

# Colours are the notebook's own: they follow its theme.
_STYLE = (
    "<style>.llmeter{border-collapse:collapse;font-size:13px}"
    ".llmeter th,.llmeter td{padding:3px 10px;text-align:right;white-space:nowrap;"
    "border-bottom:1px solid color-mix(in srgb,currentColor 20%,transparent)}"
    ".llmeter th:first-child,.llmeter td:first-child{text-align:left}"
    ".llmeter caption{text-align:left;font-weight:600;padding:4px 0}"
    ".llmeter svg{vertical-align:middle;color:inherit}"
    ".llmeter .note,.llmeter.note{opacity:.75;font-weight:400}"
    ".llmeter .worse td:last-child{color:#dc2626;font-weight:600}"
    ".llmeter .better td:last-child{color:#16a34a;font-weight:600}</style>"
)
_LATENCIES = (
    ("TTFT", "time_to_first_token"),
    ("TTLT", "time_to_last_token"),
    ("TPOT", "time_per_output_token"),
    ("ITL", "inter_token_latency"),
)
_STATISTICS = ("average", "p50", "p90", "p99")
_BINS = 24


def result_table(result: Result) -> str:
    """A run: latencies with their distributions, rates, and the verdict."""
    stats = result.stats
    rows: list[str] = []
    for label, key in _LATENCIES:
        values = [stats.get(f"{key}-{statistic}") for statistic in _STATISTICS]
        if any(value is not None for value in values):
            cells = [_seconds(value) for value in values]
            rows.append(_row([label, *cells], _spark(_values(result, key))))
    head = _row(["", "average", "p50", "p90", "p99", ""], tag="th")
    title = escape(str(result.run_name or "run"))
    what = " · ".join(
        escape(str(part)) for part in (result.model_id, result.endpoint_name) if part
    )
    return (
        f'{_STYLE}<table class="llmeter"><caption>{title} <span class="note">{what}</span></caption>'
        f"{head}{''.join(rows)}</table>{_facts(stats)}"
    )


def load_test_table(test: LoadTestResult) -> str:
    """A load test: a row for each number of clients."""
    keys = (
        ("requests/min", "requests_per_minute"),
        ("output tokens/s", "output_tps"),
        ("failed", "failed_requests"),
    )
    latencies = (
        ("TTFT p50", "time_to_first_token-p50"),
        ("TTFT p90", "time_to_first_token-p90"),
        ("TTLT p50", "time_to_last_token-p50"),
        ("TTLT p90", "time_to_last_token-p90"),
    )
    rows: list[str] = []
    for clients, result in sorted(test.results.items()):
        stats = result.stats
        numbers = [_number(stats.get(key)) for _, key in keys]
        times = [_seconds(stats.get(key)) for _, key in latencies]
        spark = _spark(_values(result, "time_to_last_token"))
        rows.append(_row([str(clients), *numbers, *times], spark))
    head = _row(["clients", *(name for name, _ in (*keys, *latencies)), "TTLT"], tag="th")
    title = escape(str(test.test_name or "load test"))
    return f'{_STYLE}<table class="llmeter"><caption>{title}</caption>{head}{"".join(rows)}</table>'


def comparison_tables(comparison: Comparison) -> str:
    """A comparison: a table for each run that is compared with the base."""
    tables: list[str] = []
    for (title, (head, *rows)), pair in zip(comparison.tables, comparison.pairs, strict=True):
        unlike = "".join(
            f'<div class="note">not measured alike: {escape(str(one))}</div>' for one in pair["unlike"]
        )
        shown = "".join(_verdict_row(cells) for cells in rows)
        tables.append(
            f'<table class="llmeter"><caption>{escape(title)}{unlike}</caption>'
            f"{_row(head, tag='th')}{shown}</table>"
        )
    # What the mark at some figures stands for.
    legend = [line for line in comparison.text.splitlines() if line.startswith("* ")]
    notes = "<br>".join(escape(line) for line in [*legend, comparison.conclusion])
    return f'{_STYLE}{"".join(tables)}<div class="llmeter note">{notes}</div>'


def _verdict_row(cells: Sequence[str]) -> str:
    kind = {"worse": "worse", "better": "better"}.get(cells[-1], "")
    return f'<tr class="{kind}">{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'


def text_block(text: str) -> str:
    """Text of the core, as it is."""
    # Notebooks give `pre` the font of their prose.
    style = "font-family:monospace;font-size:12px;white-space:pre;overflow-x:auto"
    return f'<pre style="{style}">{escape(text)}</pre>'


def _facts(stats: dict[str, Any]) -> str:
    facts = [
        f"{_number(stats.get('total_requests'))} requests",
        f"{_number(stats.get('failed_requests'))} failed",
        f"{_number(stats.get('requests_per_minute'))} requests/min",
        f"{_number(stats.get('output_tps'))} output tokens/s",
    ]
    if stats.get("cost_total") is not None:
        facts.append(f"cost {_number(stats['cost_total'])}")
    verdict = stats.get("measurement_verdict")
    if verdict is not None:
        reasons = "; ".join(map(str, stats.get("measurement_reasons") or []))
        facts.append(f"measurement {escape(str(verdict))}" + (f": {escape(reasons)}" if reasons else ""))
    if stats.get("interrupted"):
        facts.append("interrupted")
    return f'<div class="llmeter note">{" · ".join(facts)}</div>'


def _row(cells: Iterable[str], last: str | None = None, tag: str = "td") -> str:
    cells = [f"<{tag}>{escape(cell)}</{tag}>" for cell in cells]
    if last is not None:
        cells.append(f"<{tag}>{last}</{tag}>")
    return f"<tr>{''.join(cells)}</tr>"


def _values(result: Result, key: str) -> list[float]:
    if key == "inter_token_latency" or not result.responses:
        return []
    values = result._column(key)  # pyright: ignore[reportPrivateUsage]
    return [value for value in values if isinstance(value, (int, float))]


def _spark(values: Sequence[float]) -> str:
    """A small histogram from the smallest value to the 99th percentile."""
    if len(values) < 5:
        return ""
    ordered = sorted(values)
    low, high = ordered[0], ordered[math.ceil(len(ordered) * 0.99) - 1]
    if high <= low:
        return ""
    counts = [0] * _BINS
    for value in ordered:
        if value <= high:
            counts[min(_BINS - 1, int((value - low) / (high - low) * _BINS))] += 1
    most = max(counts)
    bars = "".join(
        f'<rect x="{4 * at}" y="{20 - 20 * count / most:.1f}" width="3" height="{20 * count / most:.1f}"/>'
        for at, count in enumerate(counts)
        if count
    )
    label = f"from {_seconds(low)} to {_seconds(high)}"
    return (
        f'<svg width="{4 * _BINS}" height="20" role="img" aria-label="{label}" fill="currentColor"'
        f' fill-opacity=".6"><title>{label}</title>{bars}</svg>'
    )


def _seconds(value: Any) -> str:
    if not isinstance(value, (int, float)):
        return "–"
    if value < 1:
        return f"{value * 1000:.3g} ms"
    return f"{value:.3g} s"


def _number(value: Any) -> str:
    if not isinstance(value, (int, float)):
        return "–"
    if isinstance(value, int) or value.is_integer():
        return f"{int(value):,}"
    return f"{value:,.4g}"
