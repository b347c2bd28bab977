//! boto3 finds nothing odd about the simulator, the simulator nothing about our signatures, and
//! moto answers our requests.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use llmeter::endpoint::{AwsOptions, BedrockConverse, BedrockInvoke, SageMaker};
use llmeter::payload::Payload;
use llmeter::{Endpoint, InvocationResponse, Load, RunConfig, Runner};
use llmeter_sim::{RunningSimulator, SimConfig, Simulator};

use super::{python, run_script, script};

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "made+up/for-this";

fn simulator(change: impl FnOnce(&mut SimConfig)) -> RunningSimulator {
    let mut config = SimConfig {
        ttft: Duration::from_millis(2),
        itl: Duration::from_millis(1),
        output_tokens: 8,
        reasoning_tokens: 3,
        keep_truth: true,
        verify_sigv4: Some((KEY.into(), SECRET.into())),
        ..SimConfig::default()
    };
    change(&mut config);
    Simulator::start(config).unwrap()
}

fn address(simulator: &RunningSimulator) -> String {
    simulator.base_url().trim_end_matches("/v1").to_owned()
}

fn keyed(url: &str) -> AwsOptions {
    let options = AwsOptions::new().base_url(url).region("us-east-1");
    options.access_keys(KEY, SECRET, None)
}

/// Every API at this address, each with a payload.
fn endpoints(options: &AwsOptions, streaming: bool) -> Vec<(Arc<dyn Endpoint>, Payload)> {
    let text = "one two three";
    let converse = BedrockConverse::builder("us.mock/model-v1:0").streaming(streaming);
    let invoke = BedrockInvoke::builder("us.mock/model-v1:0").streaming(streaming);
    let sagemaker = SageMaker::builder("an-endpoint", "m").streaming(streaming);
    vec![
        (
            Arc::new(converse.aws(options.clone()).build().unwrap()),
            BedrockConverse::create_payload(text, 64, Payload::new()).unwrap(),
        ),
        (
            Arc::new(invoke.aws(options.clone()).build().unwrap()),
            BedrockInvoke::create_payload(text, 64, Payload::new()).unwrap(),
        ),
        (
            Arc::new(sagemaker.aws(options.clone()).build().unwrap()),
            SageMaker::create_payload(text, 64, streaming, Payload::new()).unwrap(),
        ),
    ]
}

fn run(endpoint: Arc<dyn Endpoint>, payload: Payload) -> Vec<InvocationResponse> {
    let mut config = RunConfig::new(endpoint, vec![payload]);
    config.load = Load::Requests(2);
    Runner::new(config).run_blocking().unwrap().responses
}

#[test]
fn boto3_is_content_with_the_simulator() {
    let Some(python) = python() else { return };
    let simulator = simulator(|config| config.reasoning_tokens = 0);
    let url = address(&simulator);
    let said = run_script(&python, "aws_clients.py", [url.as_str(), KEY, SECRET]);
    println!("{said}");
}

#[test]
fn signed_requests_are_answered_by_every_api() {
    for streaming in [true, false] {
        let simulator = simulator(|_| {});
        for (endpoint, payload) in endpoints(&keyed(&address(&simulator)), streaming) {
            let name = endpoint.saved().class;
            for response in run(endpoint, payload) {
                assert_eq!(response.error, None, "{name}");
                let text = response.response_text.as_deref().unwrap();
                // A container of SageMaker does not tell reasoning from text in its stream.
                let reasons = streaming && name.contains("SageMaker");
                let words = text.split_whitespace().count();
                assert!(words == 8 || (reasons && words >= 10), "{name}: {text}");
                assert_eq!(response.num_tokens_output, Some(11), "{name}");
                assert_eq!(response.num_tokens_input, Some(3), "{name}");
                assert_eq!(response.time_to_first_token.is_some(), streaming, "{name}");
                let truth = simulator.truth();
                let id = response.id.as_deref().unwrap();
                assert!(truth.iter().any(|record| record.id == id), "{name}: {id}");
            }
        }
    }
}

#[test]
fn another_secret_is_refused_with_advice_and_without_the_secret() {
    let simulator = simulator(|_| {});
    let options = AwsOptions::new()
        .base_url(address(&simulator))
        .region("us-east-1")
        .access_keys(KEY, "hunter22hunter22", None);
    for (endpoint, payload) in endpoints(&options, true) {
        for response in run(endpoint, payload) {
            let error = response.error.unwrap().to_string();
            assert!(
                error.starts_with("HTTP 403 Forbidden: InvalidSignatureException: ")
                    && error.contains("check AWS_SECRET_ACCESS_KEY")
                    && !error.contains("hunter22"),
                "{error}"
            );
        }
    }
}

#[test]
fn an_api_key_is_a_bearer_token() {
    let simulator = simulator(|config| {
        config.verify_sigv4 = None;
        config.api_key = Some("bedrock-key".into());
    });
    let options = AwsOptions::new().base_url(address(&simulator));
    for (key, succeeds) in [("bedrock-key", true), ("another-key", false)] {
        let endpoint = BedrockConverse::builder("m")
            .aws(options.clone().bearer_token(key))
            .build()
            .unwrap();
        let payload = BedrockConverse::create_payload("a", 4, Payload::new()).unwrap();
        for response in run(Arc::new(endpoint), payload) {
            assert_eq!(response.error.is_none(), succeeds, "{:?}", response.error);
        }
    }
}

#[test]
fn faults_are_errors_that_keep_what_came() {
    for (fault, expected) in [("cut", "closed"), ("error", "InternalServerException")] {
        let simulator = simulator(|_| {});
        let options = keyed(&address(&simulator)).header("x-sim-fault", fault);
        for (endpoint, payload) in endpoints(&options, true) {
            for response in run(endpoint, payload) {
                let error = response.error_text().unwrap();
                assert!(error.contains(expected), "{fault}: {error}");
                assert_eq!(response.time_to_first_token.is_some(), fault == "cut");
            }
        }
    }
}

/// Starts moto, and tells its address.
fn moto(python: &OsStr) -> (Child, String) {
    let mut server = Command::new(python)
        .arg(script("aws_server.py"))
        .env("NO_PROXY", "*")
        // It ends when this pipe does, even if this test is killed.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut out = BufReader::new(server.stdout.take().unwrap());
    out.read_line(&mut said).unwrap();
    let url = said.trim_end().strip_prefix("serving ").unwrap().to_owned();
    (server, url)
}

fn end(server: &mut Child) {
    drop(server.stdin.take());
    server.wait().unwrap();
}

#[test]
fn moto_answers_our_requests() {
    let Some(python) = python() else { return };
    let (mut server, url) = moto(&python);

    let texts: Vec<_> = endpoints(&keyed(&url), false)
        .into_iter()
        .skip(1)
        .flat_map(|(endpoint, payload)| run(endpoint, payload))
        .map(|response| {
            assert_eq!(response.error, None);
            (response.response_text.unwrap(), response.num_tokens_output)
        })
        .collect();
    end(&mut server);
    let chat = ("five words from the model".to_owned(), Some(5));
    let text = ("three more words".to_owned(), Some(3));
    assert_eq!(texts, [chat.clone(), chat, text.clone(), text]);
}

/// The binary, which knows of AWS only what a role's profile and moto's address say.
fn with_role(home: &Path, url: &str, arguments: &[&str]) -> Output {
    let config = "[default]\nregion = us-east-1\nsource_profile = base\n\
        role_arn = arn:aws:iam::123456789012:role/reader\n\
        [profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = hunter22\n";
    std::fs::create_dir_all(home.join(".aws")).unwrap();
    std::fs::write(home.join(".aws/config"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_llmeter"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .current_dir(home)
        .env("HOME", home)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL", url)
        .output()
        .unwrap()
}

#[test]
fn moto_lets_us_assume_a_role() {
    let Some(python) = python() else { return };
    let (mut server, url) = moto(&python);
    let home = tempfile::tempdir().unwrap();
    let arguments = [
        "run",
        "--endpoint",
        "sagemaker",
        "--model",
        "an-endpoint",
        "--prompt",
        "a",
        "--requests",
        "1",
    ];
    let output = with_role(home.path(), &url, &arguments);
    end(&mut server);
    assert!(output.status.success(), "{output:?}");
}

/// Moto has no price list, so that the prices cannot be had; but it tells of the endpoint.
#[test]
fn moto_describes_an_endpoint() {
    let Some(python) = python() else { return };
    let (mut server, url) = moto(&python);
    let home = tempfile::tempdir().unwrap();
    let of = |name: &str| {
        let arguments = [
            "callbacks",
            "new",
            "CostModel",
            "--sagemaker-endpoint",
            name,
        ];
        let output = with_role(home.path(), &url, &arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let (known, unknown) = (of("priced"), of("unknown"));
    end(&mut server);
    assert!(
        known.contains("asking the AWS Price List API (GetProducts)"),
        "{known}"
    );
    assert!(
        unknown.contains("asking SageMaker (DescribeEndpoint)"),
        "{unknown}"
    );
}
