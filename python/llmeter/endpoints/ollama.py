"""The native API of Ollama."""

from __future__ import annotations

from typing import Any

from ._core_endpoint import TextEndpoint
from ._native import native

__all__ = ["Ollama", "OllamaStream"]


class OllamaEndpoint(TextEndpoint):
    """What Ollama endpoints have in common. The address is by default that of a local server."""

    _name = "ollama"
    _provider = "ollama"

    @staticmethod
    def _payload(texts: list[str], max_tokens: int) -> dict[str, Any]:
        message = {"role": "user", "content": "\n".join(texts)}
        return {"messages": [message], "options": {"num_predict": max_tokens}}


@native
class Ollama(OllamaEndpoint):
    """Ollama, non-streaming."""


@native
class OllamaStream(OllamaEndpoint):
    """Ollama, streaming."""
