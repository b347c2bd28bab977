//! The APIs beside Chat Completions: a real server, llama.cpp's own, answers them, and the Python
//! llmeter 0.2.0 runs again what it knows of them.

use std::sync::Arc;

use llmeter::endpoint::{ApiMode, EndpointSettings, Framing, HttpEndpoint, OpenAiCompletions};
use llmeter::payload::Payload;
use llmeter::{InvocationResponse, Load, RunConfig, Runner};
use llmeter_sim::{SimConfig, Simulator};
use serde_json::{Value, json};

use super::llm_server::LlmServer;
use super::{python, run_script};

fn run(server: &LlmServer, name: &str, payload: Payload) -> Vec<InvocationResponse> {
    let api = ApiMode::named(name).unwrap();
    let endpoint = api.endpoint(&EndpointSettings {
        base_url: Some(server.base_url.clone()),
        model: Some("tiny".to_owned()),
        ..EndpointSettings::default()
    });
    let config = RunConfig::new(endpoint.unwrap(), [payload])
        .clients(2)
        .load(Load::Requests(3));
    let result = Runner::new(config).run_blocking().unwrap();
    assert_eq!(result.responses.len(), 6);
    for response in &result.responses {
        assert_eq!(response.error, None, "{name}");
        assert!(response.time_to_last_token > Some(0.0), "{name}");
        assert_eq!(
            response.time_to_first_token.is_some(),
            name.ends_with("-stream"),
            "{name}"
        );
    }
    result.responses
}

#[test]
fn a_real_server_answers_the_apis_that_generate() {
    let Some(python) = python() else { return };
    let server = LlmServer::start(&python);
    for name in [
        "openai-completions-stream",
        "openai-completions",
        "openai-responses-stream",
        "openai-responses",
    ] {
        let mut payload = ApiMode::named(name)
            .unwrap()
            .create_payload("Tell me a story.", 24)
            .unwrap();
        payload.insert("ignore_eos".into(), json!(true));
        for response in run(&server, name, payload) {
            assert_eq!(response.num_tokens_output, Some(24), "{name}");
            assert!(response.num_tokens_input > Some(3), "{name}");
            assert!(
                response.response_text.is_some_and(|text| !text.is_empty()),
                "{name}"
            );
            assert!(response.detail.finish_reason.is_some(), "{name}");
            if name.ends_with("-stream") {
                assert!(response.detail.content_frames > Some(1), "{name}");
                assert!(
                    response.time_to_first_token < response.time_to_last_token,
                    "{name}"
                );
            }
        }
    }
    let tokens = [40, 41, 42, 43, 44];
    let payload = OpenAiCompletions::create_token_payload(&tokens, 8, Payload::new()).unwrap();
    for response in run(&server, "openai-completions-stream", payload) {
        assert_eq!(response.num_tokens_input, Some(5));
        assert_eq!(response.input_prompt, None);
    }
}

#[test]
fn a_real_server_embeds() {
    let Some(python) = python() else { return };
    let server = LlmServer::start_as(&python, "embeds");
    let payload = json!({"input": ["one two", "three"]})
        .as_object()
        .unwrap()
        .clone();
    for response in run(&server, "openai-embeddings", payload) {
        assert_eq!(response.annotations["vectors"], 2);
        assert!(response.annotations["vector_dimensions"].as_u64() > Some(1));
        assert!(response.num_tokens_input > Some(2));
    }
}

#[test]
fn python_runs_responses_again_from_our_configuration() {
    let Some(python) = python() else { return };
    let simulator = Simulator::start(SimConfig {
        ttft: std::time::Duration::from_millis(5),
        itl: std::time::Duration::from_millis(1),
        output_tokens: 6,
        reasoning_tokens: 2,
        ..SimConfig::default()
    })
    .unwrap();
    let output = tempfile::tempdir().unwrap();
    for (name, class) in [
        ("openai-responses", "OpenAIResponseEndpoint"),
        ("openai-responses-stream", "OpenAIResponseStreamEndpoint"),
    ] {
        let api = ApiMode::named(name).unwrap();
        let endpoint = api.endpoint(&EndpointSettings {
            base_url: Some(simulator.base_url().to_string()),
            model: Some("m".to_owned()),
            api_key: Some("unused".into()),
            ..EndpointSettings::default()
        });
        let payload = api.create_payload("one two three", 64).unwrap();
        let mut config = RunConfig::new(endpoint.unwrap(), [payload]).load(Load::Requests(3));
        config.output = Some(output.path().into());
        config.run_name = Some(name.to_owned());
        let result = Runner::new(config).run_blocking().unwrap();
        assert_eq!(result.stats_map()["failed_requests"], 0);
        let folder = output.path().join(name);
        let seen = run_script(&python, "python_loads_our_config.py", [&folder]);
        let seen: Value = serde_json::from_str(&seen).unwrap();
        assert_eq!(seen["endpoint"], class);
        assert_eq!(
            seen["again"],
            json!({"failed_requests": 0, "total_requests": 3})
        );
    }
}

#[test]
fn an_api_without_a_name_is_described() {
    let Some(python) = python() else { return };
    let server = LlmServer::start(&python);
    // llama.cpp's own API, which is none of those that llmeter knows.
    let address = server.base_url.replace("/v1", "/completion");
    for (framing, streaming) in [(Some(Framing::Sse), true), (None, false)] {
        let mut builder = HttpEndpoint::builder(&address)
            .model("tiny")
            .body(
                r#"{"prompt": {{ "Story: " ~ prompt }}, "n_predict": {{ max_tokens }},
                    "ignore_eos": true, "stream": {{ streaming }}}"#,
            )
            .jmespath("text", "content")
            .jmespath("end", "stop && stop_type")
            .jmespath("input-tokens", "tokens_evaluated")
            .jmespath("output-tokens", "tokens_predicted");
        if let Some(framing) = framing {
            builder = builder.framing(framing);
        }
        let extra = json!({"streaming": streaming});
        let extra = extra.as_object().unwrap().clone();
        let payload = HttpEndpoint::create_payload("Once upon a time", 24, extra).unwrap();
        let config = RunConfig::new(Arc::new(builder.build().unwrap()), [payload])
            .clients(2)
            .load(Load::Requests(3));
        let result = Runner::new(config).run_blocking().unwrap();
        assert_eq!(result.responses.len(), 6);
        for response in &result.responses {
            assert_eq!(response.error, None);
            assert_eq!(response.num_tokens_output, Some(24));
            assert!(response.num_tokens_input > Some(3));
            assert_eq!(response.detail.finish_reason.as_deref(), Some("limit"));
            assert!(
                response
                    .response_text
                    .as_ref()
                    .is_some_and(|text| !text.is_empty())
            );
            assert_eq!(response.time_to_first_token.is_some(), streaming);
            if streaming {
                assert!(response.detail.content_frames > Some(1));
            }
        }
    }
}
