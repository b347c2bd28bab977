#!/usr/bin/env python3
"""Judges the simulator's Responses, Completions and Embeddings, and Azure's addresses, by the
official `openai` package.

    openai_other_apis.py BASE_URL [API_KEY]

As openai_client.py.
"""

import json
import sys

import openai
from openai_client import API_KEY, BASE_URL, FAST, MESSAGES, client, raises, run

TOOL = {
    "type": "function",
    "name": "get_weather",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
checks = []


def check(function):
    checks.append(function)
    return function


def respond(**changes):
    headers = {**FAST, **changes.pop("headers", {})}
    return client.responses.create(
        **{"model": "some/model", "input": "one two three", "extra_headers": headers, **changes}
    )


def complete(**changes):
    headers = {**FAST, **changes.pop("headers", {})}
    return client.completions.create(
        **{"model": "some/model", "prompt": "one two three", "extra_headers": headers, **changes}
    )


@check
def a_plain_response():
    response = respond(instructions="be brief")
    assert response.id.startswith("resp_") and response.status == "completed", response
    assert len(response.output_text.split()) == 8
    usage = response.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (5, 8, 13)
    assert usage.output_tokens_details.reasoning_tokens == 0


@check
def a_streamed_response():
    events = list(respond(stream=True))
    assert [e.sequence_number for e in events] == list(range(len(events)))
    kinds = [e.type for e in events]
    assert kinds[:2] == ["response.created", "response.in_progress"], kinds
    assert kinds[2:4] == ["response.output_item.added", "response.content_part.added"], kinds
    assert kinds[4:12] == ["response.output_text.delta"] * 8, kinds
    assert kinds[12:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ], kinds
    text = "".join(e.delta for e in events[4:12])
    assert text == events[12].text == events[-1].response.output_text
    assert events[-1].response.usage.output_tokens == 8


@check
def the_response_stream_helper_accumulates():
    headers = {**FAST, "x-sim-reasoning-tokens": "4"}
    for tools in ({}, {"tools": [TOOL], "tool_choice": "required"}):
        with client.responses.stream(
            model="m", input=[{"role": "user", "content": "a b"}], extra_headers=headers, **tools
        ) as stream:
            events = list(stream)
            final = stream.get_final_response()
        reasoning = [e for e in events if e.type == "response.reasoning_summary_text.delta"]
        assert len(reasoning) == 4
        assert final.usage.output_tokens_details.reasoning_tokens == 4
        assert final.usage.output_tokens == 12 and final.usage.input_tokens == 2
        assert len(final.output[0].summary[0].text.split()) == 4
        if tools:
            call = final.output[1]
            assert call.name == "get_weather" and len(json.loads(call.arguments)["city"].split()) == 7
            deltas = [e for e in events if e.type == "response.function_call_arguments.delta"]
            assert "".join(e.delta for e in deltas) == call.arguments and len(deltas) == 7
        else:
            assert len(final.output_text.split()) == 8


@check
def a_limit_makes_a_response_incomplete():
    response = respond(max_output_tokens=3)
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.output_tokens == 3
    last = list(respond(max_output_tokens=3, stream=True))[-1]
    assert last.type == "response.incomplete" and last.response.usage.output_tokens == 3


@check
def failures_of_responses():
    for stream in (False, True):
        headers = {"x-sim-fault": "error"}
        error = raises(openai.InternalServerError, lambda: respond(stream=stream, headers=headers))
        assert error.type == "server_error", error
    error = raises(openai.BadRequestError, lambda: respond(input=3))
    assert error.param == "input", error
    raises(Exception, lambda: list(respond(stream=True, headers={"x-sim-fault": "cut"})))


@check
def a_plain_completion():
    answer = complete()
    assert answer.object == "text_completion" and answer.id.startswith("cmpl-")
    assert answer.choices[0].finish_reason == "stop"
    assert len(answer.choices[0].text.split()) == 8
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 8)
    answer = complete(prompt=[5, 6, 7, 8], max_tokens=2)
    assert answer.choices[0].finish_reason == "length" and answer.usage.prompt_tokens == 4
    answer = complete(prompt=["a b", "c"], n=2)
    assert [c.index for c in answer.choices] == [0, 1, 2, 3] and answer.usage.prompt_tokens == 3


@check
def a_streamed_completion():
    chunks = list(complete(stream=True, stream_options={"include_usage": True}))
    assert len(chunks) == 10 and chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 8
    assert len("".join(c.choices[0].text for c in chunks[:-1]).split()) == 8
    assert chunks[-2].choices[0].finish_reason == "stop"


@check
def embeddings():
    answer = client.embeddings.create(model="m", input=["a b", "c"], extra_headers=FAST)
    assert [one.index for one in answer.data] == [0, 1] and answer.usage.prompt_tokens == 3
    lengths = {len(one.embedding) for one in answer.data}
    assert len(lengths) == 1 and answer.data[0].embedding != answer.data[1].embedding
    assert all(isinstance(number, float) for number in answer.data[0].embedding)
    raises(openai.BadRequestError, lambda: client.embeddings.create(model="m", input=[]))


@check
def azures_addresses():
    azure = openai.AzureOpenAI(
        azure_endpoint=BASE_URL.removesuffix("/v1"),
        api_key=API_KEY or "unused",
        api_version="2024-10-21",
        max_retries=0,
    )
    for stream in (False, True):
        answer = azure.chat.completions.create(
            model="my deployment", messages=MESSAGES, stream=stream, extra_headers=FAST
        )
        assert len(list(answer)) > 1
    if API_KEY is not None:
        other = azure.with_options(api_key="sk-wrong-key-of-some-length")
        raises(
            openai.AuthenticationError,
            lambda: other.chat.completions.create(model="m", messages=MESSAGES),
        )


if __name__ == "__main__":
    sys.exit(run(checks))
