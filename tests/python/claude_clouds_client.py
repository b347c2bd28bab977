#!/usr/bin/env python3
"""Judges the simulator by the clients of the `anthropic` package for Claude on other clouds.

    claude_clouds_client.py SIGNED_URL ACCESS_KEY_ID SECRET KEYED_URL KEY

The server at SIGNED_URL verifies signatures, the one at KEYED_URL wants a key. Prints "N passed" and
exits 0, or names what failed and exits 1.
"""

import sys
import traceback

import anthropic

SIGNED, ID, SECRET, KEYED, KEY = sys.argv[1:6]
FAST = {"x-sim-ttft-ms": "1", "x-sim-itl-ms": "0.2", "x-sim-output-tokens": "6", "x-sim-reasoning-tokens": "2"}
COMMON = {"max_retries": 0, "timeout": 20, "default_headers": FAST}


def signed(secret=SECRET):
    return {"aws_access_key": ID, "aws_secret_key": secret, "aws_region": "us-east-1", **COMMON}


def bedrock(secret=SECRET):
    return anthropic.AnthropicBedrock(base_url=SIGNED, **signed(secret))


def mantle(secret=SECRET):
    return anthropic.AnthropicBedrockMantle(base_url=f"{SIGNED}/anthropic", **signed(secret))


def vertex(token=KEY):
    return anthropic.AnthropicVertex(
        base_url=f"{KEYED}/v1", region="us-east5", project_id="p", access_token=token, **COMMON
    )


def foundry(key=KEY):
    return anthropic.AnthropicFoundry(base_url=f"{KEYED}/anthropic", api_key=key, **COMMON)


def answers(client):
    arguments = {
        "model": "us.anthropic.claude-x",
        "max_tokens": 99,
        "messages": [{"role": "user", "content": "one two three"}],
    }
    whole = client.messages.create(**arguments)
    assert [block.type for block in whole.content] == ["thinking", "text"], whole
    assert (whole.usage.input_tokens, whole.usage.output_tokens) == (3, 8), whole
    with client.messages.stream(**arguments) as events:
        kinds = [event.type for event in events]
        message = events.get_final_message()
    assert kinds.count("content_block_delta") == 2 + 1 + 6, kinds
    assert len(message.content[1].text.split()) == 6, message
    assert message.usage.output_tokens == 8, message


def refuses(client, error):
    try:
        answers(client)
    except error:
        return
    raise AssertionError(f"{error.__name__} was not raised")


CHECKS = {
    "bedrock": lambda: answers(bedrock()),
    "bedrock, another secret": lambda: refuses(bedrock("another"), anthropic.PermissionDeniedError),
    "mantle": lambda: answers(mantle()),
    "mantle, another secret": lambda: refuses(mantle("another"), anthropic.PermissionDeniedError),
    "vertex": lambda: answers(vertex()),
    "vertex, another token": lambda: refuses(vertex("another"), anthropic.AuthenticationError),
    "foundry": lambda: answers(foundry()),
    "foundry, another key": lambda: refuses(foundry("another"), anthropic.AuthenticationError),
}


def main():
    failed = 0
    for name, check in CHECKS.items():
        try:
            check()
        except Exception:
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()}")
    print(f"{len(CHECKS) - failed} passed")
    sys.exit(1 if failed else 0)


main()
