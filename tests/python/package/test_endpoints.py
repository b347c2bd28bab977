"""Which requests the core sends, with which address and key, and what it and the SDKs make of responses."""

import asyncio
import inspect
import io
import json

import anthropic
import boto3
import httpx
import openai
import pytest

from llmeter import endpoints, serialization
from llmeter.endpoints import (
    AnthropicMessages,
    BedrockConverse,
    BedrockInvoke,
    BedrockInvokeStream,
    Endpoint,
    InvocationResponse,
    OpenAICompletionEndpoint,
    OpenAICompletionStreamEndpoint,
    OpenAIResponseEndpoint,
    OpenAIResponseStreamEndpoint,
    SageMakerEndpoint,
    _native,
)
from llmeter.endpoints._defaults import defaults
from llmeter.endpoints.base import InvocationResponse as TheSame
from llmeter.prompt_utils import ImageContent
from llmeter.runner import Runner
from llmeter.serialization import dump_object, load_object

KEY = "sk-a-key-that-nobody-may-see"
SECRET = "a-secret-that-nobody-may-see"


def test_names_are_found_without_the_sdks_of_others():
    assert InvocationResponse is TheSame
    assert all(getattr(endpoints, name).__module__ for name in endpoints.__all__)
    with pytest.raises(AttributeError, match="NoEndpoint"):
        _ = endpoints.NoEndpoint


@pytest.mark.parametrize(
    "cls", [OpenAICompletionEndpoint, OpenAICompletionStreamEndpoint, OpenAIResponseStreamEndpoint]
)
def test_the_core_and_the_sdk_read_the_same(server, cls):
    endpoint = cls("some-model", base_url=server.base_url, api_key=KEY)
    payload = endpoint.create_payload("Say it again.")
    by_core = endpoint.invoke(payload)

    class Mine(cls):
        pass

    by_sdk = Mine("some-model", base_url=server.base_url, api_key=KEY).invoke(payload)
    assert by_core.error is None and by_sdk.error is None
    for field in ("num_tokens_input", "num_tokens_output", "input_prompt", "input_payload"):
        assert getattr(by_core, field) == getattr(by_sdk, field), field
    assert len(by_core.response_text.split()) == len(by_sdk.response_text.split()) == 12
    assert by_core.receive_delay is not None and by_sdk.receive_delay is None
    assert by_core.time_to_last_token > 0 and by_sdk.time_to_last_token > 0


def test_a_failed_request_is_no_exception_and_shows_no_key(server, caplog):
    endpoint = OpenAICompletionEndpoint("m", base_url="http://127.0.0.1:1/v1", api_key=KEY)
    failed = endpoint.invoke(endpoint.create_payload("Hello"))
    assert failed.error and failed.response_text is None
    transport = httpx.MockTransport(lambda _: httpx.Response(401, text=f"no such key: {KEY}"))
    # A client of the user's own sends the request itself.
    endpoint = OpenAICompletionEndpoint(
        "m", api_key=KEY, http_client=httpx.Client(transport=transport), max_retries=0
    )
    assert _native.form_of(endpoint) is None
    refused = endpoint.invoke(endpoint.create_payload("Hello"))
    assert "no such key: ***" in refused.error
    assert KEY not in caplog.text and KEY not in repr(refused) + repr(_native.form_of(endpoint))


def test_only_untouched_endpoints_are_the_cores():
    assert _native.form_of(OpenAICompletionEndpoint("m")) is not None

    class Mine(OpenAICompletionEndpoint):
        pass

    assert _native.form_of(Mine("m")) is None
    patched = OpenAICompletionEndpoint("m")
    patched.invoke = lambda payload: None
    assert _native.form_of(patched) is None
    replaced = OpenAICompletionEndpoint("m", api_key=KEY)
    replaced._client = object()
    assert _native.form_of(replaced) is None
    del replaced._client
    assert _native.form_of(replaced) is not None
    replaced._client.chat.completions.create = lambda **payload: None
    assert _native.form_of(replaced) is None
    # What a client's own transport would do, the core cannot know.
    replaced._client = openai.OpenAI(api_key=KEY, http_client=httpx.Client())
    assert _native.form_of(replaced) is None
    replaced._client = openai.OpenAI(api_key=lambda: KEY)
    assert _native.form_of(replaced) is None


def test_an_asynchronous_endpoint_has_the_same_protocol(wait):
    class Mine(Endpoint[str]):
        def __init__(self):
            super().__init__("mine", "m", "me")

        @Endpoint.llmeter_invoke
        async def invoke(self, payload):
            await asyncio.sleep(0)
            if payload.pop("fails", False):
                raise RuntimeError("it failed")
            return payload["prompt"].upper()

        def process_raw_response(self, raw_response, start_t, response):
            response.response_text = raw_response

        def _parse_payload(self, payload):
            return payload["prompt"]

    response = wait(Mine().invoke({"prompt": "hello"}))
    assert (response.response_text, response.input_prompt) == ("HELLO", "hello")
    assert response.time_to_last_token > 0 and response.error is None
    failed = wait(Mine().invoke({"prompt": "hello", "fails": True}))
    assert failed.error == "it failed" and failed.time_to_last_token is None

    async def cancelled():
        task = asyncio.ensure_future(Mine().invoke({"prompt": "hello"}))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    wait(cancelled())
    result = wait(Runner(Mine(), payload={"prompt": "hello"}, clients=3).run(n_requests=4))
    assert [one.response_text for one in result.responses] == ["HELLO"] * 12


def test_media_reach_the_server(server):
    endpoint = BedrockConverse("m", region="us-east-1")
    address = server.base_url.removesuffix("/v1")
    endpoint._bedrock_client = boto3.Session("AKIAEXAMPLE", SECRET).client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=address
    )
    image = ImageContent(b"\xff\xd8\xff\xe0", "image/jpeg")
    response = endpoint.invoke(endpoint.create_payload([image, "What is it?"], max_tokens=12))
    assert response.error is None and response.receive_delay is not None
    content = response.input_payload["messages"][0]["content"]
    assert content[0]["image"]["source"]["bytes"] == image.data


def test_a_client_gives_its_address_key_and_headers(server):
    endpoint = OpenAICompletionStreamEndpoint("some-model")
    endpoint._client = openai.OpenAI(
        api_key=KEY, base_url=server.base_url, default_headers={"X-Team": SECRET}, max_retries=1
    )
    form = _native.form_of(endpoint)
    assert form.access == {
        "base_url": server.base_url + "/",
        "api_key": KEY,
        "headers": {"X-Team": SECRET},
        "max_retries": 1,
    }
    state = form.saved["__llmeter_state__"]
    assert state["base_url"] == server.base_url + "/" and state["max_retries"] == 1
    assert state["unsaved_headers"] == ["X-Team"]
    assert KEY not in json.dumps(form.saved) and SECRET not in json.dumps(form.saved)
    assert KEY not in repr(form) and SECRET not in repr(form)
    assert endpoint.invoke(endpoint.create_payload("Hello")).error is None
    assert _native.secrets_of(form.access) == sorted([KEY, SECRET], key=len, reverse=True)
    # It can be loaded, and says what is missing.
    assert load_object(dump_object(endpoint))._options["max_retries"] == 1

    claude = AnthropicMessages("claude", provider="anthropic")
    claude._client = anthropic.Anthropic(auth_token=SECRET, base_url="http://localhost:1/")
    assert _native.form_of(claude).access["headers"] == {"authorization": f"Bearer {SECRET}"}
    claude._client = anthropic.AnthropicVertex(region="r", project_id="p", access_token=KEY)
    assert _native.form_of(claude) is None


def test_claude_in_the_clouds_is_the_cores():
    for provider, settings in {
        "bedrock": {"aws_region": "us-east-1", "aws_profile": None, "skip_auth": False},
        "bedrock-mantle": {"aws_region": "us-east-1", "middleware": []},
        "vertex": {"region": "europe-west1", "project_id": "p", "access_token": KEY},
        "foundry": {"resource": "mine", "api_key": KEY},
    }.items():
        form = _native.form_of(AnthropicMessages("claude", provider=provider, **settings))
        assert form is not None and KEY not in json.dumps(form.saved), provider
        assert form.access.get("api_key") in (KEY, None)
    assert form.access["base_url"] == "https://mine.services.ai.azure.com/anthropic/"
    with pytest.raises(ValueError, match="nobody"):
        AnthropicMessages("claude", provider="nobody")


def test_clients_and_sessions_of_aws_give_their_region_and_credentials():
    session = boto3.Session("AKIAEXAMPLE", SECRET, region_name="eu-central-1")
    client = session.client("bedrock-runtime")
    form = _native.form_of(BedrockConverse("m", bedrock_boto3_client=client))
    assert form.access == {
        "region": "eu-central-1",
        "aws": {
            "endpoint_url": "https://bedrock-runtime.eu-central-1.amazonaws.com",
            "access_key_id": "AKIAEXAMPLE",
            "secret_access_key": SECRET,
        },
    }
    assert form.saved["__llmeter_state__"]["region"] == "eu-central-1"
    assert SECRET not in json.dumps(form.saved)
    endpoint = SageMakerEndpoint("e", "m", boto3_session=session, region="us-west-2")
    form = _native.form_of(endpoint)
    assert form.access["region"] == "us-west-2"
    assert form.access["aws"]["secret_access_key"] == SECRET
    assert "boto3_session" not in form.saved["__llmeter_state__"]
    # What listens to a client's requests would hear nothing of the core's.
    client.meta.events.register("before-send.bedrock-runtime", lambda **_: None)
    assert _native.form_of(BedrockConverse("m", bedrock_boto3_client=client)) is None


def test_media_are_sent_to_sagemaker_as_text():
    endpoint = SageMakerEndpoint("e", "m", region="us-west-2")
    body = endpoint._body({"inputs": [{"image": {"source": {"bytes": b"abc"}}}]})
    assert json.loads(body) == {"inputs": [{"image": {"source": {"bytes": "YWJj"}}}]}
    response = InvocationResponse(None)
    raw = {
        "Body": io.BytesIO(b'{"generated_text": "yes", "details": {"generated_tokens": 3}}'),
        "ResponseMetadata": {"RequestId": "r", "RetryAttempts": 2},
    }
    endpoint.process_raw_response(raw, 0.0, response)
    assert (response.id, response.retries, response.num_tokens_output) == ("r", 2, 3)


def test_files_name_only_what_is_imported_or_allowed(tmp_path, monkeypatch):
    (tmp_path / "module_of_somebody.py").write_text("class Thing:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(serialization, "_allowed_modules", {"llmeter"})
    saved = {"__llmeter_class__": "module_of_somebody.Thing", "__llmeter_state__": {"size": 1}}
    with pytest.raises(ImportError, match="allow_module"):
        load_object(saved)
    serialization.allow_module("module_of_somebody")
    assert load_object(saved).size == 1
    with pytest.raises(AttributeError):
        load_object({"__llmeter_class__": "llmeter.endpoints.Nothing", "__llmeter_state__": {}})
    with pytest.raises(AttributeError):
        Endpoint.load({"endpoint_type": "annotations"})


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("AzureOpenAICompletionStreamEndpoint", "/openai/v1"),
        ("Gemini", "/v1beta"),
        ("GeminiStream", "/v1beta"),
        ("Ollama", ""),
        ("OllamaStream", ""),
        ("OpenAIEmbeddingEndpoint", "/v1"),
        ("OpenAILegacyCompletionEndpoint", "/v1"),
        ("OpenAILegacyCompletionStreamEndpoint", "/v1"),
        ("Tgi", ""),
        ("TgiStream", ""),
    ],
)
def test_apis_that_only_the_core_speaks(server, name, path):
    address = server.base_url.removesuffix("/v1") + path
    cls = getattr(endpoints, name)
    endpoint = cls("some-model", base_url=address, api_key=KEY, default_headers={"X-Team": SECRET})
    response = endpoint.invoke(endpoint.create_payload("Tell me a story."))
    assert response.error is None, response.error
    assert response.input_prompt == "Tell me a story."
    assert (response.time_to_first_token is not None) == ("Stream" in name)
    saved = json.dumps(dump_object(endpoint))
    assert KEY not in saved and SECRET not in saved
    again = load_object(json.loads(saved))
    assert type(again) is cls and again.base_url == address + "/"
    assert dump_object(again)["__llmeter_state__"]["model_id"] == "some-model"

    class Mine(cls):
        pass

    refused = Mine("some-model").invoke(endpoint.create_payload("Hello"))
    assert "only llmeter's core speaks" in refused.error


def test_an_http_api_is_told_by_templates(server):
    endpoint = endpoints.HttpEndpoint(
        "some-model",
        base_url=server.base_url + "/chat/completions",
        body='{"model": {{ model }}, "messages": [{"role": "user", "content": {{ prompt }}}]}',
        jmespath={"text": "choices[0].message.content"},
        api_key=KEY,
    )
    response = endpoint.invoke({"prompt": "Hello"})
    assert response.error is None and len(response.response_text.split()) > 3
    assert load_object(dump_object(endpoint)).jmespath == endpoint.jmespath
    with pytest.raises(TypeError, match="no_setting"):
        endpoints.Gemini("m", no_setting=1)


def test_help_shows_the_constructors_that_classes_share():
    def given(cls):
        found = inspect.signature(cls).parameters.values()
        return {one.name: one.default for one in found if one.default is not one.empty}

    assert list(inspect.signature(OpenAIResponseEndpoint).parameters)[:3] == [
        "model_id",
        "endpoint_name",
        "api_key",
    ]
    assert given(OpenAIResponseEndpoint)["endpoint_name"] == "openai-response"
    assert given(OpenAICompletionEndpoint)["endpoint_name"] == "openai"
    assert OpenAIResponseEndpoint("m").endpoint_name == "openai-response"
    assert given(BedrockInvoke)["generated_text_jmespath"] == "choices[0].message.content"
    assert given(BedrockInvokeStream)["generated_text_jmespath"] == "choices[0].delta.content"
    assert given(BedrockInvokeStream)["input_text_jmespath"] == "messages[].content[].text"
    with pytest.raises(TypeError, match="colour"):
        defaults(colour="red")(type("Odd", (BedrockInvoke,), {}))
