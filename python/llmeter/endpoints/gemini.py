"""Google's Gemini API."""

from __future__ import annotations

from typing import Any

from ._core_endpoint import CoreEndpoint, texts_of
from ._native import native
from .openai import check_max_tokens

__all__ = ["Gemini", "GeminiStream"]


class GeminiEndpoint(CoreEndpoint):
    """What Gemini endpoints have in common. The key is by default that in `GEMINI_API_KEY`."""

    _name = "gemini"
    _provider = "google"

    @staticmethod
    def create_payload(
        user_message: str | list[str], max_tokens: int = 256, **kwargs: Any
    ) -> dict[str, Any]:
        """Makes a payload with one message of the user.

        Args:
            user_message: the text, or the texts of its parts.
            max_tokens: how many tokens to generate at most.
            kwargs: further fields of the payload.
        """
        check_max_tokens(max_tokens)
        parts = [{"text": text} for text in texts_of(user_message)]
        return {
            "contents": [{"role": "user", "parts": parts}],
            "generationConfig": {"maxOutputTokens": max_tokens},
            **kwargs,
        }


@native
class Gemini(GeminiEndpoint):
    """The Gemini API, non-streaming."""


@native
class GeminiStream(GeminiEndpoint):
    """The Gemini API, streaming."""
