"""The Responses API of OpenAI.

The core speaks it itself: the package `openai` is needed only by code that uses the client.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from ..prompt_utils import ContentItem, MediaContent
from ._defaults import defaults
from ._native import native
from ._sdk import message_texts, usage_detail
from .base import InvocationResponse
from .openai import (
    DEFAULT_MAX_RETRIES,
    FILE_TYPES,
    IMAGE_TYPES,
    ModelFirst,
    OpenAIClientEndpoint,
    client_class,
    data_url,
    file_fields,
)

__all__ = ["OpenAIEndpointBase", "OpenAIResponseEndpoint", "OpenAIResponseStreamEndpoint"]

_REASONING_DELTAS = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})

TRawResponse = TypeVar("TRawResponse")


def __getattr__(name: str) -> Any:
    return client_class(name, __name__)


class OpenAIEndpointBase(OpenAIClientEndpoint[TRawResponse]):
    """What endpoints of the Responses API have in common.

    The arguments are those of `llmeter.endpoints.openai.OpenAIEndpoint`, with the name first.
    """

    _home = __name__
    _method = ("responses", "create")

    def _parse_payload(self, payload: dict[str, Any]) -> str:
        given = payload.get("input")
        return given if isinstance(given, str) else message_texts(given)

    @staticmethod
    def create_payload(
        user_message: str | Sequence[ContentItem],
        max_output_tokens: int = 256,
        instructions: str | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Makes a payload of one text, or of several that are messages of the user.

        With media among them, they are the parts of one message.

        Args:
            user_message: the text, or texts and media in their order.
            max_output_tokens: how many tokens to generate at most.
            instructions: what the model is told before them.
            kwargs: further fields of the payload.

        Raises:
            ValueError: if the API does not take such media.
        """
        given: Any = user_message
        if not isinstance(user_message, str):
            contents: list[Any] = list(user_message)
            if any(isinstance(part, MediaContent) for part in contents):
                contents = [[_content_part(part) for part in contents]]
            given = [{"role": "user", "content": content} for content in contents]
        payload: dict[str, Any] = {"input": given, "max_output_tokens": max_output_tokens}
        if instructions:
            payload["instructions"] = instructions
        return {**payload, **kwargs}


@native
@defaults(endpoint_name="openai-response")
class OpenAIResponseEndpoint(ModelFirst[Any], OpenAIEndpointBase[Any]):
    """The Responses API, non-streaming."""

    @OpenAIEndpointBase.llmeter_invoke
    def invoke(self, payload: dict[str, Any]) -> Any:
        """Sends one request and returns its response."""
        return self._client.responses.create(**payload)

    def prepare_payload(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {**payload, "model": self.model_id, "stream": False}

    def process_raw_response(self, raw_response: Any, start_t: float, response: InvocationResponse) -> None:
        elapsed = time.perf_counter() - start_t
        if getattr(raw_response, "status", None) == "failed":
            response.error = _failure(raw_response)
            return
        response.time_to_last_token = elapsed
        response.id = raw_response.id
        response.response_text = raw_response.output_text
        _read_usage(raw_response.usage, response)


@native
class OpenAIResponseStreamEndpoint(ModelFirst[Any], OpenAIEndpointBase[Any]):
    """The Responses API, streaming.

    Args:
        ttft_visible_tokens_only: whether `process_raw_response` takes the first visible text for the
            first token; otherwise reasoning counts too.
            The core has both times: `time_to_first_token` is that of content of any kind,
            `time_to_first_answer_token` that of what is visible.
    """

    def __init__(
        self,
        model_id: str,
        endpoint_name: str = "openai-response-stream",
        api_key: str | None = None,
        provider: str = "openai",
        ttft_visible_tokens_only: bool = True,
        organization: str | None = None,
        project: str | None = None,
        base_url: Any = None,
        websocket_base_url: Any = None,
        timeout: Any = None,
        max_retries: int = DEFAULT_MAX_RETRIES,
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, object] | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            *(model_id, endpoint_name, api_key, provider, organization, project, base_url),
            *(websocket_base_url, timeout, max_retries, default_headers, default_query),
            **kwargs,
        )
        self.ttft_visible_tokens_only = ttft_visible_tokens_only

    @OpenAIEndpointBase.llmeter_invoke
    def invoke(self, payload: dict[str, Any]) -> Any:
        """Sends one request and returns its response."""
        return self._client.responses.create(**payload)

    def prepare_payload(self, payload: dict[str, Any]) -> dict[str, Any]:
        # Usage comes without being asked for.
        return {**payload, "model": self.model_id, "stream": True}

    def process_raw_response(self, raw_response: Any, start_t: float, response: InvocationResponse) -> None:
        for event in raw_response:
            elapsed = time.perf_counter() - start_t
            match event.type:
                case "response.created":
                    response.id = event.response.id
                case "response.output_text.delta":
                    if response.response_text is None:
                        response.time_to_first_answer_token = elapsed
                    if response.time_to_first_token is None:
                        response.time_to_first_token = elapsed
                    response.response_text = (response.response_text or "") + event.delta
                    response.time_to_last_token = elapsed
                case "response.completed" | "response.incomplete":
                    _read_usage(event.response.usage, response)
                case "response.failed":
                    response.error = _failure(event.response)
                    response.time_to_last_token = elapsed
                case "error":
                    response.error = _error_text(event)
                    response.time_to_last_token = elapsed
                case kind if kind in _REASONING_DELTAS and not self.ttft_visible_tokens_only:
                    if response.time_to_first_token is None:
                        response.time_to_first_token = elapsed
                case _:
                    pass


def _content_part(part: Any) -> dict[str, Any]:
    if not isinstance(part, MediaContent):
        return {"type": "input_text", "text": part}
    if part.mime_type in IMAGE_TYPES:
        return {"type": "input_image", "image_url": data_url(part), "detail": "auto"}
    if part.mime_type in FILE_TYPES:
        return {"type": "input_file", **file_fields(part)}
    raise ValueError(f"Unsupported MIME type for OpenAI: {part.mime_type!r}")


def _failure(raw_response: Any) -> str:
    error = getattr(raw_response, "error", None)
    return "Response API request failed" if error is None else _error_text(error)


def _error_text(error: Any) -> str:
    message = getattr(error, "message", None) or str(error)
    code = getattr(error, "code", None)
    return f"{code}: {message}" if code else message


def _read_usage(usage: Any, response: InvocationResponse) -> None:
    if usage is None:
        return
    response.num_tokens_input = usage.input_tokens
    response.num_tokens_output = usage.output_tokens
    response.num_tokens_input_cached = usage_detail(usage, "input_tokens_details", "cached_tokens")
    response.num_tokens_output_reasoning = usage_detail(usage, "output_tokens_details", "reasoning_tokens")
