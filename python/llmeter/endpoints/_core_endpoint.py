"""Endpoints whose API only the core speaks: there is no client of Python's for them here."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from ._sdk import saved_extras, saved_url
from .base import Endpoint, InvocationResponse
from .openai import check_max_tokens


class CoreEndpoint(Endpoint[Any]):
    """What endpoints that only the core speaks have in common.

    Args:
        model_id: the model.
        endpoint_name: what reports call it; by default the API's name.
        provider: who serves it.
        base_url: the address; by default the API's own, if it has one.
        api_key: the key; by default that in the API's environment variable.
        max_retries: how often a failed request is sent again.
        default_headers: further headers of every request. Of those that may be secrets, only the
            names are saved.
        default_query: further query parameters of every request.
        kwargs: settings that the API has beside these, as files have them.
    """

    _name: str
    _provider: str
    # Further settings that are saved.
    _own: tuple[str, ...] = ()

    def __init__(
        self,
        model_id: str,
        endpoint_name: str | None = None,
        provider: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        max_retries: int = 0,
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, str] | None = None,
        **kwargs: Any,
    ):
        super().__init__(endpoint_name or self._name, model_id, provider or self._provider)
        self.base_url = saved_url(base_url)
        self.max_retries = max_retries
        for name in self._own:
            if name in kwargs:
                setattr(self, name, kwargs.pop(name))
        unknown = kwargs.keys() - {"timeout", "unsaved_headers", "unsaved_query"}
        if unknown:
            raise TypeError(f"{type(self).__name__} has no setting {', '.join(sorted(unknown))}")
        self._given_url = base_url
        self._api_key = api_key
        self._headers = dict(default_headers or {})
        self._query = dict(default_query or {})

    def _access(self) -> dict[str, Any]:
        access = {
            "base_url": self._given_url,
            "api_key": self._api_key,
            "headers": self._headers,
            "query": self._query,
            "max_retries": self.max_retries,
        }
        return {name: value for name, value in access.items() if value}

    def _get_llmeter_state(self) -> dict[str, Any]:
        own = ("model_id", "endpoint_name", "provider", *self._own, "base_url", "max_retries")
        values = {name: getattr(self, name, None) for name in own}
        state = {name: value for name, value in values.items() if value is not None}
        extras = saved_extras({"default_headers": self._headers, "default_query": self._query})
        extras.pop("timeout")
        return {**state, **extras}

    @Endpoint.llmeter_invoke
    def invoke(self, payload: dict[str, Any]) -> Any:
        """Sends one request and returns its response."""
        raise RuntimeError(
            f"only llmeter's core speaks the API of {type(self).__name__}, and it cannot take over an "
            "endpoint with methods of its own"
        )

    def process_raw_response(self, raw_response: Any, start_t: float, response: InvocationResponse) -> None:
        raise NotImplementedError("the core reads these responses")


class TextEndpoint(CoreEndpoint):
    """A core endpoint whose payloads are made of texts and a limit."""

    @classmethod
    def create_payload(
        cls, user_message: str | list[str], max_tokens: int = 256, **kwargs: Any
    ) -> dict[str, Any]:
        """Makes a payload with one message of the user.

        Args:
            user_message: the text, or the texts of its parts.
            max_tokens: how many tokens to generate at most.
            kwargs: further fields of the payload.

        Raises:
            TypeError: if a part is no text.
            ValueError: if there is none, or `max_tokens` is not positive.
        """
        check_max_tokens(max_tokens)
        return {**cls._payload(texts_of(user_message), max_tokens), **kwargs}

    @staticmethod
    @abstractmethod
    def _payload(texts: list[str], max_tokens: int) -> dict[str, Any]:
        """The payload of these texts."""


def texts_of(prompt: str | list[str]) -> list[str]:
    """The texts of a prompt.

    Raises:
        TypeError: if a part is no text.
        ValueError: if there is none.
    """
    texts: list[Any] = [prompt] if isinstance(prompt, str) else list(prompt)
    if not texts:
        raise ValueError("user_message must not be empty")
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("user_message must be a str or list of str: give a payload for anything else")
    return texts
