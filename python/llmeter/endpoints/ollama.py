"""The native API of Ollama."""

from __future__ import annotations

from typing import Any

from ._core_endpoint import CoreEndpoint, texts_of
from ._native import native
from .openai import check_max_tokens

__all__ = ["Ollama", "OllamaStream"]


class OllamaEndpoint(CoreEndpoint):
    """What Ollama endpoints have in common. The address is by default that of a local server."""

    _name = "ollama"
    _provider = "ollama"

    @staticmethod
    def create_payload(
        user_message: str | list[str], max_tokens: int = 256, **kwargs: Any
    ) -> dict[str, Any]:
        """Makes a payload with one message of the user.

        Args:
            user_message: the text, or texts that are joined by line feeds.
            max_tokens: how many tokens to generate at most.
            kwargs: further fields of the payload.
        """
        check_max_tokens(max_tokens)
        message = {"role": "user", "content": "\n".join(texts_of(user_message))}
        return {"messages": [message], "options": {"num_predict": max_tokens}, **kwargs}


@native
class Ollama(OllamaEndpoint):
    """Ollama, non-streaming."""


@native
class OllamaStream(OllamaEndpoint):
    """Ollama, streaming."""
