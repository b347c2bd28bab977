"""Files of ours in the hands of the Python llmeter 0.2.0, and its files in ours."""

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution

import pytest

from llmeter.callbacks import Callback, CostModel, MlflowCallback
from llmeter.callbacks.cost.dimensions import EndpointTime, InputTokens, OutputTokens
from llmeter.endpoints import (
    AnthropicMessagesStream,
    BedrockConverseStream,
    BedrockInvoke,
    Endpoint,
    OpenAICompletionStreamEndpoint,
    OpenAIResponseStreamEndpoint,
    SageMakerStreamEndpoint,
)
from llmeter.experiments import LoadTest, LoadTestResult
from llmeter.results import Result
from llmeter.runner import Runner

# What takes long to import, and is not needed.
PRELUDE = """
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *further: (
    None if name in ("litellm", "mlflow") else find_spec(name, *further)
)
import llmeter
assert "site-packages" in llmeter.__file__, llmeter.__file__
"""
WRITES = """
import asyncio, sys
from pathlib import Path
from llmeter.callbacks import CostModel
from llmeter.callbacks.cost.dimensions import EndpointTime, InputTokens
from llmeter.endpoints import OpenAICompletionStreamEndpoint
from llmeter.runner import Runner

async def main(url, folder):
    endpoint = OpenAICompletionStreamEndpoint("m", api_key="none", base_url=url, endpoint_name="theirs")
    costs = CostModel([InputTokens(3.0)], {"gpu": EndpointTime(2.0)})
    endpoint.save_to_file(folder / "endpoint.json")
    costs.save_to_file(folder / "costs.json")
    payload = endpoint.create_payload("Tell me a story.", max_tokens=12)
    runner = Runner(
        endpoint, payload=payload, clients=2, n_requests=3, output_path=folder, callbacks=[costs]
    )
    runner.save(folder / "runner")
    for clients in (1, 2):
        await runner.run(clients=clients, output_path=folder / "test" / f"0000{clients}-clients")

asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
"""
READS = """
import json, sys
from pathlib import Path
from llmeter.callbacks import Callback
from llmeter.endpoints import Endpoint
from llmeter.experiments import LoadTestResult
from llmeter.results import Result
from llmeter.runner import Runner

folder = Path(sys.argv[1])
endpoints = [Endpoint.load_from_file(file) for file in sorted((folder / "endpoints").iterdir())]
costs = Callback.load_from_file(folder / "costs.json")
runner = Runner.load(folder / "runner")
levels = LoadTestResult.load(folder / "test").results
result = Result.load(folder / "test" / "00002-clients")
print(json.dumps({
    "endpoints": [type(endpoint).__name__ for endpoint in endpoints],
    "models": sorted({endpoint.model_id for endpoint in endpoints}),
    "prices": [costs.request_dims["InputTokens"].price_per_million, costs.run_dims["gpu"].price_per_hour],
    "runner": [runner.clients, runner.n_requests, type(runner._endpoint).__name__, len(runner.callbacks)],
    "levels": sorted(levels),
    "texts": [response.response_text for response in result.responses],
    "ttft": result.stats["time_to_first_token-p50"],
    "cost": result.stats["cost_total"],
    "zone": str(result.responses[0].request_time.tzinfo),
}))
"""


@pytest.fixture
def theirs(tmp_path):
    """Runs a script with the Python llmeter."""
    try:
        if distribution("llmeter").version != "0.2.0":
            pytest.skip("llmeter 0.2.0 is not installed")
    except PackageNotFoundError:
        pytest.skip("llmeter 0.2.0 is not installed")

    def run(script, *arguments):
        environment = {
            **os.environ,
            "OPENAI_API_KEY": "none",
            "ANTHROPIC_API_KEY": "none",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        environment.pop("PYTHONPATH")
        done = subprocess.run(
            [sys.executable, "-c", PRELUDE + script, *map(str, arguments)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_our_files_are_read_by_theirs(server, wait, tmp_path, theirs):
    ours = [
        AnthropicMessagesStream("m", api_key="none", max_retries=4),
        BedrockConverseStream("m", region="eu-west-1", max_attempts=5),
        BedrockInvoke("m", region="eu-west-1"),
        OpenAICompletionStreamEndpoint("m", api_key="none", timeout=3.0, base_url=server.base_url),
        OpenAIResponseStreamEndpoint("m", api_key="none", ttft_visible_tokens_only=False),
        SageMakerStreamEndpoint("e", "m", region="eu-west-1"),
    ]
    for at, endpoint in enumerate(ours):
        endpoint.save_to_file(tmp_path / "endpoints" / f"{at}.json")
    endpoint = ours[3]
    costs = CostModel([InputTokens(3.0), OutputTokens(15.0)], {"gpu": EndpointTime(2.0)})
    costs.save_to_file(tmp_path / "costs.json")
    payload = endpoint.create_payload("Tell me a story.", max_tokens=12)
    runner = Runner(endpoint, payload=payload, clients=2, n_requests=3, callbacks=[costs])
    runner.save(tmp_path / "runner")
    test = LoadTest(endpoint, payload, [1, 2], output_path=tmp_path, test_name="test", callbacks=[costs])
    done = wait(test.run())
    read = json.loads(theirs(READS, tmp_path))
    mine = done.results[2]
    assert read == {
        "endpoints": [type(endpoint).__name__ for endpoint in ours],
        "models": ["m"],
        "prices": [3.0, 2.0],
        "runner": [2, 3, "OpenAICompletionStreamEndpoint", 1],
        "levels": [1, 2],
        "texts": [response.response_text for response in mine.responses],
        "ttft": pytest.approx(mine.stats["time_to_first_token-p50"]),
        "cost": pytest.approx(mine.stats["cost_total"]),
        "zone": "UTC",
    }


def test_their_files_are_read_by_ours(server, tmp_path, theirs, wait):
    theirs(WRITES, server.base_url, tmp_path)
    endpoint = Endpoint.load_from_file(tmp_path / "endpoint.json")
    assert type(endpoint) is OpenAICompletionStreamEndpoint
    assert endpoint.endpoint_name == "theirs"
    costs = Callback.load_from_file(tmp_path / "costs.json")
    assert costs.request_dims == {"InputTokens": InputTokens(3.0)}
    assert costs.run_dims == {"gpu": EndpointTime(2.0)}
    levels = LoadTestResult.load(tmp_path / "test").results
    assert list(levels) == [1, 2]
    result = Result.load(tmp_path / "test" / "00002-clients")
    assert [len(response.response_text.split()) for response in result.responses] == [12] * 6
    assert result.stats["cost_total"] > 0
    # What they saved runs on.
    runner = Runner.load(tmp_path / "runner")
    assert (runner.clients, runner.n_requests) == (2, 3)
    again = wait(runner.run(output_path=tmp_path / "again"))
    assert again.stats["failed_requests"] == 0 and again.stats["cost_total"] > 0
    assert not isinstance(runner.callbacks[0], MlflowCallback)


@pytest.mark.parametrize(
    ("api", "path", "name"),
    [
        ("gemini-stream", "/v1beta", "GeminiStream"),
        ("azure-openai-chat", "/openai/v1", "AzureOpenAICompletionEndpoint"),
        ("openai-responses-stream", "/v1", "OpenAIResponseStreamEndpoint"),
    ],
)
def test_runs_of_the_command_line_run_again(server, tmp_path, wait, api, path, name):
    address = server.base_url.removesuffix("/v1") + path
    command = [sys.executable, "-m", "llmeter", "run", "--endpoint", api, "--base-url", address]
    command += ["--model", "m", "--prompt", "Hello", "-n", "2", "-o", str(tmp_path / "run")]
    subprocess.run(command, check=True, capture_output=True)
    (saved,) = tmp_path.rglob("run_config.json")
    runner = Runner.load(saved.parent)
    assert type(runner.endpoint).__name__ == name
    again = wait(runner.run(output_path=tmp_path / "again"))
    assert (again.total_requests, again.stats["failed_requests"]) == (2, 0)
