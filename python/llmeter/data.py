"""Data that the core makes or reads: synthetic prompts, files, traces.

Runs take it by a setting: `Runner(endpoint, settings={"data": "synthetic:prompt_tokens=512"})`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .endpoints import _native
from .serialization import bytes_decoder, json_default

if TYPE_CHECKING:
    from .utils import AnyPath

__all__ = ["DataDescription", "describe", "payloads"]


@dataclass(repr=False)
class DataDescription:
    """What data is like. `describe` makes it.

    Attributes:
        fields: lengths of prompts and outputs, what prompts share, turns of sessions, arrivals, notes.
        text: the same as the command line prints it.
    """

    fields: dict[str, Any]
    text: str

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"DataDescription({self.fields!r})"

    def _repr_html_(self) -> str:
        from ._html import text_block

        return text_block(self.text)


def describe(
    source: str | AnyPath | None = None,
    endpoint: Any = None,
    *,
    requests: int = 10_000,
    settings: dict[str, Any] | None = None,
) -> DataDescription:
    """Tells what data is like: lengths, shared prefixes, arrivals.

    Args:
        source: `synthetic:KEY=VALUE,…` or a file of prompts, as the setting `data`; a trace is given as
            `settings={"replay": "trace.jsonl"}` instead.
        endpoint: in whose form requests are, by default OpenAI's Chat API.
        requests: look at so many at most.
        settings: further settings, as for `Runner`, such as `tokenizer` and `seed`.

    Raises:
        ValueError: if the data cannot be used.
        FileNotFoundError: if there is no such file.
    """
    from . import _core

    found = json.loads(_core.describe_data(*_arguments(source, endpoint, settings), requests))
    text = found.pop("text")
    return DataDescription(fields=found, text=text)


def payloads(
    source: str | AnyPath | None = None,
    endpoint: Any = None,
    *,
    requests: int,
    settings: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """The payloads of the first requests of data; see `describe` for its arguments and errors."""
    from . import _core

    made = _core.data_payloads(*_arguments(source, endpoint, settings), requests)
    return [json.loads(payload, object_hook=bytes_decoder) for payload in made]


def _arguments(
    source: str | AnyPath | None, endpoint: Any, settings: dict[str, Any] | None
) -> tuple[str, str]:
    if endpoint is None:
        from .endpoints import OpenAICompletionStreamEndpoint

        endpoint = OpenAICompletionStreamEndpoint("any", base_url="http://localhost", api_key="none")
    form = _native.form_of(endpoint)
    if form is None:
        raise ValueError("endpoint: data is made for the APIs that llmeter speaks itself")
    given = dict(settings or {})
    if source is not None:
        given["data"] = str(source)
    return form.to_json(), json.dumps(given, default=json_default)
