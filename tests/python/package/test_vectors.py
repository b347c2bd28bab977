"""Inputs and outputs of the Python llmeter 0.2.0, and where ours differs on purpose."""

import asyncio
import json
import math
from datetime import datetime
from pathlib import Path

import pytest

from llmeter import endpoints
from llmeter.callbacks import CostModel
from llmeter.callbacks.cost.dimensions import EndpointTime, InputTokens, OutputTokens
from llmeter.endpoints import InvocationResponse
from llmeter.live_display import LiveStatsDisplay
from llmeter.plotting.heatmap import _cut
from llmeter.prompt_utils import (
    AudioContent,
    CreatePromptCollection,
    DocumentContent,
    ImageContent,
    VideoContent,
    detect_format_from_extension,
)
from llmeter.results import Result
from llmeter.serialization import bytes_decoder
from llmeter.utils import RunningStats, summary_stats_from_list

VECTORS = Path(__file__).parents[3] / "crates/llmeter/tests/golden/vectors"

MEDIA = {
    "<img>": ImageContent(b"\xff\xd8\xff\xe0jpeg", "image/jpeg"),
    "<pdf>": DocumentContent(b"%PDF-1.4", "application/pdf", "dir/report.pdf"),
    "<aud>": AudioContent(b"ID3", "audio/mpeg"),
    "<wav>": AudioContent(b"RIFFxxxxWAVE", "audio/wav"),
    "<ogg>": AudioContent(b"OggS", "audio/ogg"),
    "<vid>": VideoContent(b"vid", "video/mp4"),
    "<bmp>": ImageContent(b"BM", "image/bmp"),
}


def cases(name):
    return json.loads((VECTORS / f"{name}.json").read_text(), object_hook=bytes_decoder)["cases"]


def outcome(call, *arguments, **further):
    try:
        return {"value": call(*arguments, **further)}
    except Exception as error:
        return {"error": type(error).__name__}


def expected(case):
    return {"error": case["raises"]} if "raises" in case else {"value": case["value"]}


def endpoint_of(name):
    if name == "BedrockConverse+inference_config":
        return endpoints.BedrockConverse("m", inference_config={"maxTokens": 7})
    cls = getattr(endpoints, name)
    if name.startswith("SageMaker"):
        return cls("e", "m")
    return cls("openai/m", "m") if name.startswith("LiteLLM") else cls("m")


def with_media(prompt):
    parts = prompt if isinstance(prompt, list) else [prompt]
    found = [MEDIA.get(part, part) if isinstance(part, str) else part for part in parts]
    return found if isinstance(prompt, list) else found[0]


def test_payloads_are_made_of_prompts():
    wrong = []
    for case in cases("create_payload"):
        create = getattr(endpoints, case["endpoint"]).create_payload
        made = outcome(create, with_media(case["user_message"]), **case["kwargs"])
        if made != expected(case) and not is_improved(case, made):
            wrong.append((case, made))
    assert not wrong


def is_improved(case, made):
    """Whether a payload differs on purpose from what it was."""
    before = case.get("value")
    if "Content(data=" in str(before):
        # What Python calls the media: ours are parts of a message, or refused.
        return "Content(data=" not in str(made)
    if case["endpoint"] == "BedrockConverse" and "<pdf>" in case["user_message"]:
        # Documents need a name there.
        return made["value"]["messages"][0]["content"][0]["document"].pop("name") == "report" and (
            made["value"] == before
        )
    if case["endpoint"] == "BedrockConverse":
        # A limit that is given is kept.
        return made["value"]["inferenceConfig"] == case["kwargs"]["inferenceConfig"]
    # The system's message stands before the user's.
    messages = made["value"]["messages"]
    return case["endpoint"] == "LiteLLM" and messages == [
        before["messages"][-1],
        *before["messages"][:-1],
    ]


@pytest.mark.filterwarnings("ignore:stream not specified")
def test_payloads_are_prepared_and_their_prompts_read():
    wrong = []
    for case in cases("prepare_and_parse_payload"):
        endpoint, payload = endpoint_of(case["endpoint"]), case["payload"]
        before = json.dumps(payload, default=str)
        prepared = outcome(endpoint.prepare_payload, payload)
        prompt = outcome(endpoint._parse_payload, payload)
        assert json.dumps(payload, default=str) == before
        wanted = expected(case["prepared"])
        if case["endpoint"] == "OpenAIResponseStreamEndpoint":
            # Usage comes without being asked for.
            wanted["value"].pop("stream_options", None)
            prepared["value"].pop("stream_options", None)
            wanted["value"]["stream"] = True
        if prepared != wanted:
            wrong.append((case, prepared))
        # The hook had another name, so that it was never called.
        if prompt != expected(case["prompt"]) and not case["endpoint"].startswith("SageMaker"):
            wrong.append((case, prompt))
    assert not wrong


def test_statistics_of_lists():
    for case in cases("summary_stats"):
        data = [math.nan if value == "NaN" else value for value in case["data"]]
        if not all(1 <= percentile <= 99 for percentile in case["percentiles"]):
            continue
        found = summary_stats_from_list(data, case["percentiles"])
        assert found == pytest.approx(case["value"], rel=1e-15), case


def test_running_statistics():
    for case in cases("running_stats"):
        stats = RunningStats(case["metrics"])
        for response in case["responses"]:
            if response.get("request_time"):
                response["request_time"] = datetime.fromisoformat(response["request_time"])
            for name, value in response.items():
                response[name] = math.nan if value == "NaN" else value
            stats.update(response)
        end = case["end_time"] and datetime.fromisoformat(case["end_time"])
        assert stats.to_stats(end_time=end) == pytest.approx(case["value"], rel=1e-12), case["name"]


def test_bins_of_heatmaps():
    for case in cases("heatmap_cut"):
        values, bins = _cut(case["arr"], case["bins"])
        assert [[bin.left, bin.right] for bin in values] == case["value_intervals"]
        assert [[bin.left, bin.right] for bin in bins] == case["bin_intervals"]
        assert all(value in bin for value, bin in zip(case["arr"], values, strict=True))


def test_figures_while_a_run_is_under_way():
    for case in cases("live_display"):
        if case["value"] is None or "raises" in case:
            continue
        shown = LiveStatsDisplay(display_stats=case["display_stats"]).format_stats(case["raw"])
        counts = ("fail", "input_tokens", "output_tokens")
        whole = {
            label: text.removesuffix(".0") if label in counts else text
            for label, text in case["value"].items()
        }
        assert shown == whole, case


def test_types_of_media_by_the_names_of_files():
    for case in cases("mime_by_extension"):
        assert detect_format_from_extension(case["name"]) == case["mime"], case


def test_samples_of_a_text():
    source = VECTORS / "data/source.txt"
    for case in cases("prompt_sample"):
        prompts = CreatePromptCollection([case["tokens"]], [1], source)
        assert prompts.create_collection() == [(case["text"], 1)]


def test_costs_of_requests():
    for case in cases("request_cost"):
        model = CostModel(
            [
                InputTokens(case["price_in"], case["granularity"]),
                OutputTokens(case["price_out"], case["granularity"]),
            ]
        )
        response = InvocationResponse(
            "", num_tokens_input=case["tokens_in"], num_tokens_output=case["tokens_out"]
        )
        cost = asyncio.run(model.calculate_request_cost(response))
        # What is not known is left out instead of voiding the rest.
        known = {name: part for name, part in case["dims"].items() if part is not None}
        assert cost == pytest.approx(known)


def test_costs_of_time():
    for case in cases("endpoint_time_cost"):
        dimension = EndpointTime(case["price_per_hour"], case["granularity_secs"])
        result = Result([], total_test_time=case["total_test_time"])
        assert asyncio.run(dimension.calculate(result)) == pytest.approx(case["value"])
