"""What the tests of the Python package share: a quick simulated server, and an endpoint at it."""

import asyncio

import pytest

from llmeter.endpoints import OpenAICompletionStreamEndpoint
from llmeter.simulation import simulate

pytest_plugins = ["pytester"]


@pytest.fixture(scope="session")
def server():
    with simulate(ttft=0.004, itl=0.001, output_tokens=12, keep_truth=True) as running:
        yield running


@pytest.fixture
def endpoint(server):
    return OpenAICompletionStreamEndpoint("some-model", base_url=server.base_url, api_key="no-key")


@pytest.fixture
def payload(endpoint):
    return endpoint.create_payload("Tell me a story.", max_tokens=12)


@pytest.fixture
def wait():
    return asyncio.run
