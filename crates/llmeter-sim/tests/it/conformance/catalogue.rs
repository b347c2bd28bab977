//! Every API of llmeter's catalogue passes every case that it can be asked.

use std::sync::Arc;

use llmeter::endpoint::{AnthropicMessages, ApiMode, AwsOptions, EndpointSettings};
use llmeter_sim::conformance::{Case, Simulated, Suite};

#[track_caller]
fn conforms(name: &'static str) {
    let api = ApiMode::named(name).unwrap();
    let payload = api.create_payload("one two three", 64).unwrap();
    let suite = Suite::new(Simulated::api(name).unwrap(), payload, move |address| {
        api.endpoint(&EndpointSettings {
            api_key: Some("sk-hunter22".into()),
            // For an API without a key; the environment of a test has no credentials.
            aws: Some(AwsOptions::new().access_keys("AKID", "hunter22hunter22", None)),
            ..api.example(&format!("http://{address}"))
        })
    });
    suite.run().assert_passes();
}

/// A test for each name, and a list of them.
macro_rules! apis {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            conforms($name);
        })*

        const TESTED: &[&str] = &[$($name),*];
    };
}

apis! {
    openai_chat_stream: "openai-chat-stream",
    openai_chat: "openai-chat",
    openai_responses_stream: "openai-responses-stream",
    openai_responses: "openai-responses",
    openai_completions_stream: "openai-completions-stream",
    openai_completions: "openai-completions",
    openai_embeddings: "openai-embeddings",
    azure_openai_chat_stream: "azure-openai-chat-stream",
    azure_openai_chat: "azure-openai-chat",
    bedrock_converse_stream: "bedrock-converse-stream",
    bedrock_converse: "bedrock-converse",
    bedrock_invoke_stream: "bedrock-invoke-stream",
    bedrock_invoke: "bedrock-invoke",
    sagemaker_stream: "sagemaker-stream",
    sagemaker: "sagemaker",
    anthropic_messages_stream: "anthropic-messages-stream",
    anthropic_messages: "anthropic-messages",
    gemini_stream: "gemini-stream",
    gemini: "gemini",
    ollama_stream: "ollama-stream",
    ollama: "ollama",
    tgi_stream: "tgi-stream",
    tgi: "tgi",
}

/// An API by templates, described as the one that the simulator words.
#[test]
fn http() {
    let api = ApiMode::named("http").unwrap();
    let parts = [
        ("text", "choices[0].delta.content"),
        ("reasoning", "choices[0].delta.reasoning_content"),
        ("tool-call", "choices[0].delta.tool_calls[0].function.name"),
        ("id", "id"),
        ("end", "choices[0].finish_reason"),
        ("input-tokens", "usage.prompt_tokens"),
        ("output-tokens", "usage.completion_tokens"),
    ];
    let body = r#"{"model": {{ model }}, "max_tokens": {{ max_tokens }}, "stream": true,
        "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": {{ prompt }}}]}"#;
    let payload = api.create_payload("one two three", 64).unwrap();
    let wording = Simulated::api("openai-chat-stream").unwrap();
    let suite = Suite::new(wording, payload, move |address| {
        api.endpoint(&EndpointSettings {
            base_url: Some(format!("http://{address}/v1/chat/completions")),
            model: Some("some-model".to_owned()),
            body: Some(body.to_owned()),
            framing: Some("sse".to_owned()),
            jmespath: parts.map(|(part, path)| (part.into(), path.into())).into(),
            ..EndpointSettings::default()
        })
    });
    let why = "whole answers have their text elsewhere, and an endpoint is described for streams";
    suite.skip(Case::NonStreaming, why).run().assert_passes();
}

#[test]
fn every_api_is_tested() {
    let all: Vec<_> = ApiMode::all().map(|api| api.name).collect();
    let tested: Vec<_> = TESTED.iter().copied().chain(["http"]).collect();
    assert_eq!(all, tested);
}

#[test]
fn claude_on_bedrock() {
    for streaming in [true, false] {
        let payload = ApiMode::named("anthropic-messages").unwrap();
        let payload = payload.create_payload("one two three", 64).unwrap();
        let suite = Suite::new(
            Simulated::api("anthropic-messages-on-bedrock").unwrap(),
            payload,
            move |address| {
                let builder = AnthropicMessages::on_cloud("bedrock", "anthropic.some-model")?
                    .streaming(streaming)
                    .base_url(format!("http://{address}"))
                    .region("us-east-1")
                    .api_key("sk-hunter22");
                Ok(Arc::new(builder.build()?))
            },
        );
        suite.run().assert_passes();
    }
}
