#!/usr/bin/env python3
"""Judges the simulator by boto3: Bedrock's Converse and InvokeModel, SageMaker's InvokeEndpoint.

    aws_clients.py URL ACCESS_KEY_ID SECRET

The server verifies signatures with that key, and its delays should be short (what a check needs is
asked for by `x-sim-*` headers). Prints "N passed" and exits 0, or names what failed and exits 1.
"""

import json
import sys
import traceback

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

URL, KEY, SECRET = sys.argv[1:4]
MESSAGES = [{"role": "user", "content": [{"text": "one two three"}]}]
MODEL = "us.mock/model-v1:0"
checks = []


def client(service, secret=SECRET, key=KEY, **headers):
    made = boto3.client(
        service,
        endpoint_url=URL,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}),
    )
    wanted = {"x-sim-ttft-ms": "1", "x-sim-itl-ms": "0.2", "x-sim-output-tokens": "4"}
    wanted |= {f"x-sim-{name.replace('_', '-')}": str(value) for name, value in headers.items()}

    def add(request, **_):
        for name, value in wanted.items():
            request.headers[name] = value

    made.meta.events.register("before-sign.*.*", add)
    return made


def check(function):
    checks.append(function)
    return function


def refused(call, code):
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
        return error.response
    raise AssertionError(f"no {code}")


@check
def converse():
    answer = client("bedrock-runtime", reasoning_tokens=3).converse(modelId=MODEL, messages=MESSAGES)
    reasoning, text = answer["output"]["message"]["content"]
    assert len(reasoning["reasoningContent"]["reasoningText"]["text"].split()) == 3, reasoning
    assert len(text["text"].split()) == 4, text
    assert answer["stopReason"] == "end_turn", answer
    assert answer["usage"]["inputTokens"] == 3 and answer["usage"]["outputTokens"] == 7, answer
    assert answer["ResponseMetadata"]["RequestId"], answer


@check
def converse_stream():
    answer = client("bedrock-runtime", reasoning_tokens=2).converse_stream(
        modelId=MODEL, messages=MESSAGES, inferenceConfig={"maxTokens": 5}
    )
    events = list(answer["stream"])
    kinds = [next(iter(event)) for event in events]
    assert kinds == (
        ["messageStart"] + ["contentBlockDelta"] * 2 + ["contentBlockStop"]
        + ["contentBlockDelta"] * 3 + ["contentBlockStop", "messageStop", "metadata"]
    ), kinds
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    assert all("text" in delta["reasoningContent"] for delta in deltas[:2]), deltas
    assert len("".join(delta["text"] for delta in deltas[2:]).split()) == 3, deltas
    assert events[-2]["messageStop"]["stopReason"] == "max_tokens", events
    assert events[-1]["metadata"]["usage"]["outputTokens"] == 5, events


@check
def converse_tool():
    tools = {
        "tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": {
            "type": "object", "properties": {"city": {"type": "string"}}}}}}],
        "toolChoice": {"any": {}},
    }
    bedrock = client("bedrock-runtime")
    answer = bedrock.converse(modelId=MODEL, messages=MESSAGES, toolConfig=tools)
    assert answer["stopReason"] == "tool_use", answer
    assert list(answer["output"]["message"]["content"][0]["toolUse"]["input"]) == ["city"], answer
    stream = list(bedrock.converse_stream(modelId=MODEL, messages=MESSAGES, toolConfig=tools)["stream"])
    start = next(event["contentBlockStart"] for event in stream if "contentBlockStart" in event)
    assert start["start"]["toolUse"]["name"] == "weather", start
    deltas = [event["contentBlockDelta"]["delta"] for event in stream if "contentBlockDelta" in event]
    assert list(json.loads("".join(delta["toolUse"]["input"] for delta in deltas))) == ["city"], deltas


@check
def invoke():
    body = json.dumps({"messages": MESSAGES, "max_tokens": 3})
    bedrock = client("bedrock-runtime")
    answer = json.load(bedrock.invoke_model(modelId=MODEL, body=body)["body"])
    assert len(answer["choices"][0]["message"]["content"].split()) == 3, answer
    stream = bedrock.invoke_model_with_response_stream(modelId=MODEL, body=body)["body"]
    chunks = [json.loads(event["chunk"]["bytes"]) for event in stream]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert len(text.split()) == 3, chunks
    assert chunks[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == 3, chunks


@check
def sagemaker():
    body = json.dumps({"inputs": "one two", "parameters": {"max_new_tokens": 3}})
    runtime = client("sagemaker-runtime")
    answer = json.load(runtime.invoke_endpoint(EndpointName="e", Body=body)["Body"])
    assert answer["details"]["generated_tokens"] == 3, answer

    text = b"".join(
        event["PayloadPart"]["Bytes"]
        for event in runtime.invoke_endpoint_with_response_stream(EndpointName="e", Body=body)["Body"]
    ).decode()
    lines = [json.loads(line.removeprefix("data:")) for line in text.split("\n\n") if line]
    assert len("".join(line["token"]["text"] for line in lines).split()) == 3, lines
    assert lines[-1]["details"]["generated_tokens"] == 3, lines


@check
def signatures():
    def converse(**key):
        return lambda: client("bedrock-runtime", **key).converse(modelId=MODEL, messages=MESSAGES)

    answer = refused(converse(secret="another"), "InvalidSignatureException")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403, answer
    refused(converse(key="AKIDOTHER"), "UnrecognizedClientException")


@check
def errors():
    bedrock = client("bedrock-runtime", fault="error")
    answer = refused(lambda: bedrock.converse(modelId=MODEL, messages=MESSAGES), "InternalServerException")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 500, answer
    refused(lambda: client("bedrock-runtime").converse(modelId=MODEL, messages=[]), "ValidationException")


def main():
    failed = 0
    for function in checks:
        try:
            function()
        except Exception:
            failed += 1
            print(f"FAILED {function.__name__}\n{traceback.format_exc()}")
    print(f"{len(checks) - failed} passed")
    sys.exit(1 if failed else 0)


main()
