"""Changes the load of a run in progress."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class ControlChange:
    """One change of a load: when it took effect (seconds after the run's start), what, and its values."""

    time: float
    setting: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class ControlStatus:
    """What a run in progress says of itself; times are seconds."""

    run_name: str
    phase: Literal["warm_up", "running", "stopping"]
    elapsed: float
    requests: int
    failed: int
    rate: str | None
    clients: int | None
    max_in_flight: int | None
    in_flight: int | None
    changes: tuple[ControlChange, ...]


class RunControl:
    """A run in progress, of any process of this user on this machine.

        run = RunControl("outputs/soak")
        run.change(rate="40/s")
        run.stop()

    Runs with a folder on this machine can be changed; what a run cannot be changed to raises
    ``RuntimeError`` and changes nothing. The methods block for as long as the run takes to answer, which
    is milliseconds.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = os.fspath(folder)

    def status(self) -> ControlStatus:
        """How the run goes on."""
        return self._ask({})

    def change(
        self,
        *,
        rate: str | float | None = None,
        clients: int | None = None,
        max_in_flight: int | Literal["none"] | None = None,
    ) -> ControlStatus:
        """Changes the load from now on: the arrival rate (``"40/s"``, or requests per second) or the
        clients, and the most requests in flight (``"none"`` is no limit)."""
        wanted = {
            "rate": None if rate is None else str(rate),
            "clients": clients,
            "max_in_flight": max_in_flight,
        }
        return self._ask(
            {name: value for name, value in wanted.items() if value is not None}
        )

    def stop(self) -> ControlStatus:
        """Has the run send nothing more: it ends, complete, once what is in flight has ended."""
        return self._ask({"stop": True})

    def _ask(self, request: dict[str, Any]) -> ControlStatus:
        from . import _core

        said = json.loads(_core.control(self.folder, json.dumps(request)))
        changes = tuple(
            ControlChange(one["time"], one["setting"], one["from"], one["to"])
            for one in said.pop("changes")
        )
        return ControlStatus(changes=changes, **said)
