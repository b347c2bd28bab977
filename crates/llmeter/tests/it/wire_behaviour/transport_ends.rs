//! Answers that are complete although their connection does not say so.

use std::time::Duration;

use llmeter::api::{AnthropicMessages, Ollama, OpenAiResponses};
use llmeter::endpoint::EndpointBuilder;
use llmeter::probe::probe;
use llmeter::{FailureKind as Kind, Interrupt, InvocationResponse, Load, OpenAiChat, RunConfig};

use super::{assert_cut, assert_streamed};
use crate::scripted::answers::*;
use crate::scripted::{Scripted, Step, finish, one, one_with, run, write};

/// Longer than a test may take.
const NEVER: Duration = Duration::from_secs(3600);

fn patient(config: &mut RunConfig) {
    config.timeout = NEVER;
}

fn whole() -> Vec<u8> {
    unfinished(&whole_stream(&["all"]))
}

#[track_caller]
fn assert_ended(response: &InvocationResponse, end: &str) {
    assert_streamed(response, &["all"]);
    assert_eq!(response.detail.transport_end.as_str(), Some(end));
}

#[test]
fn an_end_of_the_connection_after_the_answer_is_a_note() {
    let until_close = || write("HTTP/1.1 200 OK\r\n\r\n".to_owned() + &whole_stream(&["all"]));
    let short = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9999\r\n\r\n{}",
        whole_stream(&["all"])
    );
    let mut garbled = whole();
    garbled.extend_from_slice(b"zz\r\n");
    for (steps, end) in [
        (vec![write(whole()), Step::Close], "closed_early"),
        (vec![write(short), Step::Close], "closed_early"),
        (vec![write(whole()), Step::Reset], "reset"),
        (vec![until_close(), Step::Reset], "reset"),
        (vec![write(garbled), Step::Hold], "garbled"),
    ] {
        assert_ended(&one(steps), end);
    }
    let response = one(vec![until_close(), Step::Close]);
    assert_streamed(&response, &["all"]);
    assert_eq!(response.detail.transport_end.as_str(), None);
}

#[test]
fn a_connection_that_stays_open_after_the_answer_does_not_hold_up_its_client() {
    let server = Scripted::start(vec![
        vec![write(whole()), Step::Hold],
        vec![write(chunked(&whole_stream(&["all"])))],
    ]);
    let mut config = server.config().load(Load::Requests(2));
    patient(&mut config);
    let result = run(config);
    assert_ended(&result.responses[0], "left_open");
    assert_streamed(&result.responses[1], &["all"]);
    assert_eq!(result.responses[1].detail.transport_end.as_str(), None);
    assert_eq!(result.responses[1].retries, None, "a new connection");
    assert_eq!(server.connections(), 2);
    let stats = result.stats_map();
    assert_eq!(stats["transport_end-left_open"], 1);
    assert_eq!(stats["failed_requests"], 0);
    let warning =
        "1 response was complete although the connection did not end as it should (left open: 1)";
    assert!(
        result.warnings.iter().any(|one| one == warning),
        "{:?}",
        result.warnings
    );
    let waited = result.responses[0].detail.left_open_wait.unwrap();
    assert_eq!(stats["total_left_open_wait"], waited);
    assert_eq!(result.responses[1].detail.left_open_wait, None);
    let quality = result.quality.as_ref().unwrap();
    let blames = |reason: &String| reason.contains("complete responses that the server left open");
    assert!(quality.reasons.iter().any(blames), "{:?}", quality.reasons);
    let notes = llmeter::report::notes(&result);
    assert!(
        notes.iter().any(|note| note.contains("server left open")),
        "{notes:?}"
    );
    // The silence after the answer is no part of it.
    let left_open = &result.responses[0];
    assert_eq!(left_open.time_to_last_token, left_open.time_to_first_token);
}

#[test]
fn usage_that_comes_late_is_taken() {
    let response = one_with(
        vec![
            write(unfinished(&(role() + &text("all") + &stop()))),
            Step::Pause(Duration::from_millis(1_500)),
            write(chunk(&(usage(7, 1) + DONE))),
            Step::Hold,
        ],
        patient,
    );
    assert_ended(&response, "left_open");
}

#[test]
fn one_choice_that_has_ended_is_not_the_answer() {
    let body = role() + &text("a") + &stop() + &text("b");
    for steps in [
        vec![write(unfinished(&body)), Step::Close],
        vec![write(unfinished(&body)), Step::Hold],
    ] {
        let response = one_with(steps, |config| config.timeout = Duration::from_secs(2));
        assert_cut(&response, "ab", "");
    }
}

#[test]
fn the_timeout_does_not_fail_what_is_complete() {
    let response = one_with(vec![write(whole()), Step::Hold], |config| {
        config.timeout = Duration::from_millis(300);
    });
    assert_ended(&response, "left_open");
    // Not even the end of the last line has come.
    let body = whole_stream(&["all"]);
    let response = one_with(
        vec![write(unfinished(body.trim_end())), Step::Hold],
        |config| config.timeout = Duration::from_millis(300),
    );
    assert_ended(&response, "left_open");
}

#[test]
fn a_refusal_or_an_error_in_the_stream_is_not_waited_for_either() {
    let refusal = r#"HTTP/1.1 400 X
Content-Type: application/json
Content-Length: 999

{"error": {"message": "no"}}"#;
    let response = one_with(
        vec![write(refusal.replace('\n', "\r\n")), Step::Hold],
        patient,
    );
    let failure = response.error.unwrap();
    assert_eq!(
        (failure.kind(), failure.status()),
        (Kind::HttpStatus, Some(400))
    );
    let error = "data: {\"error\": {\"message\": \"out of memory\"}}\n\n";
    let response = one_with(
        vec![write(unfinished(&(text("half") + error))), Step::Hold],
        patient,
    );
    assert_cut(&response, "half", "out of memory");
    assert_eq!(response.detail.transport_end.as_str(), None);
}

/// One answer of an API whose connection stays open.
fn left_open(
    builder: fn(&str) -> EndpointBuilder,
    media_type: &str,
    body: &str,
) -> InvocationResponse {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let server = Scripted::start(vec![vec![write(head), write(chunk(body)), Step::Hold]]);
    let base = server.base_url.trim_end_matches("/v1").to_owned();
    let mut config = server.config_of(builder(&base).build().unwrap());
    patient(&mut config);
    run(config).responses.remove(0)
}

#[test]
fn every_api_has_an_end_mark() {
    let anthropic = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":3}}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"all"}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}

event: message_stop
data: {"type":"message_stop"}

"#;
    let ollama = r#"{"message":{"content":"all"},"done":false}
{"message":{"content":""},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":1}
"#;
    let responses = r#"data: {"type":"response.output_text.delta","delta":"all"}

data: {"type":"response.completed","response":{"id":"r","usage":{"input_tokens":3,"output_tokens":1}}}

"#;
    let json = completion("all");
    type Build = fn(&str) -> EndpointBuilder;
    let cases: [(Build, &str, &str); 4] = [
        (
            |url| AnthropicMessages::builder(url, "m").api_key("k"),
            "text/event-stream",
            anthropic,
        ),
        (
            |url| Ollama::builder(url, "m"),
            "application/x-ndjson",
            ollama,
        ),
        (
            |url| OpenAiResponses::builder(url, "m"),
            "text/event-stream",
            responses,
        ),
        (
            |url| OpenAiChat::builder(url, "m").streaming(false),
            "application/json",
            &json,
        ),
    ];
    for (builder, media_type, body) in cases {
        let response = left_open(builder, media_type, body);
        assert_eq!(response.error, None, "{body}");
        assert_eq!(response.response_text.as_deref(), Some("all"));
        assert_eq!(response.detail.transport_end.as_str(), Some("left_open"));
        assert!(response.num_tokens_output.is_some());
    }
}

#[test]
fn a_probe_does_not_wait_for_the_connection_either() {
    let server = Scripted::start(vec![vec![write(whole()), Step::Hold]]);
    let mut config = server.config();
    patient(&mut config);
    let seen = finish(move || probe(&config, None, &Interrupt::new())).unwrap();
    assert!(seen.is_success(), "{:?}", seen.error);
    assert_ended(&seen.response.unwrap(), "left_open");
}
