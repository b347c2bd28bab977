"""Any HTTP API that takes JSON, told by a template and JMESPath."""

from __future__ import annotations

from typing import Any

from ._core_endpoint import CoreEndpoint
from ._native import native
from ._sdk import saved_url

__all__ = ["HttpEndpoint"]


@native
class HttpEndpoint(CoreEndpoint):
    """An API of which you say what a request is and where in a response things are.

    Args:
        model_id: the model, for reports and the template.
        base_url: the whole address.
        method: the HTTP method.
        body: a template of the request's body.
        framing: how a streaming response is divided: `sse`, `ndjson`,
            `event-stream`, or `none` if it is not.
        jmespath: where the parts of a response are, like `{"text": "answer.text"}`.
        further: the arguments that all endpoints of the core have.
    """

    _name = "http"
    _provider = "http"
    _own = ("method", "body", "framing", "jmespath")

    def __init__(
        self,
        model_id: str,
        base_url: str | None = None,
        method: str = "POST",
        body: str | None = None,
        framing: str = "none",
        jmespath: dict[str, str] | None = None,
        **further: Any,
    ):
        own: dict[str, Any] = {"method": method, "framing": framing, "jmespath": jmespath or {}}
        if body is not None:
            own["body"] = body
        super().__init__(model_id, base_url=base_url, **own, **further)
        self.base_url = saved_url(base_url, is_base=False)
