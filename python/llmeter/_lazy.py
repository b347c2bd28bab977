"""Responses that are made of the core's only when somebody looks at them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from .endpoints._response import InvocationResponse, Sourced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._core import RunData

_NOTHING = object()
# Numbers are objects, too: those of all results are the same.
_INDEXES: list[int] = []


class _Source:
    """The responses of a result, and further attributes of some by their ids."""

    def __init__(self, data: RunData, extras: dict[str, dict[str, Any]]):
        self.data = data
        self.extras = extras


class _LazyResponse(InvocationResponse):
    """Becomes an `InvocationResponse` at the first look.

    It is one in all that it does: only its attributes are read from the core late.
    """

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        _read(self)
        return getattr(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        _read(self)
        setattr(self, name, value)

    def __delattr__(self, name: str) -> None:
        _read(self)
        delattr(self, name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        _read(self)
        return self.__reduce_ex__(protocol)


def _source_of(response: InvocationResponse) -> Any:
    try:
        return object.__getattribute__(response, "_llmeter_source")
    except AttributeError:
        return _NOTHING


def _read(response: InvocationResponse) -> None:
    """Fills a response, which is no lazy one any more."""
    source = _source_of(response)
    if source is not _NOTHING:
        index = object.__getattribute__(response, "_llmeter_index")
        # Only then, so that a line that cannot be read is tried again.
        read = InvocationResponse.from_json(source.data.line(index))
        values = object.__getattribute__(response, "__dict__")
        values.update(vars(read))
        values.update(source.extras.get(read.id or "", {}))
        for name in Sourced.__slots__:
            object.__delattr__(response, name)
    object.__setattr__(response, "__class__", InvocationResponse)


def responses_of(
    data: RunData, extras: dict[str, dict[str, Any]] | None = None
) -> list[InvocationResponse]:
    """The responses of a result, none of which is read yet.

    `extras` are further attributes of responses by their ids.
    """
    source = _Source(data, extras or {})
    make: Any = object.__new__
    # There is one for each request of a run: slots, set past `__setattr__`, take little time and memory.
    set_source: Any = Sourced.__dict__["_llmeter_source"].__set__
    set_index: Any = Sourced.__dict__["_llmeter_index"].__set__
    responses: list[InvocationResponse] = []
    count = len(data)
    _INDEXES.extend(range(len(_INDEXES), count))
    for index in itertools.islice(_INDEXES, count):
        response = make(_LazyResponse)
        set_source(response, source)
        set_index(response, index)
        responses.append(response)
    return responses


def is_unread(response: InvocationResponse, data: RunData, index: int) -> bool:
    """Whether a response is still the core's own, so that nobody can have changed it."""
    if type(response) is not _LazyResponse:
        return False
    source = _source_of(response)
    if source is _NOTHING or source.data is not data:
        return False
    found: int = object.__getattribute__(response, "_llmeter_index")
    return found == index


def are_unread(responses: Sequence[InvocationResponse], data: RunData) -> bool:
    """Whether all responses are, in their order."""
    return len(responses) == len(data) and all(
        is_unread(response, data, index) for index, response in enumerate(responses)
    )
