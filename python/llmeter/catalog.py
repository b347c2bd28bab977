"""Run folders: which there are, several merged to one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from .results import Result

if TYPE_CHECKING:
    from .utils import AnyPath

__all__ = ["RunList", "list_runs", "merge"]


@dataclass(repr=False)
class RunList(Sequence[dict[str, Any]]):
    """Runs and experiments of a folder. `list_runs` makes it.

    Attributes:
        entries: each with `name`, `path`, `kind`, `state`, `started`, `model`, `verdict` and more, and its
            `figures` by their keys in `Result.stats`; an experiment has its `runs`.
        unread: folders that could not be read, with the reason.
        text: the list as the command line prints it.
    """

    entries: list[dict[str, Any]]
    unread: list[str]
    text: str

    def __getitem__(self, at: Any) -> Any:
        return self.entries[at]

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.entries)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"RunList({[entry['name'] for entry in self.entries]!r})"

    def _repr_html_(self) -> str:
        from ._html import text_block

        return text_block(self.text)


def list_runs(
    folder: AnyPath,
    *conditions: str,
    model: str | None = None,
    since: datetime | timedelta | str | None = None,
    sort: str = "when",
    reverse: bool = False,
) -> RunList:
    """Runs and experiments below a folder, here or in the cloud.

    Args:
        folder: where to look.
        conditions: what all have to fulfil, like `ttft-p99 < 500ms`.
        model: a part of the model's name.
        since: those that began since then: a time, or how long ago; as a text `2026-11-28` or `7d`.
        sort: `when` (the newest first), `name`, `kind`, `model`, `state`, `verdict`, or a figure.
        reverse: the other way round.

    Raises:
        ValueError: if an argument cannot be used.
    """
    from . import _core

    if isinstance(since, timedelta):
        since = datetime.now().astimezone() - since
    if isinstance(since, datetime):
        since = since.astimezone().isoformat()
    found = json.loads(
        _core.list_runs(str(folder), conditions, model, since, sort, reverse)
    )
    return RunList(entries=found["entries"], unread=found["unread"], text=found["text"])


def merge(
    parts: Sequence[Result | AnyPath],
    output_path: AnyPath,
    *,
    overwrite: bool = False,
    allow_missing: bool = False,
    low_memory: bool = False,
) -> Result:
    """Merges runs that were parts of one load, as by the setting `shard`, into the whole.

    Args:
        parts: their folders, or their results.
        output_path: the folder of the merged run.
        overwrite: whether it replaces a run that is there.
        allow_missing: merge what there is if parts are missing or cannot be read; `warnings` names them.
        low_memory: keep sketches in the place of values.

    Returns:
        The merged run without its responses; `load_responses()` reads them.

    Raises:
        ValueError: if there are no parts, or they do not belong together.
        FileExistsError: if the folder holds a run.
    """
    from . import _core

    folders = [str(part.output_path if isinstance(part, Result) else part) for part in parts]
    data, _ = _core.merge(folders, str(output_path), overwrite, allow_missing, low_memory)
    return Result._of_data(data)  # pyright: ignore[reportPrivateUsage]
