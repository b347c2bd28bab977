"""Figures of a run while it is under way: a table in notebooks, lines in terminals."""

from __future__ import annotations

import html
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

__all__ = ["DEFAULT_DISPLAY_STATS", "DEFAULT_GROUPS", "LiveStatsDisplay"]

Groups: TypeAlias = Sequence[tuple[str, Sequence[str]]]
StatSpec: TypeAlias = str | Sequence[str]

DEFAULT_GROUPS: Groups = (
    ("Throughput", ("rpm", "tps")),
    ("TTFT", ("ttft",)),
    ("TTLT", ("ttlt",)),
    ("Tokens", ("token",)),
    ("Errors", ("fail",)),
    ("Other", ("",)),
)
"""Groups in their order. A figure belongs to the first that has a part of its label."""

DEFAULT_DISPLAY_STATS: dict[str, StatSpec] = {
    "rpm": "requests_per_minute",
    "output_tps": "output_tps",
    "p50_ttft": "time_to_first_token-p50",
    "p90_ttft": "time_to_first_token-p90",
    "p50_ttlt": "time_to_last_token-p50",
    "p90_ttlt": "time_to_last_token-p90",
    "p50_tps": ("time_per_output_token-p50", "inv"),
    "input_tokens": "total_input_tokens",
    "output_tokens": "total_output_tokens",
    "fail": "failed_requests",
}
"""What is shown: a label, and the key in a run's `stats`; with `"inv"` its reciprocal."""

_MISSING = "—"
_COUNTS = ("total_", "failed_requests")


class LiveStatsDisplay:
    """Shows figures of a run, in place of those before.

    Args:
        disabled: whether to show nothing.
        groups: how figures are grouped.
        display_stats: which figures are shown under which labels; an empty dict shows none.
    """

    def __init__(
        self,
        disabled: bool = False,
        groups: Groups = DEFAULT_GROUPS,
        display_stats: Mapping[str, StatSpec] | None = None,
    ):
        self._disabled = disabled
        self._groups = groups
        self._display_stats = DEFAULT_DISPLAY_STATS if display_stats is None else display_stats
        self._is_notebook = _in_notebook()
        self._handle: Any = None
        self._last_line_count = 0

    def format_stats(self, raw: Mapping[str, Any]) -> dict[str, str]:
        """The figures as texts, by label. One that is missing is a dash."""
        texts: dict[str, str] = {}
        for label, spec in self._display_stats.items():
            # A file has a list in the place of a tuple.
            key, invert = (spec, False) if isinstance(spec, str) else (spec[0], "inv" in spec[1:])
            value = raw.get(key)
            if value is None:
                texts[label] = _MISSING
            elif not isinstance(value, (int, float)):
                texts[label] = str(value)
            else:
                is_count = key.startswith(_COUNTS) and value == int(value)
                texts[label] = _format_stat(key, int(value) if is_count else value, invert=invert)
        return texts

    def update(self, raw_stats: Mapping[str, Any], extra_prefix: str = "") -> None:
        """Shows new figures.

        Args:
            raw_stats: statistics as `Result.stats` has them.
            extra_prefix: a text before them.
        """
        stats = {} if self._disabled else self.format_stats(raw_stats)
        if not stats:
            return
        if self._is_notebook:
            self._update_notebook(stats, extra_prefix)
        else:
            self._update_terminal(stats, extra_prefix)

    def close(self) -> None:
        """Ends the display. The table of a notebook stays, lines in a terminal go."""
        if not self._disabled and not self._is_notebook:
            self._erase()
            sys.stderr.flush()

    def _update_notebook(self, stats: dict[str, str], extra_prefix: str) -> None:
        from IPython.display import HTML, display

        table = HTML(_table(_group_stats(stats, self._groups), extra_prefix))
        if self._handle is None:
            self._handle = display(table, display_id=True)
        else:
            self._handle.update(table)

    def _update_terminal(self, stats: dict[str, str], extra_prefix: str) -> None:
        lines = [f"  {extra_prefix}"] if extra_prefix else []
        for group, figures in _group_stats(stats, self._groups).items():
            shown = "  ".join(f"{label}={text}" for label, text in figures)
            lines.append(f"  {group}: {shown}")
        self._erase()
        sys.stderr.write("\n".join(lines) + "\n")
        sys.stderr.flush()
        self._last_line_count = len(lines)

    def _erase(self) -> None:
        if self._last_line_count:
            sys.stderr.write(f"\033[{self._last_line_count}A\033[J")
            self._last_line_count = 0


def _format_stat(key: str, value: float, *, invert: bool = False) -> str:
    if invert and value > 0:
        return f"{1 / value:.1f} tok/s"
    if "tps" in key:
        return f"{value:.1f} tok/s"
    if any(part in key for part in ("time", "ttft", "ttlt")):
        return f"{value:.3f}s"
    return str(value) if isinstance(value, int) else f"{value:.1f}"


def _classify(key: str, groups: Groups = DEFAULT_GROUPS) -> str:
    """The group of a label."""
    label = key.lower()
    for group, parts in groups:
        if any(part and part in label for part in parts):
            return group
    return "Other"


def _group_stats(
    stats: Mapping[str, str], groups: Groups = DEFAULT_GROUPS
) -> OrderedDict[str, list[tuple[str, str]]]:
    """Labels and texts by group, in the groups' order and without empty ones."""
    grouped = OrderedDict((group, list[tuple[str, str]]()) for group, _ in groups)
    for label, text in stats.items():
        grouped.setdefault(_classify(label, groups), []).append((label, text))
    return OrderedDict((group, figures) for group, figures in grouped.items() if figures)


def place() -> Literal["notebook", "terminal"] | None:
    """Where a display is seen, if it is."""
    if _in_notebook():
        return "notebook"
    return "terminal" if sys.stderr.isatty() else None


def _in_notebook() -> bool:
    # Who has not imported IPython is in none.
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    # That of Google Colab is derived from it.
    return any(cls.__name__ == "ZMQInteractiveShell" for cls in type(get_ipython()).__mro__)


_HEAD_STYLE = (
    "padding:2px 10px;font-size:11px;opacity:.6;text-align:left;"
    "border-bottom:1px solid rgba(128,128,128,.4)"
)
_CELL_STYLE = "padding:1px 10px;font-size:12px;text-align:left"


def _table(groups: Mapping[str, list[tuple[str, str]]], prefix: str) -> str:
    """A table with a column for each group. Its colours are the page's, light or dark."""
    heads = "".join(f"<th style='{_HEAD_STYLE}'>{html.escape(group)}</th>" for group in groups)
    rows: list[str] = []
    for index in range(max(len(figures) for figures in groups.values())):
        cells = (
            _cell(*figures[index]) if index < len(figures) else "<td></td>" for figures in groups.values()
        )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    before = f"<code style='font-size:12px'>{html.escape(prefix)}</code><br>" if prefix else ""
    return (
        f"{before}<table style='border-collapse:collapse;margin:4px 0'>"
        f"<tr>{heads}</tr>{''.join(rows)}</table>"
    )


def _cell(label: str, text: str) -> str:
    return (
        f"<td style='{_CELL_STYLE}'><span style='opacity:.7'>{html.escape(label)}</span>&nbsp;&nbsp;"
        f"<span style='font-family:monospace'>{html.escape(text)}</span></td>"
    )
