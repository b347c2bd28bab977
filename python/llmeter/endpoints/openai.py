"""The Chat Completions API of OpenAI, and of the many servers that speak it.

The core speaks it itself: the package `openai` is needed only by code that uses the client.
"""

from __future__ import annotations

import base64
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, TypeVar

from ..prompt_utils import ContentItem, MediaContent, VideoContent
from ._native import native
from ._sdk import SDK_RETRIES, SdkEndpoint, message_texts, saved_extras, saved_url, usage_detail
from .base import InvocationResponse

__all__ = ["OpenAICompletionEndpoint", "OpenAICompletionStreamEndpoint", "OpenAIEndpoint"]

DEFAULT_BASE_URL = "https://api.openai.com/v1/"
DEFAULT_MAX_RETRIES = SDK_RETRIES

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_AUDIO_FORMATS = {"audio/mpeg": "mp3", "audio/wav": "wav"}
FILE_TYPES = frozenset({"application/pdf"})

TRawResponse = TypeVar("TRawResponse")


def __getattr__(name: str) -> Any:
    return client_class(name, __name__)


def client_class(name: str, module: str) -> Any:
    """The client `OpenAI` as an attribute of a module, imported when it is asked for."""
    if name != "OpenAI":
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    from openai import OpenAI

    return OpenAI


class OpenAIClientEndpoint(SdkEndpoint[TRawResponse]):
    """What endpoints with a client of the package `openai` have in common.

    The arguments are those of `OpenAIEndpoint`, with the name first.
    """

    # The module in which a stand-in may be put into the place of the client's class.
    _home: str
    _package = "openai"
    _native_options = frozenset(
        {
            "api_key",
            "organization",
            "project",
            "base_url",
            "websocket_base_url",
            "timeout",
            "max_retries",
            "default_headers",
            "default_query",
        }
    )

    def __init__(
        self,
        endpoint_name: str,
        model_id: str,
        api_key: str | None = None,
        provider: str = "openai",
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
        super().__init__(endpoint_name, model_id, provider)
        self._set_options(
            {
                "api_key": api_key,
                "organization": organization,
                "project": project,
                "base_url": base_url,
                "websocket_base_url": websocket_base_url,
                "timeout": timeout,
                "max_retries": max_retries,
                "default_headers": default_headers,
                "default_query": default_query,
                **kwargs,
            }
        )

    def _is_patched(self) -> bool:
        return "OpenAI" in vars(sys.modules[self._home])

    def _client_class(self) -> Any:
        return getattr(sys.modules[self._home], "OpenAI")  # noqa: B009

    @property
    def project(self) -> str | None:
        """The project that is charged."""
        return self._settings().get("project") or os.environ.get("OPENAI_PROJECT_ID")

    def _get_llmeter_state(self) -> dict[str, Any]:
        state = super()._get_llmeter_state()
        settings = self._settings()
        state["organization"] = settings.get("organization") or os.environ.get("OPENAI_ORG_ID")
        address = settings.get("base_url") or os.environ.get("OPENAI_BASE_URL")
        state["base_url"] = saved_url(address, DEFAULT_BASE_URL)
        state["max_retries"] = settings.get("max_retries", DEFAULT_MAX_RETRIES)
        if "websocket_base_url" in settings:
            state["websocket_base_url"] = str(settings["websocket_base_url"])
        return {**state, **saved_extras(settings)}


class ModelFirst(OpenAIClientEndpoint[TRawResponse]):
    """An endpoint whose constructor takes the model first, and has a name for it."""

    def __init__(
        self,
        model_id: str,
        endpoint_name: str = "openai",
        api_key: str | None = None,
        provider: str = "openai",
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
            *(endpoint_name, model_id, api_key, provider, organization, project, base_url),
            *(websocket_base_url, timeout, max_retries, default_headers, default_query),
            **kwargs,
        )


class OpenAIEndpoint(ModelFirst[TRawResponse]):
    """What Chat Completions endpoints have in common.

    Args:
        model_id: the model.
        endpoint_name: what reports call it.
        api_key: the key; by default that in `OPENAI_API_KEY`.
        provider: who serves it.
        organization: the organization that is charged.
        project: the project that is charged.
        base_url: the address up to `/v1`; by default OpenAI's.
        websocket_base_url: kept for the client; no request goes there.
        timeout: seconds, or an `httpx.Timeout`, or a dict of its arguments.
        max_retries: how often a failed request is sent again. The two times of the default are the
            client's: the core, which counts failures, sends again only if another number is given.
        default_headers: further headers of every request. Of those that may be secrets, only the
            names are saved.
        default_query: further query parameters of every request.
        kwargs: further arguments of the client `openai.OpenAI`. With any, such as `http_client`,
            requests are sent by that client instead of the core.
    """

    _home = __name__
    _method = ("chat", "completions", "create")

    def _parse_payload(self, payload: dict[str, Any]) -> str:
        return message_texts(payload.get("messages"))

    @staticmethod
    def create_payload(
        user_message: str | list[ContentItem], max_tokens: int = 256, **kwargs: Any
    ) -> dict[str, Any]:
        """Makes a payload with one message of the user.

        Args:
            user_message: a text, or texts and media in their order.
            max_tokens: how many tokens to generate at most.
            kwargs: further fields of the payload.

        Raises:
            TypeError: if a part is neither text nor media.
            ValueError: if there is no part, `max_tokens` is not positive, or the API does not take
                such media.

        Example:
            >>> OpenAIEndpoint.create_payload("Hello", max_tokens=8)
            {'messages': [{'role': 'user', 'content': 'Hello'}], 'max_tokens': 8}
        """
        check_max_tokens(max_tokens)
        parts = prompt_parts(user_message, "user_message")
        if len(parts) == 1 and isinstance(parts[0], str):
            content: Any = parts[0]
        else:
            content = [content_part(part) for part in parts]
        message = {"role": "user", "content": content}
        return {"messages": [message], "max_tokens": max_tokens, **kwargs}


@native
class OpenAICompletionEndpoint(OpenAIEndpoint[Any]):
    """Chat Completions, non-streaming."""

    @OpenAIEndpoint.llmeter_invoke
    def invoke(self, payload: dict[str, Any]) -> Any:
        """Sends one request and returns its response."""
        return self._client.chat.completions.create(**payload)

    def prepare_payload(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {**payload, "model": self.model_id, "stream": False}

    def process_raw_response(self, raw_response: Any, start_t: float, response: InvocationResponse) -> None:
        response.time_to_last_token = time.perf_counter() - start_t
        response.id = raw_response.id
        response.response_text = raw_response.choices[0].message.content
        _read_usage(raw_response.usage, response)


@native
class OpenAICompletionStreamEndpoint(OpenAIEndpoint[Any]):
    """Chat Completions, streaming."""

    @OpenAIEndpoint.llmeter_invoke
    def invoke(self, payload: dict[str, Any]) -> Any:
        """Sends one request and returns its response."""
        return self._client.chat.completions.create(**payload)

    def prepare_payload(self, payload: dict[str, Any]) -> dict[str, Any]:
        prepared = {**payload, "model": self.model_id, "stream": True}
        if not prepared.get("stream_options"):
            prepared["stream_options"] = {"include_usage": True}
        return prepared

    def process_raw_response(self, raw_response: Any, start_t: float, response: InvocationResponse) -> None:
        has_id = False
        for chunk in raw_response:
            elapsed = time.perf_counter() - start_t
            if not has_id and chunk.id is not None:
                response.id, has_id = chunk.id, True
            if chunk.choices:
                delta = chunk.choices[0].delta
                if delta.content:
                    if response.response_text is None:
                        response.time_to_first_answer_token = elapsed
                    response.response_text = (response.response_text or "") + delta.content
                if delta.content or _reasons(delta):
                    if response.time_to_first_token is None:
                        response.time_to_first_token = elapsed
                    response.time_to_last_token = elapsed
            _read_usage(chunk.usage, response)


def _reasons(delta: Any) -> bool:
    """Whether a chunk carries reasoning, under either name that servers give it."""
    texts = (getattr(delta, "reasoning_content", None), getattr(delta, "reasoning", None))
    return any(isinstance(text, str) and text for text in texts)


def _read_usage(usage: Any, response: InvocationResponse) -> None:
    if not usage:
        return
    response.num_tokens_input = usage.prompt_tokens
    response.num_tokens_output = usage.completion_tokens
    response.num_tokens_input_cached = usage_detail(usage, "prompt_tokens_details", "cached_tokens")
    response.num_tokens_output_reasoning = usage_detail(
        usage, "completion_tokens_details", "reasoning_tokens"
    )


def check_max_tokens(max_tokens: Any) -> None:
    """Refuses anything but a positive whole number."""
    if not isinstance(max_tokens, int) or max_tokens <= 0:
        raise ValueError(f"max_tokens must be a positive integer, not {max_tokens!r}")


def prompt_parts(prompt: Any, name: str) -> list[Any]:
    """The parts of a prompt that is a text or a list."""
    if isinstance(prompt, str):
        return [prompt]
    if not isinstance(prompt, list):
        kind = type(prompt).__name__
        raise TypeError(f"{name} must be a str or list of str/MediaContent, got {kind}")
    if not prompt:
        raise ValueError(f"{name} must not be empty")
    return prompt


def content_part(part: Any) -> dict[str, Any]:
    """A text or media as Chat Completions takes it.

    Raises:
        TypeError: if it is neither.
        ValueError: if the API does not take such media.
    """
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if not isinstance(part, MediaContent):
        kind = type(part).__name__
        raise TypeError(f"Content items must be str or MediaContent, got {kind}")
    if isinstance(part, VideoContent):
        raise ValueError(
            "OpenAI Chat Completions API does not support inline video: send frames of it as images"
        )
    if part.mime_type in IMAGE_TYPES:
        return {"type": "image_url", "image_url": {"url": data_url(part)}}
    if part.mime_type in _AUDIO_FORMATS:
        audio = {"data": _base64(part), "format": _AUDIO_FORMATS[part.mime_type]}
        return {"type": "input_audio", "input_audio": audio}
    if part.mime_type in FILE_TYPES:
        return {"type": "file", "file": file_fields(part)}
    raise ValueError(f"Unsupported MIME type for OpenAI: {part.mime_type!r}")


def file_fields(part: MediaContent) -> dict[str, Any]:
    """A document as OpenAI takes it, with the name of its file."""
    file = {"file_data": data_url(part)}
    if part.source_path:
        file["filename"] = os.path.basename(part.source_path)
    return file


def data_url(part: MediaContent) -> str:
    """Media as a URL."""
    return f"data:{part.mime_type};base64,{_base64(part)}"


def _base64(part: MediaContent) -> str:
    return base64.b64encode(part.data).decode("ascii")
