"""The native API of Hugging Face's Text Generation Inference."""

from __future__ import annotations

from typing import Any

from ._core_endpoint import TextEndpoint
from ._native import native

__all__ = ["Tgi", "TgiStream"]


class TgiEndpoint(TextEndpoint):
    """What TGI endpoints have in common. The address is by default that of a local server."""

    _name = "tgi"
    _provider = "huggingface"

    @staticmethod
    def _payload(texts: list[str], max_tokens: int) -> dict[str, Any]:
        parameters = {"max_new_tokens": max_tokens, "details": True}
        return {"inputs": "\n".join(texts), "parameters": parameters}


@native
class Tgi(TgiEndpoint):
    """TGI, non-streaming."""


@native
class TgiStream(TgiEndpoint):
    """TGI, streaming."""
