"""What endpoints on AWS take from boto3 clients and sessions that users pass."""

from __future__ import annotations

import configparser
import logging
import os
import re
import sys
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

_MEDIA_KEYS = {
    "ImageContent": "image",
    "AudioContent": "audio",
    "VideoContent": "video",
    "DocumentContent": "document",
}
_FORMATS = {
    "image/jpeg": "jpeg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "application/pdf": "pdf",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/x-msvideo": "avi",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/ogg": "ogg",
}

# Of 200 characters, with room for a number.
_LONGEST_NAME = 180

_said: set[str] = set()


def region_of(given: str | None, client: Any = None, session: Any = None) -> str | None:
    """The region that is given, of the client or session, of the environment or the profile."""
    if given:
        return given
    if client is not None:
        return str(client.meta.region_name)
    if session is not None:
        region: str | None = session.region_name
        return region
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if region := os.environ.get(variable):
            return region
    file = Path(os.environ.get("AWS_CONFIG_FILE", "~/.aws/config")).expanduser()
    profile = os.environ.get("AWS_PROFILE", "default")
    config = configparser.RawConfigParser()
    try:
        config.read(file)
    except configparser.Error as error:
        logger.debug("%s cannot be read: %s", file, type(error).__name__)
        return None
    section = "default" if profile == "default" else f"profile {profile}"
    return config.get(section, "region", fallback=None)


def is_replaced(client: Any, service: str) -> bool:
    """Whether a client does what the core could not: a stand-in, a stub, a mock of AWS, a hook."""
    if client is None:
        return _is_mocked()
    if type(client).__module__ != "botocore.client":
        return True
    try:
        if client.meta.service_model.service_name != service:
            return True
        emitter = getattr(client.meta.events, "_emitter", client.meta.events)
        sending = emitter._handlers.prefix_search(f"before-send.{service}")
        calling = emitter._handlers.prefix_search(f"before-call.{service}")
    except AttributeError:
        return True
    return bool(list(sending)) or any(_is_stub(handler) for handler in calling)


def _is_stub(handler: Any) -> bool:
    return type(getattr(handler, "__self__", None)).__module__ == "botocore.stub"


def _is_mocked() -> bool:
    """Whether moto is active: it answers in the place of AWS, but only to botocore."""
    stubber = getattr(sys.modules.get("moto.core.models"), "botocore_stubber", None)
    return bool(getattr(stubber, "enabled", False))


def client_access(client: Any) -> dict[str, Any]:
    """Address, region and credentials of a client."""
    credentials = getattr(getattr(client, "_request_signer", None), "_credentials", None)
    aws = {"endpoint_url": client.meta.endpoint_url, **_keys(credentials)}
    return {"region": client.meta.region_name, "aws": aws}


def session_access(session: Any) -> dict[str, Any]:
    """Region and credentials of a session."""
    return {"region": session.region_name, "aws": _keys(session.get_credentials())}


def say_once(what: str) -> None:
    """Says that the core takes over from a client or session."""
    if what not in _said:
        _said.add(what)
        logger.info("llmeter's core sends the requests, with the credentials of the %s", what)


def _keys(credentials: Any) -> dict[str, Any]:
    if credentials is None:
        return {}
    frozen = credentials.get_frozen_credentials()
    if getattr(frozen, "access_key", None) is None:
        return {}
    keys = {
        "access_key_id": frozen.access_key,
        "secret_access_key": frozen.secret_key,
        "session_token": frozen.token,
    }
    return {name: value for name, value in keys.items() if value}


def media_format(mime_type: str) -> str | None:
    """What AWS calls a type of media, like `jpeg`."""
    return _FORMATS.get(mime_type)


def content_blocks(parts: list[Any], *, names_documents: bool = False) -> list[dict[str, Any]]:
    """Texts and media as content blocks.

    Args:
        parts: the texts and media in their order.
        names_documents: whether documents have names, which Converse demands.

    Raises:
        TypeError: if a part is neither text nor one of the four kinds of media.
        ValueError: if AWS knows no such type of media.
    """
    from ..prompt_utils import MediaContent

    blocks: list[dict[str, Any]] = []
    names: set[str] = set()
    for part in parts:
        if isinstance(part, str):
            blocks.append({"text": part})
            continue
        kind = type(part).__name__
        if not isinstance(part, MediaContent):
            raise TypeError(f"Content items must be str or MediaContent, got {kind}")
        key = _MEDIA_KEYS.get(kind)
        if key is None:
            raise TypeError(f"Unsupported content type: {kind}")
        form = media_format(part.mime_type)
        if form is None:
            raise ValueError(f"Unsupported MIME type {part.mime_type!r} for {key}")
        block: dict[str, Any] = {"format": form, "source": {"bytes": part.data}}
        if key == "document" and names_documents:
            block["name"] = _document_name(part.source_path, names)
        blocks.append({key: block})
    return blocks


def _document_name(path: str | None, given: set[str]) -> str:
    """A name for a document that Converse takes, and that no other in the message has."""
    words = re.findall(r"[A-Za-z0-9\-()\[\]]+", Path(path or "").stem)
    first = " ".join(words)[:_LONGEST_NAME].rstrip() or "document"
    name, number = first, 2
    while name in given:
        name, number = f"{first} {number}", number + 1
    given.add(name)
    return name
