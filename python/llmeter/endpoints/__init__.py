"""LLM APIs to measure: one class per API and way of responding, each of them imported when used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .base import Endpoint, InvocationResponse

if TYPE_CHECKING:
    from .anthropic_messages import AnthropicMessages, AnthropicMessagesStream
    from .azure_openai import AzureOpenAICompletionEndpoint, AzureOpenAICompletionStreamEndpoint
    from .bedrock import BedrockConverse, BedrockConverseStream
    from .bedrock_invoke import BedrockInvoke, BedrockInvokeStream
    from .gemini import Gemini, GeminiStream
    from .http import HttpEndpoint
    from .litellm import LiteLLM, LiteLLMStreaming
    from .ollama import Ollama, OllamaStream
    from .openai import OpenAICompletionEndpoint, OpenAICompletionStreamEndpoint, OpenAIEndpoint
    from .openai_completions import OpenAILegacyCompletionEndpoint, OpenAILegacyCompletionStreamEndpoint
    from .openai_embeddings import OpenAIEmbeddingEndpoint
    from .openai_response import OpenAIResponseEndpoint, OpenAIResponseStreamEndpoint
    from .sagemaker import SageMakerEndpoint, SageMakerStreamEndpoint
    from .tgi import Tgi, TgiStream

__all__ = [
    "AnthropicMessages",
    "AnthropicMessagesStream",
    "AzureOpenAICompletionEndpoint",
    "AzureOpenAICompletionStreamEndpoint",
    "BedrockConverse",
    "BedrockConverseStream",
    "BedrockInvoke",
    "BedrockInvokeStream",
    "Endpoint",
    "Gemini",
    "GeminiStream",
    "HttpEndpoint",
    "InvocationResponse",
    "LiteLLM",
    "LiteLLMStreaming",
    "Ollama",
    "OllamaStream",
    "OpenAICompletionEndpoint",
    "OpenAICompletionStreamEndpoint",
    "OpenAIEmbeddingEndpoint",
    "OpenAIEndpoint",
    "OpenAILegacyCompletionEndpoint",
    "OpenAILegacyCompletionStreamEndpoint",
    "OpenAIResponseEndpoint",
    "OpenAIResponseStreamEndpoint",
    "SageMakerEndpoint",
    "SageMakerStreamEndpoint",
    "Tgi",
    "TgiStream",
]

_MODULES = {
    "AnthropicMessages": "anthropic_messages",
    "AnthropicMessagesStream": "anthropic_messages",
    "AzureOpenAICompletionEndpoint": "azure_openai",
    "AzureOpenAICompletionStreamEndpoint": "azure_openai",
    "BedrockConverse": "bedrock",
    "BedrockConverseStream": "bedrock",
    "BedrockInvoke": "bedrock_invoke",
    "BedrockInvokeStream": "bedrock_invoke",
    "Gemini": "gemini",
    "GeminiStream": "gemini",
    "HttpEndpoint": "http",
    "LiteLLM": "litellm",
    "LiteLLMStreaming": "litellm",
    "Ollama": "ollama",
    "OllamaStream": "ollama",
    "OpenAICompletionEndpoint": "openai",
    "OpenAICompletionStreamEndpoint": "openai",
    "OpenAIEmbeddingEndpoint": "openai_embeddings",
    "OpenAIEndpoint": "openai",
    "OpenAILegacyCompletionEndpoint": "openai_completions",
    "OpenAILegacyCompletionStreamEndpoint": "openai_completions",
    "OpenAIResponseEndpoint": "openai_response",
    "OpenAIResponseStreamEndpoint": "openai_response",
    "SageMakerEndpoint": "sagemaker",
    "SageMakerStreamEndpoint": "sagemaker",
    "Tgi": "tgi",
    "TgiStream": "tgi",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
