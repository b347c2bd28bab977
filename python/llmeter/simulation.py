"""A simulated LLM server for tests and first steps, in this process.

    with simulate(ttft=0.05, itl=0.01, output_tokens=64) as server:
        endpoint = OpenAICompletionStreamEndpoint("any", base_url=server.base_url, api_key="none")
        result = await Runner(endpoint, payload=endpoint.create_payload("Hello")).run()
"""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any

__all__ = ["SimulatedServer", "simulate"]


class SimulatedServer:
    """A simulated server that runs until it is closed. `simulate` starts one."""

    def __init__(self, arguments: dict[str, Any]):
        from . import _core

        self._server = _core.simulate(json.dumps(arguments))

    @property
    def base_url(self) -> str:
        """Its address for OpenAI's clients: with `/v1`."""
        return self._server.base_url()

    @property
    def address(self) -> str:
        """Its address without a path, for all other APIs."""
        return self.base_url.removesuffix("/v1")

    @property
    def certificate(self) -> str | None:
        """Its certificate as PEM, if it serves TLS."""
        return self._server.certificate()

    @property
    def requests_served(self) -> int:
        """How many requests it has answered."""
        return self._server.requests_served()

    def truth(self) -> list[dict[str, Any]]:
        """What it truly did, request by request, by its own clock; needs `keep_truth=True`."""
        return [json.loads(line) for line in self._server.truth()]

    def close(self) -> None:
        """Stops it."""
        self._server.stop()

    def __enter__(self) -> SimulatedServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def simulate(
    *,
    ttft: float = 0.2,
    itl: float = 0.02,
    output_tokens: int = 128,
    jitter: float = 0.0,
    tokens_per_frame: int = 1,
    reasoning_tokens: int = 0,
    error_rate: float = 0.0,
    stall_rate: float = 0.0,
    cut_rate: float = 0.0,
    max_concurrency: int | None = None,
    max_tokens_in_flight: int | None = None,
    prefix_cache: int | None = None,
    cache_block: int | None = None,
    prefill_rate: float | None = None,
    drift_from: int | None = None,
    seed: int = 0,
    keep_truth: bool = False,
    api_key: str | None = None,
    model: str = "llmeter-sim",
    tls: bool = False,
    threads: int = 1,
    host: str = "127.0.0.1",
    port: int = 0,
) -> SimulatedServer:
    """Starts a simulated LLM server that speaks every API that llmeter knows.

    Args:
        ttft: seconds to the first token.
        itl: seconds from token to token.
        output_tokens: tokens of a response.
        jitter: by how much times vary, as a share.
        tokens_per_frame: tokens that come together.
        reasoning_tokens: tokens of reasoning before the answer.
        error_rate: the share of requests that get status 500.
        stall_rate: the share of streams that fall silent.
        cut_rate: the share of streams whose connection is cut.
        max_concurrency: requests that it works on at a time; others queue.
        max_tokens_in_flight: tokens that it works on at a time, prompts and responses together; further
            requests queue.
        prefix_cache: tokens that its prefix cache holds; what it has of a prompt takes no prefill time.
        cache_block: tokens of a block of that cache, which has whole blocks only; 16 by default.
        prefill_rate: prompt tokens that it reads in a second.
        drift_from: requests in flight from which on the answer to a prompt changes with their number;
            below, it is always the same.
        seed: decides what jitter and faults strike.
        keep_truth: whether it keeps a log of what it did.
        api_key: the key that requests must carry.
        model: the model that it lists.
        tls: whether it serves https, with a certificate made for it.
        threads: its threads.
        host: the address that it listens at.
        port: the port; 0 takes a free one.

    Raises:
        ValueError: if an argument cannot be used.
    """
    return SimulatedServer(dict(locals()))
