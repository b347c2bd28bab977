"""One script for two packages: this llmeter, and the Python llmeter 0.2.0. `cargo xtask python-peer` measures
both with it.

    python peer.py BASE_URL CLIENTS REQUESTS TOKENS [--runs N] [--output FOLDER] [--callbacks]

Carries out N runs, keeps their results, and prints a JSON object for each: its requests, the seconds and
processor seconds that it took, and the memory of the process after it.
"""

import argparse
import asyncio
import gc
import json
import os
import time

from llmeter.callbacks import Callback
from llmeter.endpoints import OpenAICompletionStreamEndpoint
from llmeter.runner import Runner

PAGE = os.sysconf("SC_PAGE_SIZE")


class Counting(Callback):
    """Does a little in each hook."""

    def __init__(self):
        self.slow = 0

    async def before_invoke(self, payload):
        payload["user"] = "peer"

    async def after_invoke(self, response):
        self.slow += (response.time_to_last_token or 0) > 1
        response.annotations["seen"] = True

    async def before_run(self, run_config):
        pass

    async def after_run(self, result):
        pass

    def save_to_file(self, path):
        raise NotImplementedError

    @classmethod
    def _load_from_file(cls, path):
        raise NotImplementedError


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


async def measure(arguments) -> None:
    endpoint = OpenAICompletionStreamEndpoint("peer", base_url=arguments.base_url, api_key="none")
    payload = endpoint.create_payload("How much is it?", max_tokens=arguments.tokens)
    callbacks = [Counting()] if arguments.callbacks else None
    kept = []
    for number in range(arguments.runs):
        runner = Runner(
            endpoint,
            payload=payload,
            clients=arguments.clients,
            n_requests=arguments.requests,
            output_path=arguments.output,
            callbacks=callbacks,
        )
        wall, cpu = time.perf_counter(), time.process_time()
        result = await runner.run(run_name=f"run-{number}")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        kept.append(result)
        gc.collect()
        measured = {
            "requests": result.total_requests,
            "failed": result.stats["failed_requests"],
            "seconds": wall,
            "cpu": cpu,
            "resident": resident(),
            "verdict": result.stats.get("measurement_verdict"),
        }
        print(json.dumps(measured), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("base_url")
    parser.add_argument("clients", type=int)
    parser.add_argument("requests", type=int)
    parser.add_argument("tokens", type=int)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--output")
    parser.add_argument("--callbacks", action="store_true")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
