#!/usr/bin/env python3
"""Judges the simulator by the official `ollama` package.

    ollama_client.py BASE_URL

Prints what it did and exits 0, or fails.
"""

import sys

import ollama

FAST = {"x-sim-ttft-ms": "1", "x-sim-itl-ms": "0.2", "x-sim-output-tokens": "8", "x-sim-reasoning-tokens": "4"}
MESSAGES = [{"role": "user", "content": "one two three"}]

client = ollama.Client(host=sys.argv[1], headers=FAST)

answer = client.chat(model="m", messages=MESSAGES)
assert len(answer.message.content.split()) == 8 and len(answer.message.thinking.split()) == 4
assert answer.done and answer.done_reason == "stop"
assert (answer.prompt_eval_count, answer.eval_count) == (3, 12)

chunks = list(client.chat(model="m", messages=MESSAGES, stream=True))
assert len(chunks) == 13, len(chunks)
assert len("".join(chunk.message.content for chunk in chunks).split()) == 8
assert len("".join(chunk.message.thinking or "" for chunk in chunks).split()) == 4
assert [chunk.done for chunk in chunks] == [False] * 12 + [True]
assert chunks[-1].eval_count == 12

limited = client.chat(model="m", messages=MESSAGES, options={"num_predict": 3})
assert limited.done_reason == "length" and limited.eval_count == 3

try:
    client.chat(model="m", messages=[])
except ollama.ResponseError as error:
    assert error.status_code == 400 and error.error, error
else:
    raise AssertionError("no messages were accepted")
print("passed")
