//! Servers that send without end: memory stays within bounds, and requests end when their time is up.

use std::time::Duration;

use llmeter::wire::clock;
use llmeter::{FailureKind, RunResult};

use crate::scripted::answers::{sized, text, whole_stream};
use crate::scripted::{Scripted, Step, one_with, run, write};

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const TIMEOUT: Duration = Duration::from_secs(1);
/// Megabytes that a run may take, with the server in the same process.
const MEMORY: u64 = 300;

/// The most memory that this process had, in megabytes. Each test has a process of its own.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() / 1024
}

/// A run of 32 clients against a server that begins so, and then sends that without end.
fn flood(head: &str, bytes: impl Into<Vec<u8>>) -> RunResult {
    let script = vec![write(head), Step::Flood(bytes.into())];
    let server = Scripted::start(vec![script]);
    let mut config = server.config();
    config.clients = 32;
    config.timeout = TIMEOUT;
    let begin = clock::now();
    let result = run(config);
    // On a machine that does other things as well.
    let elapsed = clock::now().seconds_since(begin);
    assert!(elapsed < 10.0 * TIMEOUT.as_secs_f64(), "{elapsed} s");
    eprintln!("{elapsed} s, {} MB", peak_memory());
    assert!(peak_memory() < MEMORY, "{} MB", peak_memory());
    assert_eq!(result.responses.len(), 32);
    result
}

/// Whichever limit comes first: it depends on the machine.
#[track_caller]
fn assert_ended(result: &RunResult) {
    for response in &result.responses {
        let kind = response.error.as_ref().map(llmeter::Failure::kind);
        let is_limit = matches!(kind, Some(FailureKind::TooLarge | FailureKind::Timeout));
        assert!(is_limit, "{kind:?}");
    }
}

#[track_caller]
fn assert_all(result: &RunResult, kind: FailureKind) {
    for response in &result.responses {
        let error = response.error.as_ref().expect("a failure");
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[test]
fn comments() {
    assert_all(&flood(STREAM, ": ping\n\n"), FailureKind::Timeout);
}

#[test]
fn blank_lines() {
    assert_all(&flood(STREAM, "\n"), FailureKind::Timeout);
}

#[test]
fn tiny_frames() {
    let result = flood(STREAM, text("x"));
    assert_all(&result, FailureKind::Timeout);
    let response = &result.responses[0];
    assert!(response.time_to_first_token.is_some());
    assert!(response.detail.content_frames.unwrap() > 1000);
}

#[test]
fn large_frames() {
    let result = flood(STREAM, text(&"x".repeat(1 << 20)));
    assert_all(&result, FailureKind::Timeout);
    for response in &result.responses {
        let kept = response.response_text.as_ref().map_or(0, String::len);
        assert!(kept <= 2 << 20, "{kept}");
    }
}

#[test]
fn one_line() {
    assert_ended(&flood(STREAM, "data: x"));
}

#[test]
fn one_document() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[";
    assert_ended(&flood(head, " 1,"));
}

#[test]
fn an_error_page() {
    let head = "HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\n\r\n<html>no capacity left";
    let result = flood(head, "x");
    assert_all(&result, FailureKind::HttpStatus);
    let error = result.responses[0].error_text().unwrap();
    assert!(error.contains("no capacity left"), "{error}");
}

#[test]
fn interim_responses() {
    let result = flood("", "HTTP/1.1 102 Processing\r\n\r\n");
    assert_all(&result, FailureKind::Malformed);
}

#[test]
fn chunk_extensions() {
    assert_all(&flood(&format!("{CHUNKED}1;"), "x"), FailureKind::Malformed);
}

#[test]
fn trailers() {
    assert_all(
        &flood(&format!("{CHUNKED}0\r\n"), "a: b\r\n"),
        FailureKind::Malformed,
    );
}

#[test]
fn tiny_chunks() {
    assert_ended(&flood(CHUNKED, "1\r\n:\r\n"));
}

#[test]
fn a_response_may_be_as_large_as_the_user_says() {
    let ask = |max_response_size| {
        let long = whole_stream(&["x".repeat(3 << 20).as_str()]);
        let answer = write(sized("200 OK", "text/event-stream", &long));
        one_with(vec![answer], |config| {
            config.max_response_size = max_response_size
        })
    };
    let refused = ask(2).error.expect("a failure");
    assert_eq!(refused.kind(), FailureKind::TooLarge);
    assert!(refused.message().contains("more than 2 MiB"), "{refused}");
    let response = ask(4);
    assert_eq!(response.error, None);
    assert_eq!(response.response_text.unwrap().len(), 2 << 20);
    assert_eq!(response.detail.text_dropped, 1 << 20);
}
