"""Runs with endpoints of the core."""

import asyncio
import json
import os
import pickle
import subprocess
import sys
import textwrap
import threading

import pytest

from llmeter.endpoints import InvocationResponse
from llmeter.results import Result
from llmeter.runner import Runner
from llmeter.simulation import simulate


def test_a_run_gives_a_result_and_its_folder_loads_again(endpoint, payload, tmp_path, wait):
    runner = Runner(endpoint, payload=[payload, payload], clients=3, output_path=tmp_path)
    result = wait(runner.run(n_requests=4, run_name="first", run_description="a «try»"))
    assert (result.total_requests, result.clients, result.n_requests) == (12, 3, 4)
    assert result.stats["failed_requests"] == 0
    assert result.stats["measurement_stamps"] in ("kernel", "user")
    assert result.output_path == tmp_path / "first"
    assert result.start_time.tzinfo is not None
    assert all(0.003 < value < 2 for value in result.get_dimension("time_to_first_token"))

    again = Result.load(tmp_path / "first")
    assert again.to_dict() == result.to_dict()
    # Every statistic has one definition.
    assert again.stats == result.stats
    first = again.responses[0]
    assert type(first) is InvocationResponse or isinstance(first, InvocationResponse)
    assert first == result.responses[0]
    assert first.input_payload["stream"] is True
    assert len(first.inter_token_latencies) == 11

    brief = Result.load(tmp_path / "first", load_responses=False)
    assert brief.responses == []
    assert brief.stats == result.stats
    assert len(brief.load_responses()) == 12
    assert "no-key" not in (tmp_path / "first" / "run_config.json").read_text()


def test_responses_are_read_when_somebody_looks(endpoint, payload, wait):
    result = wait(Runner(endpoint, payload=payload, n_requests=6).run())
    lazy = result.responses
    assert not any("response_text" in object.__getattribute__(one, "__dict__") for one in lazy)
    copied = pickle.loads(pickle.dumps(lazy[0]))
    assert copied == lazy[0] and type(copied) is InvocationResponse
    lazy[1].annotations["mine"] = 1
    lazy[2].error = "not really"
    assert lazy[1].to_dict()["annotations"] == {"mine": 1}
    assert json.loads(lazy[3].to_json())["error"] is None
    assert result.get_dimension("error")[2] == "not really"
    assert repr(lazy[4]).startswith("{")
    assert lazy[5] != lazy[4]


def test_several_runs_go_on_at_once_and_the_loop_is_free(endpoint, payload):
    async def both():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        ticking = asyncio.create_task(tick())
        runner = Runner(endpoint, payload=payload, clients=2)
        results = await asyncio.gather(*(runner.run(n_requests=count) for count in (5, 10)))
        ticking.cancel()
        return results, ticks

    (one, other), ticks = asyncio.run(both())
    assert (one.total_requests, other.total_requests) == (10, 20)
    assert ticks > 10


def test_a_run_works_outside_the_main_thread(endpoint, payload):
    found = []
    runner = Runner(endpoint, payload=payload)
    thread = threading.Thread(target=lambda: found.append(asyncio.run(runner.run())))
    thread.start()
    thread.join()
    assert found[0].total_requests == 1


def test_a_run_by_time(endpoint, payload, wait):
    result = wait(Runner(endpoint, payload=payload, clients=2).run(run_duration=0.3))
    assert result.total_requests > 2
    assert result.n_requests == result.total_requests // 2


def test_low_memory_keeps_responses_on_disk(endpoint, payload, tmp_path, wait):
    runner = Runner(endpoint, payload=payload, output_path=tmp_path, low_memory=True)
    result = wait(runner.run(n_requests=7))
    assert result.responses == []
    assert result.stats["total_requests"] == 7
    assert len(result.load_responses()) == 7
    with pytest.raises(AssertionError, match="output_path"):
        wait(Runner(endpoint, payload=payload, low_memory=True).run())


def test_a_run_of_the_same_name_replaces_the_first_or_is_refused(endpoint, payload, tmp_path, wait):
    runner = Runner(endpoint, payload=payload, output_path=tmp_path)
    wait(runner.run(n_requests=3, run_name="same"))
    wait(runner.run(n_requests=2, run_name="same"))
    assert len(Result.load(tmp_path / "same").responses) == 2
    with pytest.raises(FileExistsError, match="already holds a run"):
        wait(runner.run(run_name="same", overwrite=False))
    # An experiment of many runs is not replaced by one.
    (tmp_path / "test" / "00008-clients").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="holds an experiment"):
        wait(runner.run(run_name="test"))
    # Without a name none is replaced.
    folders = {wait(runner.run()).output_path for _ in range(2)}
    assert len(folders) == 2


def test_a_folder_given_to_a_run_is_its_own(endpoint, payload, tmp_path, wait):
    runner = Runner(endpoint, payload=payload, output_path=tmp_path / "unused")
    result = wait(runner.run(output_path=tmp_path / "mine", run_name="another name"))
    assert result.run_name == "another name"
    assert (tmp_path / "mine" / "summary.json").exists()
    assert not (tmp_path / "unused").exists()


def test_settings_of_the_core_are_settings_of_a_run(endpoint, payload, wait):
    runner = Runner(endpoint, payload=payload, settings={"warmup": 2, "slo": ["ttft < 2s"]})
    result = wait(runner.run(n_requests=3))
    assert result.total_requests == 3
    assert result.stats["goodput_rate"] == 1
    with pytest.raises(ValueError, match="colour"):
        wait(Runner(endpoint, payload=payload, settings={"colour": "red"}).run())


def test_several_addresses_are_servers_with_figures_of_their_own(endpoint, payload, wait):
    with simulate() as one, simulate() as other:
        settings = {"base_url": [one.base_url, other.base_url]}
        result = wait(Runner(endpoint, payload=payload, settings=settings).run(n_requests=4))
    assert [server["total_requests"] for server in result.stats["servers"]] == [2, 2]
    names = [server["server"] for server in result.stats["servers"]]
    assert [server.address.removeprefix("http://") for server in (one, other)] == names
    assert result.get_dimension("server") == names * 2


def test_an_arrival_rate_is_an_open_loop(endpoint, payload, wait):
    runner = Runner(endpoint, payload=payload, settings={"rate": "100/s", "arrivals": "constant"})
    result = wait(runner.run(n_requests=3))
    assert (result.total_requests, result.stats["due_requests"]) == (3, 3)
    assert result.stats["offered_rate"] == pytest.approx(100)
    assert "scheduled_time_to_first_token-p50" in result.stats
    # Without a number, each payload once in all.
    assert wait(runner.run()).stats["due_requests"] == 1


def test_a_server_that_is_not_there_is_said(payload, wait):
    from llmeter.endpoints import OpenAICompletionStreamEndpoint

    gone = OpenAICompletionStreamEndpoint("m", base_url="http://127.0.0.1:9/v1", api_key="k")
    with pytest.raises(ConnectionError, match="cannot reach 127.0.0.1:9"):
        wait(Runner(gone, payload=payload).run())


def test_one_request_is_sent_by_the_core(endpoint, payload):
    response = endpoint.invoke(payload)
    assert response.error is None
    assert response.num_tokens_output == 12
    assert response.time_to_first_token > 0.003


def test_a_cancelled_run_saves_what_it_has_and_is_cancelled(payload, tmp_path):
    from llmeter.endpoints import OpenAICompletionStreamEndpoint

    with simulate(ttft=0.001, itl=0.0, output_tokens=1) as server:
        endpoint = OpenAICompletionStreamEndpoint("m", base_url=server.base_url, api_key="k")
        runner = Runner(endpoint, payload=payload, output_path=tmp_path)

        async def cancelled():
            run = asyncio.create_task(runner.run(n_requests=10**9, run_name="cut"))
            while server.requests_served < 20:
                await asyncio.sleep(0.005)
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run

        asyncio.run(cancelled())
    assert runner.last_result.stats["interrupted"] is True
    assert runner.last_result.total_requests >= 20
    loaded = Result.load(tmp_path / "cut")
    assert len(loaded.responses) == runner.last_result.total_requests


def test_ctrl_c_gives_the_partial_result_and_restores_the_handler(server, tmp_path):
    script = textwrap.dedent(
        f"""
        import asyncio, os, signal, threading
        from llmeter.endpoints import OpenAICompletionStreamEndpoint
        from llmeter.runner import Runner
        from llmeter.simulation import simulate

        def interrupt(server):
            while server.requests_served < 20:
                pass
            os.kill(os.getpid(), signal.SIGINT)

        before = signal.getsignal(signal.SIGINT)
        with simulate(ttft=0.001, itl=0.0, output_tokens=1) as server:
            endpoint = OpenAICompletionStreamEndpoint("m", base_url=server.base_url, api_key="k")
            payload = endpoint.create_payload("x", max_tokens=1)
            runner = Runner(endpoint, payload=payload, output_path={str(tmp_path)!r})
            threading.Thread(target=interrupt, args=(server,)).start()
            result = asyncio.run(runner.run(n_requests=10**9, run_name="cut"))
        assert result.stats["interrupted"] is True
        assert 20 <= result.total_requests == len(result.responses)
        assert signal.getsignal(signal.SIGINT) is before
        print("partial")
        """
    )
    environment = {**os.environ, "LLMETER_DISABLE_ALL_PROGRESS_BARS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False
    )
    assert done.stdout == "partial\n", done.stderr
    assert len(Result.load(tmp_path / "cut").responses) >= 20


def test_the_command_line_is_a_module():
    run = [sys.executable, "-m", "llmeter"]
    shown = subprocess.run([*run, "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("llmeter ")
    wrong = subprocess.run([*run, "run", "--colour"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "--colour" in wrong.stderr


def test_data_of_the_core_is_sent_in_the_place_of_payloads(endpoint, payload, wait):
    settings = {"data": "synthetic:prompt_tokens=20,output_tokens=4,requests=6"}
    result = wait(Runner(endpoint, clients=2, settings=settings).run())
    assert (result.total_requests, result.stats["failed_requests"]) == (6, 0)
    assert result.stats["asked_input_tokens-average"] == 20
    prompts = {response.input_prompt for response in result.responses}
    assert len(prompts) == 6
    with pytest.raises(ValueError, match="not both"):
        wait(Runner(endpoint, payload=payload, settings=settings).run())


def test_sessions_stand_in_the_place_of_clients(endpoint, wait):
    settings = {
        "data": "synthetic:prompt_tokens=8,output_tokens=4,turns=3",
        "sessions": 2,
        "max_sessions": 4,
        "think_time": "uniform:1ms..2ms",
    }
    result = wait(Runner(endpoint, settings=settings).run())
    assert (result.total_requests, result.stats["sessions_completed"]) == (12, 4)
    assert [turn["total_requests"] for turn in result.stats["turns"]] == [4, 4, 4]
    last = [one for one in result.responses if one.turn == 3]
    assert sorted(one.session for one in last) == [1, 2, 3, 4]
    for response in last:
        said = response.input_payload["messages"]
        assert [message["role"] for message in said] == ["user", "assistant"] * 2 + ["user"]
        assert 0.001 <= response.think_time <= 0.002 < response.session_time


def test_stages_of_sessions_have_figures_of_their_own(endpoint, wait, tmp_path):
    (tmp_path / "think.txt").write_text("10ms 3\n0.01-0.02 1\n")
    settings = {
        "data": "synthetic:prompt_tokens=8,output_tokens=4,turns=2",
        "stages": [{"sessions": 1, "time": 0.2}, {"sessions": 3, "time": "200ms"}],
        "think_time": f"histogram:{tmp_path / 'think.txt'}",
    }
    result = wait(Runner(endpoint, settings=settings).run())
    assert [stage["load"] for stage in result.stats["stages"]] == [
        "1 session for 200ms",
        "3 sessions for 200ms",
    ]
    assert {one.client for one in result.responses if one.stage == 1} == {0}
    thought = [one.think_time for one in result.responses if one.turn == 2]
    assert all(0.01 <= seconds <= 0.02 for seconds in thought)
    stats = result.stats
    ended = stats["sessions_completed"] + stats.get("sessions_unfinished", 0)
    assert stats["sessions_begun"] == ended
