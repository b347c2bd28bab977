"""LLM APIs to measure: one class per API and way of responding, each of them imported when used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .base import Endpoint, InvocationResponse

if TYPE_CHECKING:
    from .anthropic_messages import AnthropicMessages, AnthropicMessagesStream
    from .bedrock import BedrockConverse, BedrockConverseStream
    from .bedrock_invoke import BedrockInvoke, BedrockInvokeStream
    from .litellm import LiteLLM, LiteLLMStreaming
    from .openai import (
        OpenAICompletionEndpoint,
        OpenAICompletionStreamEndpoint,
        OpenAIEndpoint,
    )
    from .openai_response import OpenAIResponseEndpoint, OpenAIResponseStreamEndpoint
    from .sagemaker import SageMakerEndpoint, SageMakerStreamEndpoint

__all__ = [
    "AnthropicMessages",
    "AnthropicMessagesStream",
    "BedrockConverse",
    "BedrockConverseStream",
    "BedrockInvoke",
    "BedrockInvokeStream",
    "Endpoint",
    "InvocationResponse",
    "LiteLLM",
    "LiteLLMStreaming",
    "OpenAICompletionEndpoint",
    "OpenAICompletionStreamEndpoint",
    "OpenAIEndpoint",
    "OpenAIResponseEndpoint",
    "OpenAIResponseStreamEndpoint",
    "SageMakerEndpoint",
    "SageMakerStreamEndpoint",
]

_MODULES = {
    "AnthropicMessages": "anthropic_messages",
    "AnthropicMessagesStream": "anthropic_messages",
    "BedrockConverse": "bedrock",
    "BedrockConverseStream": "bedrock",
    "BedrockInvoke": "bedrock_invoke",
    "BedrockInvokeStream": "bedrock_invoke",
    "LiteLLM": "litellm",
    "LiteLLMStreaming": "litellm",
    "OpenAICompletionEndpoint": "openai",
    "OpenAICompletionStreamEndpoint": "openai",
    "OpenAIEndpoint": "openai",
    "OpenAIResponseEndpoint": "openai_response",
    "OpenAIResponseStreamEndpoint": "openai_response",
    "SageMakerEndpoint": "sagemaker",
    "SageMakerStreamEndpoint": "sagemaker",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
