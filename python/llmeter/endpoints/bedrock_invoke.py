"""The InvokeModel API of Amazon Bedrock, for models that speak an API of their own.

Where prompt, text and counts stand in a model's JSON is told by JMESPath. The defaults fit models
that speak Chat Completions.
"""

from __future__ import annotations

import json
import logging
import time
from typing import Any, TypeVar

from ._defaults import defaults
from ._native import native
from .base import InvocationResponse
from .bedrock import DEFAULT_MAX_ATTEMPTS, BedrockEndpoint, stream_error
from .openai import check_max_tokens

__all__ = ["BedrockInvoke", "BedrockInvokeBase", "BedrockInvokeStream", "InvocationResponse"]

logger = logging.getLogger(__name__)

TRawResponse = TypeVar("TRawResponse")


class BedrockInvokeBase(BedrockEndpoint[TRawResponse]):
    """What InvokeModel endpoints have in common.

    Args:
        model_id: the model.
        generated_text_jmespath: where the text is in a response, or in a chunk of it.
        input_text_jmespath: where the prompt is in a payload.
        generated_token_count_jmespath: where the output tokens are.
        input_token_count_jmespath: where the input tokens are.
        endpoint_name: what reports call it.
        region: the AWS region; by default that of the client, the environment or the profile.
        bedrock_boto3_client: a client `bedrock-runtime` whose region, address and credentials are
            used.
        max_attempts: how often a request is sent at most.
    """

    def __init__(
        self,
        model_id: str,
        generated_text_jmespath: str,
        input_text_jmespath: str,
        generated_token_count_jmespath: str | None = None,
        input_token_count_jmespath: str | None = None,
        endpoint_name: str | None = None,
        region: str | None = None,
        bedrock_boto3_client: Any = None,
        max_attempts: int = DEFAULT_MAX_ATTEMPTS,
    ):
        super().__init__(endpoint_name or "amazon bedrock", model_id, "bedrock")
        self.generated_text_jmespath = generated_text_jmespath
        self.generated_token_count_jmespath = generated_token_count_jmespath
        self.input_text_jmespath = input_text_jmespath
        self.input_token_count_jmespath = input_token_count_jmespath
        self._set_client(region, bedrock_boto3_client, max_attempts)

    def _parse_payload(self, payload: dict[str, Any]) -> str:
        try:
            found = search(self.input_text_jmespath, payload)
        except Exception as error:
            logger.error("the payload's prompt cannot be read: %s", error)
            return ""
        if isinstance(found, str):
            return found
        if isinstance(found, list):
            return "\n".join(found)
        raise TypeError(
            f"Failed to extract input text from payload: {self.input_text_jmespath!r} should give "
            f"a text or a list of texts, but gives {type(found).__name__}"
        )

    @staticmethod
    def create_payload(
        user_message: str | list[str], max_tokens: int | None = 256, **kwargs: Any
    ) -> dict[str, Any]:
        """Makes a payload for a model that speaks Chat Completions.

        Args:
            user_message: a text, or several that become messages of the user.
            max_tokens: how many tokens to generate at most.
            kwargs: further fields of the payload.

        Raises:
            TypeError: if a message is no text.
            ValueError: if there is none, or `max_tokens` is not positive.
        """
        texts: Any = [user_message] if isinstance(user_message, str) else user_message
        if not isinstance(texts, list):
            raise TypeError("user_message must be a string or list of strings")
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("All messages must be strings")
        if not texts:
            raise ValueError("user_message list cannot be empty")
        check_max_tokens(max_tokens)
        messages = [{"role": "user", "content": [{"text": text, "type": "text"}]} for text in texts]
        return {"messages": messages, "max_tokens": max_tokens, **kwargs}

    def _request(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call."""
        return {
            "accept": "application/json",
            "body": json.dumps(payload).encode("utf-8"),
            "contentType": "application/json",
            "modelId": self.model_id,
        }

    def _count(self, path: str | None, document: Any) -> Any:
        return search(path, document) if path else None


class ChatPaths(BedrockInvokeBase[Any]):
    """Paths that fit models with Chat Completions."""

    def __init__(
        self,
        model_id: str,
        endpoint_name: str | None = None,
        region: str | None = None,
        bedrock_boto3_client: Any = None,
        max_attempts: int = DEFAULT_MAX_ATTEMPTS,
        generated_text_jmespath: str = "choices[0].message.content",
        generated_token_count_jmespath: str | None = "usage.completion_tokens",
        input_text_jmespath: str = "messages[].content[].text",
        input_token_count_jmespath: str | None = "usage.prompt_tokens",
    ):
        super().__init__(
            model_id,
            generated_text_jmespath,
            input_text_jmespath,
            generated_token_count_jmespath,
            input_token_count_jmespath,
            endpoint_name,
            region,
            bedrock_boto3_client,
            max_attempts,
        )


@native
class BedrockInvoke(ChatPaths):
    """The InvokeModel API, non-streaming. Its arguments are those of `BedrockInvokeBase`."""

    @BedrockInvokeBase.llmeter_invoke
    def invoke(self, payload: dict[str, Any]) -> Any:
        """Sends one request and returns its response."""
        return self._bedrock_client.invoke_model(**self._request(payload))

    def process_raw_response(self, raw_response: Any, start_t: float, response: InvocationResponse) -> None:
        text = raw_response["body"].read().decode("utf-8")
        # Reading JSON is no part of the response's time.
        response.time_to_last_token = time.perf_counter() - start_t
        body = json.loads(text)
        metadata = raw_response.get("ResponseMetadata", {})
        response.id = body.get("id") or metadata.get("RequestId")
        response.retries = metadata.get("RetryAttempts")
        found = search(self.generated_text_jmespath, body)
        response.response_text = "\n".join(found) if isinstance(found, list) else found
        response.num_tokens_input = self._count(self.input_token_count_jmespath, body)
        response.num_tokens_output = self._count(self.generated_token_count_jmespath, body)


@native
@defaults(
    generated_text_jmespath="choices[0].delta.content",
    generated_token_count_jmespath='"amazon-bedrock-invocationMetrics".outputTokenCount',
    input_token_count_jmespath='"amazon-bedrock-invocationMetrics".inputTokenCount',
)
class BedrockInvokeStream(ChatPaths):
    """The InvokeModel API, streaming. Its arguments are those of `BedrockInvokeBase`.

    The paths of text and counts are sought in every chunk; of the counts the last one holds.
    """

    @BedrockInvokeBase.llmeter_invoke
    def invoke(self, payload: dict[str, Any]) -> Any:
        """Sends one request and returns its response."""
        return self._bedrock_client.invoke_model_with_response_stream(**self._request(payload))

    def process_raw_response(self, raw_response: Any, start_t: float, response: InvocationResponse) -> None:
        metadata = raw_response.get("ResponseMetadata", {})
        response.id = metadata.get("RequestId")
        response.retries = metadata.get("RetryAttempts")
        chunks: list[Any] = []
        for event in raw_response["body"]:
            elapsed = time.perf_counter() - start_t
            if "chunk" in event:
                chunk = json.loads(event["chunk"]["bytes"])
                chunks.append(chunk)
                self._read_text(chunk, elapsed, response)
            elif error := stream_error(event):
                response.error = error
                response.time_to_last_token = elapsed
        # Counts are sought when no time is taken any more.
        for chunk in chunks:
            for name, path in (
                ("num_tokens_input", self.input_token_count_jmespath),
                ("num_tokens_output", self.generated_token_count_jmespath),
            ):
                if (count := self._count(path, chunk)) is not None:
                    setattr(response, name, count)

    def _read_text(self, chunk: Any, elapsed: float, response: InvocationResponse) -> None:
        if "id" in chunk:
            response.id = chunk["id"]
        text = search(self.generated_text_jmespath, chunk)
        if isinstance(text, list):
            text = "".join(text)
        if not text:
            return
        if response.response_text is None:
            response.time_to_first_token = elapsed
        response.response_text = (response.response_text or "") + text
        response.time_to_last_token = elapsed


def search(path: str, document: Any) -> Any:
    """What a JMESPath finds in a document."""
    import jmespath

    return jmespath.search(path, document)
