"""Constructors that differ in their defaults alone."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar, cast

TClass = TypeVar("TClass", bound=type)


def defaults(**values: Any) -> Callable[[TClass], TClass]:
    """Declares that the constructor a class inherits has other defaults there.

    Its parameters stay what they are, for type checkers and in a notebook's help.
    """

    def declare(cls: TClass) -> TClass:
        inherited = cast(FunctionType, cls.__init__)  # type: ignore[misc]
        code, given = inherited.__code__, inherited.__defaults__ or ()
        names = code.co_varnames[: code.co_argcount][-len(given) :]
        unknown = values.keys() - set(names)
        if unknown:
            raise TypeError(f"{cls.__name__} has no parameters with defaults {sorted(unknown)}")
        changed = tuple(
            values.get(name, default) for name, default in zip(names, given, strict=True)
        )
        init = FunctionType(code, inherited.__globals__, "__init__", changed, inherited.__closure__)
        init.__qualname__ = f"{cls.__qualname__}.__init__"
        init.__annotations__ = dict(inherited.__annotations__)
        init.__doc__ = inherited.__doc__
        setattr(cls, "__init__", init)  # noqa: B010
        return cls

    return declare
