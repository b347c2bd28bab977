"""Runs compared with a base, with differences told from chance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .results import Result

if TYPE_CHECKING:
    from .utils import AnyPath

__all__ = ["Comparison", "compare"]


@dataclass(repr=False)
class Comparison:
    """What a comparison found. `compare` makes it.

    Attributes:
        pairs: each run against the base: `new`, what was not measured alike (`unlike`), and the
            `differences` of its figures with intervals, p-values and verdicts.
        is_worse: whether a headline figure of any run is worse.
        text: the comparison as the command line prints it.
        markdown: the same for a pull request.
        conclusion: which figures are worse and which are better, in words.
        tables: a title and rows for each pair; the first row names the columns.
    """

    pairs: list[dict[str, Any]]
    is_worse: bool
    text: str
    markdown: str
    conclusion: str = ""
    tables: list[tuple[str, list[list[str]]]] = field(
        default_factory=list[tuple[str, list[list[str]]]]
    )

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Comparison(is_worse={self.is_worse}, pairs={len(self.pairs)})"

    def _repr_html_(self) -> str:
        from ._html import comparison_tables

        return comparison_tables(self)

    def _repr_markdown_(self) -> str:
        return self.markdown


def compare(base: Result | AnyPath, *new: Result | AnyPath) -> Comparison:
    """Compares runs with a base: results, or the folders of runs.

    Requests of a run depend on each other, so intervals come from a bootstrap of blocks of requests,
    verdicts from a permutation test of such blocks, corrected for the number of figures.

    Raises:
        ValueError: if there is nothing to compare with.
        FileNotFoundError: if a folder holds no run.
    """
    from . import _core

    if not new:
        raise ValueError("there is nothing to compare with the base: give another run")
    results = [_loaded(one) for one in (base, *new)]
    data = [result._core_data() for result in results]  # pyright: ignore[reportPrivateUsage]
    found = json.loads(_core.compare(data[0], data[1:], _names(results)))
    return Comparison(
        pairs=found["comparison"]["pairs"],
        is_worse=found["is_worse"],
        text=found["text"],
        markdown=found["markdown"],
        conclusion=found["conclusion"],
        tables=found["tables"],
    )


def _loaded(run: Result | AnyPath) -> Result:
    return run if isinstance(run, Result) else Result.load(run)


def _names(results: Sequence[Result]) -> list[str]:
    """Names that tell the runs apart."""
    names: list[str] = []
    for at, result in enumerate(results):
        name = str(result.run_name or result.output_path or f"run {at + 1}")
        names.append(name if name not in names else f"{name} ({at + 1})")
    return names
