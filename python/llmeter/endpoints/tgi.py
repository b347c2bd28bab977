"""The native API of Hugging Face's Text Generation Inference."""

from __future__ import annotations

from typing import Any

from ._core_endpoint import CoreEndpoint, texts_of
from ._native import native
from .openai import check_max_tokens

__all__ = ["Tgi", "TgiStream"]


class TgiEndpoint(CoreEndpoint):
    """What TGI endpoints have in common. The address is by default that of a local server."""

    _name = "tgi"
    _provider = "huggingface"

    @staticmethod
    def create_payload(
        user_message: str | list[str], max_tokens: int = 256, **kwargs: Any
    ) -> dict[str, Any]:
        """Makes a payload.

        Args:
            user_message: the text, or texts that are joined by line feeds.
            max_tokens: how many tokens to generate at most.
            kwargs: further fields of the payload.
        """
        check_max_tokens(max_tokens)
        parameters = {"max_new_tokens": max_tokens, "details": True}
        inputs = "\n".join(texts_of(user_message))
        return {"inputs": inputs, "parameters": parameters, **kwargs}


@native
class Tgi(TgiEndpoint):
    """TGI, non-streaming."""


@native
class TgiStream(TgiEndpoint):
    """TGI, streaming."""
