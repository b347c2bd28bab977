"""Runs in progress that are changed, and servers that are disturbed."""

import asyncio

import pytest

from llmeter import ColdStart, Drift, Result, RunControl, Runner, Spike, simulate
from llmeter.endpoints import OpenAICompletionStreamEndpoint


def endpoint_of(server):
    return OpenAICompletionStreamEndpoint("m", base_url=server.base_url, api_key="no-key")


def test_a_run_in_progress_is_changed_and_stopped(tmp_path, wait):
    with simulate(ttft=0.005, itl=0.001, output_tokens=2) as server:
        endpoint = endpoint_of(server)
        payload = endpoint.create_payload("Hi", max_tokens=2)
        runner = Runner(endpoint, payload=payload, clients=1, output_path=tmp_path)

        async def work():
            run = asyncio.create_task(runner.run(run_duration=60, run_name="soak"))
            control = RunControl(tmp_path / "soak")
            while True:
                await asyncio.sleep(0)
                try:
                    if control.status().phase == "running":
                        break
                except RuntimeError as reason:
                    assert "no" in str(reason)
            changed = control.change(clients=3)
            assert changed.clients == 3 and changed.changes[0].before == "1"
            with pytest.raises(RuntimeError, match="has no rate to change"):
                control.change(rate=5)
            while control.status().elapsed < changed.changes[0].time + 0.05:
                await asyncio.sleep(0)
            assert control.stop().phase == "stopping"
            return await run

        result = wait(work())
    changes = result.stats["control_changes"]
    assert [one["setting"] for one in changes] == ["clients", "stop"]
    assert [stage["load"] for stage in result.stats["stages"]] == ["1 client", "3 clients"]
    assert (result.clients, result.stats["failed_requests"]) == (3, 0)
    with pytest.raises(RuntimeError, match="no run is in progress there"):
        RunControl(tmp_path / "soak").status()


def test_a_spike_and_a_cold_start_tell_their_times(tmp_path, wait):
    with simulate(ttft=0.005, itl=0.001, output_tokens=2) as server:
        endpoint = endpoint_of(server)
        payload = endpoint.create_payload("Hi", max_tokens=2)
        runner = Runner(
            endpoint, payload=payload, output_path=tmp_path, run_name="spike", settings={"rate": "50/s"}
        )
        spike = Spike(runner, "100/s for 100ms", before=1.2, after=0.8, window=0.2)
        result = wait(spike.run())
        assert [one["figure"] for one in result.stats["recovery"]] == [
            "TTFT from due p50",
            "TTFT from due p90",
        ]
        assert Result.load(tmp_path / "spike").stats["recovery"] == result.stats["recovery"]
        with pytest.raises(ValueError, match="no stage"):
            wait(Spike(runner, "high").run())
        started = wait(ColdStart(Runner(endpoint, payload=payload), responses=10).run())
        assert started.stats["cold_start_failures"] == 0
        assert started.stats["cold_start_first_token"] >= 0.005


def test_drift_is_found(tmp_path, wait):
    with simulate(ttft=0.03, itl=0.0, output_tokens=4, drift_from=2) as server:
        endpoint = endpoint_of(server)
        payload = endpoint.create_payload("Hi", max_tokens=4)
        runner = Runner(endpoint, payload=payload, output_path=tmp_path, run_name="drift")
        result = wait(Drift(runner, clients=4).run())
    assert result.stats["drift_compared"] == 4
    assert result.stats["drift_alone_differ"] == 0
    assert result.stats["drift_differ"] >= 1
    assert (tmp_path / "drift" / "alone-2" / "responses.jsonl").exists()
