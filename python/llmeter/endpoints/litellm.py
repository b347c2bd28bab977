"""Models behind the package `litellm`, which then sends the requests.

That is Python's work, with Python's times. Where the core speaks a model's API itself, its endpoint
measures better.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any, TypeVar

from ..prompt_utils import ContentItem, MediaContent
from .base import Endpoint, InvocationResponse
from .openai import content_part

__all__ = ["LiteLLM", "LiteLLMBase", "LiteLLMStreaming"]

TRawResponse = TypeVar("TRawResponse")


def __getattr__(name: str) -> Any:
    if name not in ("completion", "get_llm_provider", "litellm"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    os.environ.setdefault("LITELLM_LOG", "CRITICAL")
    os.environ.setdefault("LITELLM_DONT_SHOW_FEEDBACK_BOX", "true")
    # Its table of models comes with it; by default it looks for a newer one on the network.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm: Any = importlib.import_module("litellm")
    # Nothing of a request or response in a log.
    litellm.turn_off_message_logging = True
    litellm.suppress_debug_info = True
    litellm.json_logs = True
    return litellm if name == "litellm" else getattr(litellm, name)


def _of_litellm(name: str) -> Any:
    return getattr(sys.modules[__name__], name)


class LiteLLMBase(Endpoint[TRawResponse]):
    """What endpoints on LiteLLM have in common.

    Args:
        litellm_model: the model as LiteLLM names it, with its provider.
        model_id: what reports call the model; by default its name without the provider.
    """

    def __init__(self, litellm_model: str, model_id: str | None = None):
        self.litellm_model = litellm_model
        name, provider, _, _ = _of_litellm("get_llm_provider")(litellm_model)
        super().__init__(endpoint_name=name, model_id=model_id or name, provider=provider)

    def _parse_payload(self, payload: dict[str, Any]) -> str:
        return json.dumps(payload.get("messages"))

    @staticmethod
    def create_payload(
        user_message: str | Sequence[ContentItem],
        max_tokens: int = 256,
        system_message: str | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Makes a payload of one message of the user or several.

        With media among the texts, they are the parts of one message.

        Args:
            user_message: the text, or texts and media in their order.
            max_tokens: how many tokens to generate at most.
            system_message: what the model is told before them.
            kwargs: further fields of the payload.

        Raises:
            ValueError: if OpenAI's API, whose form LiteLLM takes, has no place for such media.
        """
        contents: list[Any] = [user_message] if isinstance(user_message, str) else list(user_message)
        if any(isinstance(part, MediaContent) for part in contents):
            contents = [[content_part(part) for part in contents]]
        messages: list[dict[str, Any]] = [{"role": "user", "content": one} for one in contents]
        payload: dict[str, Any] = {"messages": messages, "max_tokens": max_tokens, **kwargs}
        if system_message:
            system = {"role": "system", "content": system_message}
            payload["messages"] = [system, *payload["messages"]]
        return payload


class LiteLLM(LiteLLMBase[Any]):
    """A model behind LiteLLM, non-streaming."""

    @LiteLLMBase.llmeter_invoke
    def invoke(self, payload: dict[str, Any]) -> Any:
        """Sends one request and returns its response."""
        return _of_litellm("completion")(**payload)

    def prepare_payload(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {**payload, "model": self.litellm_model, "stream": False}

    def process_raw_response(self, raw_response: Any, start_t: float, response: InvocationResponse) -> None:
        response.time_to_last_token = time.perf_counter() - start_t
        response.id = raw_response.id
        _read_usage(getattr(raw_response, "usage", None), response)
        response.response_text = raw_response.choices[0].message.content


class LiteLLMStreaming(LiteLLMBase[Any]):
    """A model behind LiteLLM, streaming."""

    @LiteLLMBase.llmeter_invoke
    def invoke(self, payload: dict[str, Any]) -> Any:
        """Sends one request and returns its response."""
        return _of_litellm("completion")(**payload)

    def prepare_payload(self, payload: dict[str, Any]) -> dict[str, Any]:
        options = {**(payload.get("stream_options") or {}), "include_usage": True}
        return {
            **payload,
            "model": self.litellm_model,
            "stream": True,
            "stream_options": options,
        }

    def process_raw_response(self, raw_response: Any, start_t: float, response: InvocationResponse) -> None:
        has_id = False
        for chunk in raw_response:
            elapsed = time.perf_counter() - start_t
            if not has_id and chunk.id is not None:
                response.id, has_id = chunk.id, True
            text = chunk.choices[0].delta.content if chunk.choices else None
            if text:
                if response.response_text is None:
                    response.time_to_first_token = elapsed
                response.response_text = (response.response_text or "") + text
                response.time_to_last_token = elapsed
            _read_usage(getattr(chunk, "usage", None), response)


def _read_usage(usage: Any, response: InvocationResponse) -> None:
    if usage:
        response.num_tokens_input = usage.prompt_tokens
        response.num_tokens_output = usage.completion_tokens
