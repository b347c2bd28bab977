"""What is seen of a run under way: a bar, and the figures so far."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .runner import _Run  # pyright: ignore[reportPrivateUsage]


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
        from .live_display import LiveStatsDisplay, is_seen

        if not is_seen():
            return
        from tqdm.auto import tqdm

        planned = (run.n_requests or 0) * run.clients
        if run._sends_each_once and isinstance(run.payload, list):  # pyright: ignore[reportPrivateUsage]
            planned = len(run.payload)
        if isinstance(run.run_duration, (int, float)):
            form = "{desc}: {bar}| {n:.0f}/{total:.0f}s [{elapsed}]"
            self._bar = tqdm(
                total=run.run_duration, leave=False, desc="Elapsed", unit="s", bar_format=form
            )
        else:
            self._bar = tqdm(total=planned, leave=False, desc="Total requests")
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

    def _show(self, stats: dict[str, Any], at: float, prefix: str) -> None:
        self._bar.clear()
        self._table.update(stats, extra_prefix=prefix)
        self._bar.n = at
        self._bar.refresh()

    def close(self) -> None:
        """Leaves the figures, without the bar."""
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()
            self._table.close()
