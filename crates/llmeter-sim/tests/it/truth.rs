//! The truth log says what happened.

use std::{io::ErrorKind, net::TcpListener, time::Duration};

use llmeter::wire::clock;
use llmeter_sim::{Outcome, SimConfig, SimError, Simulator, read_truth};
use serde_json::json;

use crate::{
    client::{Client, chat, post},
    server,
};

#[test]
fn times_follow_one_another_and_nothing_is_early() {
    let (ttft, itl) = (20_000_000, 2_000_000);
    let server = server(|config| {
        config.ttft = Duration::from_nanos(ttft);
        config.itl = Duration::from_nanos(itl);
    });
    let mut client = Client::connect(&server);
    for _ in 0..3 {
        let before = clock::now();
        let response = client.ask(post(&chat(json!({"stream": true})), ""));
        let after = clock::now();
        let truth = server.truth().pop().unwrap();
        assert_eq!(truth.id, response.frames()[0]["id"]);
        assert_eq!(truth.outcome, Outcome::Ok);
        assert_eq!(truth.writes.len(), 8);
        assert_eq!((truth.prompt_tokens, truth.completion_tokens), (3, 8));
        assert!(truth.arrival_ns <= truth.arrival_last_ns);
        for (index, write) in truth.writes.iter().enumerate() {
            let due = truth.arrival_ns + (ttft + itl * index as u64) as i64;
            assert!(*write >= due, "frame {index} is early");
        }
        assert!(truth.writes.is_sorted());
        assert!(truth.done_ns >= truth.writes[7] && truth.done_ns <= after.0);
        // The two clocks' translation may be off by little.
        assert!(truth.arrival_ns >= before.0 - 1_000_000);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_request_in_pieces_has_two_arrivals_stamped_by_the_kernel() {
    let server = server(|_| ());
    let mut client = Client::connect(&server);
    let request = post(&chat(json!({})), "Expect: 100-continue\r\n");
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    client.send(format!("{head}\r\n\r\n"));
    client.take_through(b"\r\n\r\n").unwrap();
    let between = clock::now();
    client.ask(body);
    let truth = server.truth().pop().unwrap();
    assert!(truth.kernel_arrival);
    assert!(truth.arrival_ns < between.0);
    assert!(truth.arrival_last_ns > between.0 - 1_000_000);
    assert!(truth.arrival_last_ns > truth.arrival_ns);
}

#[test]
fn the_file_holds_what_memory_holds_and_what_was_broken_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.jsonl");
    let server = server(|config| config.truth = Some(path.clone()));
    let mut client = Client::connect(&server);
    for _ in 0..5 {
        client.ask(post(&chat(json!({"stream": true})), ""));
    }
    client.send(post(&chat(json!({})), "x-sim-ttft-ms: 3600000\r\n"));
    Client::connect(&server).ask("GET /health HTTP/1.1\r\n\r\n");
    let kept = server.truth();
    server.stop().unwrap();
    let mut read = read_truth(&path).unwrap();
    assert_eq!(read.pop().unwrap().outcome, Outcome::Stopped);
    assert_eq!(read, kept);
}

#[test]
fn dropping_the_server_completes_the_file_and_frees_the_port() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.jsonl");
    let server = server(|config| config.truth = Some(path.clone()));
    let address = server.address();
    Client::connect(&server).ask(post(&chat(json!({})), "Connection: close\r\n"));
    drop(server);
    assert_eq!(read_truth(&path).unwrap().len(), 1);
    let refused = std::net::TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_stopper_ends_the_wait() {
    let server = server(|_| ());
    let stopper = server.stopper();
    let waiting = std::thread::spawn(move || server.wait());
    stopper.stop();
    waiting.join().unwrap().unwrap();
}

#[test]
fn a_taken_port_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let started = Simulator::start(SimConfig {
        port: taken.local_addr().unwrap().port(),
        ..SimConfig::default()
    });
    assert!(matches!(started, Err(SimError::Bind { .. })));
}

#[test]
fn longer_prompts_take_longer() {
    let server = server(|config| config.prefill_rate = Some(1_000.0));
    let mut client = Client::connect(&server);
    let prompt = "word ".repeat(50);
    let body = chat(json!({"messages": [{"role": "user", "content": prompt}]}));
    client.ask(post(&body, ""));
    let truth = server.truth().pop().unwrap();
    assert!(truth.writes[0] - truth.arrival_last_ns >= 50_000_000);
}
