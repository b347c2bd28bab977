//! The payloads of the Python system's runs are sent again as it sent them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use llmeter_sim::RunningSimulator;
use serde_json::{Value, json};

use crate::support::{Place, quick, said, start};

/// What came over one connection.
type Kept = Arc<Mutex<Vec<u8>>>;

/// Stands before a simulator and keeps what is sent to it, one connection after the other.
struct Recorder {
    /// Without path.
    address: String,
    sent: Arc<Mutex<Vec<Kept>>>,
}

impl Recorder {
    fn before(simulator: &RunningSimulator) -> Self {
        let url = simulator.base_url();
        let upstream = url.trim_start_matches("http://").trim_end_matches("/v1");
        let upstream = upstream.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let sent: Arc<Mutex<Vec<Kept>>> = Arc::default();
        let connections = Arc::clone(&sent);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let kept = Kept::default();
                connections.lock().unwrap().push(Arc::clone(&kept));
                let server = TcpStream::connect(&upstream).unwrap();
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || {
                    pass(client, server, |bytes| kept.lock().unwrap().extend(bytes))
                });
                thread::spawn(move || pass(back.0, back.1, |_| ()));
            }
        });
        Self { address, sent }
    }

    /// The JSON bodies of the requests, of which each came on a connection of its own.
    fn bodies(&self) -> Vec<Value> {
        let sent = self.sent.lock().unwrap();
        let requests = sent.iter().map(|kept| kept.lock().unwrap().clone());
        requests
            .filter(|request| !request.is_empty())
            .map(|request| {
                let end = request
                    .windows(4)
                    .position(|four| four == b"\r\n\r\n")
                    .unwrap();
                serde_json::from_slice(&request[end + 4..]).unwrap()
            })
            .collect()
    }
}

/// Passes bytes on until there are no more.
fn pass(mut from: TcpStream, mut to: TcpStream, keep: impl Fn(&[u8])) {
    let mut buffer = vec![0; 65536];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        keep(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Bytes as AWS wants them in JSON: the base64 text without its marker.
fn unmarked(value: &Value) -> Value {
    match value {
        Value::Object(fields) if fields.contains_key("__llmeter_bytes__") => {
            fields["__llmeter_bytes__"].clone()
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), unmarked(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(unmarked).collect(),
        other => other.clone(),
    }
}

#[test]
fn saved_payloads_are_sent_again_as_the_python_system_sent_them() {
    let outputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../llmeter/tests/golden/outputs");
    for (folder, path, words) in [
        ("h_image_bedrock/run", "", 6),
        ("h2_image_openai/run", "/v1", 6),
        ("j_other_endpoints/openai_response", "/v1", 5),
        ("j_other_endpoints/openai_response_stream", "/v1", 5),
        ("j_other_endpoints/anthropic", "", 3),
        ("j_other_endpoints/anthropic_stream", "", 3),
        ("j_other_endpoints/bedrock_converse", "", 3),
        ("j_other_endpoints/bedrock_converse_stream", "", 3),
    ] {
        let (place, simulator) = (Place::new(), start(quick()));
        let recorder = Recorder::before(&simulator);
        let url = format!("{}{path}", recorder.address);
        let from = outputs.join(folder);
        let mut command = place.command([
            "run",
            "--from",
            from.to_str().unwrap(),
            "--base-url",
            &url,
            "--connections",
            "new",
            "--run-name",
            "it",
            "--output",
            "runs",
        ]);
        command.env("AWS_BEARER_TOKEN_BEDROCK", "a-key-for-tests");
        said(command).exits(0);

        let line = std::fs::read_to_string(from.join("responses.jsonl")).unwrap();
        let line: Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
        let mut expected = unmarked(&line["input_payload"]);
        let fields = expected.as_object_mut().unwrap();
        // It is part of the address.
        fields.remove("modelId");
        if folder.ends_with("openai_response_stream") {
            // D20: a field of another API.
            assert!(fields.remove("stream_options").is_some());
        }
        assert_eq!(recorder.bodies(), [expected.clone(), expected], "{folder}");
        for answer in place.responses() {
            assert_eq!(answer["error"], Value::Null, "{folder}");
            assert_eq!(answer["num_tokens_input"], json!(words), "{folder}");
            assert_eq!(answer["input_prompt"], line["input_prompt"], "{folder}");
        }
    }
}
