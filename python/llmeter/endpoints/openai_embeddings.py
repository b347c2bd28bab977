"""The embeddings API of OpenAI, and of the servers that speak it."""

from __future__ import annotations

from typing import Any

from ._core_endpoint import CoreEndpoint, texts_of
from ._native import native

__all__ = ["OpenAIEmbeddingEndpoint"]


@native
class OpenAIEmbeddingEndpoint(CoreEndpoint):
    """Embeddings. The key is by default that in `OPENAI_API_KEY`.

    A response has the annotations `vectors`, `vector_dimensions` and `vectors_per_second`; the vectors
    themselves are not kept.
    """

    _name = "openai-embeddings"
    _provider = "openai"
    _own = ("project", "organization")

    @staticmethod
    def create_payload(user_message: str | list[str], **kwargs: Any) -> dict[str, Any]:
        """Makes a payload.

        Args:
            user_message: the text, or the texts of a batch.
            kwargs: further fields of the payload.
        """
        return {"input": texts_of(user_message), **kwargs}
