"""Code that a run calls: costs, MLflow, cache busting, and callbacks of your own."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .base import Callback

if TYPE_CHECKING:
    from .cache_buster import CacheBuster
    from .cost import CostModel
    from .mlflow import MlflowCallback

__all__ = ["CacheBuster", "Callback", "CostModel", "MlflowCallback"]

_MODULES = {"CacheBuster": "cache_buster", "CostModel": "cost", "MlflowCallback": "mlflow"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
