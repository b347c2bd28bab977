"""The Messages API of Anthropic: its own, and those of Amazon Bedrock, Vertex AI and Foundry.

The core speaks it itself: the package `anthropic` is needed only by code that uses the client.

The API counts thinking among the output tokens and does not report it apart, so
`num_tokens_output_reasoning` stays unset. While thinking is shown it streams before the text; with
`"display": "omitted"` only its signature comes, once it is over.
"""

from __future__ import annotations

import time
from typing import Any, TypeVar

from ._native import native
from ._sdk import SDK_RETRIES, SdkEndpoint, saved_extras, saved_url
from .base import InvocationResponse
from .openai import check_max_tokens

__all__ = ["AnthropicMessages", "AnthropicMessagesEndpoint", "AnthropicMessagesStream"]

_ANTHROPIC_CLIENTS: dict[str, Any] = {
    "anthropic": "Anthropic",
    "bedrock": "AnthropicBedrock",
    "bedrock-mantle": "AnthropicBedrockMantle",
    "vertex": "AnthropicVertex",
    "foundry": "AnthropicFoundry",
}
"""The client of each provider: its name in the package, or a class put in its place."""

_DEFAULT_BASE_URL = "https://api.anthropic.com"
_THINKING_DELTAS = frozenset({"thinking_delta", "signature_delta"})
# What of a cloud's settings is saved.
_SAVED_SETTINGS = ("aws_region", "region", "project_id", "resource")

TRawResponse = TypeVar("TRawResponse")


class AnthropicMessagesEndpoint(SdkEndpoint[TRawResponse]):
    """What endpoints of the Messages API have in common.

    Args:
        model_id: the model, by its name at the provider.
        endpoint_name: what reports call it.
        provider: `anthropic`, `bedrock`, `bedrock-mantle`, `vertex` or `foundry`.
        api_key: the key; by default that in `ANTHROPIC_API_KEY`.
        aws_region: the region on Bedrock.
        kwargs: further arguments of the provider's client, like `base_url`, `max_retries`,
            `timeout`, `default_headers`. With one that the core does not know, such as
            `http_client`, requests are sent by that client instead of the core.

    Raises:
        ValueError: if the provider is unknown.
    """

    _method = ("messages", "create")
    _package = "anthropic"
    _native_options = frozenset(
        {
            "api_key",
            "auth_token",
            "base_url",
            "timeout",
            "max_retries",
            "default_headers",
            "default_query",
            "aws_region",
            "aws_access_key",
            "aws_secret_key",
            "aws_session_token",
            "region",
            "project_id",
            "access_token",
            "resource",
        }
    )

    def __init__(
        self,
        model_id: str,
        endpoint_name: str = "anthropic-messages",
        provider: str = "anthropic",
        api_key: str | None = None,
        aws_region: str | None = None,
        **kwargs: Any,
    ):
        if provider not in _ANTHROPIC_CLIENTS:
            raise ValueError(f"Unknown provider {provider!r}: use one of {', '.join(_ANTHROPIC_CLIENTS)}")
        super().__init__(endpoint_name, model_id, provider)
        self.aws_region = aws_region
        # Files have these, also where they say nothing.
        for name in ("middleware", "skip_auth"):
            if not kwargs.get(name):
                kwargs.pop(name, None)
        self._set_options({"api_key": api_key, "aws_region": aws_region, **kwargs})

    def _is_patched(self) -> bool:
        return not isinstance(_ANTHROPIC_CLIENTS[self.provider], str)

    def _client_class(self) -> Any:
        client = _ANTHROPIC_CLIENTS[self.provider]
        if not isinstance(client, str):
            return client
        import anthropic

        return getattr(anthropic, client)

    def _access(self) -> dict[str, Any]:
        access = super()._access()
        settings = self._settings()
        if "auth_token" in settings:
            access.setdefault("headers", {})["authorization"] = f"Bearer {settings['auth_token']}"
        if "access_token" in settings:
            access["api_key"] = settings["access_token"]
        if "resource" in settings and "base_url" not in access:
            host = f"{settings['resource']}.services.ai.azure.com"
            access["base_url"] = f"https://{host}/anthropic/"
        if "aws_access_key" in settings:
            access["aws"] = {
                "access_key_id": settings["aws_access_key"],
                "secret_access_key": settings.get("aws_secret_key"),
                "session_token": settings.get("aws_session_token"),
            }
        return access

    def _get_llmeter_state(self) -> dict[str, Any]:
        state = super()._get_llmeter_state()
        settings = self._settings()
        state.update({name: settings[name] for name in _SAVED_SETTINGS if name in settings})
        default = _DEFAULT_BASE_URL if self.provider == "anthropic" else None
        state["base_url"] = saved_url(settings.get("base_url"), default)
        state["max_retries"] = settings.get("max_retries", SDK_RETRIES)
        return {**state, **saved_extras(settings)}

    def _parse_payload(self, payload: dict[str, Any]) -> str:
        texts: list[str] = []
        for message in payload.get("messages") or []:
            content = message.get("content")
            if isinstance(content, str):
                texts.append(content)
            for block in content if isinstance(content, list) else []:
                if isinstance(block, str):
                    texts.append(block)
                elif isinstance(block, dict) and block.get("type") == "text":
                    texts.append(block.get("text", ""))
        return "\n".join(texts)

    @staticmethod
    def create_payload(
        user_message: str,
        max_tokens: int = 256,
        thinking: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Makes a payload with one message of the user.

        Args:
            user_message: the text.
            max_tokens: how many tokens to generate at most.
            thinking: whether and how the model thinks before, like `{"type": "adaptive"}`.
            kwargs: further fields of the payload, like `system` or `temperature`.

        Raises:
            TypeError: if the message is no text.
            ValueError: if `max_tokens` is not positive.
        """
        if not isinstance(user_message, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"user_message must be a str, got {type(user_message).__name__}")
        check_max_tokens(max_tokens)
        payload: dict[str, Any] = {
            "messages": [{"role": "user", "content": user_message}],
            "max_tokens": max_tokens,
        }
        if thinking is not None:
            payload["thinking"] = thinking
        return {**payload, **kwargs}


@native
class AnthropicMessages(AnthropicMessagesEndpoint[Any]):
    """The Messages API, non-streaming."""

    @AnthropicMessagesEndpoint.llmeter_invoke
    def invoke(self, payload: dict[str, Any]) -> Any:
        """Sends one request and returns its response."""
        return self._client.messages.create(**payload)

    def prepare_payload(self, payload: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {**kwargs, **payload, "model": self.model_id}

    def process_raw_response(self, raw_response: Any, start_t: float, response: InvocationResponse) -> None:
        response.time_to_last_token = time.perf_counter() - start_t
        response.id = raw_response.id
        texts = [block.text for block in raw_response.content if block.type == "text"]
        response.response_text = "".join(texts)
        if raw_response.usage:
            _read_input(raw_response.usage, response)
            response.num_tokens_output = getattr(raw_response.usage, "output_tokens", None)


@native
class AnthropicMessagesStream(AnthropicMessagesEndpoint[Any]):
    """The Messages API, streaming.

    Args:
        ttft_visible_tokens_only: whether `process_raw_response` takes the first visible text for the
            first token; otherwise thinking counts too, or its signature where thinking is not shown.
            The core has both times: `time_to_first_token` is that of content of any kind,
            `time_to_first_answer_token` that of what is visible.
    """

    def __init__(
        self,
        model_id: str,
        endpoint_name: str = "anthropic-messages",
        provider: str = "anthropic",
        api_key: str | None = None,
        aws_region: str | None = None,
        ttft_visible_tokens_only: bool = True,
        **kwargs: Any,
    ):
        super().__init__(model_id, endpoint_name, provider, api_key, aws_region, **kwargs)
        self.ttft_visible_tokens_only = ttft_visible_tokens_only

    @AnthropicMessagesEndpoint.llmeter_invoke
    def invoke(self, payload: dict[str, Any]) -> Any:
        """Sends one request and returns its response."""
        return self._client.messages.create(**payload)

    def prepare_payload(self, payload: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {**kwargs, **payload, "model": self.model_id, "stream": True}

    def process_raw_response(self, raw_response: Any, start_t: float, response: InvocationResponse) -> None:
        for event in raw_response:
            elapsed = time.perf_counter() - start_t
            match event.type:
                case "message_start":
                    response.id = event.message.id
                    if event.message.usage:
                        _read_input(event.message.usage, response)
                case "content_block_delta":
                    self._read_delta(event.delta, elapsed, response)
                case "message_delta" if event.usage:
                    response.num_tokens_output = getattr(event.usage, "output_tokens", None)
                case _:
                    pass

    def _read_delta(self, delta: Any, elapsed: float, response: InvocationResponse) -> None:
        kind = getattr(delta, "type", None)
        text = getattr(delta, "text", "") if kind == "text_delta" else ""
        counts = bool(text) or (kind in _THINKING_DELTAS and not self.ttft_visible_tokens_only)
        if counts and response.time_to_first_token is None:
            response.time_to_first_token = elapsed
        if text:
            if response.response_text is None:
                response.time_to_first_answer_token = elapsed
            response.response_text = (response.response_text or "") + text
            response.time_to_last_token = elapsed


def _read_input(usage: Any, response: InvocationResponse) -> None:
    response.num_tokens_input = getattr(usage, "input_tokens", None)
    response.num_tokens_input_cached = getattr(usage, "cache_read_input_tokens", None)
