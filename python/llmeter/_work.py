"""The way of a run through the core: started, waited for, stopped by signals and cancellation."""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from . import _bridge

if TYPE_CHECKING:
    from ._core import RunData, RunHandle

logger = logging.getLogger(__name__)


async def carry_out(
    kind: Literal[
        "run", "ab_test", "workloads", "capacity", "repeat", "calibrate", "spike", "cold_start", "drift"
    ],
    parts: list[Any],
    on_progress: Callable[[str], object] | None,
    on_cancel: Callable[[list[RunData]], object] | None,
) -> tuple[list[RunData], Any]:
    """Has the core carry out a run or an experiment, and waits for it.

    The first Ctrl-C or SIGTERM stops sending and waits for what is in flight, the second gives that up.
    A task that is cancelled stops the run as well, waits until it has saved what it has, and is then
    cancelled.
    """
    from . import _core

    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[list[RunData], Any]] = loop.create_future()

    def on_done(data: list[RunData] | None, more: str, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None or data is None:
            done.set_exception(error or RuntimeError("the run gave no result"))
        else:
            done.set_result((data, json.loads(more)))

    # Once, however often it is registered before.
    atexit.unregister(_core.finish)
    atexit.register(_core.finish)
    handle = _core.start(
        kind, parts, loop, _bridge.hook_starter(loop), on_progress, on_done
    )
    with GracefulShutdown(loop, handle):
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            if done.done():
                raise
            handle.stop()
            try:
                data, _ = await asyncio.shield(done)
                if on_cancel is not None:
                    on_cancel(data)
            except asyncio.CancelledError:
                handle.abort()
            except Exception as error:
                logger.warning("the cancelled run failed: %s", error)
            raise


class GracefulShutdown:
    """Lets SIGINT and SIGTERM stop the runs under way, as long as there are any."""

    _handles: list[RunHandle] = []
    # Only the main thread can catch signals.
    _in_main_thread = 0
    _before: dict[int, Any] = {}

    def __init__(self, loop: asyncio.AbstractEventLoop, handle: RunHandle):
        self._loop = loop
        self._handle = handle

    def __enter__(self) -> GracefulShutdown:
        cls = type(self)
        cls._handles.append(self._handle)
        if threading.current_thread() is threading.main_thread():
            cls._in_main_thread += 1
            if cls._in_main_thread == 1:
                self._catch()
        return self

    def __exit__(self, *exc_info: object) -> None:
        cls = type(self)
        cls._handles.remove(self._handle)
        if threading.current_thread() is not threading.main_thread():
            return
        cls._in_main_thread -= 1
        if cls._in_main_thread > 0:
            return
        for number, before in cls._before.items():
            try:
                self._loop.remove_signal_handler(number)
            except (NotImplementedError, ValueError, RuntimeError):
                pass
            signal.signal(number, before)
        cls._before.clear()

    def _catch(self) -> None:
        cls = type(self)
        stopped: set[RunHandle] = set()

        def stop(number: signal.Signals) -> None:
            again = [handle for handle in cls._handles if handle in stopped]
            for handle in again:
                handle.abort()
            for handle in cls._handles:
                handle.stop()
                stopped.add(handle)
            if not again:
                logger.warning(
                    "Received %s: waiting for requests in flight; once more gives them up",
                    number.name,
                )

        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.getsignal(number)
            try:
                self._loop.add_signal_handler(number, stop, number)
            except (NotImplementedError, OSError, RuntimeError, ValueError):
                continue
            cls._before[number] = before if before is not None else signal.SIG_DFL
