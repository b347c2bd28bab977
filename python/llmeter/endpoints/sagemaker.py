"""Real-time endpoints of Amazon SageMaker with TGI's API, or with JSON that JMESPath reads."""

from __future__ import annotations

import base64
import json
import logging
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from ..prompt_utils import ContentItem
from . import _aws
from ._native import native
from .base import Endpoint, InvocationResponse
from .bedrock_invoke import search
from .openai import check_max_tokens, prompt_parts

__all__ = [
    "InvocationResponse",
    "SageMakerBase",
    "SageMakerEndpoint",
    "SageMakerStreamEndpoint",
    "TokenIterator",
]

logger = logging.getLogger(__name__)

TRawResponse = TypeVar("TRawResponse")


class SageMakerBase(Endpoint[TRawResponse]):
    """What SageMaker endpoints have in common.

    Args:
        endpoint_name: the endpoint.
        model_id: the model behind it, for reports.
        generated_text_jmespath: where the text is in a response.
        input_text_jmespath: where the prompt is in a payload.
        token_count_jmespath: where the output tokens are in a response.
        region: the AWS region; by default that of the session, the environment or the profile.
        boto3_session: a session whose region and credentials are used.
        kwargs: kept as `kwargs`.
    """

    def __init__(
        self,
        endpoint_name: str,
        model_id: str,
        generated_text_jmespath: str = "generated_text",
        input_text_jmespath: str = "inputs",
        token_count_jmespath: str | None = "details.generated_tokens",
        region: str | None = None,
        boto3_session: Any = None,
        **kwargs: Any,
    ):
        super().__init__(endpoint_name, model_id, "sagemaker")
        self.generated_text_jmespath = generated_text_jmespath
        self.input_text_jmespath = input_text_jmespath
        self.token_count_jmespath = token_count_jmespath
        self.kwargs = kwargs
        self.region = _aws.region_of(region, session=boto3_session)
        self._session = boto3_session
        self._made: Any = None
        self._is_given = False

    @property
    def _sagemaker_runtime(self) -> Any:
        if self._made is None:
            import boto3

            session = self._session or boto3.Session()
            self._made = session.client("sagemaker-runtime", region_name=self.region)
        return self._made

    @_sagemaker_runtime.setter
    def _sagemaker_runtime(self, client: Any) -> None:
        self._made, self._is_given = client, True

    @_sagemaker_runtime.deleter
    def _sagemaker_runtime(self) -> None:
        self._made, self._is_given = None, False

    def _is_replaced(self) -> bool:
        if self._session is not None and not hasattr(self._session, "get_credentials"):
            return True
        if _aws.is_replaced(self._made, "sagemaker-runtime"):
            return True
        if self._session is not None:
            _aws.say_once("boto3 session")
        return False

    def _access(self) -> dict[str, Any]:
        if self._is_given:
            return _aws.client_access(self._made)
        if self._session is not None:
            return {**_aws.session_access(self._session), "region": self.region}
        return {}

    def _get_llmeter_state(self) -> dict[str, Any]:
        state = super()._get_llmeter_state()
        state.pop("boto3_session", None)
        return state

    def _parse_payload(self, payload: dict[str, Any]) -> str | None:
        found = self._parse_input(payload)
        if isinstance(found, list):
            texts = [part.get("text") if isinstance(part, dict) else part for part in found]
            return "\n".join(text for text in texts if isinstance(text, str))
        text: str | None = found
        return text

    def _parse_input(self, payload: dict[str, Any]) -> Any:
        try:
            return search(self.input_text_jmespath, payload)
        except Exception:
            return None

    def _body(self, payload: dict[str, Any]) -> bytes:
        return json.dumps(payload, default=_base64).encode("utf-8")


def _base64(value: Any) -> str:
    """Media in a payload."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(f"a payload cannot hold a value of type {type(value).__name__}")


def _payload(
    input_text: str | list[ContentItem],
    max_tokens: int,
    inference_parameters: Mapping[str, Any] | None,
    further: dict[str, Any],
) -> dict[str, Any]:
    check_max_tokens(max_tokens)
    parts = prompt_parts(input_text, "input_text")
    is_text = len(parts) == 1 and isinstance(parts[0], str)
    return {
        "inputs": parts[0] if is_text else _aws.content_blocks(parts),
        "parameters": {
            "max_new_tokens": max_tokens,
            "details": True,
            **(inference_parameters or {}),
        },
        **further,
    }


@native
class SageMakerEndpoint(SageMakerBase[Any]):
    """A SageMaker endpoint, non-streaming."""

    @SageMakerBase.llmeter_invoke
    def invoke(self, payload: dict[str, Any]) -> Any:
        """Sends one request and returns its response."""
        return self._sagemaker_runtime.invoke_endpoint(
            EndpointName=self.endpoint_name,
            ContentType="application/json",
            Body=self._body(payload),
        )

    def process_raw_response(self, raw_response: Any, start_t: float, response: InvocationResponse) -> None:
        if raw_response is None:
            response.error = "Null response from SageMaker endpoint"
            return
        text = raw_response["Body"].read().decode("utf-8")
        response.time_to_last_token = time.perf_counter() - start_t
        metadata = raw_response.get("ResponseMetadata", {})
        response.id = metadata.get("RequestId")
        response.retries = metadata.get("RetryAttempts")
        body = json.loads(text)
        response.response_text = search(self.generated_text_jmespath, body)
        if self.token_count_jmespath:
            response.num_tokens_output = search(self.token_count_jmespath, body)

    @staticmethod
    def create_payload(
        input_text: str | list[ContentItem],
        max_tokens: int = 256,
        inference_parameters: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Makes a payload.

        Args:
            input_text: a text, or texts and media in their order.
            max_tokens: how many tokens to generate at most.
            inference_parameters: further `parameters`.
            kwargs: further fields of the payload.

        Raises:
            TypeError: if a part is neither text nor media.
            ValueError: if there is no part, `max_tokens` is not positive, or the media's type is
                unknown.
        """
        return _payload(input_text, max_tokens, inference_parameters, kwargs)


@native
class SageMakerStreamEndpoint(SageMakerBase[Any]):
    """A SageMaker endpoint, streaming."""

    @SageMakerBase.llmeter_invoke
    def invoke(self, payload: dict[str, Any]) -> Any:
        """Sends one request and returns its response."""
        return self._sagemaker_runtime.invoke_endpoint_with_response_stream(
            EndpointName=self.endpoint_name,
            ContentType="application/json",
            Body=self._body(payload),
        )

    def prepare_payload(self, payload: dict[str, Any]) -> dict[str, Any]:
        prepared = dict(payload)
        if "parameters" in prepared:
            parameters = prepared["parameters"].items()
            prepared["parameters"] = {
                name: value for name, value in parameters if name != "decoder_input_details"
            }
        if "stream" not in prepared:
            warnings.warn("stream not specified in payload, defaulting to True", stacklevel=3)
            prepared["stream"] = True
        return prepared

    def process_raw_response(self, raw_response: Any, start_t: float, response: InvocationResponse) -> None:
        metadata = raw_response.get("ResponseMetadata", {})
        response.id = metadata.get("RequestId")
        response.retries = metadata.get("RetryAttempts")
        tokens = TokenIterator(raw_response["Body"])
        count = 0
        for text in tokens:
            elapsed = time.perf_counter() - start_t
            count += 1
            if response.time_to_first_token is None:
                response.time_to_first_token = elapsed
            response.response_text = (response.response_text or "") + text
            response.time_to_last_token = elapsed
        details = tokens.details
        response.num_tokens_output = details.get("generated_tokens", 0) if details else count

    @staticmethod
    def create_payload(
        input_text: str | list[ContentItem],
        max_tokens: int = 256,
        inference_parameters: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Makes a payload that asks for a stream. See `SageMakerEndpoint.create_payload`."""
        further = {"stream": True, **kwargs}
        return _payload(input_text, max_tokens, inference_parameters, further)


class TokenIterator:
    """The texts of tokens in the stream of a response.

    Attributes:
        details: what the server says of the whole response, with its last token.
    """

    def __init__(self, stream: Iterable[dict[str, Any]]):
        self.details: dict[str, Any] | None = None
        self._events = iter(stream)
        self._rest = b""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while True:
            line, end, rest = self._rest.partition(b"\n")
            if not end:
                event = next(self._events)
                part = event.get("PayloadPart")
                if part is None:
                    logger.warning("a stream has an unknown event: %s", ", ".join(event))
                    continue
                self._rest += part["Bytes"]
                continue
            self._rest = rest
            try:
                token = json.loads(line.decode("utf-8").strip().removeprefix("data:"))
            except ValueError:
                # A blank line between events, or a comment.
                continue
            if token.get("error"):
                raise RuntimeError(token["error"])
            self.details = token.get("details")
            text: str = token["token"]["text"]
            return text
