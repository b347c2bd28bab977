"""Google's Gemini API."""

from __future__ import annotations

from typing import Any

from ._core_endpoint import TextEndpoint
from ._native import native

__all__ = ["Gemini", "GeminiStream"]


class GeminiEndpoint(TextEndpoint):
    """What Gemini endpoints have in common. The key is by default that in `GEMINI_API_KEY`."""

    _name = "gemini"
    _provider = "google"

    @staticmethod
    def _payload(texts: list[str], max_tokens: int) -> dict[str, Any]:
        parts = [{"text": text} for text in texts]
        return {
            "contents": [{"role": "user", "parts": parts}],
            "generationConfig": {"maxOutputTokens": max_tokens},
        }


@native
class Gemini(GeminiEndpoint):
    """The Gemini API, non-streaming."""


@native
class GeminiStream(GeminiEndpoint):
    """The Gemini API, streaming."""
