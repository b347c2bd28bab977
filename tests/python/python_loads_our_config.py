#!/usr/bin/env python3
"""Loads the configuration of a run folder that llmeter wrote, with the Python llmeter 0.2.0, and
carries the same run out once more.

    python_loads_our_config.py FOLDER

The server that the configuration names must be there, and take the API key in OPENAI_API_KEY.
Prints what it saw as JSON.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from llmeter.prompt_utils import load_payloads
from llmeter.runner import Runner


def main():
    folder = Path(sys.argv[1])
    runner = Runner.load(folder)
    payloads = list(load_payloads(runner.payload))
    with tempfile.TemporaryDirectory() as elsewhere:
        stats = asyncio.run(runner.run(run_name="again", output_path=elsewhere)).stats
    seen = {
        "endpoint": type(runner.endpoint).__name__,
        "model_id": runner.endpoint.model_id,
        "tokenizer": type(runner.tokenizer).__name__,
        "clients": runner.clients,
        "n_requests": runner.n_requests,
        "run_duration": runner.run_duration,
        "timeout": runner.timeout,
        "run_name": runner.run_name,
        "run_description": runner.run_description,
        "low_memory": runner.low_memory,
        "payloads": payloads,
        "again": {key: stats[key] for key in ("total_requests", "failed_requests")},
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
