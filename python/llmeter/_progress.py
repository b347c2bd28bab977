"""What is seen of a run under way: a bar, and the figures so far."""

from __future__ import annotations

import json
import time
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._core import RunData
    from .runner import _Run  # pyright: ignore[reportPrivateUsage]


_TRACK = "width:240px;height:6px;border-radius:3px;background:rgba(128,128,128,.3)"
_LINE = "display:flex;gap:10px;align-items:center;font-size:12px;margin:4px 0"


class RunDisplay:
    """A bar and a table of a run's figures, which a terminal or a notebook shows; nothing else does.

    In a terminal the bar is below the table, so that both know where they are.
    """

    def __init__(self, run: _Run, disabled: bool = False):
        self._is_time_bound = run.run_duration is not None
        self._bar: Any = None
        self._table: Any = None
        if disabled:
            return
        from .live_display import LiveStatsDisplay, place

        where = place()
        if where is None:
            return
        planned = (run.n_requests or 0) * run.clients
        if run._sends_each_once and isinstance(run.payload, list):  # pyright: ignore[reportPrivateUsage]
            planned = len(run.payload)
        seconds = run.run_duration if isinstance(run.run_duration, (int, float)) else None
        if where == "notebook":
            self._bar = _NotebookBar(str(run.run_name), planned, seconds)
        else:
            self._bar = _terminal_bar(planned, seconds)
        self._table = LiveStatsDisplay(display_stats=run.progress_bar_stats)
        self._show({}, 0, "reqs=0" if self._is_time_bound else "")

    def update(self, progress: str) -> None:
        """Shows the state that the core tells."""
        if self._bar is None:
            return
        state: dict[str, Any] = json.loads(progress)
        if self._is_time_bound:
            at = min(state["elapsed"], self._bar.total)
            prefix = f"reqs={state['recorded']}"
        else:
            at, prefix = state["recorded"], ""
        self._show(state["stats"], at, prefix)

    def conclude(self, data: RunData) -> None:
        """Shows the figures of a run that is over."""
        if self._bar is None:
            return
        stats: dict[str, Any] = json.loads(data.stats())
        recorded = stats["total_requests"]
        self._show(
            stats,
            self._bar.n if self._is_time_bound else recorded,
            f"reqs={recorded}" if self._is_time_bound else "",
        )

    def _show(self, stats: dict[str, Any], at: float, prefix: str) -> None:
        self._bar.clear()
        self._table.update(stats, extra_prefix=prefix)
        self._bar.n = at
        self._bar.refresh()

    def close(self) -> None:
        """Leaves the figures of a notebook, without the bar; in a terminal both go."""
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()
            self._table.close()


def _terminal_bar(planned: int, seconds: float | None) -> Any:
    from tqdm import tqdm

    if seconds is None:
        return tqdm(total=planned, leave=False, desc="Total requests")
    form = "{desc}: {bar}| {n:.0f}/{total:.0f}s [{elapsed}]"
    return tqdm(total=seconds, leave=False, desc="Elapsed", unit="s", bar_format=form)


class _NotebookBar:
    """A bar as HTML, in the colours of the notebook, light or dark. Needs no widgets."""

    def __init__(self, name: str, planned: int, seconds: float | None):
        self.total = planned if seconds is None else seconds
        self.n: float = 0
        self._name = name
        self._unit = "requests" if seconds is None else "s"
        self._began = time.monotonic()
        self._handle: Any = None

    def clear(self) -> None:
        """Nothing is in the way."""

    def refresh(self) -> None:
        """Shows how far the run is."""
        share = min(1, self.n / self.total) if self.total else 0
        bar = f"<div style='width:{share:.1%};height:100%;border-radius:3px;background:#3b82f6'></div>"
        self._show(f"<div style='{_TRACK}'>{bar}</div>")

    def close(self) -> None:
        """Leaves what the figures are of."""
        self._show("")

    def _show(self, bar: str) -> None:
        from IPython.display import HTML, display

        if self._unit == "s":
            told = f"{self.n:.1f} of {self.total:.1f} s"
        else:
            took = time.monotonic() - self._began
            told = f"{self.n:,.0f} of {self.total:,.0f} {self._unit}, {took:.1f} s"
        name = f"<b>{escape(self._name)}</b>"
        line = HTML(f"<div style='{_LINE}'>{name}{bar}<span>{told}</span></div>")
        if self._handle is None:
            self._handle = display(line, display_id=True)
        else:
            self._handle.update(line)
