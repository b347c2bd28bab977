"""For pytest: the fixture `llmeter`, by which a test suite measures an endpoint and gates on it.

    def test_it_is_fast(llmeter):
        result = llmeter.run(endpoint, payload=payload, clients=4, n_requests=10)
        llmeter.assert_slo(result, "ttft-p99 < 500ms", "failed_requests_rate <= 1%")
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .results import Result
    from .simulation import SimulatedServer

__all__ = ["LLMeter", "assert_slo"]


def assert_slo(result: Result, *conditions: str) -> None:
    """Fails unless a run meets all conditions, like `ttft-p99 < 500ms` or `output_tps >= 900`.

    Raises:
        AssertionError: with each condition that is not met, and the value.
        ValueError: if one is no condition.
    """
    __tracebackhide__ = True
    missed = result.check(*conditions)
    if missed:
        verdict = result.verdict
        if verdict not in (None, "clean"):
            missed.append(f"(the measurement is {verdict})")
        raise AssertionError("not met: " + "\n         ".join(missed))


class LLMeter:
    """What the fixture `llmeter` gives."""

    assert_slo = staticmethod(assert_slo)

    def __init__(self) -> None:
        self._servers: list[SimulatedServer] = []

    def run(self, endpoint: Any, **settings: Any) -> Result:
        """Carries out a run, as `Runner(endpoint).run(…)` does, and waits for it."""
        from .runner import Runner

        result: Result = _wait(lambda: Runner(endpoint).run(**settings))
        return result

    def simulate(self, **arguments: Any) -> SimulatedServer:
        """A simulated server that is there until the test ends; see `llmeter.simulate`."""
        from .simulation import simulate

        server = simulate(**arguments)
        self._servers.append(server)
        return server

    def close(self) -> None:
        """Stops the simulated servers."""
        for server in self._servers:
            server.close()


@pytest.fixture(name="llmeter")
def llmeter_fixture() -> Iterator[LLMeter]:
    """Runs, SLOs and simulated servers for a test."""
    meter = LLMeter()
    yield meter
    meter.close()


def _wait(begin: Any) -> Any:
    """The outcome of a coroutine, also within a running event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(begin())
    outcome: list[Any] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(asyncio.run(begin()))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
