"""Baselines: what runs are compared with, kept under names in `.llmeter/baselines` of a project.

    llmeter.baselines.save("main", result)
    llmeter.compare(llmeter.baselines.load("main"), other)

Prompts, payloads and texts of responses are left out, so that they can be kept with a project's sources.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .results import Result

if TYPE_CHECKING:
    from .experiments import LoadTestResult
    from .utils import AnyPath

__all__ = ["load", "names", "remove", "save"]


def save(
    name: str,
    run: Result | LoadTestResult | AnyPath,
    *,
    overwrite: bool = False,
    project: AnyPath = "",
) -> Path:
    """Keeps a run or a load test, which must have a folder, under a name; gives the baseline's folder.

    Raises:
        ValueError: if the name cannot be used or is taken, or the run has no folder.
        FileNotFoundError: if the folder holds no run.
    """
    from . import _core

    folder = getattr(run, "output_path", run)
    if folder is None:
        raise ValueError("a baseline needs the run's folder: give output_path, or save the result")
    return _core.Baselines(str(project)).save(name, str(folder), overwrite)


def load(name: str, *, project: AnyPath = "") -> Result:
    """The run of a baseline.

    Raises:
        ValueError: if there is none of this name.
        FileNotFoundError: if it is that of a load test; `LoadTestResult.load` loads its folder.
    """
    from . import _core

    return Result.load(_core.Baselines(str(project)).find(name))


def names(*, project: AnyPath = "") -> list[str]:
    """The names of all baselines."""
    from . import _core

    return _core.Baselines(str(project)).names()


def remove(name: str, *, project: AnyPath = "") -> None:
    """Removes a baseline.

    Raises:
        ValueError: if there is none of this name.
    """
    from . import _core

    _core.Baselines(str(project)).remove(name)
