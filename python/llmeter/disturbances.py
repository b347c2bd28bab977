"""Experiments on one server that is disturbed: a spike, a cold start, drift under load."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Literal

from ._work import carry_out
from .results import Result
from .runner import Runner


async def _carry_out(
    kind: Literal["spike", "cold_start", "drift"], runner: Runner, experiment: dict[str, Any]
) -> Result:
    run = runner._prepare_run(run_name=runner.run_name)  # pyright: ignore[reportPrivateUsage]
    part = run._part(asyncio.get_running_loop())  # pyright: ignore[reportPrivateUsage]
    settings = {**json.loads(part[0]), "experiment": experiment}
    data, _ = await carry_out(kind, [(json.dumps(settings), *part[1:])], None, None)
    return run._result(data[0])  # pyright: ignore[reportPrivateUsage]


@dataclass
class Spike:
    """The usual load, a spike, and the usual load again, in one run.

    ``stats["recovery"]`` of the result has, for p50 and p90 of TTFT, what it was before (``before``,
    ``limit``), its highest value, and how long after the spike it was back (``recovered_after``,
    ``None`` if it was not within ``watched``).

    Attributes:
        runner: the run; its arrival rate (``settings={"rate": "10/s"}``) or its clients are the usual load.
        spike: like ``"100/s for 10s"``, or ``"64 clients for 10s"``.
        before: seconds before the spike.
        after: seconds after it.
        window: seconds of a window in which latencies are compared.
    """

    runner: Runner
    spike: str
    before: float = 60.0
    after: float = 60.0
    window: float | None = None

    async def run(self) -> Result:
        """Carries it out. Hooks before and after the run are not called.

        Raises:
            ValueError: if a setting cannot be used.
        """
        experiment = {
            "spike": self.spike,
            "before": self.before,
            "after": self.after,
            "window": self.window,
        }
        return await _carry_out("spike", self.runner, experiment)


@dataclass
class ColdStart:
    """One client asks a server that sleeps until it answers, and until it is as fast as it gets.

    ``stats`` of the result has ``cold_start_first_token``, ``cold_start_response`` and
    ``cold_start_steady``, seconds after the first request, and ``cold_start_failures``.

    Attributes:
        runner: the run; its clients and requests are not used.
        responses: how many there are to be.
        poll: seconds after a request that failed.
        wait: seconds in which the first response has to come.
    """

    runner: Runner
    responses: int = 50
    poll: float = 0.5
    wait: float = 600.0

    async def run(self) -> Result:
        """Carries it out. Hooks before and after the run are not called.

        Raises:
            ValueError: if a setting cannot be used.
        """
        experiment = {"responses": self.responses, "poll": self.poll, "wait": self.wait}
        return await _carry_out("cold_start", self.runner, experiment)


@dataclass
class Drift:
    """The same payloads to an idle server, twice, and to a busy one.

    ``stats`` of the result, which is the run under load, has ``drift_rate``, ``drift_differ``,
    ``drift_compared``, ``drift_alone_differ``, ``drift_first_token`` and ``drift_examples``.

    Attributes:
        runner: the run; each client sends all of its payloads once.
        clients: clients under load.
    """

    runner: Runner
    clients: int = 16

    async def run(self) -> Result:
        """Carries it out. Hooks before and after the runs are not called.

        Raises:
            ValueError: if a setting cannot be used.
        """
        return await _carry_out("drift", self.runner, {"clients": self.clients})
