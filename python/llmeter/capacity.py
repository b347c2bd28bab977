"""The highest load at which the SLOs hold."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from ._table import RequestTable
from ._work import carry_out
from .results import Result
from .runner import experiment_part

if TYPE_CHECKING:
    from ._core import RunData
    from .runner import Runner
    from .utils import AnyPath

__all__ = ["Capacity", "CapacityResult"]

logger = logging.getLogger(__name__)


@dataclass(repr=False)
class CapacityResult(RequestTable):
    """The outcome of a search for capacity.

    Attributes:
        level: the highest load at which the SLOs hold: clients, or requests a second; `None` if they hold
            at none that was tried.
        breaks_at: the lowest load at which one breaks; `None` if none does up to the maximum.
        goodput: good requests a second at capacity.
        goodput_interval: where that lies with a probability of 95 %.
        knee: the number of clients beyond which latency grows faster than throughput, if there is one.
        probes: what was tried, in this order: `level`, `verdict`, `nearness` (of the worst figure to its
            limit, 1 at the limit), `requests`, `folder`.
        results: the runs by their load.
        text: the search as the command line prints it.
        is_complete: whether the search came to its end.
        test_name: the search's name, which is also its folder's.
        output_path: the search's folder; `None` if nothing was written.
        warnings: what was found wrong, one sentence each.
    """

    level: float | None
    breaks_at: float | None
    goodput: float | None
    goodput_interval: tuple[float, float] | None
    knee: int | None
    probes: list[dict[str, Any]]
    results: dict[float, Result]
    text: str
    is_complete: bool
    test_name: str
    output_path: str | None
    warnings: list[str]

    def _runs(self) -> dict[str, RunData]:
        return {
            f"{level:g}": result._core_data()  # pyright: ignore[reportPrivateUsage]
            for level, result in self.results.items()
        }

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"CapacityResult(level={self.level}, breaks_at={self.breaks_at}, probes={len(self.probes)})"

    def _repr_html_(self) -> str:
        from ._html import text_block

        return text_block(self.text)


@dataclass
class Capacity:
    """A search for the highest load at which all SLOs of a runner hold.

    Clients or the arrival rate are doubled until an SLO breaks; then the range between is halved until it
    is 5 % wide. Each probe is a run that lasts as long as its verdict needs.

        runner = Runner(endpoint, payload=payload, settings={"slo": ["ttft-p90 < 500ms"]})
        found = await Capacity(runner, over="rate").run()
        found.level, found.goodput

    Attributes:
        runner: what the probes share: endpoint, payload, and in `settings` the SLOs.
        over: what is raised: `clients`, each with one request in flight, the `rate` of arrivals, or the
            `sessions`, conversations of `settings["data"]` at a time.
        min: the lowest load that is tried.
        max: the highest load that is tried, by default 4,096 clients or 100,000 requests a second.
        probe_duration: the longest time that a probe sends, in seconds.
        max_probes: the most probes.
        adaptive: search in one run, whose load rises by a tenth after so many seconds, by default never.
            That is faster, and less exact.
        resume: keep the probes that a search of this name has completed with the same settings.
        output_path: the folder in which the search's own is made; nothing is written without it.
        test_name: by default the local time.
    """

    runner: Runner
    over: Literal["clients", "rate", "sessions"] = "clients"
    min: float = 1
    max: float | None = None
    probe_duration: float = 60
    max_probes: int = 12
    adaptive: float | timedelta | None = None
    resume: bool = False
    output_path: AnyPath | None = None
    test_name: str | None = None

    async def run(self) -> CapacityResult:
        """Carries the search out. Hooks before and after runs are not called.

        Raises:
            ValueError: if a setting cannot be used, or there are no SLOs.
            ConnectionError: if the endpoint cannot be reached.
        """
        if self.over not in ("clients", "rate", "sessions"):
            raise ValueError(f"over: {self.over!r}; clients, rate or sessions")
        step = self.adaptive
        experiment = {
            "over": self.over,
            "min": self.min,
            "max": self.max,
            "probe_duration": self.probe_duration,
            "max_probes": self.max_probes,
            "adaptive": step.total_seconds() if isinstance(step, timedelta) else step,
            "resume": self.resume,
            "output_path": None if self.output_path is None else str(self.output_path),
            "test_name": self.test_name,
        }
        # So that settings of open loops, or of sessions, are taken; each probe has a load of its own.
        loads: dict[str, dict[str, Any]] = {
            "rate": {"rate": f"{self.min}/s"},
            "sessions": {"sessions": int(self.min)},
        }
        settings = loads.get(self.over, {})
        part = experiment_part(self.runner, asyncio.get_running_loop(), experiment, settings)
        data, more = await carry_out("capacity", [part], None, None)
        for warning in more["warnings"]:
            logger.warning("%s", warning)
        results = [Result._of_data(one) for one in data]  # pyright: ignore[reportPrivateUsage]
        interval = more["goodput_interval"]
        return CapacityResult(
            level=more["level"],
            breaks_at=more["breaks_at"],
            goodput=more["goodput"],
            goodput_interval=None if interval is None else (interval[0], interval[1]),
            knee=more["knee"],
            probes=more["plan"]["probes"],
            results=dict(zip(more["levels"], results, strict=True)),
            text=more["text"],
            is_complete=more["plan"]["is_complete"],
            test_name=more["test_name"],
            output_path=more["output_path"],
            warnings=more["warnings"],
        )
