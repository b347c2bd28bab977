#!/usr/bin/env python3
"""Judges payloads by the types of the official clients, without any server.

Reads lines `{"api": NAME, "name": ANY, "payload": {…}}` from standard input, where bytes are marked as files of
payloads mark them. Prints a line for each payload and exits 0, or names what is wrong and exits 1.
"""

import base64
import json
import sys
from typing import get_type_hints

import botocore.session
from anthropic.types import ContentBlockParam
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from botocore.validate import ParamValidator
from google.genai import types as gemini
from ollama import _types as ollama
from openai.types.chat import ChatCompletionContentPartParam
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.responses import ResponseInputContentParam
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter

CONVERSE = botocore.session.get_session().get_service_model("bedrock-runtime").operation_model("Converse")


def unmarked(value):
    """Bytes where they are marked."""
    if isinstance(value, dict):
        if value.keys() == {"__llmeter_bytes__"}:
            return base64.b64decode(value["__llmeter_bytes__"], validate=True)
        return {name: unmarked(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [unmarked(inner) for inner in value]
    return value


def typed(request, part):
    """A judge by TypedDicts: one of the whole request, and one of a part of a message, since lists of
    a request are not looked into. The request's unknown fields are errors as well."""
    whole, each = TypeAdapter(request), TypeAdapter(part)
    known = set(get_type_hints(request))

    def judge(payload):
        payload.setdefault("model", "m")
        assert payload.keys() <= known, payload.keys() - known
        whole.validate_python(payload)
        messages = payload.get("messages", payload.get("input"))
        for message in [] if isinstance(messages, str) else messages:
            if not isinstance(message["content"], str):
                for block in message["content"]:
                    each.validate_python(block)

    return judge


def converse(payload):
    report = ParamValidator().validate(payload, CONVERSE.input_shape)
    assert not report.has_errors(), report.generate_report()
    for message in payload["messages"]:
        for block in message["content"]:
            (kind, inner), = block.items()
            if kind == "text":
                continue
            shape = CONVERSE.service_model.shape_for(f"{kind.capitalize()}Format")
            assert inner["format"] in shape.enum, f"{kind} {inner['format']} is not one of {shape.enum}"
            assert isinstance(inner["source"]["bytes"], bytes), inner


def google(payload):
    for content in payload["contents"]:
        for part in gemini.Content.model_validate(content).parts:
            assert part.text or part.inline_data.data, part
    if "systemInstruction" in payload:
        gemini.Content.model_validate(payload["systemInstruction"])
    gemini.GenerationConfig.model_validate(payload["generationConfig"])


def llama(payload):
    request = ollama.ChatRequest.model_validate({"model": "m", **payload})
    for message in request.messages:
        images = [ollama.Image(value=image) for image in message.get("images", ())]
        theirs = ollama.Message.model_validate({**message, "images": images or None})
        assert all(base64.b64decode(image, validate=True) for image in message.get("images", ()))
        assert theirs.model_dump(exclude_none=True) == message, message


JUDGES = {
    "openai-chat": typed(CompletionCreateParamsNonStreaming, ChatCompletionContentPartParam),
    "openai-responses": typed(ResponseCreateParamsNonStreaming, ResponseInputContentParam),
    "anthropic-messages": typed(MessageCreateParamsNonStreaming, ContentBlockParam),
    "bedrock-converse": converse,
    "gemini": google,
    "ollama": llama,
}

failed = 0
for line in sys.stdin:
    case = json.loads(line)
    payload = unmarked(case["payload"])
    try:
        JUDGES[case["api"]](payload)
        print(f"{case['api']}: {case['name']}")
    except Exception as error:
        failed += 1
        print(f"REFUSED {case['api']}: {case['name']}: {type(error).__name__} {error!s:.400}")
sys.exit(1 if failed else 0)
