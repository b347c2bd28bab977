"""The response of one request."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from ..serialization import bytes_decoder, json_default, restore_dataclass_types


class Sourced:
    """Room for where a response is read from, as long as nobody has looked at it; see `llmeter._lazy`."""

    __slots__ = ("_llmeter_index", "_llmeter_source")

    _llmeter_index: int
    _llmeter_source: Any


@dataclass(repr=False)
class InvocationResponse(Sourced):
    """What one request gave: its text, its times, its counts, its failure.

    Times are seconds from the moment in which the request was sent. `None` is unset. Data of your
    own goes into `annotations`, which files keep.

    Attributes:
        response_text: the visible text; kept as far as it came when the request failed.
        input_payload: the payload as it was sent.
        id: the server's id for the response, else one made by llmeter.
        input_prompt: the prompt's text, or the part of the payload that stands for it.
        time_to_first_token: TTFT; unset when not streaming.
        time_to_last_token: TTLT, to the last generated content.
        num_tokens_input: input tokens, reported by the server or else estimated.
        num_tokens_output: output tokens, reasoning included.
        num_tokens_input_cached: the part of the input that came from the server's cache.
        num_tokens_output_reasoning: the part of the output that was reasoning.
        time_per_output_token: TPOT, (TTLT - TTFT) / (output tokens - 1).
        error: why the request failed; `None` is success.
        retries: how often the request was sent again.
        request_time: when the request was sent, in UTC.
        annotations: free data of callbacks.
    """

    response_text: str | None
    input_payload: dict[str, Any] | None = None
    id: str | None = None
    input_prompt: str | dict[str, Any] | None = None
    time_to_first_token: float | None = None
    time_to_last_token: float | None = None
    num_tokens_input: int | None = None
    num_tokens_output: int | None = None
    num_tokens_input_cached: int | None = None
    num_tokens_output_reasoning: int | None = None
    time_per_output_token: float | None = None
    error: str | None = None
    retries: int | None = None
    request_time: datetime | None = None
    annotations: dict[str, Any] = field(default_factory=dict[str, Any])

    # What the core measures beyond these. Files have only those that are set.
    error_kind: str | None = None
    """The failure's kind, like `connection_refused`."""
    error_phase: str | None = None
    """What was being done when the request failed, like `connect`."""
    time_to_first_answer_token: float | None = None
    """TTFAT: the first content that is not reasoning."""
    num_tokens_input_source: str | None = None
    """Where the number of input tokens comes from: `reported`, `tokenizer NAME`, `estimated`, …"""
    num_tokens_output_source: str | None = None
    """The same of the output tokens."""
    inter_token_latencies: list[float] | None = None
    """ITL: gaps between content frames, in order; a fair sample of them for a very long stream."""
    inter_token_latencies_dropped: int | None = None
    """Gaps that the sample stands for beside its own."""
    longest_gap: float | None = None
    """The longest gap between content frames, those outside a sample included."""
    delivery: str | None = None
    """How the response came, if not as asked for: `empty`, `non_streaming` or `buffered`."""
    text_dropped: int | None = None
    """Bytes of text beyond what is kept of one response."""
    content_frames: int | None = None
    """Frames with generated content."""
    time_to_connect: float | None = None
    """Time to open the connection, if this request had to."""
    time_to_tls: float | None = None
    """Time of the TLS handshake, if this request had to make one."""
    time_to_headers: float | None = None
    """Time to the end of the response's head."""
    status: int | None = None
    """The HTTP status."""
    finish_reason: str | None = None
    """Why generation ended, as the server said."""
    reasoning_text: str | None = None
    """The reasoning text."""
    retry_wait: float | None = None
    """Time that was waited before retries."""
    stale_connection_wait: float | None = None
    """Time lost to a kept connection that the server had given up."""
    time_to_failure: float | None = None
    """Time from sending a request that failed until its failure was known."""
    failure_pause: float | None = None
    """Time that the client waited before this request because its last one had failed."""
    transport_end: str | None = None
    """How the connection ended the response, if not as the protocol has it."""
    left_open_wait: float | None = None
    """Time that the client waited after the response for the end that the server did not send."""
    send_lateness: float | None = None
    """How long after its intended time the request was sent; of an open loop, when it was due."""
    stage: int | None = None
    """The stage of the load, counted from 1."""
    session: int | None = None
    """The conversation that the request is a turn of, counted from 1."""
    turn: int | None = None
    """Which turn of its conversation the request is, counted from 1."""
    read_rate: int | None = None
    """How many bytes of the response were read in a second, where that was slow on purpose."""
    receive_delay: float | None = None
    """The longest time that a byte of the response waited in the kernel to be read."""
    client: int | None = None
    """The client that sent the request, counted from 0."""
    workload: str | None = None
    """The class of workload that the request belongs to, where there are several."""
    server: str | None = None
    """The server that the request went to, where there are several."""
    payload_index: int | None = None
    """Which one of several payloads was sent, counted from 0; of data, its index."""
    asked_input_tokens: int | None = None
    """Tokens of the prompt by the data."""
    asked_output_tokens: int | None = None
    """Tokens that the response was to have, by the data."""
    due_time: float | None = None
    """When the request was due, after the start of the run (open loop)."""
    in_flight_wait: float | None = None
    """The part of the lateness in which as many requests were in flight as may be (open loop)."""
    connection_wait: float | None = None
    """The part of the lateness in which a connection was opened (open loop)."""
    scheduled_time_to_first_token: float | None = None
    """TTFT from when the request was due (open loop)."""
    scheduled_time_to_last_token: float | None = None
    """TTLT from when the request was due (open loop)."""
    think_time: float | None = None
    """The pause between the answer before it and this turn."""
    session_time: float | None = None
    """On the last turn: from when the first turn was sent to the end of the last answer."""
    session_think_time: float | None = None
    """On the last turn: the part of that which were think times."""
    session_response_time: float | None = None
    """On the last turn: the part of that in which an answer was waited for."""
    network_round_trip: float | None = None
    """Round-trip time of the connection at the end of the response, smoothed, by the kernel's TCP."""
    network_min_round_trip: float | None = None
    """The shortest round-trip time of the connection of late, by the kernel's TCP."""
    network_retransmissions: int | None = None
    """Segments of TCP that this machine sent again since the response before on the connection."""
    network_out_of_order: int | None = None
    """Segments that came before one that was missing, since the response before on the connection."""
    network_repeated: int | None = None
    """Segments that came again although they had come (packet stamps)."""
    network_hole_wait: float | None = None
    """Time that bytes of this response waited for others before them that were missing (packet stamps)."""
    send_delay: float | None = None
    """Time from the system call that wrote the first byte of the request until a packet left with it
    (packet stamps)."""
    server_time: float | None = None
    """Time that the request took by the server's own word, or by that of a gateway before it; of a stream
    whose headers say so, the time until they were sent."""
    server_queue_time: float | None = None
    """Time that the request waited with the server, by its own word."""
    server_prompt_time: float | None = None
    """Time that the server took to read the prompt, by its own word."""
    server_generation_time: float | None = None
    """Time that the server took to generate tokens, by its own word."""
    server_gateway_time: float | None = None
    """Time that a gateway before the server added, by its own word."""
    server_time_to_first_token: float | None = None
    """The server's part of the time to first token by its own word: queue and prompt, or the time until it
    sent the response's head where it says no more."""
    time_to_first_token_rest: float | None = None
    """What is left of the time to first token without the server's part and one (the shortest) round trip
    of the network."""

    @classmethod
    def from_json(cls, json_str: str) -> InvocationResponse:
        """Reads a line of `responses.jsonl`.

        Keys that are no field go into `annotations`; those which are there already win.
        """
        data: dict[str, Any] = json.loads(json_str, object_hook=bytes_decoder)
        restore_dataclass_types(cls, data)
        unknown = {key: data.pop(key) for key in data.keys() - _NAMES}
        if unknown:
            data["annotations"] = {**unknown, **(data.get("annotations") or {})}
        return cls(**data)

    def to_json(self, default: Callable[[Any], Any] | None = json_default, **kwargs: Any) -> str:
        """The response as JSON. Keyword arguments are those of `json.dumps`."""
        return json.dumps(self.to_dict(), default=default, **kwargs)

    def to_dict(self) -> dict[str, Any]:
        """The response as a dict that can be changed, with Python values as they are."""
        data = dataclasses.asdict(self)
        return {
            name: value for name, value in data.items() if value is not None or name not in _OPTIONAL_NAMES
        }

    @staticmethod
    def error_output(
        input_payload: dict[str, Any] | None = None,
        error: object = None,
        id: str | None = None,
        request_time: datetime | None = None,
    ) -> InvocationResponse:
        """The response of a request that failed."""
        return InvocationResponse(
            response_text=None,
            input_payload=input_payload,
            id=id or uuid4().hex,
            error="invocation failed" if error is None else str(error),
            request_time=request_time,
        )

    def __repr__(self) -> str:
        return self.to_json()

    def __str__(self) -> str:
        return self.to_json(indent=4)


_FIELDS = [one.name for one in dataclasses.fields(InvocationResponse)]
_NAMES = frozenset(_FIELDS)
_OPTIONAL_NAMES = frozenset(_FIELDS[_FIELDS.index("annotations") + 1 :])
