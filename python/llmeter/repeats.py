"""The same run several times, so that what changes from time to time is seen."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._table import RequestTable
from ._work import carry_out
from .results import Result
from .runner import experiment_part

if TYPE_CHECKING:
    from ._core import RunData
    from .runner import Runner
    from .utils import AnyPath

__all__ = ["Repeat", "RepeatResult"]

logger = logging.getLogger(__name__)


@dataclass(repr=False)
class RepeatResult(RequestTable):
    """The outcome of repeats.

    Attributes:
        results: the results in the order of the repeats.
        spreads: how each figure differs, by its key in `Result.stats`: its `mean`, the standard deviations
            between repeats and within them (`sd_between`, `sd_within`), and the mean's `interval_95`.
        text: the repeats as the command line prints them.
        missing: repeats that were to be carried out and were not.
        test_name: the name of all, which is also their folder's.
        output_path: the folder in which each repeat has its own; `None` if nothing was written.
        warnings: what was found wrong, one sentence each.
    """

    results: list[Result]
    spreads: dict[str, dict[str, Any]]
    text: str
    missing: int
    test_name: str | None
    output_path: str | None
    warnings: list[str]

    def _runs(self) -> dict[str, RunData]:
        return {
            f"repeat {number}": result._core_data()  # pyright: ignore[reportPrivateUsage]
            for number, result in enumerate(self.results, 1)
        }

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"RepeatResult(results={len(self.results)}, missing={self.missing})"

    def _repr_html_(self) -> str:
        from ._html import text_block

        return text_block(self.text)


@dataclass
class Repeat:
    """The same run several times.

        done = await Repeat(runner, repeats=5).run()
        done.spreads["time_to_first_token-p90"]["interval_95"]

    Attributes:
        runner: the run.
        repeats: how often it is carried out.
        output_path: the folder in which that of the repeats is made; nothing is written without it.
        test_name: by default the local time.
    """

    runner: Runner
    repeats: int = 5
    output_path: AnyPath | None = None
    test_name: str | None = None

    async def run(self) -> RepeatResult:
        """Carries the repeats out. Hooks before and after runs are not called.

        Raises:
            ValueError: if a setting cannot be used.
            ConnectionError: if the endpoint cannot be reached.
        """
        experiment = {
            "repeats": self.repeats,
            "output_path": None if self.output_path is None else str(self.output_path),
            "test_name": self.test_name,
        }
        part = experiment_part(self.runner, asyncio.get_running_loop(), experiment)
        data, more = await carry_out("repeat", [part], None, None)
        for warning in more["warnings"]:
            logger.warning("%s", warning)
        return RepeatResult(
            results=[Result._of_data(one) for one in data],  # pyright: ignore[reportPrivateUsage]
            spreads=more["spreads"],
            text=more["text"],
            missing=more["missing"],
            test_name=more["test_name"],
            output_path=more["output_path"],
            warnings=more["warnings"],
        )
