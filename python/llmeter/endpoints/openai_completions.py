"""OpenAI's older API that continues a text, as many local servers still speak it."""

from __future__ import annotations

from typing import Any

from ._core_endpoint import TextEndpoint
from ._native import native

__all__ = ["OpenAILegacyCompletionEndpoint", "OpenAILegacyCompletionStreamEndpoint"]


class OpenAILegacyCompletionBase(TextEndpoint):
    """What endpoints of this API have in common. The key is by default that in `OPENAI_API_KEY`."""

    _name = "openai-completions"
    _provider = "openai"
    _own = ("project", "organization")

    @staticmethod
    def _payload(texts: list[str], max_tokens: int) -> dict[str, Any]:
        return {"prompt": "\n".join(texts), "max_tokens": max_tokens}


@native
class OpenAILegacyCompletionEndpoint(OpenAILegacyCompletionBase):
    """Completions of a text, non-streaming."""


@native
class OpenAILegacyCompletionStreamEndpoint(OpenAILegacyCompletionBase):
    """Completions of a text, streaming."""

    _name = "openai-completions-stream"
