//! Responses that succeed and repeat what requests carry: no API brings a secret back.

use llmeter::endpoint::{ApiMode, AwsOptions, EndpointSettings};
use llmeter::{InvocationResponse, Load, RunConfig, Runner};
use llmeter_sim::RunningSimulator;
use serde_json::json;

use super::server;

/// Longest part of a secret that may be left: shorter ones cannot be told from words.
const PART: usize = 6;

fn ask(simulator: &RunningSimulator, api: ApiMode, secrets: [&str; 2]) -> InvocationResponse {
    let [key, header] = secrets;
    let aws = AwsOptions::new()
        .region("us-east-1")
        .access_keys("AKIDEXAMPLE", key, None);
    let endpoint = api.endpoint(&EndpointSettings {
        api_key: (api.api.spec().service.is_none()).then(|| key.into()),
        headers: vec![("X-Team".to_owned(), header.into())],
        aws: Some(aws),
        ..api.example(&simulator.base_url().replace("/v1", ""))
    });
    let payload = api.create_payload("one two three", 64).unwrap();
    let config = RunConfig::new(endpoint.unwrap(), [payload]).load(Load::Requests(1));
    let result = Runner::new(config).run_blocking().unwrap();
    let response = result.responses.into_iter().next().unwrap();
    assert_eq!(response.error, None, "{}", api.name);
    response
}

fn letters(text: &str) -> String {
    text.split_whitespace().collect()
}

/// The simulator says the same words again and again: they become the key and a header's value.
#[test]
fn no_api_brings_a_key_back_in_a_response_that_succeeds() {
    let simulator = || {
        server(|config| {
            config.reasoning_tokens = 8;
            config.output_tokens = 24;
            config.seed = 7;
        })
    };
    for api in ApiMode::all() {
        let name = api.name;
        let said = ask(
            &simulator(),
            api,
            ["sk-something-else", "team-something-else"],
        );
        let Some(text) = said.response_text.filter(|text| !text.trim().is_empty()) else {
            assert!(name.contains("embeddings"), "{name} says something");
            continue;
        };
        let reasoning = said.detail.reasoning_text.unwrap_or_default();
        let key = letters(&text);
        let header = match reasoning.is_empty() {
            true => "team-something-else".to_owned(),
            false => letters(&reasoning),
        };
        let again = ask(&simulator(), api, [&key, &header]);
        let shown = again.response_text.as_deref().unwrap();
        assert!(shown.contains("<redacted>"), "{name}: {shown}");
        let texts = json!([again.response_text, again.detail.reasoning_text]).to_string();
        let left = letters(&texts.replace("<redacted>", "|"));
        for secret in [&key, &header] {
            let mut parts = secret.as_bytes().windows(2 * PART);
            let is_left = |part: &[u8]| left.as_bytes().windows(part.len()).any(|at| at == part);
            assert!(!parts.any(is_left), "{name}: {left}");
        }
        if !reasoning.is_empty() {
            let shown = again.detail.reasoning_text.as_deref().unwrap();
            assert!(shown.contains("<redacted>"), "{name}: {shown}");
        }
    }
}
