//! Frames and bodies that say that something went wrong, or are wrong themselves.

use serde_json::json;

use super::chat_decoder;
use super::{delta, error, frames, whole};
use crate::endpoint::{Frame, FrameDecoder, ResponseBuilder};

#[test]
fn an_error_keeps_what_came_before_and_the_first_one_counts() {
    let hello = delta(json!({"content": "Hello"}));
    for (frame, message) in [
        (
            r#"{"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}"#,
            "The server had an error (type server_error)",
        ),
        (
            r#"{"error":{"code":502,"message":"Provider disconnected"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}"#,
            "Provider disconnected (code 502)",
        ),
        (
            r#"{"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400}"#,
            "too long (type BadRequestError, code 400)",
        ),
        (
            r#"{"error":"overloaded","error_type":"overloaded"}"#,
            "overloaded",
        ),
        (
            r#"{"error":{}}"#,
            "the server reported an error without a text",
        ),
        (
            r#"{"error":["x"]}"#,
            "the server reported an error without a readable text",
        ),
        (
            r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#,
            "the server ended the response with finish_reason \"error\"",
        ),
    ] {
        let (response, _) = frames(&[&hello, frame, r#"{"error":"later"}"#]);
        assert_eq!(error(&response), message);
        assert_eq!(response.text, "Hello");
        assert_eq!(response.times()[0], Some(1.0));
    }
}

#[test]
fn error_events() {
    for (data, message) in [
        (
            r#"{"error":{"message":"no","type":"t","code":"c"}}"#,
            "no (type t, code c)",
        ),
        (r#"{"message":"no","code":500}"#, "no (code 500)"),
        ("plain\ntext", "plain text"),
        ("", "the server sent an error event without a text"),
    ] {
        let mut response = ResponseBuilder::default();
        chat_decoder().frame(
            Frame {
                event: Some("error"),
                data: data.as_bytes(),
                is_error: false,
            },
            &mut response,
        );
        assert_eq!(error(&response), message);
    }
    let mut response = ResponseBuilder::default();
    chat_decoder().frame(
        Frame {
            event: Some("message"),
            data: b"[DONE]",
            is_error: false,
        },
        &mut response,
    );
    assert!(response.is_complete() && !response.is_failed());
}

#[test]
fn frames_that_are_no_chunks_are_errors() {
    let hello = delta(json!({"content": "Hello"}));
    for (frame, message) in [
        (
            "{\"choices\":[",
            "frame 2 is not valid JSON: EOF while parsing",
        ),
        (
            "<html>",
            "frame 2 is not valid JSON: expected value at line 1 column 1: <html>",
        ),
        (
            "5",
            "frame 2 is not a chat completion chunk: invalid type: integer `5`, expected an object",
        ),
        (
            "[]",
            "frame 2 is not a chat completion chunk: invalid type: sequence, expected an object",
        ),
        (
            r#"{"choices":5}"#,
            "frame 2 is not a chat completion chunk: invalid type: integer `5`",
        ),
        (
            r#"{"choices":[5]}"#,
            "frame 2 is not a chat completion chunk: invalid type: integer `5`",
        ),
        (
            r#"{"choices":[{"delta":"x"}]}"#,
            "frame 2 is not a chat completion chunk: invalid type: string",
        ),
        (
            r#"{"choices":[{"delta":["x"]}]}"#,
            "frame 2 is not a chat completion chunk: invalid type: sequence",
        ),
        (
            r#"{"choices":[{"delta":{"tool_calls":"x"}}]}"#,
            "frame 2 is not a chat completion chunk: invalid type: string",
        ),
    ] {
        let (response, _) = frames(&[&hello, frame, "[DONE]"]);
        assert!(
            error(&response).starts_with(message),
            "{}",
            error(&response)
        );
        assert_eq!(response.text, "Hello");
    }
    let long = format!("{{\"a\": \"{}\"", "é".repeat(10_000));
    let (response, _) = frames(&[&long]);
    assert!(error(&response).contains(" … é") && error(&response).len() < 600);
}

#[test]
fn an_early_end_is_an_error() {
    let hello = delta(json!({"content": "Hello"}));
    let (response, _) = frames(&[]);
    assert_eq!(error(&response), "the stream ended without a single event");
    let (response, _) = frames(&[&hello]);
    assert_eq!(
        error(&response),
        "the stream ended before it was finished (no finish_reason and no [DONE])"
    );
    for end in [
        "[DONE]",
        "[DONE] ",
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
    ] {
        let (response, _) = frames(&[&hello, end]);
        assert_eq!(response.error, None, "{end}");
    }
}

#[test]
fn whole_answers_that_are_none() {
    for (body, message) in [
        ("", "the server's response is empty"),
        (" \n", "the server's response is empty"),
        (
            "<html>",
            "the server's response is not valid JSON: expected value",
        ),
        (
            r#"{"choices":[{"#,
            "the server's response is not valid JSON: EOF",
        ),
        (
            "[]",
            "the server's response is not a chat completion: invalid type: sequence",
        ),
        (
            "{}",
            "the server's response is not a chat completion: it has no choices: {}",
        ),
        (
            r#"{"choices":[]}"#,
            "the server's response is not a chat completion: it has no choices",
        ),
        (r#"{"error":{"message":"no","code":"c"}}"#, "no (code c)"),
        (r#"{"object":"error","message":"no"}"#, "no"),
        (
            r#"{"choices":[{"message":3}]}"#,
            "the server's response is not a chat completion: invalid type",
        ),
    ] {
        let response = whole(body);
        assert!(
            error(&response).starts_with(message),
            "{body}: {}",
            error(&response)
        );
        assert!(!response.frame_has_content());
    }
}

#[test]
fn error_bodies() {
    let text = |body: &str| chat_decoder().error_message(body.as_bytes());
    for (body, message) in [
        (
            r#"{"error":{"message":"Incorrect API key","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
            "Incorrect API key (type invalid_request_error, code invalid_api_key)",
        ),
        (
            r#"{"error":{"message":"m","type":"t","code":"t"}}"#,
            "m (type t)",
        ),
        (r#"{"error":"model not found"}"#, "model not found"),
        (r#"{"error":{"reason":"x"}}"#, r#"{"reason":"x"}"#),
        (r#"{"message":"Unauthorized"}"#, "Unauthorized"),
        (
            r#"{"object":"error","message":"too long","type":"BadRequestError","code":400}"#,
            "too long (type BadRequestError, code 400)",
        ),
        (r#"{"detail":"Not Found"}"#, "Not Found"),
        (
            r#"{"detail":[{"type":"missing","loc":["body","messages",0],"msg":"Field required","input":{}},{"msg":"b"}]}"#,
            "body.messages.0: Field required; b",
        ),
        (r#"{"detail":{"message":"x"}}"#, "x"),
        (
            r#"[{"error":{"code":400,"message":"bad"}}]"#,
            "bad (code 400)",
        ),
    ] {
        assert_eq!(text(body).as_deref(), Some(message), "{body}");
    }
    for body in [
        "",
        "<html>",
        "null",
        "[]",
        "{}",
        r#"{"error":{}}"#,
        r#"{"detail":[]}"#,
        r#"{"a":1}"#,
    ] {
        assert_eq!(text(body), None, "{body}");
    }
}
