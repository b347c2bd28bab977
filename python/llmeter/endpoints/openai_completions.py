"""OpenAI's older API that continues a text, as many local servers still speak it."""

from __future__ import annotations

from typing import Any

from ._core_endpoint import CoreEndpoint, texts_of
from ._native import native
from .openai import check_max_tokens

__all__ = ["OpenAILegacyCompletionEndpoint", "OpenAILegacyCompletionStreamEndpoint"]


class OpenAILegacyCompletionBase(CoreEndpoint):
    """What endpoints of this API have in common. The key is by default that in `OPENAI_API_KEY`."""

    _name = "openai-completions"
    _provider = "openai"
    _own = ("project", "organization")

    @staticmethod
    def create_payload(
        user_message: str | list[str], max_tokens: int = 256, **kwargs: Any
    ) -> dict[str, Any]:
        """Makes a payload.

        Args:
            user_message: the text to continue, or texts that are joined by line feeds.
            max_tokens: how many tokens to generate at most.
            kwargs: further fields of the payload.
        """
        check_max_tokens(max_tokens)
        prompt = "\n".join(texts_of(user_message))
        return {"prompt": prompt, "max_tokens": max_tokens, **kwargs}


@native
class OpenAILegacyCompletionEndpoint(OpenAILegacyCompletionBase):
    """Completions of a text, non-streaming."""


@native
class OpenAILegacyCompletionStreamEndpoint(OpenAILegacyCompletionBase):
    """Completions of a text, streaming."""

    _name = "openai-completions-stream"
