//! Every API that llmeter has and the simulator speaks: what the meter saw is what was sent.

use std::time::Duration;

use llmeter::endpoint::{ApiMode, EndpointSettings};
use llmeter::{InvocationResponse, Load, RunConfig, Runner};
use llmeter_sim::{Outcome, RunningSimulator};
use serde_json::json;

use crate::{
    client::{Client, post_to},
    server,
};

const NAMES: [&str; 5] = [
    "openai-chat",
    "anthropic-messages",
    "gemini",
    "ollama",
    "tgi",
];

/// What the simulator is asked for by headers of one request.
fn ask(
    server: &RunningSimulator,
    name: &str,
    headers: &[(&str, &str)],
    max_tokens: u64,
) -> InvocationResponse {
    let api = ApiMode::all().find(|api| api.name == name).unwrap();
    let base_url = server.base_url();
    let bare = base_url.strip_suffix("/v1").unwrap();
    let headers = headers.iter();
    let endpoint = api
        .endpoint(&EndpointSettings {
            base_url: Some(match name.split('-').next() {
                Some("openai") => base_url.clone(),
                Some("gemini") => format!("{bare}/v1beta"),
                _ => bare.to_owned(),
            }),
            model: Some("m".into()),
            api_key: Some("sk-test".into()),
            headers: headers
                .map(|(name, value)| ((*name).to_owned(), (*value).into()))
                .collect(),
            ..EndpointSettings::default()
        })
        .unwrap();
    let payload = api.create_payload("one two three", max_tokens).unwrap();
    let mut config = RunConfig::new(endpoint, [payload]).load(Load::Requests(1));
    config.timeout = Duration::from_secs(20);
    let mut result = Runner::new(config).run_blocking().unwrap();
    result.responses.remove(0)
}

#[test]
fn what_is_measured_is_what_was_sent() {
    for name in NAMES {
        let server = server(|config| {
            config.reasoning_tokens = 3;
            (config.prefix_cache, config.cache_block) = (Some(100), 1);
            config.api_key = Some("sk-test".into());
        });
        let knows_reasoning = name != "tgi";
        for streaming in [true, false] {
            let name = if streaming {
                format!("{name}-stream")
            } else {
                name.to_owned()
            };
            let response = ask(&server, &name, &[], 99);
            let truth = server.truth().pop().unwrap();
            assert_eq!(response.error, None, "{name}");
            assert_eq!(truth.outcome, Outcome::Ok);
            assert_eq!(response.num_tokens_input, Some(truth.prompt_tokens));
            assert_eq!(response.num_tokens_output, Some(truth.completion_tokens));
            assert_eq!(truth.completion_tokens, 11);
            // The second request has the same prompt, of which all but the last token is kept.
            assert_eq!(truth.cached_tokens, if streaming { 0 } else { 2 });
            if !name.starts_with("tgi") && !name.starts_with("ollama") {
                let cached = response.num_tokens_input_cached.unwrap_or(0);
                assert_eq!(cached, truth.cached_tokens, "{name}");
            }
            let words =
                |text: &Option<String>| text.as_deref().map(|text| text.split_whitespace().count());
            if knows_reasoning {
                assert_eq!(words(&response.response_text), Some(8), "{name}");
                assert_eq!(words(&response.detail.reasoning_text), Some(3), "{name}");
            }
            if name.starts_with("anth") || name.starts_with("gemini") {
                assert_eq!(response.id.as_deref(), Some(truth.id.as_str()));
            }
            if streaming {
                let frames = response.detail.content_frames.unwrap();
                assert_eq!(frames, truth.writes.len() as u32, "{name}");
            }
            assert!(response.detail.finish_reason.is_some());
        }
    }
}

#[test]
fn limits_and_faults_are_the_same_in_all() {
    for name in NAMES {
        let server = server(|_| ());
        for streaming in ["-stream", ""] {
            let name = format!("{name}{streaming}");
            let fault = |fault| ask(&server, &name, &[("x-sim-fault", fault)], 99);
            let response = ask(&server, &name, &[], 3);
            assert_eq!(response.num_tokens_output, Some(3), "{name}");
            let reason = response.detail.finish_reason.unwrap().to_lowercase();
            assert!(
                ["length", "max_tokens"].contains(&reason.as_str()),
                "{reason}"
            );

            let error = fault("error").error.unwrap().to_string();
            assert!(error.starts_with("HTTP 500"), "{error}");
            assert!(!error.contains('{'), "the API's own words: {error}");
            let response = fault("cut");
            assert!(response.error.is_some(), "{name}");
            if !streaming.is_empty() {
                let text = response.response_text.unwrap();
                assert_eq!(text.split_whitespace().count(), 4, "{name}");
                assert!(response.time_to_first_token.is_some());
            }
        }
    }
}

#[test]
fn refusals_have_the_shape_of_the_api() {
    let server = server(|config| config.api_key = Some("sk-test".into()));
    let mut client = Client::connect(&server);
    for (path, key, expected) in [
        (
            "/v1/messages",
            "x-api-key: sk-test\r\n",
            json!({"type": "error", "error": {
                "type": "invalid_request_error",
                "message": "Missing required parameter: 'model'.",
            }}),
        ),
        (
            "/v1/messages",
            "",
            json!({"type": "error", "error": {
                "type": "authentication_error", "message": "invalid x-api-key",
            }}),
        ),
        (
            "/v1beta/models/m:generateContent",
            "x-goog-api-key: sk-test\r\n",
            json!({"error": {
                "code": 400, "message": "Missing required parameter: 'contents'.",
                "status": "INVALID_ARGUMENT",
            }}),
        ),
        (
            "/api/chat",
            "authorization: Bearer sk-test\r\n",
            json!({"error": "Missing required parameter: 'messages'."}),
        ),
        (
            "/generate_stream",
            "authorization: Bearer sk-test\r\n",
            json!({
                "error": "Missing required parameter: 'inputs'.", "error_type": "validation",
            }),
        ),
    ] {
        let response = client.ask(post_to(path, "{}", key));
        assert_eq!(response.json(), expected, "{path}");
    }
}
