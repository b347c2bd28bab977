"""Python objects as parts of runs: endpoints, callbacks, tokenizers."""

import asyncio
import json
import subprocess
import sys
import time

import pytest

from llmeter.callbacks.base import Callback
from llmeter.endpoints.base import Endpoint, InvocationResponse
from llmeter.results import Result
from llmeter.runner import Runner


class Parrot(Endpoint):
    """Answers with the prompt."""

    def __init__(self, model_id="parrot", fails=False):
        super().__init__("polly", model_id, provider="pet shop")
        self.fails = fails

    @Endpoint.llmeter_invoke
    def invoke(self, payload):
        if self.fails:
            raise RuntimeError("no cracker")
        return payload["prompt"]

    def process_raw_response(self, raw_response, start_t, response):
        response.time_to_first_token = time.perf_counter() - start_t
        response.response_text = raw_response

    def _parse_payload(self, payload):
        return payload["prompt"]


class AsyncParrot:
    """Of no class of ours, and asynchronous."""

    endpoint_name, model_id, provider = "polly", "async", "pet shop"

    async def invoke(self, payload):
        await asyncio.sleep(0)
        return InvocationResponse(response_text=payload["prompt"], time_to_last_token=0.25)


def test_an_endpoint_of_ones_own_takes_its_times(tmp_path, wait):
    runner = Runner(Parrot(), payload={"prompt": "one two three"}, clients=4, output_path=tmp_path)
    result = wait(runner.run(n_requests=5, run_name="r"))
    assert result.total_requests == 20
    assert (result.model_id, result.provider, result.endpoint_name) == ("parrot", "pet shop", "polly")
    assert result.stats["measurement_stamps"] == "python"
    for response in result.responses:
        assert response.response_text == "one two three"
        assert response.num_tokens_output == response.num_tokens_input == 3
        assert 0 < response.time_to_first_token <= response.time_to_last_token
        assert response.request_time is not None
    saved = json.loads((tmp_path / "r" / "run_config.json").read_text())
    assert saved["endpoint"]["__llmeter_state__"] == {"model_id": "parrot", "fails": False}
    again = Runner.load(tmp_path / "r")
    assert isinstance(again._endpoint, Parrot)
    assert Result.load(tmp_path / "r").stats == result.stats


def test_an_asynchronous_endpoint_runs_on_the_callers_loop(wait):
    result = wait(Runner(AsyncParrot(), payload={"prompt": "a"}, clients=3).run(n_requests=4))
    assert result.total_requests == 12
    assert set(result.get_dimension("time_to_last_token")) == {0.25}


def test_what_an_endpoint_raises_is_the_responses_error(wait):
    class Broken:
        endpoint_name, model_id, provider = "b", "b", "b"

        def invoke(self, payload):
            raise KeyError("nothing")

    settings = {"no_failure_pause": True}
    for endpoint, reason in ((Parrot(fails=True), "no cracker"), (Broken(), "'nothing'")):
        runner = Runner(endpoint, payload={"prompt": "x"}, settings=settings)
        result = wait(runner.run(n_requests=3))
        assert result.stats["failed_requests"] == 3
        assert set(result.get_dimension("error")) == {reason}


class Marking(Callback):
    """Changes payloads and responses in place."""

    def __init__(self, mark="m"):
        self.mark = mark
        self.calls = []

    async def before_run(self, run_config):
        self.calls.append(("before_run", run_config.clients))

    async def before_invoke(self, payload):
        payload["mark"] = payload.get("mark", "") + self.mark

    async def after_invoke(self, response):
        await asyncio.sleep(0)
        response.annotations["marks"] = response.annotations.get("marks", "") + self.mark
        response.num_tokens_output = 99

    async def after_run(self, result):
        self.calls.append(("after_run", result.total_requests))
        result._update_contributed_stats({"marks": len(self.mark)})


def test_callbacks_change_requests_and_responses_in_place(endpoint, payload, tmp_path, wait):
    one, other = Marking("a"), Marking("bc")
    before = json.dumps(payload)
    runner = Runner(endpoint, payload=payload, callbacks=[one, other], output_path=tmp_path)
    result = wait(runner.run(n_requests=4, clients=2, run_name="r"))
    assert json.dumps(payload) == before
    assert one.calls == other.calls == [("before_run", 2), ("after_run", 8)]
    loaded = Result.load(tmp_path / "r")
    for seen in (result, loaded):
        assert {response.input_payload["mark"] for response in seen.responses} == {"abc"}
        assert {response.annotations["marks"] for response in seen.responses} == {"abc"}
        assert seen.stats["num_tokens_output-p50"] == 99
        assert seen.stats["marks"] == 2
    # What callbacks do is outside the clocks.
    assert result.stats["measurement_stamps"] in ("kernel", "user")
    saved = json.loads((tmp_path / "r" / "run_config.json").read_text())["callbacks"]
    assert [one["__llmeter_state__"]["mark"] for one in saved] == ["a", "bc"]


class Failing(Callback):
    """Fails where it is told to."""

    def __init__(self, at):
        self.at = at

    async def before_run(self, run_config):
        assert self.at != "before_run", "not today"

    async def before_invoke(self, payload):
        assert self.at != "before_invoke", "not today"

    async def after_invoke(self, response):
        assert self.at != "after_invoke", "not today"

    async def after_run(self, result):
        assert self.at != "after_run", "not today"


def test_hooks_that_fail_lose_no_response(endpoint, payload, tmp_path, wait):
    def run(at):
        runner = Runner(
            endpoint,
            payload=payload,
            callbacks=[Failing(at)],
            output_path=tmp_path,
            settings={"no_failure_pause": True},
        )
        return wait(runner.run(n_requests=3, run_name=at))

    with pytest.raises(AssertionError, match="not today"):
        run("before_run")
    result = run("before_invoke")
    assert result.stats["failed_requests"] == result.total_requests == 3
    assert "not today" in result.responses[0].error
    for at in ("after_invoke", "after_run"):
        result = run(at)
        assert (result.total_requests, result.stats["failed_requests"]) == (3, 0)
        found = Result.load(tmp_path / at).stats["callback_errors"]
        assert [(one["hook"], one["first"].split("\n")[0]) for one in found] == [(at, "not today")]


def test_a_tokenizer_of_ones_own_counts(wait):
    class Letters:
        def encode(self, text):
            return list(text)

        def decode(self, tokens):
            return "".join(tokens)

    runner = Runner(Parrot(), tokenizer=Letters(), payload={"prompt": "four"})
    result = wait(runner.run())
    assert result.responses[0].num_tokens_input == 4
    assert "Letters" in result.responses[0].num_tokens_output_source


def test_attributes_of_ones_own_stay_on_the_responses_of_a_run(endpoint, payload, wait):
    class Noting(Callback):
        async def after_invoke(self, response):
            response.my_note = ("not", "JSON", response.num_tokens_output)

    result = wait(Runner(endpoint, payload=payload, callbacks=[Noting()]).run(n_requests=2))
    assert [one.my_note for one in result.responses] == [("not", "JSON", 12)] * 2


def test_costs_are_the_same_by_the_core_and_by_python(endpoint, payload, tmp_path, wait):
    from llmeter.callbacks import CostModel
    from llmeter.callbacks.cost.dimensions import EndpointTime, InputTokens, OutputTokens

    class OwnTokens(OutputTokens):
        """Of no class that the core has, so that Python computes all costs."""

    def run(dimension, name):
        model = CostModel(
            request_dims={"In": InputTokens(2.0), "Out": dimension(8.0)},
            run_dims={"Time": EndpointTime(3600.0)},
        )
        runner = Runner(endpoint, payload=payload, callbacks=[model], output_path=tmp_path)
        return wait(runner.run(n_requests=5, run_name=name))

    by_core, by_python = run(OutputTokens, "core"), run(OwnTokens, "python")
    for result in (by_core, by_python):
        stats = result.stats
        assert stats["cost_Out"] == pytest.approx(5 * 12 * 8e-6)
        assert stats["cost_In"] == pytest.approx(stats["total_input_tokens"] * 2e-6)
        assert stats["cost_total"] == pytest.approx(
            sum(stats[f"cost_{name}"] for name in ("In", "Out", "Time"))
        )
        assert result.cost_total == stats["cost_total"]
        assert result.responses[0].annotations["cost_Out"] == pytest.approx(12 * 8e-6)
    # Only the core says how many values there are beside them.
    counts = ("-count", "-beyond")
    costs = [
        {key for key in one.stats if key.startswith("cost_") and not key.endswith(counts)}
        for one in (by_core, by_python)
    ]
    assert costs[0] == costs[1]
    loaded = Result.load(tmp_path / "python")
    assert loaded.stats["cost_total"] == by_python.stats["cost_total"]


def test_a_process_ends_well_with_calls_in_flight(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio, time\n"
        "from llmeter.runner import Runner\n"
        "class Slow:\n"
        "    endpoint_name = model_id = provider = 's'\n"
        "    def invoke(self, payload):\n"
        "        time.sleep(0.5)\n"
        "runner = Runner(Slow(), payload={'a': 1}, clients=8, timeout=0.1)\n"
        "result = asyncio.run(runner.run(n_requests=1))\n"
        "print(set(result.get_dimension('error')))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "{'timed out after 0.1 s'}\n"
