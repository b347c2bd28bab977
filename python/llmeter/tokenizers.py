"""What counts tokens where a server does not report them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from .serialization import Serializable

__all__ = ["DummyTokenizer", "Tokenizer"]


class Tokenizer(Serializable, ABC):
    """Turns text into tokens and back.

    Any class with `encode` and `decode` counts as a tokenizer, those of `tiktoken` and
    `transformers` among them.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    @abstractmethod
    def encode(self, text: str) -> list[Any]:
        """The tokens of a text."""
        raise NotImplementedError

    @abstractmethod
    def decode(self, tokens: list[Any]) -> str:
        """The text of tokens."""
        raise NotImplementedError

    @classmethod
    def __subclasshook__(cls, C: type) -> Any:
        if cls is Tokenizer and all(
            any(method in base.__dict__ for base in C.__mro__) for method in ("encode", "decode")
        ):
            return True
        return NotImplemented

    @staticmethod
    def load(tokenizer_info: dict[str, Any]) -> Any:
        """Makes a tokenizer of the form written before 0.2.0: `tokenizer_module` and `name`.

        Raises:
            ValueError: if the module is none of `transformers`, `tiktoken` and `llmeter`.
        """
        return _load_tokenizer_from_info(tokenizer_info)


class DummyTokenizer(Tokenizer):
    """Splits text at white space.

    It needs nothing, and it counts words: too few tokens in most languages, far too few in those
    which do not separate words.
    """

    def encode(self, text: str) -> list[str]:
        return text.split()

    def decode(self, tokens: list[str]) -> str:
        return " ".join(tokens)


def _load_tokenizer_from_info(tokenizer_info: dict[str, Any]) -> Any:
    match tokenizer_info["tokenizer_module"]:
        case "llmeter":
            return DummyTokenizer()
        case "tiktoken":
            import tiktoken

            return tiktoken.get_encoding(tokenizer_info["name"])
        case "transformers":
            from transformers import AutoTokenizer

            return AutoTokenizer.from_pretrained(tokenizer_info["name"])
        case module:
            raise ValueError(
                f"Unknown tokenizer module: {module!r}; known are llmeter, tiktoken and transformers"
            )
