"""Which callbacks the core runs itself, without Python."""

from __future__ import annotations

from typing import Any, TypeVar

from ..serialization import dump_object
from .base import HOOKS

_CLASSES: dict[type, dict[str, object]] = {}

TClass = TypeVar("TClass", bound=type)


def native(cls: TClass) -> TClass:
    """Declares that the core has a callback or cost dimension of this class."""
    _CLASSES[cls] = _methods(cls)
    return cls


def is_native(obj: object) -> bool:
    """Whether an object is of a class that the core has, with no method overridden or patched."""
    cls = type(obj)
    methods = _CLASSES.get(cls)
    if methods is None or _methods(cls) != methods:
        return False
    return vars(obj).keys().isdisjoint(methods)


def form_of(callback: object) -> dict[str, Any] | None:
    """The saved form of a callback that the core runs itself; `None` of any other."""
    if not is_native(callback):
        return None
    parts: list[object] = getattr(callback, "_parts", list)()
    if not all(is_native(part) for part in parts):
        return None
    return dump_object(callback)


def _methods(cls: type) -> dict[str, object]:
    names = (*HOOKS, "calculate", "before_run_start")
    return {name: getattr(cls, name) for name in names if hasattr(cls, name)}
