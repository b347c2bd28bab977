"""Endpoints whose API has an official client, which is made only if Python code needs it."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from ._native import replaced_method
from .base import Endpoint

logger = logging.getLogger(__name__)

TRawResponse = TypeVar("TRawResponse")

# Headers whose values are no secret: only they are saved.
_HARMLESS_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "anthropic-beta",
        "anthropic-version",
        "content-type",
        "http-referer",
        "openai-beta",
        "referer",
        "user-agent",
        "x-title",
    }
)
_SECRET_WORDS = ("key", "token", "secret", "auth", "sig", "pass", "cred", "code")
_UNSAVED = ("unsaved_headers", "unsaved_query")
_TIMEOUTS = ("connect", "read", "write", "pool")

SDK_TIMEOUT = {"connect": 5.0, "read": 600, "write": 600, "pool": 600}
"""The timeouts of clients by default."""
SDK_RETRIES = 2
"""How often clients send a failed request again by default. The core does so only if it is told to."""

_said: set[str] = set()


class SdkEndpoint(Endpoint[TRawResponse]):
    """An endpoint that keeps the arguments of its client, and makes it on first use of `_client`.

    A client may also be assigned: where it is a real one of the SDK, the core takes its address, key
    and headers and sends the requests itself. Any other is called.
    """

    _options: dict[str, Any]
    _made: Any = None
    _is_given = False

    # The SDK's package.
    _package: str
    # Arguments of the client that the core knows too.
    _native_options: frozenset[str]
    # Where on the client the method is that sends a request.
    _method: tuple[str, ...]

    @property
    def _client(self) -> Any:
        if self._made is None:
            self._made = self._make_client()
        return self._made

    @_client.setter
    def _client(self, client: Any) -> None:
        self._made, self._is_given = client, True

    @_client.deleter
    def _client(self) -> None:
        self._made, self._is_given = None, False

    @abstractmethod
    def _client_class(self) -> Any:
        """The class of the client."""

    @abstractmethod
    def _is_patched(self) -> bool:
        """Whether a stand-in was put into the place of the client's class."""

    def _set_options(self, options: dict[str, Any]) -> None:
        """Keeps the client's arguments. What an older file could not hold is only noted."""
        for name in _UNSAVED:
            if options.pop(name, None):
                logger.info("the saved endpoint had %s: give them again", name.replace("_", " "))
        self._options = {name: value for name, value in options.items() if value is not None}
        if self._is_patched():
            # Whoever replaces a client's class looks at how it is called.
            self._made = self._make_client()

    def _make_client(self) -> Any:
        options = dict(self._options)
        if isinstance(options.get("timeout"), dict):
            import httpx

            options["timeout"] = httpx.Timeout(**options["timeout"])
        return self._client_class()(**options)

    # What the core is told

    def _is_genuine(self) -> bool:
        """Whether the client there is, if any, is a real one of the SDK."""
        if self._made is None:
            return not self._is_patched()
        cls = type(self._made)
        is_of_sdk = cls.__module__.partition(".")[0] == self._package
        return is_of_sdk and not self._is_patched() and cls is self._client_class()

    def _is_replaced(self) -> bool:
        if not self._is_genuine():
            return True
        if self._made is None:
            foreign = self._options.keys() - self._native_options
            return bool(foreign) or any(callable(value) for value in self._options.values())
        # Whoever has a client of HTTP's of their own, or makes keys, sends the requests too.
        sender = type(getattr(self._made, "_client", self._made)).__module__
        makes_keys = getattr(self._made, "_api_key_provider", None) is not None
        if sender.partition(".")[0] != self._package or makes_keys:
            return True
        if replaced_method(self._made, self._method):
            return True
        if self._is_given:
            _say_once(type(self._made).__name__)
        return False

    def _settings(self) -> dict[str, Any]:
        """The client's arguments as they hold: of the real client if there is one."""
        client = self._made
        if client is None or not self._is_genuine():
            return self._options
        found = {name: getattr(client, name, None) for name in self._native_options}
        found["default_headers"] = dict(client._custom_headers)
        found["default_query"] = dict(client._custom_query)
        return {name: value for name, value in found.items() if value not in (None, {}, "")}

    def _access(self) -> dict[str, Any]:
        settings = self._settings()
        base_url = settings.get("base_url")
        access: dict[str, Any] = {
            "base_url": None if base_url is None else str(base_url),
            "api_key": settings.get("api_key"),
            "headers": dict(settings.get("default_headers") or {}),
            "query": dict(settings.get("default_query") or {}),
        }
        access = {name: value for name, value in access.items() if value}
        retries = settings.get("max_retries", SDK_RETRIES)
        return access if retries == SDK_RETRIES else {**access, "max_retries": retries}


def _say_once(client: str) -> None:
    if client not in _said:
        _said.add(client)
        logger.info(
            "llmeter's core sends the requests, with the address, key and headers of the %s", client
        )


def saved_extras(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Timeout, headers and query as they are saved. Of what may be a secret only the name is."""
    headers, query = settings.get("default_headers") or {}, settings.get("default_query") or {}
    kept_headers = {name: value for name, value in headers.items() if name.lower() in _HARMLESS_HEADERS}
    kept_query = {
        name: value
        for name, value in query.items()
        if not any(word in name.lower() for word in _SECRET_WORDS)
    }
    extras = {
        "timeout": saved_timeout(settings.get("timeout", SDK_TIMEOUT)),
        "default_headers": kept_headers,
        "default_query": kept_query,
        "unsaved_headers": sorted(headers.keys() - kept_headers.keys()),
        "unsaved_query": sorted(query.keys() - kept_query.keys()),
    }
    return {name: value for name, value in extras.items() if value}


def saved_timeout(timeout: Any) -> Any:
    """A number as it is, and the parts of an `httpx.Timeout`."""
    if timeout is None or isinstance(timeout, (int, float, dict)):
        return timeout
    return {part: getattr(timeout, part, None) for part in _TIMEOUTS}


def saved_url(url: Any, default: str | None = None, *, is_base: bool = True) -> str | None:
    """An address without user and password, and with a final slash if it is a base."""
    if url is None:
        return default
    parts = urlsplit(str(url))
    host = parts.netloc.rpartition("@")[2]
    path = parts.path if parts.path.endswith("/") or not is_base else parts.path + "/"
    return urlunsplit((parts.scheme, host, path, parts.query, ""))


def usage_detail(usage: Any, group: str, name: str) -> Any:
    """A count in a part of the usage that a server may leave out."""
    details = getattr(usage, group, None)
    return getattr(details, name, None) if details else None


def message_texts(messages: Any) -> str:
    """The texts of messages, each on a line. A message without any counts for nothing."""
    texts: list[str] = []
    for message in messages if isinstance(messages, list) else []:
        content = message.get("content")
        if isinstance(content, str):
            texts.append(content)
        elif content:
            texts.extend(part["text"] for part in content if "text" in part)
    return "\n".join(text for text in texts if text)
