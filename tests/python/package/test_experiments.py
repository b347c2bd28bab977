"""What the command line has beside runs: searches, repeats, probes, data, lists, merges, baselines."""

import json
from datetime import timedelta

import pytest

import llmeter
from llmeter.callbacks.base import Callback
from llmeter.endpoints import AnthropicMessagesStream, OpenAICompletionStreamEndpoint
from llmeter.endpoints.base import Endpoint
from llmeter.runner import Runner
from llmeter.simulation import simulate


class Mine(Endpoint):
    """An endpoint that the core knows nothing of."""

    def __init__(self):
        super().__init__("mine", "m", provider="me")

    def invoke(self, payload):
        raise NotImplementedError

    def process_raw_response(self, raw_response, start_t, response):
        raise NotImplementedError


def test_capacity_is_where_an_slo_breaks(payload, tmp_path, wait):
    # More than four at a time queue.
    with simulate(ttft=0.02, itl=0, output_tokens=1, max_concurrency=4) as server:
        endpoint = OpenAICompletionStreamEndpoint("m", base_url=server.base_url, api_key="k")
        runner = Runner(endpoint, payload=payload, settings={"slo": ["ttft-p50 < 35ms"]})
        search = llmeter.Capacity(
            runner, max=64, probe_duration=2, max_probes=8, output_path=tmp_path, test_name="search"
        )
        found = wait(search.run())
        assert found.level is not None and found.breaks_at is not None
        assert 1 <= found.level < found.breaks_at <= 64 and found.goodput > 1
        assert [probe["level"] for probe in found.probes] == list(found.results)
        assert found.results[found.level].clients == found.level
        assert json.loads((tmp_path / "search" / "capacity.json").read_text())["over"] == "clients"
        assert found.test_name == "search" and "ttft" in found._repr_html_()
        assert found.to_arrow().num_rows == sum(one.total_requests for one in found.results.values())

        by_rate = llmeter.Capacity(runner, over="rate", min=10, max=20, probe_duration=1, max_probes=2)
        rates = wait(by_rate.run())
        assert [probe["level"] for probe in rates.probes][0] == 10 and rates.output_path is None

        ramp = llmeter.Capacity(
            runner, max=2, adaptive=timedelta(seconds=0.3), output_path=tmp_path, test_name="ramp"
        )
        assert wait(ramp.run()).probes[0]["level"] == 1
        assert json.loads((tmp_path / "ramp" / "capacity.json").read_text())["is_one_run"] is True
        with pytest.raises(ValueError, match="adaptive"):
            wait(llmeter.Capacity(runner, adaptive=0).run())
        with pytest.raises(ValueError, match="sessions"):
            wait(llmeter.Capacity(runner, over="sessions").run())
    with pytest.raises(ValueError, match="slo"):
        wait(llmeter.Capacity(Runner(endpoint, payload=payload)).run())
    with pytest.raises(ValueError, match="over: 'load'"):
        wait(llmeter.Capacity(runner, over="load").run())


def test_repeats_tell_how_figures_differ(endpoint, payload, tmp_path, wait):
    runner = Runner(endpoint, payload=payload, clients=2, n_requests=5)
    done = wait(llmeter.Repeat(runner, 3, output_path=tmp_path, test_name="thrice").run())
    assert [one.total_requests for one in done.results] == [10, 10, 10] and done.missing == 0
    spread = done.spreads["time_to_first_token-p50"]
    low, high = spread["interval_95"]
    assert low < spread["mean"] < high and spread["sd_between"] >= 0
    assert done.results[1].output_path == tmp_path / "thrice" / "00002-repeat"
    assert done.to_arrow()["run"].unique().to_pylist() == ["repeat 1", "repeat 2", "repeat 3"]
    with pytest.raises(ValueError, match="repeats"):
        wait(llmeter.Repeat(runner, 0).run())


def test_hooks_are_called_for_each_class_of_workload(endpoint, payload, tmp_path, wait):
    class Counts(Callback):
        def __init__(self):
            self.begun, self.sent, self.ended = 0, 0, []

        async def before_run(self, run_config):
            self.begun += 1
            run_config.n_requests = 3

        async def before_invoke(self, payload):
            self.sent += 1

        async def after_run(self, result):
            self.ended.append(result.total_requests)

    one, other = Counts(), Counts()
    runners = {
        name: Runner(endpoint, payload=payload, n_requests=5, callbacks=[callback])
        for name, callback in (("one", one), ("other", other))
    }
    mix = llmeter.Workloads(runners, tmp_path, run_name="mix", alone=True)
    done = wait(mix.run())
    assert (one.begun, other.begun, one.ended, other.ended) == (1, 1, [3], [3])
    # Each is sent alone, too.
    assert one.sent >= 6 and other.sent >= 6
    assert done["one"].total_requests == done.alone["one"].total_requests == 3
    again = llmeter.WorkloadsResult.load(tmp_path / "mix")
    assert list(again.classes) == list(again.alone) == ["one", "other"]
    assert again.whole.total_requests == 6
    with pytest.raises(ValueError, match="several workloads"):
        llmeter.WorkloadsResult.load(tmp_path / "mix" / "one")


def test_hooks_of_requests_are_called_in_experiments(endpoint, payload, wait):
    class Counts(Callback):
        sent = 0

        async def before_invoke(self, payload):
            self.sent += 1

    counts = Counts()
    runner = Runner(endpoint, payload=payload, n_requests=5, callbacks=[counts])
    done = wait(llmeter.Repeat(runner, 2).run())
    assert sum(one.total_requests for one in done.results) == 10 <= counts.sent


def test_this_machine_is_calibrated(wait):
    found = wait(llmeter.calibrate(duration=0.5, ttft=0.01, itl=0.001, output_tokens=8))
    assert found.stats["measurement_calibration_requests"] > 1
    assert "measurement_calibration_ttft-p99" in found.stats and "added to TTFT" in str(found)
    with pytest.raises(ValueError, match="clients"):
        wait(llmeter.calibrate(clients=0))


def test_a_probe_tells_what_it_saw(endpoint, payload, server):
    seen = llmeter.probe(endpoint, payload)
    assert seen.succeeded and seen.error is None
    assert seen.report["response"]["status"] == 200 and len(seen.report["frames"]) > 10
    assert "no-key" not in json.dumps(seen.report) and "Succeeded" in str(seen)
    assert llmeter.probe(endpoint).succeeded

    other = OpenAICompletionStreamEndpoint("m", base_url=f"{server.base_url}/nowhere", api_key="k")
    failed = llmeter.probe(other, payload)
    assert not failed.succeeded and failed.error and failed.report["diagnosis"]
    with pytest.raises(ValueError, match="endpoint"):
        llmeter.probe(Mine(), {})


def test_data_is_described_and_made(tmp_path):
    source = "synthetic:prompt_tokens=32,output_tokens=8"
    described = llmeter.data.describe(source, requests=20)
    assert described["prompt_tokens"]["min"] == described["prompt_tokens"]["max"] == 32
    assert described["described"] == 20 and "32" in described.text
    made = llmeter.data.payloads(source, requests=3)
    assert [one["max_tokens"] for one in made] == [8] * 3
    assert len({one["messages"][0]["content"] for one in made}) == 3
    again = llmeter.data.payloads(source, requests=3, settings={"seed": 1})
    assert again != made
    anthropic = AnthropicMessagesStream("claude", api_key="k")
    (message,) = llmeter.data.payloads(source, anthropic, requests=1)[0]["messages"]
    assert message["role"] == "user"

    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "one two"}\n{"prompt": "three"}\n')
    assert llmeter.data.describe(file)["requests"] == 2
    assert len(llmeter.data.payloads(file, requests=9)) == 2
    with pytest.raises(ValueError, match="no data"):
        llmeter.data.describe()
    with pytest.raises(ValueError, match="endpoint"):
        llmeter.data.describe(source, Mine())


def test_loads_by_the_clock_are_settings(endpoint, payload, tmp_path, wait):
    def run(**settings):
        return wait(Runner(endpoint, payload=payload).run(settings=settings))

    rate = run(rate="200/s", duration="0.1s")
    assert rate.total_requests > 2 and rate.responses[1].due_time > 0
    stages = run(stages=["1 clients for 0.1s", "3 clients for 0.1s"])
    assert {one.stage for one in stages.responses} == {1, 2}
    trace = tmp_path / "trace.jsonl"
    rows = [{"timestamp": 10 * at, "input_length": 4, "output_length": 2} for at in range(5)]
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows))
    replay = wait(Runner(endpoint).run(settings={"replay": str(trace)}))
    assert replay.total_requests == 5


def test_shards_are_merged(endpoint, payload, tmp_path, wait):
    runner = Runner(endpoint, payload=payload, clients=4, n_requests=5, output_path=tmp_path)
    parts = [
        wait(runner.run(run_name=f"part-{part}", settings={"shard": f"{part}/2"})) for part in (1, 2)
    ]
    assert [one.total_requests for one in parts] == [10, 10]
    merged = llmeter.merge([parts[0], tmp_path / "part-2"], tmp_path / "whole")
    assert merged.total_requests == 20 and merged.clients == 4 and merged.responses == []
    assert len(merged.load_responses()) == 20
    with pytest.raises(FileExistsError):
        llmeter.merge(parts, tmp_path / "whole")
    with pytest.raises(ValueError, match="shard"):
        llmeter.merge(parts[:1], tmp_path / "half")
    half = llmeter.merge(parts[:1], tmp_path / "half", allow_missing=True)
    assert half.total_requests == 10 and half.warnings


def test_runs_are_listed(endpoint, payload, tmp_path, wait):
    runner = Runner(endpoint, payload=payload, output_path=tmp_path)
    for name in ("one", "two"):
        wait(runner.run(run_name=name, n_requests=5))
    found = llmeter.list_runs(tmp_path, sort="name")
    assert [entry["name"] for entry in found] == ["one", "two"] and len(found) == 2
    assert found[0]["figures"]["total_requests"] == 5 and "two" in str(found)
    assert llmeter.list_runs(tmp_path, sort="name", reverse=True)[0]["name"] == "two"
    assert len(llmeter.list_runs(tmp_path, "ttft-p50 < 1us")) == 0
    assert len(llmeter.list_runs(tmp_path, model="some", since=timedelta(hours=1))) == 2
    assert len(llmeter.list_runs(tmp_path, model="other")) == 0
    with pytest.raises(ValueError, match="sort"):
        llmeter.list_runs(tmp_path, sort="colour")


def test_baselines_are_kept_under_names(endpoint, payload, tmp_path, wait):
    runner = Runner(endpoint, payload=payload, output_path=tmp_path / "runs")
    run = wait(runner.run(run_name="one", n_requests=5))
    place = llmeter.baselines.save("main", run, project=tmp_path)
    assert place.is_dir() and llmeter.baselines.names(project=tmp_path) == ["main"]
    base = llmeter.baselines.load("main", project=tmp_path)
    assert base.total_requests == 5
    assert not llmeter.compare(base, run).is_worse
    with pytest.raises(ValueError, match="already"):
        llmeter.baselines.save("main", run, project=tmp_path)
    llmeter.baselines.save("main", run.output_path, project=tmp_path, overwrite=True)
    llmeter.baselines.remove("main", project=tmp_path)
    assert llmeter.baselines.names(project=tmp_path) == []
    with pytest.raises(ValueError, match="main"):
        llmeter.baselines.load("main", project=tmp_path)
    with pytest.raises(ValueError, match="folder"):
        llmeter.baselines.save("main", wait(Runner(endpoint, payload=payload).run()), project=tmp_path)
