"""Runs in MLflow, by the package `mlflow`: `pip install 'llmeter[mlflow]'`."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from ..utils import DeferredError
from .base import Callback

if TYPE_CHECKING:
    from ..results import Result

__all__ = ["MlflowCallback"]


def __getattr__(name: str) -> Any:
    if name != "mlflow":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return importlib.import_module(name)
    except ImportError as error:
        return DeferredError(error)


def _mlflow() -> Any:
    return sys.modules[__name__].mlflow


class MlflowCallback(Callback):
    """Logs the parameters and figures of a run to the present run of MLflow.

    Args:
        step: the step of the metrics.
        nested: whether to log to a child run, named as llmeter's, instead.

    Raises:
        ImportError: if the package `mlflow` is missing.

    Example:
        >>> with mlflow.start_run():  # doctest: +SKIP
        ...     await Runner(endpoint, callbacks=[MlflowCallback()]).run(payload=payload)
    """

    parameters_names: ClassVar[list[str]] = [
        "total_requests",
        "clients",
        "n_requests",
        "model_id",
        "output_path",
        "endpoint_name",
        "provider",
        "run_name",
        "run_description",
    ]

    def __init__(self, step: int | None = None, nested: bool = False) -> None:
        self.step = step
        self.nested = nested
        # Tells of a missing package now instead of after the run.
        _ = _mlflow().__version__

    async def after_run(self, result: Result) -> None:
        """Logs the result."""
        if self.nested:
            await self._log_nested_run(result)
        else:
            await self._log_llmeter_run(result)

    async def _log_llmeter_run(self, result: Result) -> None:
        parameters = {
            name: getattr(result, name) for name in self.parameters_names if hasattr(result, name)
        }
        metrics = {
            name: value
            for name, value in result.stats.items()
            if name not in self.parameters_names and isinstance(value, (int, float))
        }
        mlflow = _mlflow()
        mlflow.log_params(parameters, synchronous=False)
        mlflow.log_metrics(metrics, step=self.step, synchronous=False)

    async def _log_nested_run(self, result: Result) -> None:
        with _mlflow().start_run(run_name=result.run_name, nested=True):
            await self._log_llmeter_run(result)
