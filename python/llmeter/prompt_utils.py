"""Prompts, payloads and media: what is sent, and the files it comes from."""

from __future__ import annotations

import importlib
import inspect
import json
import logging
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .serialization import bytes_decoder, json_default
from .tokenizers import DummyTokenizer
from .utils import DeferredError, ensure_path

if TYPE_CHECKING:
    from typing_extensions import Self

    from .utils import AnyPath

__all__ = [
    "AudioContent",
    "ContentItem",
    "CreatePromptCollection",
    "DocumentContent",
    "ImageContent",
    "MediaContent",
    "VideoContent",
    "detect_format",
    "detect_format_from_bytes",
    "detect_format_from_extension",
    "detect_format_from_file",
    "load_payloads",
    "load_prompts",
    "read_file",
    "save_payloads",
]

logger = logging.getLogger(__name__)

_MIME_BY_EXTENSION = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".pdf": "application/pdf",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".avi": "video/x-msvideo",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".ogg": "audio/ogg",
}
# What puremagic calls otherwise, in some of its versions.
_MIME_ALIASES = {"audio/wave": "audio/wav", "audio/mp3": "audio/mpeg", "image/jpg": "image/jpeg"}


def __getattr__(name: str) -> Any:
    if name != "puremagic":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return importlib.import_module(name)
    except ImportError as error:
        return DeferredError(error)


def _puremagic() -> Any:
    return sys.modules[__name__].puremagic


# Media


def read_file(file_path: AnyPath) -> bytes:
    """The content of a file."""
    return ensure_path(file_path).read_bytes()


def detect_format_from_extension(file_path: AnyPath) -> str | None:
    """The MIME type that a file's name tells; `None` if none is known.

    Example:
        >>> detect_format_from_extension("photo.JPG")
        'image/jpeg'
    """
    return _MIME_BY_EXTENSION.get(ensure_path(file_path).suffix.lower())


def detect_format_from_bytes(content: bytes) -> str | None:
    """The MIME type that content tells; `None` without the package puremagic or if it is unknown."""
    try:
        found = _puremagic().from_string(content, mime=True)
    except Exception:
        return None
    return _MIME_ALIASES.get(found, found) or None


def detect_format_from_file(file_path: AnyPath) -> str | None:
    """The MIME type that a file's content tells, or else its name."""
    try:
        matches = _puremagic().magic_file(file_path)
    except Exception:
        matches = []
    found = getattr(matches[0], "mime_type", "") if matches else ""
    return _MIME_ALIASES.get(found, found) or detect_format_from_extension(file_path)


def detect_format(content: bytes | None = None, file_path: AnyPath | None = None) -> str | None:
    """The MIME type of content, of a file, or of the file that content is from.

    Raises:
        ValueError: if neither is given.
    """
    if content is None and file_path is None:
        raise ValueError("At least one of content or file_path must be provided")
    found = None if content is None else detect_format_from_bytes(content)
    if found is None and file_path is not None:
        found = detect_format_from_file(file_path)
    return found


@dataclass(frozen=True)
class MediaContent:
    """Media in a prompt: what an endpoint's `create_payload` takes beside text."""

    data: bytes
    """The content."""
    mime_type: str
    """Its type, like `image/jpeg`."""
    source_path: str | None = None
    """The file it is from."""

    @classmethod
    def from_path(cls, file_path: AnyPath) -> Self:
        """Reads a file.

        Raises:
            ValueError: if its type is unknown.
        """
        data = read_file(file_path)
        mime_type = detect_format(content=data, file_path=file_path)
        if mime_type is None:
            raise ValueError(f"Cannot detect format from file: {file_path}")
        return cls(data, mime_type, str(file_path))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Takes content of which the package puremagic tells the type.

        Raises:
            ValueError: if it cannot.
        """
        mime_type = detect_format(content=data)
        if mime_type is None:
            raise ValueError(
                f"Cannot detect format from bytes for {cls.__name__}: pip install puremagic, or read "
                "it from a file with from_path"
            )
        return cls(data, mime_type)


@dataclass(frozen=True)
class ImageContent(MediaContent):
    """An image."""


@dataclass(frozen=True)
class AudioContent(MediaContent):
    """Sound."""


@dataclass(frozen=True)
class VideoContent(MediaContent):
    """A video."""


@dataclass(frozen=True)
class DocumentContent(MediaContent):
    """A document, like a PDF."""


ContentItem: TypeAlias = str | ImageContent | AudioContent | VideoContent | DocumentContent
"""A part of a prompt."""


# Prompts


@dataclass
class CreatePromptCollection:
    """Prompts of given lengths, cut from a text.

    Args:
        input_lengths: lengths of the prompts, in tokens.
        output_lengths: how many tokens to ask for. Every length of input meets each of them.
        source_file: the text.
        requests_per_combination: how often each pair of lengths occurs.
        tokenizer: what counts; by default words.
        source_file_encoding: the encoding of the text.
    """

    input_lengths: list[int]
    output_lengths: list[int]
    source_file: AnyPath
    requests_per_combination: int = 1
    tokenizer: Any = None
    source_file_encoding: str = "utf-8-sig"
    _samples: list[str] = field(default_factory=list[str], init=False, repr=False)

    def __post_init__(self) -> None:
        self._tokenizer: Any = self.tokenizer or DummyTokenizer()

    def create_collection(self) -> list[tuple[str, int]]:
        """Pairs of a prompt and the number of output tokens to ask for, shuffled."""
        self._generate_samples()
        pairs = list(product(self._samples, self.output_lengths)) * self.requests_per_combination
        return random.sample(pairs, k=len(pairs))

    def _generate_samples(self) -> None:
        self._samples = [self._generate_sample(self.source_file, length) for length in self.input_lengths]

    def _generate_sample(self, source_file: AnyPath, sample_size: int) -> str:
        tokens: list[Any] = []
        with ensure_path(source_file).open(encoding=self.source_file_encoding) as lines:
            for line in lines:
                tokens.extend(self._tokenizer.encode(line))
                if len(tokens) >= sample_size:
                    break
        return str(self._tokenizer.decode(tokens[:sample_size]))


def load_prompts(
    file_path: AnyPath,
    create_payload_fn: Callable[..., dict[str, Any]],
    create_payload_kwargs: dict[str, Any] | None = None,
    file_pattern: str | None = None,
) -> Iterator[dict[str, Any]]:
    """Payloads from files with one prompt a line. Blank lines do not count.

    Args:
        file_path: a file, or a folder. In a folder, a line that makes no payload is skipped.
        create_payload_fn: makes a payload of a prompt, like an endpoint's `create_payload`.
        create_payload_kwargs: its further arguments.
        file_pattern: which files of the folder, like `*.txt`; by default all.
    """
    path = ensure_path(file_path)
    arguments = create_payload_kwargs or {}
    create = _of_prompt(create_payload_fn)
    if path.is_file():
        for prompt in _prompts_of(path):
            yield create(prompt, arguments)
        return
    for file in path.glob(file_pattern or "*"):
        for prompt in _prompts_of(file):
            try:
                payload = create(prompt, arguments)
            except Exception as error:
                logger.warning("a line of %s makes no payload: %s", file, error)
                continue
            yield payload


def _prompts_of(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8-sig") as lines:
        for line in lines:
            if prompt := line.strip():
                yield prompt


def _of_prompt(
    create: Callable[..., dict[str, Any]],
) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """Hands a prompt to a payload builder, whatever it calls its first parameter."""
    parameters: Mapping[str, inspect.Parameter]
    try:
        parameters = inspect.signature(create).parameters
    except (TypeError, ValueError):
        parameters = {}
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    if "input_text" in parameters or (takes_any and "user_message" not in parameters):
        return lambda prompt, arguments: create(input_text=prompt, **arguments)
    return lambda prompt, arguments: create(prompt, **arguments)


# Payload files


def load_payloads(file_path: AnyPath) -> Iterator[dict[str, Any]]:
    """The payloads of a file, or of all `*.json*` files of a folder.

    `.jsonl` and `.manifest` have one a line, in which blank lines do not count and a line that is no
    JSON is reported and skipped. Any other file is one payload. Bytes are restored.

    Raises:
        FileNotFoundError: if there is no such file or folder.
    """
    path = ensure_path(file_path)
    if not path.exists():
        raise FileNotFoundError(f"The specified path does not exist: {path}")
    for file in [path] if path.is_file() else path.glob("*.json*"):
        yield from _load_data_file(file)


def _load_data_file(file: Path) -> Iterator[dict[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        logger.warning("%s cannot be read: %s", file, error)
        return
    by_line = file.suffix.lower() in (".jsonl", ".manifest")
    # Only a line feed ends a line of JSON.
    for number, document in enumerate(text.split("\n") if by_line else [text], start=1):
        if by_line and not document.strip():
            continue
        try:
            payload = json.loads(document, object_hook=bytes_decoder)
        except json.JSONDecodeError as error:
            place = f"line {number} of {file}" if by_line else str(file)
            logger.warning("%s is no JSON: %s", place, error)
            continue
        yield payload


def save_payloads(
    payloads: Iterable[dict[str, Any]] | dict[str, Any],
    output_path: AnyPath,
    output_file: str = "payload.jsonl",
) -> Path:
    """Writes payloads to a file in a folder, one a line, and returns its path.

    Missing folders are made. Bytes are written so that `load_payloads` restores them.
    """
    folder = ensure_path(output_path)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / output_file
    with file.open("w", encoding="utf-8") as lines:
        for payload in [payloads] if isinstance(payloads, dict) else payloads:
            lines.write(json.dumps(payload, default=json_default) + "\n")
    return file
