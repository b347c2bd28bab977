"""Python objects as parts of a run, in the form in which the core asks them."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from .callbacks import _native as _native_callbacks
from .endpoints import _native
from .endpoints._response import InvocationResponse
from .serialization import CLASS, STATE, bytes_decoder, dump_object, json_default
from .tokenizers import DummyTokenizer

if TYPE_CHECKING:
    from ._core import Reply

logger = logging.getLogger(__name__)

Hook = Callable[[str], Awaitable[str]]

_FIELDS = frozenset(one.name for one in fields(InvocationResponse))


def saved_form(part: Any) -> str:
    """The saved form of a part as JSON; of one that cannot be saved only its class."""
    try:
        saved = dump_object(part)
        if not isinstance(saved[STATE], dict):
            raise TypeError(f"its state is no dict but {type(saved[STATE]).__name__}")
        return json.dumps(saved, default=json_default)
    except Exception as error:
        logger.debug("%s has no saved form: %s", type(part).__name__, error)
        cls = type(part)
        name = f"{cls.__module__}.{cls.__qualname__}"
        return json.dumps({CLASS: name, STATE: {}})


# Endpoints


def endpoint_part(endpoint: Any, loop: asyncio.AbstractEventLoop) -> str | PythonEndpoint:
    """An endpoint for the core: one that it drives itself, or one whose `invoke` it calls."""
    form = _native.form_of(endpoint)
    if form is not None:
        return form.to_json()
    return PythonEndpoint(endpoint, loop)


class PythonEndpoint:
    """An endpoint whose `invoke` is Python's, asynchronous or not."""

    def __init__(self, endpoint: Any, loop: asyncio.AbstractEventLoop):
        self._endpoint = endpoint
        self._loop = loop
        names = ("model_id", "endpoint_name", "provider")
        self.identity = tuple(str(getattr(endpoint, name, None) or "") for name in names)
        self.saved = saved_form(endpoint)

    def invoke(self, payload: str) -> str:
        """Sends a payload and gives the response as a line. Called on threads of its own."""
        response = self._endpoint.invoke(json.loads(payload, object_hook=bytes_decoder))
        if inspect.isawaitable(response):
            response = asyncio.run_coroutine_threadsafe(_wait(response), self._loop).result()
        return response_line(response)


async def _wait(response: Awaitable[Any]) -> Any:
    return await response


def response_line(response: Any) -> str:
    """A response as a line of `responses.jsonl`."""
    # As `to_json`, without copying what is only read. What is unset is left out.
    given = vars(response) if isinstance(response, InvocationResponse) else response.to_dict()
    values = {
        name: value
        for name, value in given.items()
        if value is not None and name in _FIELDS
    }
    if "error" in values:
        values["error"] = str(values["error"])
    return json.dumps(values, default=json_default)


# Callbacks


def is_native_callback(callback: Any) -> bool:
    """Whether the core has this callback, with nothing in it that is Python's own."""
    return _native_callbacks.form_of(callback) is not None


class PythonCallback:
    """A callback's saved form, and the hooks that it and those right after it have."""

    def __init__(self, callback: Any):
        self.name = type(callback).__name__
        self.saved = saved_form(callback)
        self.before_invoke: Hook | None = None
        self.after_invoke: Hook | None = None


Extras = dict[str, dict[str, Any]]
"""By a response's id, the attributes that callbacks gave it beside its fields."""


def callback_parts(callbacks: Sequence[Any], extras: Extras) -> list[str | PythonCallback]:
    """Callbacks for the core. Those of Python that stand together are called together.

    Attributes that they give responses beside their fields are kept in `extras`: no line has them.
    """
    parts: list[str | PythonCallback] = []
    group: list[Any] = []
    head: PythonCallback | None = None
    for callback in callbacks:
        if (form := _native_callbacks.form_of(callback)) is not None:
            parts.append(json.dumps(form, default=json_default))
            group, head = [], None
            continue
        part = PythonCallback(callback)
        parts.append(part)
        group.append(callback)
        if head is None:
            head = part
            group = [callback]
        head.before_invoke = _before_invoke(_hooks(group, "before_invoke"))
        head.after_invoke = _after_invoke(_hooks(group, "after_invoke"), extras)
    return parts


def hook_of(callback: Any, name: str) -> Callable[..., Any] | None:
    """A hook of a callback; `None` if it does nothing."""
    hook: Callable[..., Any] | None = getattr(callback, name, None)
    if hook is None or getattr(hook, "__func__", None) in _empty_hooks(name):
        return None
    return hook


def _empty_hooks(name: str) -> tuple[Any, ...]:
    from .callbacks.base import Callback

    return (getattr(Callback, name),)


def _hooks(callbacks: Sequence[Any], name: str) -> list[Callable[..., Any]]:
    found = (hook_of(callback, name) for callback in callbacks)
    return [hook for hook in found if hook is not None]


async def call(hook: Callable[..., Any], argument: Any) -> None:
    """Calls a hook, which may be asynchronous or not."""
    called = hook(argument)
    if inspect.isawaitable(called):
        await called


def _before_invoke(hooks: list[Callable[..., Any]]) -> Hook | None:
    if not hooks:
        return None

    async def before_invoke(payload: str) -> str:
        changed = json.loads(payload, object_hook=bytes_decoder)
        for hook in hooks:
            await call(hook, changed)
        return json.dumps(changed, default=json_default)

    return before_invoke


def _after_invoke(hooks: list[Callable[..., Any]], extras: Extras) -> Hook | None:
    if not hooks:
        return None

    async def after_invoke(line: str) -> str:
        response = InvocationResponse.from_json(line)
        if extra := extras.pop(response.id or "", None):
            # Of callbacks before those that only the core has.
            vars(response).update(extra)
        for hook in hooks:
            await call(hook, response)
        if len(vars(response)) > len(_FIELDS):
            extra = {name: value for name, value in vars(response).items() if name not in _FIELDS}
            extras[response.id or ""] = extra
        return response_line(response)

    return after_invoke


def hook_starter(
    loop: asyncio.AbstractEventLoop,
) -> Callable[[list[tuple[Hook, str, Reply]]], None]:
    """What starts hooks on an event loop when the core wants some called."""
    # Tasks that nobody refers to may be collected before they are done.
    under_way: set[asyncio.Task[None]] = set()

    def begin(calls: list[tuple[Hook, str, Reply]]) -> None:
        for hook, argument, reply in calls:
            task = loop.create_task(_answer(hook, argument, reply))
            under_way.add(task)
            task.add_done_callback(under_way.discard)

    return begin


async def _answer(hook: Hook, argument: str, reply: Reply) -> None:
    try:
        reply.give(await hook(argument))
    except BaseException as error:
        reply.fail(str(error) or type(error).__name__)
        if not isinstance(error, Exception):
            raise


# Tokenizers


class PythonTokenizer:
    """A tokenizer whose `encode` is Python's."""

    def __init__(self, tokenizer: Any):
        self._encode = tokenizer.encode
        self.saved = saved_form(tokenizer)

    def count(self, text: str) -> int:
        """The tokens of a text."""
        return len(self._encode(text))


def tokenizer_part(tokenizer: Any) -> str | PythonTokenizer:
    """A tokenizer for the core: one that it has itself, or one that it asks."""
    if type(tokenizer) is DummyTokenizer and not vars(tokenizer):
        return saved_form(tokenizer)
    if type(tokenizer).__module__.startswith("tiktoken."):
        return saved_form(tokenizer)
    return PythonTokenizer(tokenizer)
