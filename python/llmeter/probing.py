"""One request, looked at closely."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .endpoints import _native
from .serialization import json_default

__all__ = ["Probe", "probe"]


@dataclass(repr=False)
class Probe:
    """What a probe saw. `probe` makes it.

    Attributes:
        report: everything: the connection, the request, the head and the frames of the response with their
            times, what is odd, and if it failed why and what to do. Secrets are hidden.
        text: the same as the command line prints it.
    """

    report: dict[str, Any]
    text: str

    @property
    def succeeded(self) -> bool:
        """Whether the request succeeded."""
        return self.report["succeeded"] is True

    @property
    def error(self) -> str | None:
        """Why it failed; `None` if it did not."""
        error: str | None = self.report["error"]
        return error

    @property
    def remarks(self) -> list[str]:
        """What is odd about a response that did not fail."""
        remarks: list[str] = self.report["remarks"]
        return remarks

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Probe(succeeded={self.succeeded}, error={self.error!r})"

    def _repr_html_(self) -> str:
        from ._html import text_block

        return text_block(self.text)


def probe(
    endpoint: Any,
    payload: dict[str, Any] | None = None,
    *,
    settings: dict[str, Any] | None = None,
    frames: int = 12,
) -> Probe:
    """Sends one request and tells all that there is to see of it. Failing is no error: the report says why.

    Args:
        endpoint: an endpoint of llmeter's own.
        payload: what to send, by default a greeting of at most 32 tokens.
        settings: settings of the request, as for `Runner`.
        frames: how many frames of the response the text shows.

    Raises:
        ValueError: if a setting cannot be used, or the endpoint is your own code.
    """
    from . import _core

    form = _native.form_of(endpoint)
    if form is None:
        raise ValueError("endpoint: only requests that the core sends itself can be looked at")
    if payload is None:
        payload = endpoint.create_payload("Say hello in five words.", max_tokens=32)
    sent = json.dumps(payload, default=json_default)
    given = json.dumps(settings or {}, default=json_default)
    report, text = _core.probe(form.to_json(), sent, given, frames)
    return Probe(report=json.loads(report), text=text)
