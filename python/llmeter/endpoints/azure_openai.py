"""Chat Completions in Azure OpenAI."""

from __future__ import annotations

from typing import Any

from ._core_endpoint import CoreEndpoint
from ._native import native
from .openai import OpenAIEndpoint

__all__ = ["AzureOpenAICompletionEndpoint", "AzureOpenAICompletionStreamEndpoint"]


class AzureOpenAIEndpoint(CoreEndpoint):
    """What endpoints in Azure OpenAI have in common.

    The model is the deployment's name. The address is the resource's, a deployment's target URI as
    Azure shows it, or the newer path `/openai/v1`; the key by default that in `AZURE_OPENAI_API_KEY`.
    """

    _name = "azure-openai"
    _provider = "azure"
    _own = ("project", "organization")

    @staticmethod
    def create_payload(user_message: Any, max_tokens: int = 256, **kwargs: Any) -> dict[str, Any]:
        """Makes a payload. See `llmeter.endpoints.openai.OpenAIEndpoint.create_payload`."""
        return OpenAIEndpoint.create_payload(user_message, max_tokens, **kwargs)


@native
class AzureOpenAICompletionEndpoint(AzureOpenAIEndpoint):
    """Chat Completions in Azure, non-streaming."""


@native
class AzureOpenAICompletionStreamEndpoint(AzureOpenAIEndpoint):
    """Chat Completions in Azure, streaming."""
