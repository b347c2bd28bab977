"""Responses that are made of the core's only when somebody looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .endpoints._response import InvocationResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._core import RunData

_SOURCE = "_llmeter_source"


class _LazyResponse(InvocationResponse):
    """Becomes an `InvocationResponse` at the first look.

    It is one in all that it does: only its attributes are read from the core late.
    """

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


def _read(response: InvocationResponse) -> None:
    """Fills a response, which is no lazy one any more."""
    values = object.__getattribute__(response, "__dict__")
    if _SOURCE in values:
        data, index, extras = values[_SOURCE]
        # Only then, so that a line that cannot be read is tried again.
        read = InvocationResponse.from_json(data.line(index))
        del values[_SOURCE]
        values.update(vars(read))
        values.update(extras.get(read.id or "", {}))
    object.__setattr__(response, "__class__", InvocationResponse)


def responses_of(
    data: RunData, extras: dict[str, dict[str, Any]] | None = None
) -> list[InvocationResponse]:
    """The responses of a result, none of which is read yet.

    `extras` are further attributes of responses by their ids.
    """
    extras = extras or {}
    responses: list[InvocationResponse] = []
    for index in range(len(data)):
        response = object.__new__(_LazyResponse)
        object.__getattribute__(response, "__dict__")[_SOURCE] = (data, index, extras)
        responses.append(response)
    return responses


def is_unread(response: InvocationResponse, data: RunData, index: int) -> bool:
    """Whether a response is still the core's own, so that nobody can have changed it."""
    if type(response) is not _LazyResponse:
        return False
    source = object.__getattribute__(response, "__dict__").get(_SOURCE)
    return source is not None and source[0] is data and source[1] == index


def are_unread(responses: Sequence[InvocationResponse], data: RunData) -> bool:
    """Whether all responses are, in their order."""
    return len(responses) == len(data) and all(
        is_unread(response, data, index) for index, response in enumerate(responses)
    )
