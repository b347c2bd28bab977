#!/usr/bin/env python3
"""Judges the simulator by the official `anthropic` package.

    anthropic_client.py BASE_URL KEY

The server must have been started with KEY. Prints "N passed" and exits 0, or names what failed and
exits 1.
"""

import sys
import traceback

import anthropic

BASE_URL, KEY = sys.argv[1:3]
FAST = {"x-sim-ttft-ms": "1", "x-sim-itl-ms": "0.2", "x-sim-output-tokens": "8", "x-sim-reasoning-tokens": "0"}
MESSAGES = [{"role": "user", "content": "one two three"}]
TOOLS = [
    {
        "name": "get_weather",
        "description": "Weather of a city",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
]

client = anthropic.Anthropic(base_url=BASE_URL, api_key=KEY, max_retries=0, timeout=20)
checks = []


def check(function):
    checks.append(function)
    return function


def arguments(changes):
    headers = {**FAST, **changes.pop("headers", {})}
    return {"model": "some/model", "max_tokens": 99, "messages": MESSAGES, "extra_headers": headers, **changes}


def create(**changes):
    return client.messages.create(**arguments(changes))


def stream(**changes):
    """All events of a stream, and the message that the client puts together."""
    with client.messages.stream(**arguments(changes)) as events:
        seen = list(events)
        return seen, events.get_final_message()


def raises(error, function):
    try:
        function()
    except error as caught:
        return caught
    raise AssertionError(f"{error.__name__} was not raised")


@check
def a_plain_answer():
    message = create()
    assert message.type == "message" and message.role == "assistant" and message.id.startswith("msg_")
    assert message.model == "some/model" and message.stop_reason == "end_turn"
    assert [block.type for block in message.content] == ["text"]
    assert len(message.content[0].text.split()) == 8
    assert (message.usage.input_tokens, message.usage.output_tokens) == (3, 8)
    assert message.usage.cache_read_input_tokens == 0


@check
def a_stream():
    events, message = stream()
    kinds = [event.type for event in events if event.type not in ("text", "ping")]
    assert kinds[:2] == ["message_start", "content_block_start"], kinds
    assert kinds[2:10] == ["content_block_delta"] * 8, kinds
    assert kinds[10:] == ["content_block_stop", "message_delta", "message_stop"], kinds
    assert message.stop_reason == "end_turn" and message.usage.output_tokens == 8
    text = message.content[0].text
    assert len(text.split()) == 8 and text == text.strip()
    raw = list(create(stream=True))
    assert raw[-1].type == "message_stop"


@check
def a_limit_ends_the_answer():
    assert create(max_tokens=3).stop_reason == "max_tokens"
    _, message = stream(max_tokens=3)
    assert message.stop_reason == "max_tokens" and len(message.content[0].text.split()) == 3


@check
def thinking_comes_first():
    headers = {"x-sim-reasoning-tokens": "4"}
    for message in (create(headers=headers), stream(headers=headers)[1]):
        assert [block.type for block in message.content] == ["thinking", "text"]
        assert len(message.content[0].thinking.split()) == 4 and message.content[0].signature
        assert len(message.content[1].text.split()) == 8
        assert message.usage.output_tokens == 12


@check
def tools_are_called_when_required():
    for choice in ({"type": "any"}, {"type": "tool", "name": "get_weather"}):
        for message in (
            create(tools=TOOLS, tool_choice=choice),
            stream(tools=TOOLS, tool_choice=choice)[1],
        ):
            assert message.stop_reason == "tool_use"
            (block,) = message.content
            assert block.type == "tool_use" and block.name == "get_weather"
            assert block.id.startswith("toolu_") and len(block.input["city"].split()) == 7
    assert create(tools=TOOLS).content[0].type == "text"


@check
def a_bad_request():
    error = raises(anthropic.BadRequestError, lambda: create(messages=[]))
    assert error.body["error"]["type"] == "invalid_request_error", error.body
    raises(anthropic.BadRequestError, lambda: create(max_tokens=0))


@check
def another_key_is_rejected():
    other = anthropic.Anthropic(base_url=BASE_URL, api_key="sk-other", max_retries=0)
    error = raises(anthropic.AuthenticationError, lambda: other.messages.create(**arguments({})))
    assert error.body["error"]["type"] == "authentication_error"


@check
def a_server_error():
    error = raises(anthropic.InternalServerError, lambda: create(headers={"x-sim-fault": "error"}))
    assert error.status_code == 500 and error.body["error"]["type"] == "api_error"


@check
def a_cut_stream_breaks():
    error = raises(Exception, lambda: stream(headers={"x-sim-fault": "cut"}))
    assert "incomplete" in str(error) or "closed" in str(error), repr(error)


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
