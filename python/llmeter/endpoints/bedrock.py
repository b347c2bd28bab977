"""The Converse API of Amazon Bedrock."""

from __future__ import annotations

import logging
import time
from typing import Any, TypeVar

from ..prompt_utils import ContentItem
from . import _aws
from ._native import native
from .base import Endpoint, InvocationResponse
from .openai import check_max_tokens, prompt_parts

__all__ = [
    "BEDROCK_STREAM_ERROR_TYPES",
    "BedrockBase",
    "BedrockConverse",
    "BedrockConverseStream",
    "InvocationResponse",
]

BEDROCK_STREAM_ERROR_TYPES = frozenset(
    {
        "internalServerException",
        "modelStreamErrorException",
        "modelTimeoutException",
        "serviceUnavailableException",
        "throttlingException",
        "validationException",
    }
)
"""Events that end a stream of Bedrock with an error."""

DEFAULT_MAX_ATTEMPTS = 3
"""How often clients send a request at most. The core sends it once, unless it is told another number."""

logger = logging.getLogger(__name__)

TRawResponse = TypeVar("TRawResponse")


class BedrockEndpoint(Endpoint[TRawResponse]):
    """What endpoints on Bedrock have in common: a boto3 client, made only if Python code needs it."""

    region: str | None
    _max_attempts: int
    _given_client: Any
    _made: Any

    def _set_client(self, region: str | None, client: Any, max_attempts: int) -> None:
        self.region = _aws.region_of(region, client)
        self._max_attempts = max_attempts
        self._given_client = self._made = client

    @property
    def _bedrock_client(self) -> Any:
        if self._made is None:
            import boto3
            from botocore.config import Config

            retries: Any = {"max_attempts": self._max_attempts, "mode": "standard"}
            self._made = boto3.client(
                "bedrock-runtime", region_name=self.region, config=Config(retries=retries)
            )
        return self._made

    @_bedrock_client.setter
    def _bedrock_client(self, client: Any) -> None:
        self._given_client = self._made = client

    @_bedrock_client.deleter
    def _bedrock_client(self) -> None:
        self._given_client = self._made = None

    def _is_replaced(self) -> bool:
        if _aws.is_replaced(self._made, "bedrock-runtime"):
            return True
        if self._given_client is not None:
            _aws.say_once("boto3 client")
        return False

    def _access(self) -> dict[str, Any]:
        client = self._given_client
        access = {} if client is None else _aws.client_access(client)
        if self._max_attempts != DEFAULT_MAX_ATTEMPTS:
            access["max_retries"] = max(self._max_attempts - 1, 0)
        return access


class BedrockBase(BedrockEndpoint[TRawResponse]):
    """What Converse endpoints have in common.

    Args:
        model_id: the model, or an inference profile.
        endpoint_name: what reports call it.
        region: the AWS region; by default that of the client, the environment or the profile.
        inference_config: how to generate, for payloads that do not say it themselves.
        bedrock_boto3_client: a client `bedrock-runtime` whose region, address and credentials are
            used.
        max_attempts: how often a request is sent at most. The three times of the default are the
            client's: the core, which counts failures, sends again only if another number is given.
    """

    def __init__(
        self,
        model_id: str,
        endpoint_name: str | None = None,
        region: str | None = None,
        inference_config: dict[str, Any] | None = None,
        bedrock_boto3_client: Any = None,
        max_attempts: int = DEFAULT_MAX_ATTEMPTS,
    ):
        super().__init__(endpoint_name or "amazon bedrock", model_id, "bedrock")
        self._inference_config = inference_config
        self._set_client(region, bedrock_boto3_client, max_attempts)

    def prepare_payload(self, payload: dict[str, Any]) -> dict[str, Any]:
        prepared = {**payload, "modelId": self.model_id}
        if prepared.get("inferenceConfig") is None:
            prepared["inferenceConfig"] = self._inference_config or {}
        return prepared

    def _parse_payload(self, payload: dict[str, Any]) -> str:
        texts: list[str] = []
        try:
            for message in _typed(_typed(payload, dict).get("messages", []), list):
                for block in _typed(message, dict).get("content", []):
                    text = _typed(block, dict).get("text")
                    texts.extend(text if isinstance(text, list) else [text])
            return "\n".join(text for text in texts if text)
        except TypeError as error:
            logger.error("the payload's prompt cannot be read: %s", error)
            return ""

    @staticmethod
    def create_payload(
        user_message: str | list[ContentItem], max_tokens: int | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Makes a payload with one message of the user.

        Args:
            user_message: a text, or texts and media in their order.
            max_tokens: how many tokens to generate at most; by default what `inferenceConfig` says,
                or else 256.
            kwargs: further fields of the payload.

        Raises:
            TypeError: if a part is neither text nor media.
            ValueError: if there is no part, `max_tokens` is not positive, or the API does not take
                such media.
        """
        config = dict(kwargs.pop("inferenceConfig", None) or {})
        if max_tokens is None:
            max_tokens = config.get("maxTokens", 256)
        check_max_tokens(max_tokens)
        parts = prompt_parts(user_message, "user_message")
        content = _aws.content_blocks(parts, names_documents=True)
        return {
            "messages": [{"role": "user", "content": content}],
            **kwargs,
            "inferenceConfig": {**config, "maxTokens": max_tokens},
        }


def _typed(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{kind.__name__} expected, got {type(value).__name__}")
    return value


@native
class BedrockConverse(BedrockBase[Any]):
    """The Converse API, non-streaming."""

    @BedrockBase.llmeter_invoke
    def invoke(self, payload: dict[str, Any]) -> Any:
        """Sends one request and returns its response."""
        return self._bedrock_client.converse(**payload)

    def process_raw_response(self, raw_response: Any, start_t: float, response: InvocationResponse) -> None:
        metadata = raw_response.get("ResponseMetadata", {})
        response.id = metadata.get("RequestId")
        response.retries = metadata.get("RetryAttempts")
        blocks = raw_response["output"]["message"]["content"]
        response.response_text = "".join(block["text"] for block in blocks if "text" in block)
        usage = raw_response.get("usage", {})
        response.num_tokens_input = usage.get("inputTokens")
        response.num_tokens_input_cached = usage.get("cacheReadInputTokens")
        response.num_tokens_output = usage.get("outputTokens")


@native
class BedrockConverseStream(BedrockBase[Any]):
    """The Converse API, streaming.

    Args:
        ttft_visible_tokens_only: whether `process_raw_response` takes the first visible text for the
            first token; otherwise reasoning counts too.
            The core has both times: `time_to_first_token` is that of content of any kind,
            `time_to_first_answer_token` that of what is visible.
    """

    def __init__(
        self,
        model_id: str,
        endpoint_name: str | None = None,
        region: str | None = None,
        inference_config: dict[str, Any] | None = None,
        bedrock_boto3_client: Any = None,
        max_attempts: int = DEFAULT_MAX_ATTEMPTS,
        ttft_visible_tokens_only: bool = True,
    ):
        super().__init__(
            model_id, endpoint_name, region, inference_config, bedrock_boto3_client, max_attempts
        )
        self.ttft_visible_tokens_only = ttft_visible_tokens_only

    @BedrockBase.llmeter_invoke
    def invoke(self, payload: dict[str, Any]) -> Any:
        """Sends one request and returns its response."""
        return self._bedrock_client.converse_stream(**payload)

    def process_raw_response(self, raw_response: Any, start_t: float, response: InvocationResponse) -> None:
        metadata = raw_response["ResponseMetadata"]
        response.id = metadata.get("RequestId")
        response.retries = metadata["RetryAttempts"]
        for event in raw_response["stream"]:
            elapsed = time.perf_counter() - start_t
            if "contentBlockDelta" in event:
                self._read_delta(event["contentBlockDelta"]["delta"], elapsed, response)
            if "contentBlockStop" in event:
                response.time_to_last_token = elapsed
            if "metadata" in event:
                _add_usage(event["metadata"].get("usage", {}), response)
            if error := stream_error(event):
                response.time_to_last_token = elapsed
                raise RuntimeError(error)

    def _read_delta(self, delta: dict[str, Any], elapsed: float, response: InvocationResponse) -> None:
        text = None if "reasoningContent" in delta else delta.get("text")
        if text is not None and not isinstance(text, str):
            raise TypeError("Expected string for delta text")
        reasons = "reasoningContent" in delta and not self.ttft_visible_tokens_only
        if (text or reasons) and response.time_to_first_token is None:
            response.time_to_first_token = elapsed
        if text:
            if response.response_text is None:
                response.time_to_first_answer_token = elapsed
            response.response_text = (response.response_text or "") + text
            response.time_to_last_token = elapsed


def stream_error(event: dict[str, Any]) -> str | None:
    """What an event says that ends a stream with an error."""
    for kind in BEDROCK_STREAM_ERROR_TYPES & event.keys():
        return f"Bedrock {kind}: {event[kind]['message']}"
    return None


def _add_usage(usage: dict[str, Any], response: InvocationResponse) -> None:
    """Adds counts, which may come in several events."""
    for name, key in (
        ("num_tokens_input", "inputTokens"),
        ("num_tokens_output", "outputTokens"),
        ("num_tokens_input_cached", "cacheReadInputTokens"),
    ):
        if (count := usage.get(key)) is not None:
            setattr(response, name, (getattr(response, name) or 0) + count)
