//! Bodies that are something else than they are called, and what stands between the events of a stream.

use std::sync::Arc;

use llmeter::api::Delivery;
use llmeter::endpoint::ApiMode;
use llmeter::{Endpoint, FailureKind, InvocationResponse, RunConfig};
use serde_json::{Value, json};

use crate::scripted::answers::{
    DONE, completion, event, object, role, sized, stop, text, usage, whole_stream,
};
use crate::scripted::{Scripted, Step, one, run, write};

const EVENTS: &str = "text/event-stream";
const ERROR: &str = r#"{"error": {"message": "no capacity left"}}"#;

/// The streaming APIs that take no credentials of AWS.
fn streaming() -> impl Iterator<Item = ApiMode> {
    ApiMode::all().filter(|mode| mode.streaming == Some(true) && !is_signed(*mode))
}

fn is_signed(mode: ApiMode) -> bool {
    #[cfg(feature = "aws")]
    return mode.api.spec().service.is_some();
    #[cfg(not(feature = "aws"))]
    {
        let _ = mode;
        false
    }
}

fn ask(mode: ApiMode, answer: Vec<u8>) -> InvocationResponse {
    let server = Scripted::start(vec![vec![write(answer)]]);
    let settings = mode.example(server.base_url.trim_end_matches("/v1"));
    let endpoint: Arc<dyn Endpoint> = mode.endpoint(&settings).unwrap();
    let payload = mode.create_payload("one two three", 64).unwrap();
    run(RunConfig::new(endpoint, [payload])).responses.remove(0)
}

fn stream(body: &str) -> InvocationResponse {
    one(vec![write(sized("200 OK", EVENTS, body))])
}

#[track_caller]
fn fails_with(response: &InvocationResponse, kind: FailureKind, words: &str) {
    let error = response.error.as_ref().expect("a failure");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.message().contains(words), "{error}");
}

#[test]
fn an_error_outside_of_events_fails_in_the_servers_words() {
    let pretty = "{\n  \"error\": {\n    \"message\": \"no capacity left\"\n  }\n}\n";
    for mode in streaming() {
        for body in [
            ERROR.to_owned(),
            format!("{ERROR}\n\n{DONE}"),
            format!(": ping\n\n{ERROR}\n{DONE}"),
            pretty.to_owned(),
        ] {
            for label in [
                mode.api.framing().media_type(),
                "application/json",
                "text/plain",
            ] {
                let response = ask(mode, sized("200 OK", label, &body));
                let name = format!("{} {label} {body}", mode.name);
                let error = response.error.expect(&name);
                assert_eq!(error.kind(), FailureKind::ServerError, "{name}: {error}");
                assert!(
                    error.message().contains("no capacity left"),
                    "{name}: {error}"
                );
            }
        }
    }
}

#[test]
fn an_error_in_the_middle_of_a_stream_keeps_what_came_before() {
    for end in [DONE, ""] {
        let response = stream(&format!("{}{}{ERROR}\n{end}", role(), text("Hel")));
        fails_with(&response, FailureKind::ServerError, "no capacity left");
        assert_eq!(response.response_text.as_deref(), Some("Hel"));
    }
    // Also if the connection breaks after it.
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9999\r\n\r\n";
    let body = format!("{head}{}{ERROR}", text("Hel"));
    let response = one(vec![write(body), Step::Close]);
    fails_with(&response, FailureKind::ServerError, "no capacity left");
}

#[test]
fn a_whole_completion_in_the_place_of_events_is_not_streamed() {
    for (body, label) in [
        (completion("plain words"), EVENTS),
        (format!("{}\n\n{DONE}", completion("plain words")), EVENTS),
        (completion("plain words"), "application/json"),
        (
            format!(": ping\n\n{}", completion("plain words")),
            "text/plain",
        ),
    ] {
        let response = one(vec![write(sized("200 OK", label, &body))]);
        assert_eq!(response.error, None, "{body}");
        assert_eq!(response.response_text.as_deref(), Some("plain words"));
        assert_eq!(response.num_tokens_output, Some(2));
        assert_eq!(response.time_to_first_token, None);
        assert_eq!(response.detail.content_frames, None);
        assert!(response.time_to_last_token.is_some());
        assert_eq!(response.detail.delivery, Some(Delivery::NonStreaming));
    }
}

#[test]
fn garbage_is_quoted() {
    let page = "<html>502 Bad Gateway</html>\n";
    let cut = text("Hel") + page;
    fails_with(&stream(&cut), FailureKind::Truncated, "502 Bad Gateway");
    fails_with(
        &stream(&format!("{page}{DONE}")),
        FailureKind::WebPage,
        "502 Bad Gateway",
    );
    let late = format!(": ping\n\nupstream connect error\n{DONE}");
    fails_with(
        &stream(&late),
        FailureKind::Malformed,
        "upstream connect error",
    );
    let field = "error: upstream failed\n\n";
    fails_with(&stream(field), FailureKind::Empty, "upstream failed");
    fails_with(
        &stream(r#"{"strange": 1}"#),
        FailureKind::Malformed,
        "strange",
    );
    // A stream that is whole all the same says so.
    let response = stream(&format!("{page}{}", whole_stream(&["a", "b"])).replacen('<', "!<", 1));
    assert_eq!(response.error, None);
    assert_eq!(response.response_text.as_deref(), Some("ab"));
    let quoted = response.annotations["outside_events"].as_str().unwrap();
    assert!(quoted.contains("502 Bad Gateway"), "{quoted}");
}

#[test]
fn comments_and_unknown_fields_are_legal() {
    let body =
        whole_stream(&["a", "b"]).replace("data:", ": ping\nfoo: bar\nid: 7\nretry: 3\ndata:");
    let response = stream(&body);
    assert_eq!(response.error, None);
    assert_eq!(response.response_text.as_deref(), Some("ab"));
    assert!(
        response.annotations.is_empty(),
        "{:?}",
        response.annotations
    );
}

#[test]
fn a_web_page_under_any_label_is_one() {
    for label in [EVENTS, "application/json", "text/html"] {
        let page = "<!doctype html><title>Sign in</title>";
        let response = one(vec![write(sized("200 OK", label, page))]);
        fails_with(&response, FailureKind::WebPage, "Sign in");
        fails_with(&response, FailureKind::WebPage, label);
    }
}

#[test]
fn a_stream_under_any_label_is_one_and_a_run_says_so_once() {
    for label in [
        "application/json",
        "text/html; charset=utf-8",
        "text/plain",
        "",
    ] {
        let answer = sized("200 OK", label, &whole_stream(&["a", "b"]));
        let server = Scripted::start(vec![vec![write(answer)]]);
        let result = run(server.config().load(llmeter::Load::Requests(3)));
        for response in &result.responses {
            assert_eq!(response.error, None);
            assert_eq!(response.response_text.as_deref(), Some("ab"));
            assert!(response.time_to_first_token.is_some());
            assert_eq!(response.detail.content_frames, Some(2));
        }
        let said = |warning: &&String| warning.contains("the server's streams");
        let warnings: Vec<_> = result.warnings.iter().filter(said).collect();
        assert_eq!(warnings.len(), 1, "{:?}", result.warnings);
        assert!(warnings[0].contains(label) && warnings[0].contains(EVENTS));
    }
    let server = Scripted::start(vec![vec![write(sized(
        "200 OK",
        EVENTS,
        &whole_stream(&["a"]),
    ))]]);
    let result = run(server.config());
    assert!(
        !result
            .warnings
            .iter()
            .any(|warning| warning.contains("streams"))
    );
}

#[test]
fn lines_are_frames_where_events_were_asked_for() {
    let lines = whole_stream(&["a", "b"]).replace("data: [DONE]\n\n", "");
    let lines = lines.replace("data: ", "").replace("\n\n", "\n");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
        lines.len()
    );
    let (first, rest) = lines.split_at(lines.find('\n').unwrap() + 1);
    let response = one(vec![write(head + first), write(rest)]);
    assert_eq!(response.error, None);
    assert_eq!(response.response_text.as_deref(), Some("ab"));
    assert_eq!(response.detail.content_frames, Some(2));
    assert_eq!(response.num_tokens_output, Some(2));
}

#[test]
fn events_are_frames_where_lines_were_asked_for() {
    let mode = ApiMode::named("ollama-stream").unwrap();
    let line = |text: &str| event(&json!({"message": {"content": text}, "done": false}));
    let end = event(&json!({"message": {"content": ""}, "done": true, "eval_count": 2}));
    let body = line("a") + &line("b") + &end;
    let response = ask(mode, sized("200 OK", EVENTS, &body));
    assert_eq!(response.error, None);
    assert_eq!(response.response_text.as_deref(), Some("ab"));
    assert_eq!(response.num_tokens_output, Some(2));
}

/// The frames of a stream as an API says them, without their framing.
fn frames(mode: ApiMode) -> Vec<Value> {
    let chat = |delta: Value, finish| object(delta, finish);
    match mode.name {
        "anthropic-messages-stream" => vec![
            json!({"type": "message_start", "message": {"usage": {"input_tokens": 3}}}),
            json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}}),
            json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "b"}}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
                   "usage": {"output_tokens": 2}}),
            json!({"type": "message_stop"}),
        ],
        "gemini-stream" => vec![
            json!({"candidates": [{"content": {"parts": [{"text": "a"}]}}]}),
            json!({"candidates": [{"content": {"parts": [{"text": "b"}]}, "finishReason": "STOP"}],
                   "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2}}),
        ],
        "ollama-stream" => vec![
            json!({"message": {"content": "a"}, "done": false}),
            json!({"message": {"content": "b"}, "done": false}),
            json!({"message": {"content": ""}, "done": true, "done_reason": "stop",
                   "eval_count": 2, "prompt_eval_count": 3}),
        ],
        "tgi-stream" => vec![
            json!({"token": {"text": "a", "special": false}}),
            json!({"token": {"text": "b", "special": false}, "generated_text": "ab",
                   "details": {"finish_reason": "length", "generated_tokens": 2}}),
        ],
        "openai-responses-stream" => vec![
            json!({"type": "response.output_text.delta", "delta": "a"}),
            json!({"type": "response.output_text.delta", "delta": "b"}),
            json!({"type": "response.completed",
                   "response": {"status": "completed", "usage": {"output_tokens": 2}}}),
        ],
        "openai-completions-stream" => vec![
            json!({"choices": [{"text": ""}]}),
            json!({"choices": [{"text": "a"}]}),
            json!({"choices": [{"text": "b", "finish_reason": "stop"}]}),
            json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
        ],
        _ => vec![
            chat(json!({"content": "a"}), None),
            chat(json!({"content": "b"}), Some("stop")),
            json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
        ],
    }
}

#[test]
fn every_element_of_a_list_in_the_place_of_a_stream_is_read() {
    for mode in streaming() {
        let frames = frames(mode);
        for label in ["application/json", mode.api.framing().media_type()] {
            let body = serde_json::to_string_pretty(&frames).unwrap();
            let response = ask(mode, sized("200 OK", label, &body));
            assert_eq!(response.error, None, "{} {label}", mode.name);
            assert_eq!(
                response.response_text.as_deref(),
                Some("ab"),
                "{}",
                mode.name
            );
            assert_eq!(response.num_tokens_output, Some(2), "{}", mode.name);
            assert_eq!(response.time_to_first_token, None, "{}", mode.name);
            assert_eq!(response.detail.delivery, Some(Delivery::NonStreaming));
        }
        // One that lacks its end is not whole.
        let cut = serde_json::to_string(&frames[..frames.len() - 2]).unwrap();
        let response = ask(mode, sized("200 OK", "application/json", &cut));
        assert!(response.error.is_some(), "{}", mode.name);
        // An error among the elements is one.
        let mut failing = frames;
        failing.insert(1, json!({"error": {"message": "no capacity left"}}));
        let body = serde_json::to_string(&failing).unwrap();
        let response = ask(mode, sized("200 OK", "application/json", &body));
        fails_with(&response, FailureKind::ServerError, "no capacity left");
    }
}

#[test]
fn a_list_within_an_event_is_read() {
    let mode = ApiMode::named("gemini-stream").unwrap();
    let body = event(&Value::from(frames(mode)));
    let response = ask(mode, sized("200 OK", EVENTS, &body));
    assert_eq!(response.error, None);
    assert_eq!(response.response_text.as_deref(), Some("ab"));
    let list = json!([
        object(json!({"content": "a"}), None),
        object(json!({"content": "b"}), None)
    ]);
    let response = stream(&(event(&list) + &stop() + &usage(3, 2)));
    assert_eq!(response.response_text.as_deref(), Some("ab"));
}

#[test]
fn several_whole_responses_in_a_list_are_read() {
    let list = format!("[{}, {}]", completion("one "), completion("two"));
    let response = stream(&list);
    assert_eq!(response.error, None);
    assert_eq!(response.response_text.as_deref(), Some("one two"));
}
