"""What all endpoints have in common, and where one of your own begins.

    class MyEndpoint(Endpoint[dict]):
        def __init__(self, model_id: str):
            super().__init__("my endpoint", model_id, provider="me")

        @Endpoint.llmeter_invoke
        def invoke(self, payload: dict) -> dict:
            return my_client.generate(**payload)

        def process_raw_response(self, raw_response, start_t, response):
            response.time_to_last_token = time.perf_counter() - start_t
            response.response_text = raw_response["text"]

The endpoints of llmeter itself are native: the compiled core sends their requests and takes their
times. That of a class of your own are taken by Python, which a run's measurement record says.
"""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
import json
import logging
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from uuid import uuid4

from ..serialization import CLASS, Serializable, load_object
from ..utils import ensure_path, now_utc
from . import _native
from ._response import InvocationResponse

if TYPE_CHECKING:
    from ..utils import AnyPath

__all__ = ["Endpoint", "InvocationResponse"]

logger = logging.getLogger(__name__)

TRawResponse = TypeVar("TRawResponse")


class Endpoint(Serializable, ABC, Generic[TRawResponse]):
    """An LLM API at one address with one model.

    A subclass implements `invoke`, decorated with `Endpoint.llmeter_invoke`, and
    `process_raw_response`; where needed also `prepare_payload`, `create_payload` and
    `_parse_payload`. Any class with an `invoke` counts as an endpoint, derived from this one or
    not.

    Args:
        endpoint_name: what reports call it.
        model_id: the model.
        provider: who serves it.
    """

    endpoint_name: str
    model_id: str
    provider: str

    @abstractmethod
    def __init__(self, endpoint_name: str, model_id: str, provider: str):
        self.endpoint_name = endpoint_name
        self.model_id = model_id
        self.provider = provider

    @classmethod
    def __subclasshook__(cls, C: type) -> Any:
        if cls is Endpoint and any("invoke" in base.__dict__ for base in C.__mro__):
            return True
        return NotImplemented

    # Invoking

    @classmethod
    def llmeter_invoke(cls, call_endpoint: Callable[..., Any]) -> Callable[..., InvocationResponse]:
        """Makes a full `invoke` of a method that only calls the API.

        `prepare_payload` runs before the clock starts. Then the method is called and
        `process_raw_response` reads what it returns. An exception in either becomes the response's
        `error`, beside all that was read until then. What is still unset afterwards is filled in:
        `id`, `input_payload`, `input_prompt` (from `_parse_payload`) and, without an error,
        `time_to_last_token`. The method may be asynchronous; so then is `invoke`.
        """

        if inspect.iscoroutinefunction(call_endpoint):

            @functools.wraps(call_endpoint)
            async def invoke_async(self: Endpoint[Any], payload: dict[str, Any]) -> InvocationResponse:
                with _Invocation(self, payload) as request:
                    raw = await call_endpoint(self, request.prepared)
                    done: Any = self.process_raw_response(raw, request.start, request.response)
                    if inspect.isawaitable(done):
                        await done
                return request.response

            wrapped: Any = invoke_async
        else:

            @functools.wraps(call_endpoint)
            def invoke(self: Endpoint[Any], payload: dict[str, Any]) -> InvocationResponse:
                if (form := _native.form_of(self)) is not None and _native.core() is not None:
                    return _native.invoke(form, payload)
                with _Invocation(self, payload) as request:
                    raw = call_endpoint(self, request.prepared)
                    self.process_raw_response(raw, request.start, request.response)
                return request.response

            wrapped = invoke
        wrapped._is_llmeter_invoke = True
        return cast("Callable[..., InvocationResponse]", wrapped)

    @abstractmethod
    def invoke(self, payload: dict[str, Any]) -> InvocationResponse:
        """Sends one request and returns its response.

        A failed request is no exception: its response has an `error`.
        """
        raise NotImplementedError

    def prepare_payload(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The payload as it is sent. Runs before the clock starts; by default changes nothing."""
        return payload

    @abstractmethod
    def process_raw_response(
        self, raw_response: TRawResponse, start_t: float, response: InvocationResponse
    ) -> None:
        """Reads what the API returned into `response`, in place and as far as it comes.

        Args:
            raw_response: what the method under `llmeter_invoke` returned.
            start_t: `time.perf_counter()` just before the call; times are counted from it.
            response: the response to fill. Without `time_to_last_token` it ends when this method
                returns.

        Raises:
            Exception: becomes the response's `error`.
        """
        raise NotImplementedError

    def _parse_payload(self, payload: dict[str, Any]) -> str | dict[str, Any] | None:
        """The text of the prompt in a payload, `None` if it cannot be told.

        Where the server reports no input tokens, they are estimated from it.
        """
        return None

    @staticmethod
    def create_payload(*args: Any, **kwargs: Any) -> Any:
        """Makes a payload of a prompt. An endpoint that offers none returns `NotImplemented`."""
        return NotImplemented

    # What the core is told

    def _access(self) -> dict[str, Any]:
        """What the core needs beside the saved form: addresses, keys, headers. Never saved."""
        return {}

    def _is_replaced(self) -> bool:
        """Whether the client of a native endpoint was replaced by one that the core cannot be."""
        return False

    def _secrets(self) -> list[str]:
        """Texts that no error or log may hold."""
        try:
            return _native.secrets_of(self._access())
        except Exception:
            return []

    # Files

    def save(self, output_path: AnyPath) -> Path:
        """The former name of `save_to_file`."""
        warnings.warn("Endpoint.save is deprecated: call save_to_file", DeprecationWarning, stacklevel=2)
        return self.save_to_file(output_path)

    def to_dict(self) -> dict[str, Any]:
        """The public attributes, and the class as `endpoint_type`."""
        public = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return {**public, "endpoint_type": type(self).__name__}

    @classmethod
    def load_from_file(cls, path: AnyPath) -> Endpoint[Any]:
        """Reads an endpoint from a file, also from one written before 0.2.0."""
        data = json.loads(ensure_path(path).read_text(encoding="utf-8"))
        return load_object(data) if CLASS in data else cls.load(data)

    @classmethod
    def load(cls, endpoint_config: dict[str, Any]) -> Endpoint[Any]:
        """Makes an endpoint of the form written before 0.2.0, with its class in `endpoint_type`.

        Raises:
            KeyError: if there is no `endpoint_type`.
            AttributeError: if `llmeter.endpoints` has no such endpoint.
        """
        config = dict(endpoint_config)
        name = config.pop("endpoint_type")
        found = getattr(importlib.import_module("llmeter.endpoints"), name)
        if not (isinstance(found, type) and issubclass(found, Endpoint)):
            raise AttributeError(f"llmeter.endpoints has no endpoint {name!r}")
        return found(**_filter_legacy_ctor_kwargs(found, config))


class _Invocation:
    """One request that Python sends: what is done before it, and after it or its failure."""

    def __init__(self, endpoint: Endpoint[Any], payload: dict[str, Any]):
        self._endpoint = endpoint
        self.prepared = endpoint.prepare_payload(payload)
        # Clients may change what they are given.
        self._sent = copy.deepcopy(self.prepared)
        self._id = uuid4().hex
        self.response = InvocationResponse(response_text=None, id=self._id, request_time=now_utc())
        self.start = 0.0

    def __enter__(self) -> _Invocation:
        self.start = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        end = time.perf_counter()
        if error is not None and not isinstance(error, Exception):
            # An interrupt is no failure of the endpoint.
            return False
        response, endpoint = self.response, self._endpoint
        if error is not None:
            secrets = endpoint._secrets()  # pyright: ignore[reportPrivateUsage]
            response.error = response.error or _native.redacted(str(error), secrets)
            traceback = None if secrets else error
            logger.error("Endpoint invocation failed: %s", response.error, exc_info=traceback)
        if response.id is None:
            response.id = self._id
        if response.time_to_last_token is None and response.error is None:
            response.time_to_last_token = end - self.start
        if response.input_payload is None:
            response.input_payload = self.prepared
        if response.input_prompt is None:
            try:
                read = endpoint._parse_payload  # pyright: ignore[reportPrivateUsage]
                response.input_prompt = read(self._sent)
            except Exception as reason:
                logger.debug("the payload's prompt cannot be read: %s", reason)
        return True


def _filter_legacy_ctor_kwargs(endpoint_class: type, config: dict[str, Any]) -> dict[str, Any]:
    """The part of an older file's attributes that the constructor accepts today."""
    constructor: Any = endpoint_class.__init__  # type: ignore[misc]
    parameters = inspect.signature(constructor).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return config
    dropped = sorted(config.keys() - parameters.keys())
    if dropped:
        logger.debug("%s takes no %s any more", endpoint_class.__name__, ", ".join(dropped))
    return {name: value for name, value in config.items() if name in parameters}
