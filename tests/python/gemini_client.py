#!/usr/bin/env python3
"""Judges the simulator by the official `google-genai` package.

    gemini_client.py BASE_URL KEY

BASE_URL has no version. The server must have been started with KEY. Prints "N passed" and exits 0,
or names what failed and exits 1.
"""

import sys
import traceback

from google import genai
from google.genai import errors, types

BASE_URL, KEY = sys.argv[1:3]
FAST = {"x-sim-ttft-ms": "1", "x-sim-itl-ms": "0.2", "x-sim-output-tokens": "8", "x-sim-reasoning-tokens": "0"}
FUNCTION = types.FunctionDeclaration(
    name="get_weather",
    description="Weather of a city",
    parameters={"type": "OBJECT", "properties": {"city": {"type": "STRING"}}},
)
CALL = {
    "tools": [types.Tool(function_declarations=[FUNCTION])],
    "tool_config": types.ToolConfig(
        function_calling_config=types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
    ),
}

checks = []


def check(function):
    checks.append(function)
    return function


def client(key=KEY):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=BASE_URL))


# A client that nothing holds is closed.
CLIENT = client()


def arguments(contents="one two three", headers=None, **config):
    options = types.HttpOptions(headers={**FAST, **(headers or {})})
    config = types.GenerateContentConfig(http_options=options, **config)
    return {"model": "some-model", "contents": contents, "config": config}


def generate(**changes):
    return CLIENT.models.generate_content(**arguments(**changes))


def stream(**changes):
    return list(CLIENT.models.generate_content_stream(**arguments(**changes)))


def raises(error, function):
    try:
        function()
    except error as caught:
        return caught
    raise AssertionError(f"{error.__name__} was not raised")


@check
def a_plain_answer():
    answer = generate()
    assert len(answer.text.split()) == 8
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count) == (3, 8, 11)
    assert answer.response_id and answer.model_version == "some-model"


@check
def a_stream():
    chunks = stream()
    assert len(chunks) == 9, len(chunks)
    assert len("".join(chunk.text or "" for chunk in chunks).split()) == 8
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert all(chunk.candidates[0].finish_reason is None for chunk in chunks[:-1])
    assert chunks[-1].usage_metadata.candidates_token_count == 8


@check
def a_limit_ends_the_answer():
    assert generate(max_output_tokens=3).candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert stream(max_output_tokens=3)[-1].candidates[0].finish_reason == types.FinishReason.MAX_TOKENS


@check
def thoughts_come_first():
    headers = {"x-sim-reasoning-tokens": "4"}
    parts = generate(headers=headers).candidates[0].content.parts
    assert [part.thought for part in parts] == [True, None]
    chunks = stream(headers=headers)
    thoughts = [chunk.candidates[0].content.parts[0].thought for chunk in chunks]
    assert thoughts == [True] * 4 + [None] * 9, thoughts
    assert chunks[-1].usage_metadata.thoughts_token_count == 4


@check
def functions_are_called_when_required():
    (call,) = generate(**CALL).function_calls
    assert call.name == "get_weather" and len(call.args["city"].split()) == 7
    calls = [call for chunk in stream(**CALL) for call in chunk.function_calls or []]
    assert len(calls) == 1 and len(calls[0].args["city"].split()) == 7


@check
def a_bad_request():
    error = raises(errors.ClientError, lambda: generate(max_output_tokens=0))
    assert error.code == 400 and error.status == "INVALID_ARGUMENT", error


@check
def another_key_is_rejected():
    other = client("other")
    error = raises(errors.ClientError, lambda: other.models.generate_content(**arguments()))
    assert error.code == 401, error


@check
def a_server_error():
    error = raises(errors.ServerError, lambda: generate(headers={"x-sim-fault": "error"}))
    assert error.code == 500, error


def main():
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
    sys.exit(main())
