"""What is made of results: experiments, comparisons, gates, tables, pages."""

import asyncio
import gc
import json
import re

import duckdb
import pyarrow.parquet
import pytest

from llmeter.comparison import compare
from llmeter.endpoints import OpenAICompletionStreamEndpoint
from llmeter.endpoints.base import InvocationResponse
from llmeter.experiments import AbTest, LatencyHeatmap, LoadTest, LoadTestResult, Workloads
from llmeter.results import Result
from llmeter.runner import Runner
from llmeter.simulation import simulate


@pytest.fixture
def result(endpoint, payload, wait):
    return wait(Runner(endpoint, payload=payload, clients=2).run(n_requests=20, run_name="<run>"))


def test_a_load_test_has_a_folder_for_each_level(endpoint, payload, tmp_path, wait):
    test = LoadTest(endpoint, payload, [1, 3], output_path=tmp_path, test_name="levels")
    done = wait(test.run())
    assert {clients: one.total_requests for clients, one in done.results.items()} == {1: 10, 3: 12}
    assert (tmp_path / "levels" / "00003-clients" / "stats.json").exists()
    again = LoadTestResult.load(tmp_path / "levels")
    assert again.test_name == "levels"
    assert [one.stats for one in again.results.values()] == [
        one.stats for one in done.results.values()
    ]
    assert done.knee() in (None, 1, 3)
    page = again.report(tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 10_000 and page.endswith("report.html")
    assert "00003" not in done._repr_html_() and "<td>3</td>" in done._repr_html_()


def test_a_load_test_replaces_the_one_before_it_or_is_refused(endpoint, payload, tmp_path, wait):
    def test(*levels, **settings):
        settings = {"output_path": tmp_path, "test_name": "same", "min_requests_per_run": 1, **settings}
        return wait(LoadTest(endpoint, payload, [*levels], **settings).run())

    test(1, 2)
    notes = tmp_path / "same" / "notes.txt"
    notes.write_text("mine")
    with pytest.raises(FileExistsError, match="already holds a run"):
        test(4, overwrite=False)
    # Nothing goes for a test that cannot begin.
    with pytest.raises(ValueError, match="max_response_size"):
        test(4, settings={"max_response_size": 0})
    assert sorted(LoadTestResult.load(tmp_path / "same").results) == [1, 2]
    table = test(2, 4).to_arrow()
    assert sorted(LoadTestResult.load(tmp_path / "same").results) == [2, 4]
    assert table["run"].to_pylist() == ["00002-clients"] * 2 + ["00004-clients"] * 4
    assert notes.read_text() == "mine"


def test_a_heatmap_sends_every_combination_once(endpoint, tmp_path, wait):
    source = tmp_path / "text.txt"
    source.write_text("one two three four five six seven eight nine ten " * 20)
    heatmap = LatencyHeatmap(
        endpoint, source, clients=4, input_lengths=[2, 4, 8], output_lengths=[3, 5, 7]
    )
    done = wait(heatmap.run())
    assert done.total_requests == 9
    sent = {
        (len(one.input_payload["messages"][0]["content"].split()), one.input_payload["max_tokens"])
        for one in done.responses
    }
    assert sent == {(words, limit) for words in (2, 4, 8) for limit in (3, 5, 7)}


def test_variants_are_told_apart(payload, wait):
    with simulate(ttft=0.002, itl=0, output_tokens=1) as quick, simulate(
        ttft=0.02, itl=0, output_tokens=1
    ) as slow:
        runners = {
            name: Runner(
                OpenAICompletionStreamEndpoint("m", base_url=at.base_url, api_key="k"),
                payload=payload,
                n_requests=5,
            )
            for name, at in (("quick", quick), ("slow", slow))
        }
        done = wait(AbTest(runners, metric="ttft-p50", max_rounds=60).run())
    (found,) = done.comparisons
    assert found["variant"] == "slow" and found["difference"] > 1
    assert found["means"][0] < found["means"][1]
    assert len(done.blocks) >= 4 and "slow" in done.text


def test_workloads_run_side_by_side(payload, tmp_path, wait):
    with simulate(ttft=0.002, itl=0, output_tokens=1) as server:
        endpoint = OpenAICompletionStreamEndpoint("m", base_url=server.base_url, api_key="k")
        load = {"rate": "200/s"}
        runners = {
            name: Runner(endpoint, payload=payload, n_requests=10, settings=load)
            for name in ("chat", "batch")
        }
        shares = {"chat": 70.0, "batch": 30.0}
        done = wait(Workloads(runners, tmp_path, shares=shares, run_name="mix").run())
    assert (done["chat"].total_requests, done["batch"].total_requests) == (7, 3)
    assert done.whole.total_requests == 10
    figures = done.whole.stats["workloads"]
    assert [one["workload"] for one in figures] == ["chat", "batch"]
    assert (tmp_path / "mix" / "batch" / "responses.jsonl").exists()


def test_runs_are_compared(result, payload, wait):
    with simulate(ttft=0.03, itl=0.001, output_tokens=12) as slower:
        endpoint = OpenAICompletionStreamEndpoint("m", base_url=slower.base_url, api_key="k")
        other = wait(Runner(endpoint, payload=payload, clients=2).run(n_requests=20))
    found = compare(result, other)
    assert found.is_worse
    ttft = {one["figure"]: one for one in found.pairs[0]["differences"]}["ttft-p50"]
    assert ttft["new"] > ttft["base"]
    assert "ttft" in str(found).lower()
    page = found._repr_html_()
    assert "&lt;run&gt;" in page and "<run>" not in page
    assert page.count('<tr class="worse"><td>') >= 1 and "<td>TTFT p50</td>" in page and "Worse:" in page
    assert not compare(result, result).is_worse
    with pytest.raises(ValueError, match="nothing to compare"):
        compare(result)


def test_conditions_gate(result):
    from llmeter.pytest_plugin import assert_slo

    assert_slo(result, "ttft-p99 < 5s", "failed_requests_rate <= 0%", "ttft < 5s")
    with pytest.raises(AssertionError, match=r"ttft-p50 < 1us: it is "):
        assert_slo(result, "ttft-p50 < 1us")
    with pytest.raises(AssertionError, match="0 of 40 requests meet it"):
        assert_slo(result, "ttft < 1us")
    with pytest.raises(ValueError, match="colour"):
        result.check("colour < 3")


def test_the_plugin_gives_a_fixture(pytester, server, pytestconfig):
    pytester.makepyfile(
        """
        from llmeter.endpoints import OpenAICompletionStreamEndpoint

        def test_fast(llmeter):
            server = llmeter.simulate(ttft=0.001, itl=0, output_tokens=2)
            endpoint = OpenAICompletionStreamEndpoint("m", base_url=server.base_url, api_key="k")
            payload = endpoint.create_payload("x", max_tokens=2)
            result = llmeter.run(endpoint, payload=payload, n_requests=5)
            llmeter.assert_slo(result, "ttft-p50 < 5s")

        async def run(llmeter, endpoint, payload):
            return llmeter.run(endpoint, payload=payload)
        """
    )
    # An installed package has told pytest of it; one beside its sources has not.
    is_known = pytestconfig.pluginmanager.has_plugin("llmeter")
    plugin = [] if is_known else ["-p", "llmeter.pytest_plugin"]
    done = pytester.runpytest_inprocess(*plugin)
    done.assert_outcomes(passed=1)


def test_requests_become_tables(result, tmp_path):
    result.responses[0].response_text = None
    result.responses[1].response_text = "short"
    result.responses[2].inter_token_latencies = []
    texts = [response.response_text for response in result.responses]
    gaps = [response.inter_token_latencies or None for response in result.responses]
    table = result.to_arrow()
    table.validate(full=True)
    assert table["run"].to_pylist() == ["<run>"] * 40
    assert table["response_text"].to_pylist() == texts
    assert table["inter_token_latencies"].to_pylist() == gaps
    assert table["time_to_first_token"].to_pylist() == result.get_dimension("time_to_first_token")
    assert table["request_time"].to_pylist()[3] == result.responses[3].request_time
    payload = json.loads(table["input_payload"][5].as_py())
    assert payload == result.responses[5].input_payload
    assert json.loads(table.schema.metadata[b"llmeter.runs"])[0]["summary"]["clients"] == 2

    assert result.to_pandas()["num_tokens_output"].tolist() == [12] * 40
    frame = result.to_polars()
    assert frame["status"].to_list() == [200] * 40
    assert frame["response_text"].to_list() == texts
    assert frame["inter_token_latencies"].to_list() == gaps
    query = "select count(response_text), sum(num_tokens_output) from result"
    assert duckdb.sql(query).fetchall() == [(39, 480)]
    # As in files, but for how texts and lists are laid out.
    result.save(tmp_path)
    result.output_path = tmp_path
    result.report(tmp_path / "requests.parquet", format="parquet")
    written = pyarrow.parquet.read_table(tmp_path / "requests.parquet")
    assert written.column_names == table.column_names
    assert written.drop(["run"]).to_pylist() == table.drop(["run"]).to_pylist()


def test_tables_live_as_long_as_they_are_held(endpoint, payload, wait):
    tables = [wait(Runner(endpoint, payload=payload, n_requests=3).run()).to_arrow() for _ in range(3)]
    assert Result([]).to_arrow().num_rows == 0
    # A stream that nobody reads, and a column without its table.
    Result([InvocationResponse("x")]).__arrow_c_stream__()
    column = tables[0]["response_text"]
    del tables
    gc.collect()
    assert len(set(column.to_pylist())) > 1


def test_a_result_looks_right_in_a_notebook(result):
    page = result._repr_html_()
    assert "&lt;run&gt;" in page and "<run>" not in page
    assert "TTFT" in page and page.count("<svg") == 3
    # Whatever a row has, it is closed.
    for tag in ("table", "tr", "td", "svg", "div"):
        assert len(re.findall(f"<{tag}[ >]", page)) == page.count(f"</{tag}>")
    assert "requests" in result.summary()


def test_statistics_of_responses_made_by_hand():
    responses = [
        InvocationResponse(response_text="a", time_to_first_token=at / 10, num_tokens_output=at)
        for at in range(1, 12)
    ]
    responses.append(InvocationResponse.error_output(error="no"))
    result = Result(responses, total_requests=12, total_test_time=6.0, run_name="by hand")
    stats = result.stats
    assert stats["time_to_first_token-p50"] == pytest.approx(0.6)
    assert (stats["failed_requests"], stats["total_output_tokens"]) == (1, 66)
    assert stats["run_name"] == "by hand"
    assert result.get_dimension("num_tokens_output", "error", "no") == [None]
    assert len(asyncio.run(_later(result)).responses) == 12


async def _later(result):
    return result


def test_a_result_saves_where_it_is_told(result, tmp_path):
    result.responses[0].annotations["kept"] = True
    result.run_description = "changed"
    result.save(tmp_path / "one")
    result.output_path = tmp_path / "two"
    result.save()
    for name in ("one", "two"):
        loaded = Result.load(tmp_path / name)
        assert loaded.run_description == "changed"
        assert loaded.responses[0].annotations == {"kept": True}
        assert loaded.stats["measurement_verdict"] == result.stats["measurement_verdict"]
    with pytest.raises(ValueError, match="No output path"):
        Result([]).save()
