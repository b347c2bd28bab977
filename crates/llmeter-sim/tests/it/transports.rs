//! TLS and HTTP/2: the same responses, and the same truth.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Response};
use llmeter::endpoint::{ApiMode, EndpointSettings};
use llmeter::wire::packet::PacketCapture;
use llmeter::{FailureKind, Load, RunConfig, RunResult, Runner, StampSource};
use llmeter_sim::comparison::Comparison;
use llmeter_sim::{Certificate, Outcome, RunningSimulator, SimConfig, SimError, Simulator};
use serde_json::json;
use tokio::net::TcpStream;

use super::server;
use crate::client::{Client, chat, post};

/// Longer than what any machine adds to a time. How exact times are is for the accuracy run to judge.
const LOOSE: f64 = 0.5;

/// With TLS or without, by HTTP/2 or HTTP/1.1.
const TRANSPORTS: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

/// What a run needs to speak to a server, which may have made a certificate.
fn config(simulator: &RunningSimulator, api: ApiMode, is_http2: bool, folder: &Path) -> RunConfig {
    let endpoint = api.endpoint(&EndpointSettings {
        model: Some("some-model".to_owned()),
        ..api.example(&simulator.base_url().replace("/v1", ""))
    });
    let payload = api.create_payload("one two three", 64).unwrap();
    let mut config = RunConfig::new(endpoint.unwrap(), [payload]);
    config.http2 = is_http2;
    config.ca_file = simulator.certificate().map(|certificate| {
        let file = folder.join("simulator.pem");
        std::fs::write(&file, certificate).unwrap();
        file
    });
    config
}

fn run(config: RunConfig) -> RunResult {
    Runner::new(config).run_blocking().unwrap()
}

fn over((tls, _): (bool, bool), change: impl FnOnce(&mut SimConfig)) -> RunningSimulator {
    server(|config| {
        config.tls = tls.then_some(Certificate::Made);
        change(config);
    })
}

#[test]
fn times_are_the_truth_whatever_is_between() {
    for transport in TRANSPORTS {
        let folder = tempfile::tempdir().unwrap();
        let simulator = over(transport, |config| {
            config.ttft = Duration::from_millis(20);
            config.itl = Duration::from_millis(2);
        });
        for (name, stamps) in [
            ("openai-chat-stream", StampSource::Kernel),
            ("openai-chat", StampSource::Kernel),
            ("openai-chat-stream", StampSource::Packet),
        ] {
            let server = simulator
                .base_url()
                .replace("/v1", "")
                .replace("https", "http");
            if stamps == StampSource::Packet && !can_capture(&server) {
                continue;
            }
            let api = ApiMode::named(name).unwrap();
            let mut config = config(&simulator, api, transport.1, folder.path());
            config.stamps = stamps;
            config.clients = 3;
            config.load = Load::Requests(4);
            let result = run(config);
            let known = simulator.truth();
            let comparison = Comparison::new(&result.responses, &known);
            assert_eq!(comparison.unmatched, 0, "{transport:?}");
            assert_eq!(comparison.ttlt.len(), 12, "{transport:?}");
            let streamed = if name.ends_with("stream") { 12 } else { 0 };
            assert_eq!(comparison.ttft.len(), streamed, "{transport:?}");
            for error in comparison.ttft.iter().chain(&comparison.ttlt) {
                assert!(error.abs() < LOOSE, "{transport:?}: {error}");
            }
            if cfg!(target_os = "linux") {
                let quality = result.quality.unwrap();
                assert_eq!(quality.stamps, stamps, "{transport:?}");
                let dropped = (stamps == StampSource::Packet).then_some(0);
                assert_eq!(quality.packets_dropped, dropped);
                assert_eq!(quality.kernel_stamped_rate, 1.0, "{transport:?}");
                assert!(known.iter().all(|record| record.kernel_arrival));
            }
        }
        for truth in simulator.truth() {
            assert_eq!(truth.outcome, Outcome::Ok);
            let is_sealed = truth.handshake_ns != 0;
            assert_eq!(is_sealed, transport.0);
            if is_sealed {
                assert!(truth.accepted_ns < truth.arrival_ns);
                assert!(truth.hello_ns < truth.handshake_ns);
                assert!(truth.handshake_ns <= truth.arrival_ns);
            }
            assert!(truth.arrival_ns <= truth.arrival_last_ns);
            // Nothing is early.
            assert!(
                truth.writes[0] >= truth.arrival_ns + 20_000_000,
                "{truth:?}"
            );
            assert!(truth.writes.is_sorted());
            assert!(truth.done_ns >= truth.writes[truth.writes.len() - 1]);
        }
        simulator.stop().unwrap();
    }
}

/// Whether this process may capture packets.
fn can_capture(server: &str) -> bool {
    let address = server.trim_start_matches("http://").parse();
    PacketCapture::open(&[address.unwrap()], Some(1)).is_ok()
}

/// What a client says of opening a connection is what the server saw.
#[test]
fn opening_a_connection_takes_as_long_as_the_server_says() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = over((true, false), |_| ());
    let api = ApiMode::named("openai-chat-stream").unwrap();
    let result = run(config(&simulator, api, false, folder.path()));
    let truth = simulator.truth().remove(0);
    let detail = &result.responses[0].detail;
    let seen = (truth.handshake_ns - truth.hello_ns) as f64 * 1e-9;
    let said = detail.time_to_tls.unwrap();
    assert!(said > 0.0 && (said - seen).abs() < LOOSE, "{said} {seen}");
    assert!(detail.time_to_connect.unwrap() < LOOSE);
}

#[test]
fn every_api_is_spoken_by_http2() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = over((true, true), |config| config.reasoning_tokens = 2);
    let needs_no_key = |api: &ApiMode| {
        !["bedrock", "sagemaker"]
            .iter()
            .any(|aws| api.name.contains(aws))
    };
    for api in ApiMode::all().filter(needs_no_key) {
        let result = run(config(&simulator, api, true, folder.path()));
        let response = &result.responses[0];
        assert_eq!(response.error, None, "{}", api.name);
        assert_eq!(response.detail.status, Some(200), "{}", api.name);
    }
}

#[test]
fn faults_are_the_streams_and_not_the_connections() {
    let simulator = server(|config| config.cut_rate = 1.0);
    let folder = tempfile::tempdir().unwrap();
    for name in ["openai-chat-stream", "openai-chat"] {
        let api = ApiMode::named(name).unwrap();
        let mut config = config(&simulator, api, true, folder.path());
        config.load = Load::Requests(2);
        let result = run(config);
        for response in &result.responses {
            let failure = response.error.as_ref().unwrap();
            assert_eq!(failure.kind(), FailureKind::Truncated, "{failure}");
            assert!(failure.to_string().contains("reset"), "{failure}");
        }
        assert_eq!(result.quality.unwrap().connections, 2, "{name}");
    }
    let outcomes = simulator.truth().into_iter().map(|record| record.outcome);
    assert!(outcomes.eq([Outcome::Cut; 4]));
}

/// A client of HTTP/2 that a test can hold in its hands.
async fn connect(
    simulator: &RunningSimulator,
) -> (SendRequest<Bytes>, tokio::task::JoinHandle<()>) {
    let tcp = TcpStream::connect(simulator.address()).await.unwrap();
    let (sender, connection) = h2::client::handshake(tcp).await.unwrap();
    let driver = tokio::spawn(async move { drop(connection.await) });
    (sender.ready().await.unwrap(), driver)
}

fn request(method: &str, path: &str) -> Request<()> {
    let builder = Request::builder().method(method);
    let builder = builder.uri(format!("http://x{path}"));
    builder.body(()).unwrap()
}

async fn ask(
    sender: &mut SendRequest<Bytes>,
    request: Request<()>,
    body: String,
) -> (Response<()>, Vec<u8>) {
    let (response, mut stream) = sender.send_request(request, false).unwrap();
    stream.send_data(body.into(), true).unwrap();
    let (head, mut body) = response.await.unwrap().into_parts();
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        bytes.extend_from_slice(&data.unwrap());
    }
    (Response::from_parts(head, ()), bytes)
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let simulator = server(|config| {
        config.ttft = Duration::from_millis(5);
        config.itl = Duration::from_millis(1);
    });
    let (sender, _driver) = connect(&simulator).await;
    let asked = (1..=8).map(|tokens: usize| {
        let mut sender = sender.clone();
        async move {
            let body = chat(json!({"max_tokens": tokens, "stream": tokens.is_multiple_of(2)}));
            let request = request("POST", "/v1/chat/completions");
            let (head, body) = ask(&mut sender, request, body.to_string()).await;
            assert_eq!(head.status(), 200);
            assert_eq!(head.headers()["server"], "llmeter-sim");
            assert!(!head.headers().contains_key("transfer-encoding"));
            String::from_utf8(body).unwrap()
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    asked.for_each(|asked| drop(tasks.spawn(asked)));
    assert_eq!(tasks.join_all().await.len(), 8);
    let truth = simulator.truth();
    let mut tokens: Vec<u64> = truth
        .iter()
        .map(|record| record.completion_tokens)
        .collect();
    tokens.sort_unstable();
    assert_eq!(tokens, [1, 2, 3, 4, 5, 6, 7, 8]);
    for record in &truth {
        assert_eq!(record.accepted_ns, truth[0].accepted_ns);
        assert!(record.writes[0] >= record.arrival_ns + 5_000_000);
    }
}

#[tokio::test]
async fn what_generates_nothing_is_answered_too() {
    let simulator = server(|config| config.api_key = Some("sk-right".to_owned()));
    let (mut sender, _driver) = connect(&simulator).await;
    let mut status = async |request: Request<()>, body: &str| {
        let (head, body) = ask(&mut sender, request, body.to_owned()).await;
        (head.status().as_u16(), body.len())
    };
    assert_eq!(status(request("GET", "/health"), "").await, (200, 15));
    assert_eq!(status(request("HEAD", "/health"), "").await, (200, 0));
    assert_eq!(status(request("GET", "/nowhere"), "").await.0, 404);
    assert_eq!(
        status(request("PUT", "/v1/chat/completions"), "").await.0,
        405
    );
    let completions = || request("POST", "/v1/chat/completions");
    assert_eq!(status(completions(), "{}").await.0, 401);
    let mut with_key = completions();
    with_key
        .headers_mut()
        .insert("authorization", "Bearer sk-right".parse().unwrap());
    assert_eq!(status(with_key.clone(), "{").await.0, 400);
    // More than a window.
    let long = chat(json!({"messages": [{"role": "user", "content": "word ".repeat(2 << 20)}]}));
    assert_eq!(status(with_key, &long.to_string()).await.0, 200);
    assert_eq!(simulator.truth()[0].prompt_tokens, 2 << 20);
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() {
    let simulator = server(|config| config.ttft = Duration::from_secs(3600));
    for reset in [true, false] {
        let (mut sender, driver) = connect(&simulator).await;
        let request = request("POST", "/v1/chat/completions");
        let (response, mut stream) = sender.send_request(request, false).unwrap();
        let body = chat(json!({"stream": true})).to_string();
        stream.send_data(body.into(), true).unwrap();
        // Another request is answered only after that one was taken.
        let health = self::request("GET", "/health");
        assert_eq!(
            ask(&mut sender, health, String::new()).await.0.status(),
            200
        );
        if reset {
            stream.send_reset(h2::Reason::CANCEL);
        } else {
            driver.abort();
        }
        drop(response);
        let expected = if reset { 1 } else { 2 };
        // This thread has the client's side to carry on as well.
        while simulator.truth().len() < expected {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let outcomes = simulator.truth().into_iter().map(|record| record.outcome);
    assert!(outcomes.eq([Outcome::ClientGone; 2]));
}

#[test]
fn a_client_that_only_begins_like_http2_is_told() {
    let simulator = server(|_| ());
    let mut client = Client::connect(&simulator);
    let response = client.ask("PRI * HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert_eq!(response.status, 404);
    let mut client = Client::connect(&simulator);
    client.send("P");
    client.send(&post(&chat(json!({})), "")[1..]);
    assert_eq!(client.receive().status, 200);
}

#[test]
fn a_certificate_may_be_given() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let certificate = file("cert.pem", &made.cert.pem());
    let key = file("key.pem", &made.signing_key.serialize_pem());
    let with = |certificate: &PathBuf, key: &PathBuf| SimConfig {
        tls: Some(Certificate::Files {
            certificate: certificate.clone(),
            key: key.clone(),
        }),
        output_tokens: 2,
        ttft: Duration::ZERO,
        itl: Duration::ZERO,
        ..SimConfig::default()
    };
    let simulator = Simulator::start(with(&certificate, &key)).unwrap();
    assert_eq!(simulator.certificate(), None);
    let api = ApiMode::named("openai-chat-stream").unwrap();
    let mut config = config(&simulator, api, true, folder.path());
    config.ca_file = Some(certificate.clone());
    assert_eq!(run(config).responses[0].error, None);

    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let others = file("other.pem", &other.signing_key.serialize_pem());
    let missing = folder.path().join("missing.pem");
    let error = |certificate, key| Simulator::start(with(certificate, key)).unwrap_err();
    let shown = |error: SimError| error.to_string();
    assert!(shown(error(&missing, &key)).contains("missing.pem: "));
    let no_certificate = "key.pem: there is no certificate (-----BEGIN CERTIFICATE-----) in it";
    assert!(shown(error(&key, &key)).ends_with(no_certificate));
    let no_key = "cert.pem: there is no private key (-----BEGIN PRIVATE KEY-----) in it";
    assert!(shown(error(&certificate, &certificate)).ends_with(no_key));
    let unfit = error(&certificate, &others);
    assert!(matches!(unfit, SimError::Certificate(_)), "{unfit}");
}

/// The two sides need not share a thread, nor wait for each other.
#[test]
fn threads_share_the_connections_of_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Arc::new(over((true, true), |config| config.threads = 2));
    let api = ApiMode::named("openai-chat-stream").unwrap();
    for is_http2 in [true, false] {
        let mut config = config(&simulator, api, is_http2, folder.path());
        config.clients = 4;
        config.load = Load::Requests(3);
        let responses = run(config).responses;
        assert_eq!(responses.len(), 12);
        assert!(responses.iter().all(|response| response.error.is_none()));
    }
}
