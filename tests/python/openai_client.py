#!/usr/bin/env python3
"""Judges the simulator by the official `openai` package.

    openai_client.py BASE_URL [API_KEY]

BASE_URL ends in /v1. The server's delays should be short (it is asked for what each check needs by
`x-sim-*` headers). With API_KEY the server must have been started with that key, and its rejection
of others is checked too. Prints "N passed" and exits 0, or names what failed and exits 1.
"""

import asyncio
import json
import sys
import traceback

import openai

BASE_URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1"
API_KEY = sys.argv[2] if len(sys.argv) > 2 else None

FAST = {"x-sim-ttft-ms": "1", "x-sim-itl-ms": "0.2", "x-sim-output-tokens": "8", "x-sim-reasoning-tokens": "0"}
MESSAGES = [{"role": "user", "content": "one two three"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather of a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]

client = openai.OpenAI(base_url=BASE_URL, api_key=API_KEY or "unused", max_retries=0, timeout=20)
checks = []


def check(function):
    checks.append(function)
    return function


def create(**changes):
    headers = {**FAST, **changes.pop("headers", {})}
    arguments = {"model": "some/model", "messages": MESSAGES, "extra_headers": headers, **changes}
    return client.chat.completions.create(**arguments)


def raises(error, function):
    try:
        function()
    except error as caught:
        return caught
    raise AssertionError(f"{error.__name__} was not raised")


def text_of(chunks):
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


@check
def models_are_listed_and_retrieved():
    models = list(client.models.list())
    assert len(models) == 1 and models[0].object == "model"
    assert client.models.retrieve(models[0].id) == models[0]


@check
def an_unknown_model_is_not_found():
    error = raises(openai.NotFoundError, lambda: client.models.retrieve("no/such model"))
    assert error.status_code == 404 and error.code == "model_not_found", error
    assert "no/such model" in error.message, error.message


@check
def a_plain_answer():
    answer = create()
    assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-")
    assert answer.model == "some/model" and answer._request_id
    choice = answer.choices[0]
    assert choice.finish_reason == "stop" and choice.message.role == "assistant"
    assert choice.message.tool_calls is None and choice.message.refusal is None
    assert len(choice.message.content.split()) == 8
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (3, 8, 11)
    assert usage.prompt_tokens_details.cached_tokens == 0
    assert usage.completion_tokens_details.reasoning_tokens == 0


@check
def a_stream():
    chunks = list(create(stream=True))
    assert {c.object for c in chunks} == {"chat.completion.chunk"}
    assert len({c.id for c in chunks}) == 1 and len({c.created for c in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[0].choices[0].delta.content == ""
    assert [c.choices[0].finish_reason for c in chunks] == [None] * 9 + ["stop"]
    assert chunks[-1].choices[0].delta.content is None
    assert all(c.usage is None for c in chunks)
    assert len(text_of(chunks).split()) == 8


@check
def a_stream_and_a_plain_answer_have_the_same_form_of_text():
    streamed, plain = text_of(create(stream=True)), create().choices[0].message.content
    assert streamed == streamed.strip() and plain == plain.strip()


@check
def usage_comes_last_when_asked_for():
    chunks = list(create(stream=True, stream_options={"include_usage": True}))
    assert all(c.usage is None for c in chunks[:-1])
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 8 and chunks[-1].usage.prompt_tokens == 3


@check
def a_limit_ends_the_answer():
    for name in ("max_tokens", "max_completion_tokens"):
        answer = create(**{name: 3})
        assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 3
        chunks = list(create(stream=True, **{name: 3}))
        assert chunks[-1].choices[0].finish_reason == "length"
        assert len(text_of(chunks).split()) == 3


@check
def reasoning_comes_first():
    headers = {"x-sim-reasoning-tokens": "4"}
    chunks = list(create(stream=True, stream_options={"include_usage": True}, headers=headers))
    kinds = []
    for chunk in chunks[1:-2]:
        delta = chunk.choices[0].delta
        kinds.append("reasoning" if getattr(delta, "reasoning_content", None) else "content")
    assert kinds == ["reasoning"] * 4 + ["content"] * 8, kinds
    usage = chunks[-1].usage
    assert usage.completion_tokens == 12
    assert usage.completion_tokens_details.reasoning_tokens == 4
    message = create(headers=headers).choices[0].message
    assert len(message.reasoning_content.split()) == 4 and len(message.content.split()) == 8


@check
def tools_are_called_when_required():
    named = {"type": "function", "function": {"name": "get_weather"}}
    for choice, reason in (("required", "tool_calls"), (named, "stop")):
        chunks = list(create(stream=True, tools=TOOLS, tool_choice=choice))
        calls = [c.choices[0].delta.tool_calls[0] for c in chunks if c.choices[0].delta.tool_calls]
        assert calls[0].id.startswith("call_") and calls[0].type == "function"
        assert calls[0].function.name == "get_weather" and calls[0].index == 0
        assert all(c.id is None and c.function.name is None for c in calls[1:])
        arguments = json.loads("".join(c.function.arguments for c in calls))
        assert len(arguments["city"].split()) == 7
        assert chunks[-1].choices[0].finish_reason == reason
        answer = create(tools=TOOLS, tool_choice=choice).choices[0]
        assert answer.finish_reason == reason and answer.message.content is None
        call = answer.message.tool_calls[0]
        assert call.function.name == "get_weather" and "city" in json.loads(call.function.arguments)
    answer = create(tools=TOOLS).choices[0]
    assert answer.message.tool_calls is None and answer.message.content


@check
def the_stream_helper_accumulates():
    with client.chat.completions.stream(
        model="m", messages=MESSAGES, tools=TOOLS, tool_choice="required", extra_headers=FAST
    ) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.tool_calls[0].function.name == "get_weather"
    with client.chat.completions.stream(model="m", messages=MESSAGES, extra_headers=FAST) as stream:
        final = stream.get_final_completion()
    assert len(final.choices[0].message.content.split()) == 8


@check
def several_choices():
    answer = create(n=3)
    assert [c.index for c in answer.choices] == [0, 1, 2] and answer.usage.completion_tokens == 24
    words = [0, 0, 0]
    for chunk in create(n=3, stream=True):
        for choice in chunk.choices:
            words[choice.index] += len((choice.delta.content or "").split())
    assert words == [8, 8, 8]


@check
def async_streams_run_side_by_side():
    async def one(aclient):
        stream = await aclient.chat.completions.create(
            model="m", messages=MESSAGES, stream=True, extra_headers=FAST
        )
        return [chunk async for chunk in stream]

    async def run():
        async with openai.AsyncOpenAI(
            base_url=BASE_URL, api_key=API_KEY or "unused", max_retries=0
        ) as aclient:
            return await asyncio.gather(*(one(aclient) for _ in range(20)))

    answers = asyncio.run(run())
    assert all(len(text_of(chunks).split()) == 8 for chunks in answers)
    assert len({chunks[0].id for chunks in answers}) == 20


@check
def a_bad_request():
    error = raises(openai.BadRequestError, lambda: create(messages=[]))
    assert error.type == "invalid_request_error" and error.param == "messages", error
    error = raises(openai.BadRequestError, lambda: create(temperature=1, n=0))
    assert error.param == "n" and error.code == "integer_below_min_value", error
    raises(openai.BadRequestError, lambda: create(messages="hello", stream=True))


@check
def a_wrong_path_is_not_found():
    raises(openai.NotFoundError, lambda: client.moderations.create(input="x"))


@check
def a_server_error():
    for stream in (False, True):
        headers = {"x-sim-fault": "error"}
        error = raises(openai.InternalServerError, lambda: create(stream=stream, headers=headers))
        assert error.status_code == 500 and error.type == "server_error", error
        assert error.request_id.startswith("req_")


@check
def a_cut_stream_breaks():
    seen = []

    def consume():
        for chunk in create(stream=True, headers={"x-sim-fault": "cut"}):
            seen.append(chunk)

    error = raises(Exception, consume)
    assert not isinstance(error, AssertionError), error
    assert "incomplete" in str(error) or "closed" in str(error), repr(error)
    assert len(text_of(seen).split()) == 4
    raises(openai.APIConnectionError, lambda: create(headers={"x-sim-fault": "cut"}))


@check
def a_stalled_stream_times_out():
    seen = []

    def consume():
        stream = client.with_options(timeout=0.5).chat.completions.create(
            model="m", messages=MESSAGES, stream=True, extra_headers={**FAST, "x-sim-fault": "stall"}
        )
        for chunk in stream:
            seen.append(chunk)

    error = raises(Exception, consume)
    assert "timed out" in str(error).lower() or "timeout" in type(error).__name__.lower(), repr(error)
    assert len(text_of(seen).split()) == 4


@check
def another_key_is_rejected():
    if API_KEY is None:
        return
    other = openai.OpenAI(base_url=BASE_URL, api_key="sk-wrong-key-of-some-length", max_retries=0)
    error = raises(openai.AuthenticationError, lambda: other.models.list())
    assert error.status_code == 401 and error.code == "invalid_api_key", error
    assert "sk-wrong-key" not in error.message, error.message


def run(checks):
    failed = 0
    for function in checks:
        try:
            function()
        except Exception:
            failed += 1
            print(f"FAILED {function.__name__}", file=sys.stderr)
            traceback.print_exc()
    print(f"{len(checks) - failed} passed" + (f", {failed} failed" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run(checks))
