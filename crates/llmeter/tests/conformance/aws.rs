//! Bedrock's Converse and InvokeModel, and SageMaker's InvokeEndpoint.
#![allow(clippy::unwrap_used, reason = "a test helper may panic")]

use std::sync::Arc;
use std::time::Duration;

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use base64::Engine as _;
use llmeter::endpoint::{AwsOptions, BedrockConverse, BedrockInvoke, SageMaker};
use llmeter::payload::Payload;
use llmeter::{Endpoint, InvocationResponse, RunConfig};
use serde_json::{Value, json};

use crate::scripted::answers::chunk_of;
use crate::scripted::{Scripted, Step, run, write};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Api {
    Converse,
    Invoke,
    SageMaker,
}

const ALL: [Api; 3] = [Api::Converse, Api::Invoke, Api::SageMaker];

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\n\
    x-amzn-RequestId: req-7\r\nTransfer-Encoding: chunked\r\n\r\n";

fn one(api: Api, streaming: bool, steps: Vec<Step>) -> InvocationResponse {
    let server = Scripted::start(vec![steps]);
    let aws = AwsOptions::new()
        .base_url(server.base_url.trim_end_matches("/v1"))
        .region("us-east-1")
        .access_keys("AKID", "hunter22hunter22", None);
    let endpoint: Arc<dyn Endpoint> = match api {
        Api::Converse => {
            let builder = BedrockConverse::builder("m").streaming(streaming);
            Arc::new(builder.aws(aws).build().unwrap())
        }
        Api::Invoke => {
            let builder = BedrockInvoke::builder("m").streaming(streaming);
            Arc::new(builder.aws(aws).build().unwrap())
        }
        Api::SageMaker => {
            let builder = SageMaker::builder("e", "m").streaming(streaming);
            Arc::new(builder.aws(aws).build().unwrap())
        }
    };
    let payload = match api {
        Api::Converse => BedrockConverse::create_payload("a b c", 8, Payload::new()),
        Api::Invoke => BedrockInvoke::create_payload("a b c", 8, Payload::new()),
        Api::SageMaker => SageMaker::create_payload("a b c", 8, streaming, Payload::new()),
    };
    let mut config = RunConfig::new(endpoint, [payload.unwrap()]);
    config.timeout = Duration::from_secs(20);
    run(config).responses.remove(0)
}

fn message(kind: (&str, &str), name: &str, payload: &[u8]) -> Vec<u8> {
    let header = |name: &str, value: &str| {
        Header::new(
            name.to_owned(),
            HeaderValue::String(value.to_owned().into()),
        )
    };
    let message = Message::new(payload.to_vec())
        .add_header(header(":message-type", kind.0))
        .add_header(header(kind.1, name));
    let mut out = Vec::new();
    write_message_to(&message, &mut out).unwrap();
    out
}

fn event(name: &str, payload: &Value) -> Vec<u8> {
    message(
        ("event", ":event-type"),
        name,
        payload.to_string().as_bytes(),
    )
}

fn invoke_chunk(chunk: &Value) -> Vec<u8> {
    let bytes = base64::engine::general_purpose::STANDARD.encode(chunk.to_string());
    event("chunk", &json!({"bytes": bytes}))
}

fn part(data: &Value) -> Vec<u8> {
    let line = format!("data:{data}\n\n");
    message(("event", ":event-type"), "PayloadPart", line.as_bytes())
}

fn text(api: Api, piece: &str) -> Vec<u8> {
    match api {
        Api::Converse => event("contentBlockDelta", &json!({"delta": {"text": piece}})),
        Api::Invoke => invoke_chunk(&json!({"choices": [{"delta": {"content": piece}}]})),
        Api::SageMaker => part(&json!({"token": {"text": piece}})),
    }
}

/// What follows the last text.
fn closing(api: Api, with_usage: bool) -> Vec<u8> {
    match api {
        Api::Converse => {
            let mut out = event("messageStop", &json!({"stopReason": "end_turn"}));
            if with_usage {
                let usage = json!({"inputTokens": 3, "outputTokens": 5});
                out.extend(event("metadata", &json!({"usage": usage})));
            }
            out
        }
        Api::Invoke => {
            let mut last = json!({"choices": [{"delta": {}, "finish_reason": "end_turn"}]});
            if with_usage {
                last["amazon-bedrock-invocationMetrics"] =
                    json!({"inputTokenCount": 3, "outputTokenCount": 5});
            }
            invoke_chunk(&last)
        }
        Api::SageMaker if with_usage => part(&json!({"token": {"text": ""},
            "details": {"finish_reason": "end_turn", "generated_tokens": 5}})),
        Api::SageMaker => Vec::new(),
    }
}

fn stream(api: Api, with_usage: bool) -> Vec<u8> {
    [
        text(api, "Hello"),
        text(api, " you"),
        closing(api, with_usage),
    ]
    .concat()
}

fn answer(body: &[u8]) -> Vec<u8> {
    [HEAD.as_bytes(), &chunk_of(body), b"0\r\n\r\n"].concat()
}

#[test]
fn a_stream_is_read_however_it_comes() {
    for api in ALL {
        let bytes = answer(&stream(api, true));
        for step in [write(bytes.clone()), Step::Trickle(bytes)] {
            let response = one(api, true, vec![step]);
            assert_eq!(response.error, None, "{api:?}");
            assert_eq!(response.response_text.as_deref(), Some("Hello you"));
            assert_eq!(response.num_tokens_output, Some(5), "{api:?}");
            assert_eq!(response.id.as_deref(), Some("req-7"));
            assert_eq!(response.detail.finish_reason.as_deref(), Some("end_turn"));
            assert!(response.time_to_first_token.is_some());
        }
    }
}

#[test]
fn without_usage_tokens_are_counted_here() {
    for api in ALL {
        let response = one(api, true, vec![write(answer(&stream(api, false)))]);
        assert_eq!(response.error, None, "{api:?}");
        assert_eq!(response.num_tokens_output, Some(2), "{api:?}");
        assert_eq!(response.num_tokens_input, Some(3), "{api:?}");
    }
}

#[test]
fn exceptions_in_a_stream_keep_what_came_before() {
    for (api, service) in [
        (Api::Converse, "Bedrock"),
        (Api::Invoke, "Bedrock"),
        (Api::SageMaker, "SageMaker"),
    ] {
        let exception = message(
            ("exception", ":exception-type"),
            "throttlingException",
            b"{\"message\":\"slow down\"}",
        );
        let body = [text(api, "Hello"), exception].concat();
        let response = one(api, true, vec![write(answer(&body))]);
        let expected = format!("{service} throttlingException: slow down");
        assert_eq!(response.error, Some(expected));
        assert_eq!(response.response_text.as_deref(), Some("Hello"));
    }
}

#[test]
fn cut_damaged_and_empty_streams_fail() {
    for api in ALL {
        let whole = stream(api, true);
        let text_end = text(api, "Hello").len();
        let cut = [HEAD.as_bytes(), &chunk_of(&whole[..text_end])].concat();
        let response = one(api, true, vec![Step::WriteAndClose(cut)]);
        assert!(response.error.is_some(), "{api:?}");
        assert_eq!(response.response_text.as_deref(), Some("Hello"));

        // HTTP says that this is all, but a message is not over.
        let response = one(api, true, vec![write(answer(&whole[..whole.len() - 1]))]);
        let error = response.error.unwrap();
        assert!(error.contains("ended within message"), "{api:?}: {error}");

        let mut damaged = whole.clone();
        damaged[text_end + 40] ^= 1;
        let error = one(api, true, vec![write(answer(&damaged))]).error.unwrap();
        assert!(error.contains("checksum"), "{api:?}: {error}");

        let error = one(api, true, vec![write(answer(b""))]).error.unwrap();
        assert!(error.contains("without a single"), "{api:?}: {error}");
    }
}

#[test]
fn other_answers_are_told_for_what_they_are() {
    for api in ALL {
        let html = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>";
        let error = one(api, true, vec![write(html)]).error.unwrap();
        assert!(error.contains("text/html"), "{error}");

        let plain = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 20\r\n\r\n\
            hello from elsewhere";
        let error = one(api, true, vec![write(plain)]).error.unwrap();
        assert!(error.contains("no AWS event stream"), "{error}");

        let body = "{\"message\":\"Too many requests\"}";
        let status = format!(
            "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\n\
             x-amzn-ErrorType: ThrottlingException:http://x/\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let error = one(api, true, vec![write(status)]).error.unwrap();
        let expected = "HTTP 429 Too Many Requests: ThrottlingException: Too many requests";
        assert!(
            error.starts_with(expected) && error.contains("--max-retries"),
            "{error}"
        );

        let status = "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\
            Content-Length: 12\r\n\r\n<h1>down</h1";
        let error = one(api, false, vec![write(status)]).error.unwrap();
        assert!(
            error.starts_with("HTTP 502 Bad Gateway: <h1>down"),
            "{error}"
        );
    }
}

#[test]
fn whole_answers_are_read() {
    for (api, body) in [
        (
            Api::Converse,
            json!({"output": {"message": {"content": [{"text": "Hello you"}]}},
                "stopReason": "end_turn", "usage": {"inputTokens": 3, "outputTokens": 5}}),
        ),
        (
            Api::Invoke,
            json!({"choices": [{"message": {"content": "Hello you"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 5}}),
        ),
        (
            Api::SageMaker,
            json!({"generated_text": "Hello you", "details": {"generated_tokens": 5}}),
        ),
    ] {
        let body = body.to_string();
        let bytes = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-amzn-requestid: req-8\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let response = one(api, false, vec![write(bytes)]);
        assert_eq!(response.error, None, "{api:?}");
        assert_eq!(response.response_text.as_deref(), Some("Hello you"));
        assert_eq!(response.num_tokens_output, Some(5));
        assert_eq!(response.id.as_deref(), Some("req-8"));
        assert_eq!(response.time_to_first_token, None);

        let bytes = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
            Content-Length: 0\r\n\r\n";
        let error = one(api, false, vec![write(bytes)]).error.unwrap();
        assert!(error.contains("empty"), "{error}");
    }
}
