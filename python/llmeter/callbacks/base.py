"""What callbacks have in common, and where one of your own begins.

class SlowResponses(Callback):
    def __init__(self, limit: float):
        self.limit = limit

    async def after_invoke(self, response):
        if (response.time_to_last_token or 0) > self.limit:
            response.annotations["is_slow"] = True
"""

from __future__ import annotations

import json
from abc import ABC
from typing import TYPE_CHECKING, Any

from ..serialization import CLASS, Serializable, load_object
from ..utils import ensure_path

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..endpoints.base import InvocationResponse
    from ..results import Result
    from ..runner import _RunConfig  # pyright: ignore[reportPrivateUsage]
    from ..utils import AnyPath

__all__ = ["Callback"]

HOOKS = ("before_run", "before_invoke", "after_invoke", "after_run")


class Callback(Serializable, ABC):
    """Code that a run calls at four points. Each hook does nothing unless overridden.

    The hooks of several callbacks run in the order of the list, each one awaited before the next.
    A callback is saved with the run, so its class must be `Serializable`, as this one is.
    """

    async def before_invoke(self, payload: dict[str, Any]) -> None:
        """Called before each request. Change `payload` in place to change what is sent.

        It is a copy: the caller's payloads never change. If this raises, the request is recorded
        as failed, and the run goes on.
        """

    async def after_invoke(self, response: InvocationResponse) -> None:
        """Called after each response, which has its times and counts by then.

        Change it in place. Data of your own goes into `response.annotations`, which files keep.
        """

    async def before_run(self, run_config: _RunConfig) -> None:
        """Called once, before anything is saved or sent. Change `run_config` in place.

        If this raises, so does `Runner.run`.
        """

    async def after_run(self, result: Result) -> None:
        """Called once, before the result is saved, also after an interruption.

        Change `result` in place.
        """

    @classmethod
    def load_from_file(cls, path: AnyPath) -> Self:
        """Reads a callback of the class that the file names, also from before 0.2.0."""
        loaded: Self = load_callback(json.loads(ensure_path(path).read_text(encoding="utf-8")))
        return loaded


def load_callback(saved: dict[str, Any]) -> Any:
    """Makes a callback of its saved form: an envelope, or a cost model from before 0.2.0."""
    if CLASS in saved:
        return load_object(saved)
    from .cost.model import load_former_cost_model

    return load_former_cost_model(saved)
