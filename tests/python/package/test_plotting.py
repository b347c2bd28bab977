"""Charts are figures of Plotly, of runs and of whatever stands in for them."""

import plotly.graph_objects as go
import pytest

from llmeter import plotting
from llmeter.endpoints import InvocationResponse
from llmeter.experiments import LoadTest
from llmeter.live_display import LiveStatsDisplay, _table
from llmeter.plotting.heatmap import Heatmap
from llmeter.plotting.plotting import latency_clients, rpm_clients_fig, stat_clients
from llmeter.results import Result


@pytest.fixture(scope="module")
def load_test(server):
    import asyncio

    from llmeter.endpoints import OpenAICompletionStreamEndpoint

    endpoint = OpenAICompletionStreamEndpoint("m", base_url=server.base_url, api_key="none")
    payload = [endpoint.create_payload("word " * words) for words in (3, 30)]
    return asyncio.run(LoadTest(endpoint, payload, [1, 2], test_name="levels").run())


@pytest.fixture
def run(load_test):
    return load_test.results[2]


def test_a_load_test_has_six_charts(load_test):
    charts = plotting.plot_load_test_results(load_test)
    assert list(charts) == [
        "time_to_first_token",
        "time_to_last_token",
        "requests_per_minute",
        "error_rate",
        "average_input_tokens_clients",
        "average_output_tokens_clients",
    ]
    for chart in charts.values():
        assert isinstance(chart, go.Figure)
        assert chart.data[0].name == "levels"
        assert "clients" in chart.layout.title.text.lower()
    figure = rpm_clients_fig(load_test, name="other", opacity=0.25)
    assert figure.data[0].name == "other" and figure.data[0].opacity == 0.25
    trace = stat_clients(load_test, "requests_per_minute")
    assert list(trace.x) == [1, 2] and all(value > 0 for value in trace.y)
    assert len(latency_clients(load_test, "time_to_first_token").y) == sum(
        len(result.responses) for result in load_test.results.values()
    )
    assert isinstance(plotting.throughput_latency_curve(load_test), go.Figure)


def test_charts_of_levels_are_marked_where_something_was_measured(load_test):
    charts = load_test.plot_results(show=False)
    assert all(list(chart.layout.xaxis.tickvals) == [1, 2] for chart in charts.values())
    assert charts["error_rate"].layout.yaxis.rangemode == "tozero"


def test_charts_of_runs(run, load_test):
    for figure in (
        plotting.plot_heatmap(run, "time_to_first_token", 4, 4, show_scatter=True),
        plotting.scatter_histogram_2d(run, "num_tokens_input", "time_to_last_token", 5, 5),
        plotting.histogram(run, run, dimension="time_to_first_token", names=["a", "b"]),
        plotting.ecdf(run, dimension="time_to_last_token"),
        plotting.percentile_curve(run, dimension="time_to_last_token"),
        plotting.timeline(run),
        plotting.failures_by_kind(run, load_test.results[1]),
        plotting.waterfall(run),
    ):
        assert isinstance(figure, go.Figure) and figure.data
    assert isinstance(plotting.boxplot_by_dimension(run, "time_to_first_token"), go.Box)
    trace = plotting.histogram_by_dimension(run, "time_to_first_token", nbinsx=3)
    assert (trace.histnorm, trace.nbinsx) == ("probability", 3)
    assert plotting.color_sequences.Bluered
    with pytest.raises(ValueError, match="no_field"):
        plotting.plot_heatmap(run, "no_field")


def test_whatever_has_the_attributes_of_a_run_is_drawn(load_test):
    class Mine:
        clients = 3
        stats = {"requests_per_minute": 60.0, "failed_requests_rate": 0.0, "note": "x"}
        run_name = "mine"

        def get_dimension(self, name, **_):
            return [0.1, None, 0.3]

    class Levels:
        test_name = "<mine>"
        results = {3: Mine()}

    charts = plotting.plot_load_test_results(Levels(), log_scale=False)
    assert list(charts["requests_per_minute"].data[0].y) == [60.0]
    assert set(charts["time_to_first_token"].data[0].y) >= {0.1, 0.3}


def test_statistics_by_tokens():
    responses = [
        InvocationResponse("", num_tokens_input=i, num_tokens_output=o, time_to_last_token=t)
        for i, o, t in [(1, 10, 0.5), (2, 10, 1.5), (40, 90, 3.0), (None, 10, 9.0)]
    ]
    responses.append(InvocationResponse(None, num_tokens_input=1, num_tokens_output=10, error="it failed"))
    maps = Heatmap(responses, n_bins_input_tokens=2, n_bins_output_tokens=2)
    averages = maps.get_map("time_to_last_token", "average")
    assert [str(bin) for bin in averages] == ["[50, 91)", "[10, 50)"]
    assert [list(bins.values()) for bins in averages.values()] == [[3.0], [1.0]]
    assert [list(bins.values()) for bins in maps.get_map("errors").values()] == [[0], [1]]
    assert Heatmap(result=Result([])).get_map("errors") == {}


def test_figures_of_a_run_under_way_are_escaped_and_replaced(capsys):
    table = _table({"<b>": [("<i>", "<script>")], "Other": [("a", "1"), ("b", "2")]}, "reqs=<4>")
    assert "<b>" not in table and "<i>" not in table and "<script>" not in table
    assert table.count("<tr>") == 3
    display = LiveStatsDisplay(display_stats={"tps": ["time_per_output_token-p50", "inv"]})
    display.update({"time_per_output_token-p50": 0.04}, extra_prefix="reqs=7")
    display.update({"time_per_output_token-p50": 0.02})
    display.close()
    shown = capsys.readouterr().err
    assert shown == (
        "  reqs=7\n  Throughput: tps=25.0 tok/s\n\033[2A\033[J  Throughput: tps=50.0 tok/s\n\033[1A\033[J"
    )
