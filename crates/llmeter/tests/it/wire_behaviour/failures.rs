//! Streams that stall, break or make no sense.

use std::time::Duration;

use llmeter::{FailureKind as Kind, Phase};
use serde_json::json;

use super::{assert_cut, assert_failed, assert_streamed};
use crate::scripted::answers::*;
use crate::scripted::{Scripted, Step, one, one_with, several, write};

const EARLY: &str = "the stream ended before it was finished";

#[test]
fn a_stream_ends_early() {
    let response = one(vec![write(chunked(
        &(role() + &text("half a") + &text(" th")),
    ))]);
    assert_cut(&response, "half a th", EARLY);
    assert_eq!(response.detail.content_frames, Some(2));
    assert_eq!(response.detail.finish_reason, None);
    let response = one(vec![write(chunked(&role()))]);
    assert_failed(&response, EARLY);
    let response = one(vec![write(chunked(""))]);
    assert_failed(&response, "");
}

#[test]
fn a_stream_stalls_past_the_timeout() {
    // The client, not the server, ends this: were the timeout not enforced, the test would hang.
    let steps = vec![write(unfinished(&(role() + &text("half")))), Step::Hold];
    let response = one_with(steps, |config| config.timeout = Duration::from_millis(300));
    assert_cut(&response, "half", "timed out after 0.3 s");
    assert!(response.time_to_first_token.unwrap() < 0.3);
    assert_eq!(response.detail.status, Some(200));
}

#[test]
fn a_server_never_answers() {
    let response = one_with(vec![Step::Hold], |config| {
        config.timeout = Duration::from_millis(200);
    });
    assert_failed(&response, "timed out after 0.2 s");
    assert_eq!(response.detail.status, None);
}

#[test]
fn drops_of_a_stream_do_not_put_off_the_timeout() {
    let mut steps = vec![write(STREAM_HEAD)];
    for _ in 0..2_000 {
        steps.push(write(chunk(&text("x"))));
        steps.push(Step::Pause(Duration::from_millis(10)));
    }
    let response = one_with(steps, |config| config.timeout = Duration::from_millis(300));
    assert!(response.error_text().unwrap().contains("timed out"));
    assert!(response.response_text.unwrap().len() < 1_000);
}

#[test]
fn headers_that_never_end_meet_the_timeout() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX: ";
    let mut steps: Vec<Step> = Vec::new();
    for byte in head.bytes().chain([b'y'; 2_000]) {
        steps.extend([write([byte]), Step::Pause(Duration::from_millis(5))]);
    }
    let response = one_with(steps, |config| config.timeout = Duration::from_millis(500));
    assert_failed(&response, "timed out after 0.5 s");
    assert_eq!(response.detail.status, None);
    assert_eq!(response.detail.time_to_headers, None);
    assert!(response.detail.time_to_connect.is_some());
}

#[test]
fn a_request_after_a_timeout_uses_a_new_connection() {
    let server = Scripted::start(vec![
        vec![write(unfinished(&text("half"))), Step::Hold],
        vec![write(chunked(&whole_stream(&["all"])))],
    ]);
    let mut config = server.config().load(llmeter::Load::Requests(2));
    config.timeout = Duration::from_millis(500);
    let responses = crate::scripted::run(config).responses;
    assert_cut(&responses[0], "half", "timed out");
    assert_streamed(&responses[1], &["all"]);
    assert_eq!(responses[1].retries, None);
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_stream_breaks_in_the_middle() {
    let half = || write(unfinished(&(role() + &text("half"))));
    let response = one(vec![half(), Step::Close]);
    assert_cut(
        &response,
        "half",
        "closed the connection in the middle of the response",
    );
    let response = one(vec![half(), Step::Reset]);
    assert_cut(
        &response,
        "half",
        "the connection broke in the middle of the response",
    );
    let response = one(vec![
        write("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"),
        write(text("half")),
        Step::Close,
    ]);
    assert_cut(
        &response,
        "half",
        "closed the connection in the middle of the response",
    );
    // A reset is no proper end of a body that ends with the connection.
    let response = one(vec![
        write("HTTP/1.1 200 OK\r\n\r\n"),
        write(text("half")),
        Step::Reset,
    ]);
    assert_cut(
        &response,
        "half",
        "the connection broke in the middle of the response",
    );
}

#[test]
fn an_event_is_cut_in_the_middle() {
    let body = text("half") + r#"data: {"choices": [{"delta": {"con"#;
    let response = one(vec![write(unfinished(&body)), Step::Close]);
    assert_cut(
        &response,
        "half",
        "closed the connection in the middle of the response",
    );
    let response = one(vec![write(chunked(&body))]);
    assert_cut(&response, "half", "the stream ended within its last event");
}

#[test]
fn the_server_reports_an_error_in_the_stream() {
    let error = json!({"error": {"message": "out of memory", "type": "server_error"}});
    for event in [
        event(&error),
        format!("event: error\n{}", event(&error)),
        format!("event: error\n{}", event(&error["error"])),
    ] {
        let response = one(vec![write(chunked(&(text("half") + &event)))]);
        assert_cut(&response, "half", "out of memory");
        // What the wire sees afterwards is less telling.
        let response = one(vec![
            write(unfinished(&(text("half") + &event))),
            Step::Close,
        ]);
        assert_cut(&response, "half", "out of memory");
    }
}

#[test]
fn a_frame_is_not_json() {
    let body = text("half") + "data: {oops\n\n" + &text(" more") + &stop() + DONE;
    let response = one(vec![write(chunked(&body))]);
    assert_cut(&response, "half more", "frame 2 is not valid JSON");
    assert!(response.error.unwrap().to_string().contains("{oops"));
}

#[test]
fn invalid_utf8_is_replaced() {
    let body = (text("a?b") + &stop() + &usage(7, 1) + DONE).into_bytes();
    let body: Vec<u8> = body
        .into_iter()
        .map(|byte| if byte == b'?' { 0xff } else { byte })
        .collect();
    let mut answer = STREAM_HEAD.as_bytes().to_vec();
    answer.extend(chunk_of(&body));
    answer.extend(LAST_CHUNK.as_bytes());
    assert_streamed(&one(vec![write(answer.clone())]), &["a\u{fffd}b"]);
    assert_streamed(&one(vec![Step::Trickle(answer)]), &["a\u{fffd}b"]);
}

#[test]
fn the_chunked_encoding_is_broken() {
    let mut answer = unfinished(&text("half"));
    answer.extend_from_slice(b"zz\r\n");
    let response = one(vec![write(answer), Step::Hold]);
    assert_cut(&response, "half", "chunked encoding is broken");
}

#[test]
fn an_answer_is_no_http() {
    for (bytes, words) in [
        ("SSH-2.0-OpenSSH_9.6\r\n", "it begins with \"SSH-2.0"),
        ("HTTP/2 200 OK\r\n\r\n", "it begins with \"HTTP/2"),
        ("\0\u{1}\u{2}", "not HTTP/1.1"),
        ("HTTP/1.1 abc\r\n\r\n", "not HTTP/1.1"),
        ("HTTP/1.1 200 OK\r\nbad header line\r\n\r\n", "not HTTP/1.1"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
            "length is ambiguous",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "length is ambiguous",
        ),
    ] {
        // Told at once: the server does not close, and the timeout is far off.
        let response = one(vec![write(bytes), Step::Hold]);
        assert_failed(&response, words);
        assert_eq!(response.detail.status, None, "{bytes:?}");
    }
}

#[test]
fn headers_are_too_long() {
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(70_000));
    assert_failed(
        &one(vec![write(endless), Step::Hold]),
        "headers are longer than",
    );
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(200));
    assert_failed(&one(vec![write(many), Step::Hold]), "not HTTP/1.1");
}

#[test]
fn a_failed_request_does_not_spoil_the_next() {
    let whole = || vec![write(chunked(&whole_stream(&["all"])))];
    let (responses, server) = several(vec![
        vec![write("garbage"), Step::Hold],
        whole(),
        vec![write(unfinished(&text("half"))), Step::Reset],
        whole(),
        vec![write(chunked(&text("half")))],
        whole(),
    ]);
    assert_failed(&responses[0], "not HTTP");
    assert_cut(&responses[2], "half", "broke");
    assert_cut(&responses[4], "half", EARLY);
    for whole in [1, 3, 5] {
        assert_streamed(&responses[whole], &["all"]);
    }
    // A stream that ends early in good HTTP order leaves its connection usable.
    assert_eq!(server.connections(), 3);
}

/// What a Rust user matches on, and what files keep of it.
#[test]
fn failures_have_a_kind_and_a_phase() {
    let half = || write(unfinished(&(role() + &text("half"))));
    let failed = json!({"error": {"message": "out of memory"}});
    let refusal = sized("503 X", "application/json", "{}");
    for (steps, kind, phase) in [
        (vec![Step::Hold], Kind::Timeout, Phase::Head),
        (
            vec![write(unfinished(&role())), Step::Hold],
            Kind::Timeout,
            Phase::FirstToken,
        ),
        (vec![half(), Step::Hold], Kind::Timeout, Phase::Stream),
        (vec![Step::Close], Kind::NoResponse, Phase::Head),
        (vec![half(), Step::Close], Kind::Truncated, Phase::Stream),
        (
            vec![write(chunked(&text("half")))],
            Kind::Truncated,
            Phase::Decode,
        ),
        (vec![write(chunked(""))], Kind::Empty, Phase::Decode),
        (
            vec![write(chunked("data: {oops\n\n"))],
            Kind::Malformed,
            Phase::Decode,
        ),
        (
            vec![write(chunked(&(text("half") + &event(&failed))))],
            Kind::ServerError,
            Phase::Stream,
        ),
        (vec![write("SSH-2.0\r\n\r\n")], Kind::Malformed, Phase::Head),
        (vec![write(refusal)], Kind::HttpStatus, Phase::Head),
    ] {
        let response = one_with(steps, |config| config.timeout = Duration::from_millis(500));
        let failure = response.error.clone().unwrap();
        assert_eq!((failure.kind(), failure.phase()), (kind, Some(phase)));
        // A timeout counts from the same write.
        let waited = response.detail.time_to_failure.unwrap();
        assert!(
            waited > 0.0 && (kind != Kind::Timeout || waited >= 0.5),
            "{waited}"
        );
        let is_refused = kind == Kind::HttpStatus;
        assert_eq!(failure.status(), is_refused.then_some(503));
        let line = llmeter::result::response_to_json(&response);
        assert!(
            line.contains(&format!("\"error_kind\": \"{kind}\"")),
            "{line}"
        );
        let read = llmeter::result::response_from_json(&line).unwrap();
        assert_eq!(read.error, Some(failure));
    }
}
