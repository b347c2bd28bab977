"""Which endpoints the core can take over, and what it is told of them.

An endpoint is native when its class is one of llmeter's own, none of its hooks is overridden or
patched, and its client is the one that it would make itself, or a real client of the SDK that the
user passed. All others are Python endpoints, whose `invoke` is called.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from ..serialization import dump_object, json_default
from ._response import InvocationResponse

if TYPE_CHECKING:
    from .base import Endpoint

HOOKS = ("invoke", "prepare_payload", "process_raw_response", "_parse_payload")

_SECRET_KEYS = frozenset({"api_key", "bearer_token", "secret_access_key", "session_token"})
_CLASSES: dict[type, dict[str, object]] = {}

TClass = TypeVar("TClass", bound=type)


@dataclass(frozen=True)
class NativeForm:
    """An endpoint as the core builds it."""

    saved: dict[str, Any]
    """The envelope, as in `run_config.json`: without any secret."""
    access: dict[str, Any]
    """Beside it: `api_key`, `base_url`, `headers`, `query`, `region`, `aws`. Never saved."""

    def to_json(self) -> str:
        """The endpoint as the core takes it."""
        return json.dumps({"saved": self.saved, **self.access}, default=json_default)

    def __repr__(self) -> str:
        return f"NativeForm(saved={self.saved!r}, access=…)"


def native(cls: TClass) -> TClass:
    """Declares that the core speaks the API of an endpoint's class."""
    _CLASSES[cls] = {hook: getattr(cls, hook) for hook in HOOKS}
    return cls


def form_of(endpoint: Endpoint[Any]) -> NativeForm | None:
    """What the core needs of a native endpoint; `None` of any other."""
    cls = type(endpoint)
    hooks = _CLASSES.get(cls)
    if hooks is None or not vars(endpoint).keys().isdisjoint(HOOKS):
        return None
    if any(getattr(cls, name) is not hook for name, hook in hooks.items()):
        return None
    if endpoint._is_replaced():  # pyright: ignore[reportPrivateUsage]
        return None
    access = endpoint._access()  # pyright: ignore[reportPrivateUsage]
    return NativeForm(dump_object(endpoint), access)


def replaced_method(client: Any, path: tuple[str, ...]) -> bool:
    """Whether a method of an SDK's client, or an object on the way to it, was replaced by another."""
    package = type(client).__module__.partition(".")[0]
    *parts, method = path
    for part in parts:
        # Parts of clients are made, and kept, on first use.
        client = vars(client).get(part)
        if client is None:
            return False
        if type(client).__module__.partition(".")[0] != package:
            return True
    return method in vars(client)


def core() -> ModuleType | None:
    """The compiled core; `None` where it was not built."""
    try:
        from .. import _core
    except ImportError:
        return None
    return _core


def invoke(form: NativeForm, payload: dict[str, Any]) -> InvocationResponse:
    """Sends one request by the core. A request that cannot be sent has failed."""
    from .. import _core

    try:
        line = _core.invoke(form.to_json(), json.dumps(payload, default=json_default))
    except (OSError, RuntimeError, ValueError) as error:
        text = redacted(str(error), secrets_of(form.access))
        return InvocationResponse.error_output(payload, text)
    return InvocationResponse.from_json(line)


def secrets_of(access: Any) -> list[str]:
    """The texts in an endpoint's access that nobody may see, longest first."""
    found: list[str] = []

    def collect(value: Any, is_secret: bool) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                collect(item, is_secret or key in _SECRET_KEYS or key == "headers")
        elif is_secret and isinstance(value, str) and len(value) >= 8:
            found.append(value)

    collect(access, is_secret=False)
    return sorted(found, key=len, reverse=True)


def redacted(text: str, secrets: list[str]) -> str:
    """A text with every secret in it replaced."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
