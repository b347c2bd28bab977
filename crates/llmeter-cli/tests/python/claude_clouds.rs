//! Claude on other clouds: the official clients find nothing odd about the simulator, and the
//! simulator nothing about our requests.

use std::sync::Arc;
use std::time::Duration;

use llmeter::endpoint::{AnthropicMessages, ApiEndpoint, AwsOptions, EndpointBuilder, from_saved};
use llmeter::payload::Payload;
use llmeter::{Endpoint, InvocationResponse, Load, RunConfig, Runner};
use llmeter_sim::{RunningSimulator, SimConfig, Simulator};

use super::{python, run_script};

const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "made+up/for-this";
const KEY: &str = "a-key-for-tests";
const MODEL: &str = "us.anthropic.claude-x-v1:0";

fn simulator(is_signed: bool) -> RunningSimulator {
    Simulator::start(SimConfig {
        ttft: Duration::from_millis(2),
        itl: Duration::from_millis(1),
        output_tokens: 8,
        reasoning_tokens: 3,
        keep_truth: true,
        verify_sigv4: is_signed.then(|| (ID.into(), SECRET.into())),
        api_key: (!is_signed).then(|| KEY.into()),
        ..SimConfig::default()
    })
    .unwrap()
}

fn address(simulator: &RunningSimulator) -> String {
    simulator.base_url().trim_end_matches("/v1").to_owned()
}

/// An endpoint at each cloud, with these secrets.
fn endpoints(
    signed: &RunningSimulator,
    keyed: &RunningSimulator,
    (secret, key): (&str, &str),
    streaming: bool,
) -> Vec<ApiEndpoint> {
    let cloud = |provider: &str, base_url: String| -> EndpointBuilder {
        let builder = AnthropicMessages::on_cloud(provider, MODEL).unwrap();
        builder.base_url(base_url).streaming(streaming)
    };
    let aws = || {
        AwsOptions::new()
            .region("us-east-1")
            .access_keys(ID, secret, None)
    };
    let (signed, keyed) = (address(signed), address(keyed));
    let vertex = cloud("vertex", format!("{keyed}/v1"));
    let builders = [
        cloud("bedrock", signed.clone()).aws(aws()),
        cloud("bedrock-mantle", format!("{signed}/anthropic")).aws(aws()),
        vertex.region("us-east5").project("p").api_key(key),
        cloud("foundry", format!("{keyed}/anthropic")).api_key(key),
    ];
    builders.map(|builder| builder.build().unwrap()).into()
}

fn run(endpoint: Arc<dyn Endpoint>) -> Vec<InvocationResponse> {
    let payload = AnthropicMessages::create_payload("one two three", 64, Payload::new()).unwrap();
    let mut config = RunConfig::new(endpoint, [payload]);
    config.load = Load::Requests(2);
    Runner::new(config).run_blocking().unwrap().responses
}

#[test]
fn the_anthropic_clients_of_other_clouds_are_content_with_the_simulator() {
    let Some(python) = python() else { return };
    let servers = (simulator(true), simulator(false));
    let (signed, keyed) = (address(&servers.0), address(&servers.1));
    let arguments = [signed.as_str(), ID, SECRET, &keyed, KEY];
    println!(
        "{}",
        run_script(&python, "claude_clouds_client.py", arguments)
    );
}

#[test]
fn claude_answers_on_every_cloud() {
    let (signed, keyed) = (simulator(true), simulator(false));
    for streaming in [true, false] {
        for endpoint in endpoints(&signed, &keyed, (SECRET, KEY), streaming) {
            let provider = endpoint.identity().provider.clone();
            // A file that holds it gives the same endpoint.
            let again = from_saved(&endpoint.saved(), Some("NOT_SET_ANYWHERE")).unwrap();
            assert_eq!(again.saved(), endpoint.saved());
            for response in run(Arc::new(endpoint)) {
                assert_eq!(response.error, None, "{provider}");
                let text = response.response_text.as_deref().unwrap();
                assert_eq!(text.split_whitespace().count(), 8, "{provider}: {text}");
                assert_eq!(response.num_tokens_output, Some(11), "{provider}");
                assert_eq!(response.num_tokens_input, Some(3), "{provider}");
                assert_eq!(
                    response.time_to_first_token.is_some(),
                    streaming,
                    "{provider}"
                );
                let id = response.id.as_deref().unwrap();
                let truth = [signed.truth(), keyed.truth()].concat();
                assert!(
                    truth.iter().any(|record| record.id == id),
                    "{provider}: {id}"
                );
            }
        }
    }
}

#[test]
fn refused_secrets_are_told_with_what_to_do_and_not_repeated() {
    let (signed, keyed) = (simulator(true), simulator(false));
    let secrets = ("hunter22hunter22", "hunter33hunter33");
    let expected = [
        "check AWS_SECRET_ACCESS_KEY",
        "check AWS_SECRET_ACCESS_KEY",
        "HTTP 401",
        "HTTP 401",
    ];
    let endpoints = endpoints(&signed, &keyed, secrets, true);
    for (endpoint, expected) in endpoints.into_iter().zip(expected) {
        for response in run(Arc::new(endpoint)) {
            let error = response.error.unwrap().to_string();
            assert!(
                error.contains(expected) && !error.contains("hunter"),
                "{error}"
            );
        }
    }
}
