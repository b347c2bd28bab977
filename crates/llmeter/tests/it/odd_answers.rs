//! Answers that only some APIs give. What all can give is the conformance suite's.

use std::sync::Arc;
use std::time::Duration;

use crate::scripted::answers::{chunked, event, object, sized, stop, text, usage, whole_stream};
use crate::scripted::{Scripted, Step, run, write};
use llmeter::cost::{CostModel, InputTokens, OutputTokens};
use llmeter::endpoint::ApiMode;
use llmeter::{Endpoint, FailureKind, InvocationResponse, RunConfig};
use serde_json::{Value, json};

fn ask(api: &str, steps: Vec<Step>) -> InvocationResponse {
    let api = ApiMode::named(api).unwrap();
    ask_with(api, steps, |base_url| {
        let settings = api.example(base_url.trim_end_matches("/v1"));
        api.endpoint(&settings).unwrap()
    })
}

fn ask_with(
    api: ApiMode,
    steps: Vec<Step>,
    endpoint: impl Fn(&str) -> Arc<dyn Endpoint>,
) -> InvocationResponse {
    let server = Scripted::start(vec![steps]);
    let payload = api.create_payload("one two three", 64).unwrap();
    let mut config = RunConfig::new(endpoint(&server.base_url), [payload]);
    config.timeout = Duration::from_secs(20);
    run(config).responses.remove(0)
}

#[test]
fn refusals_further_choices_and_audio_are_content() {
    let stream = |deltas: &[Value]| {
        let deltas = deltas
            .iter()
            .map(|delta| event(&object(delta.clone(), None)));
        let body = deltas.collect::<String>() + &stop() + &usage(7, 2);
        ask("openai-chat-stream", vec![write(chunked(&body))])
    };
    let response = stream(&[json!({"refusal": "I can"}), json!({"refusal": "not."})]);
    assert_eq!(response.response_text.as_deref(), Some("I cannot."));
    assert_eq!(response.detail.content_frames, Some(2));

    let audio = |audio: Value| json!({"audio": audio});
    let response = stream(&[
        audio(json!({"id": "a"})),
        audio(json!({"transcript": "Hi"})),
        audio(json!({"data": "AAAA"})),
        audio(json!({"expires_at": 5})),
    ]);
    assert_eq!(response.error, None);
    assert_eq!(response.detail.content_frames, Some(2));

    // Of several choices the first one is kept, and the frames of all count.
    let choice = |index: u32, text: &str| {
        event(&json!({"choices": [{"index": index, "delta": {"content": text}}]}))
    };
    let body = choice(1, "b") + &choice(0, "a") + &choice(1, "b") + &choice(2, "");
    let body = body + &whole_stream(&[]);
    let response = ask("openai-chat-stream", vec![write(chunked(&body))]);
    assert_eq!(response.response_text.as_deref(), Some("a"));
    assert_eq!(response.detail.content_frames, Some(3));
}

#[test]
fn every_kind_of_failure_within_a_chat_stream_keeps_what_came_before() {
    for (failure, words) in [
        (
            json!({"error": {"message": "overloaded", "code": 503}}),
            "overloaded (code 503)",
        ),
        (json!({"error": "overloaded"}), "overloaded"),
    ] {
        let body = text("Hel") + &event(&failure);
        let response = ask("openai-chat-stream", vec![write(chunked(&body))]);
        assert_eq!(response.error_text(), Some(words));
        assert_eq!(response.response_text.as_deref(), Some("Hel"));
    }
}

/// Whether requests need credentials of AWS.
fn is_signed(api: ApiMode) -> bool {
    #[cfg(feature = "aws")]
    return api.api.spec().service.is_some();
    #[cfg(not(feature = "aws"))]
    {
        let _ = api;
        false
    }
}

#[test]
fn bodies_of_other_shapes_are_no_answers() {
    let apis = ApiMode::all().filter(|api| !api.can_stream() && !is_signed(*api));
    for api in apis.map(|api| api.name) {
        for body in ["{", "[]", "3", "{}", "{\"other\": 1}"] {
            let steps = vec![write(sized("200 OK", "application/json", body))];
            let response = ask(api, steps);
            assert!(response.error.is_some(), "{api}: {body}");
        }
    }
}

#[test]
fn a_stream_that_was_not_asked_for_names_the_endpoint_that_reads_it() {
    for mode in ApiMode::all().filter(|mode| mode.streaming == Some(false) && !is_signed(*mode)) {
        let mut modes = mode.api.spec().modes.iter();
        let Some(streaming) = modes.find(|mode| mode.streaming == Some(true)) else {
            continue;
        };
        for (body, media_type) in [
            (whole_stream(&["a", "b"]), "text/event-stream"),
            (
                "{\"a\": 1}\n{\"b\": 2}\n".to_owned(),
                "application/x-ndjson",
            ),
        ] {
            let answer = write(sized("200 OK", "application/json", &body));
            let error = ask(mode.name, vec![answer]).error.unwrap().to_string();
            let words = format!("streamed its response ({media_type})");
            assert!(error.contains(&words), "{}: {error}", mode.name);
            assert!(error.contains(streaming.name), "{}: {error}", mode.name);
        }
    }
}

#[test]
fn streams_of_frames_that_are_no_apis_fail_in_the_servers_words() {
    for mode in ApiMode::all().filter(|mode| mode.streaming == Some(true) && !is_signed(*mode)) {
        let frames = ["{\"strange\": \"busy\"}", "{\"strange\": 2}"];
        let events: String = frames.map(|frame| format!("data: {frame}\n\n")).concat();
        for body in [
            frames.map(|frame| format!("{frame}\n")).concat(),
            format!("{events}data: [DONE]\n\n"),
            events,
        ] {
            let answer = write(sized("200 OK", mode.api.framing().media_type(), &body));
            let error = ask(mode.name, vec![answer]).error.unwrap();
            let name = mode.name;
            assert_eq!(error.kind(), FailureKind::Malformed, "{name}: {error}");
            let words = "no frame of the stream is ";
            assert!(error.message().contains(words), "{name}: {error}");
            assert!(error.message().contains("busy"), "{name}: {error}");
        }
    }
}

#[test]
fn lines_after_a_complete_answer_are_noted() {
    let body = "{\"message\": {\"content\": \"a\"}}\n{\"done\": true}\nbye\n";
    let answer = write(sized("200 OK", "application/x-ndjson", body));
    let response = ask("ollama-stream", vec![answer]);
    assert_eq!(response.error, None);
    assert_eq!(response.annotations["outside_events"], "bye");
}

#[test]
fn embeddings_are_counted_and_not_kept() {
    let api = "openai-embeddings";
    let body = json!({
        "data": [{"embedding": [0.5, -1.0]}, {"embedding": [1, 2]}],
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    });
    let body = sized("200 OK", "application/json", &body.to_string());
    let response = ask(api, vec![write(body)]);
    assert_eq!(response.error, None);
    assert_eq!(response.annotations["vectors"], 2);
    assert_eq!(response.annotations["vector_dimensions"], 2);
    assert_eq!(response.num_tokens_output, None);
    assert_eq!(response.detail.num_tokens_output_source, None);
    // A price of output tokens leaves nothing unknown.
    let prices = CostModel::new().with_request(InputTokens::new(1.0).unwrap());
    let prices = prices
        .unwrap()
        .with_request(OutputTokens::new(10.0).unwrap());
    let cost = prices.unwrap().calculate_request_cost(&response);
    assert_eq!(cost.get("OutputTokens"), Some(0.0));
    assert!((cost.total().unwrap() - 7e-6).abs() < 1e-12);
    for (body, message) in [
        (
            sized("200 OK", "application/json", "{\"data\": []}"),
            "no embeddings",
        ),
        (
            sized("200 OK", "text/event-stream", "data: {}\n\n"),
            "not a list of embeddings",
        ),
    ] {
        let error = ask(api, vec![write(body)]).error.unwrap().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[cfg(feature = "aws")]
mod event_streams {
    use aws_smithy_eventstream::frame::write_message_to;
    use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
    use llmeter::endpoint::{AwsOptions, EndpointBuilder};

    use super::*;
    use crate::scripted::answers::chunk_of;

    fn message(kind: &str, name: &str, payload: &Value) -> Vec<u8> {
        let header = |name: String, value: &str| {
            Header::new(name, HeaderValue::String(value.to_owned().into()))
        };
        let message = Message::new(payload.to_string().into_bytes())
            .add_header(header(":message-type".to_owned(), kind))
            .add_header(header(format!(":{kind}-type"), name));
        let mut out = Vec::new();
        write_message_to(&message, &mut out).unwrap();
        out
    }

    fn converse(body: &[u8]) -> InvocationResponse {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\n\
            Transfer-Encoding: chunked\r\n\r\n";
        let answer = [head.as_bytes(), &chunk_of(body), b"0\r\n\r\n"].concat();
        ask_aws(ApiMode::named("bedrock-converse-stream").unwrap(), answer)
    }

    fn ask_aws(mode: ApiMode, answer: Vec<u8>) -> InvocationResponse {
        ask_with(mode, vec![write(answer)], |base_url| {
            let base_url = base_url.trim_end_matches("/v1");
            let aws = AwsOptions::new()
                .base_url(base_url)
                .region("us-east-1")
                .access_keys("AKID", "made-up", None);
            let builder = EndpointBuilder::new(mode.api, base_url, "m");
            let builder = builder.streaming(mode.can_stream()).aws(aws);
            Arc::new(builder.build().unwrap())
        })
    }

    fn text(text: &str) -> Vec<u8> {
        let payload = json!({"delta": {"text": text}});
        message("event", "contentBlockDelta", &payload)
    }

    /// The end of a stream.
    fn end() -> Vec<u8> {
        let usage = json!({"usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}});
        let stop = message("event", "messageStop", &json!({"stopReason": "end_turn"}));
        [stop, message("event", "metadata", &usage)].concat()
    }

    #[track_caller]
    fn fails_with(response: &InvocationResponse, kind: FailureKind, words: &str) {
        let error = response.error.as_ref().expect("a failure");
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(words), "{error}");
    }

    #[test]
    fn an_error_in_the_place_of_a_message_fails_in_the_servers_words() {
        let named = r#"{"__type": "com.amazon#ThrottlingException", "message": "slow down"}"#;
        for (body, kind) in [
            (
                r#"{"message": "no capacity left"}"#,
                FailureKind::ServerError,
            ),
            (
                "\r\n{\n \"error\": {\"message\": \"no capacity left\"}}",
                FailureKind::ServerError,
            ),
            (named, FailureKind::Throttled),
            ("{\"code\": 0, \"more\": 1}", FailureKind::Malformed),
        ] {
            let words = match kind {
                FailureKind::ServerError => "no capacity left",
                FailureKind::Throttled => "ThrottlingException: slow down",
                _ => {
                    "is no AWS event stream, or was damaged on its way: the prelude of message 2 \
                      has a wrong checksum; outside of its events it says: {\"code\": 0, \"more\": 1}"
                }
            };
            let response = converse(&[&text("Hello"), body.as_bytes()].concat());
            fails_with(&response, kind, words);
            assert_eq!(response.response_text.as_deref(), Some("Hello"));
        }
    }

    #[test]
    fn exceptions_in_the_place_of_a_response_are_classified_by_their_name() {
        let named = |kind: &str| json!({"__type": kind, "message": "slow down"}).to_string();
        for (status, body, kind) in [
            (
                "200 OK",
                named("ThrottlingException"),
                FailureKind::Throttled,
            ),
            (
                "400 Bad Request",
                named("ThrottlingException"),
                FailureKind::Throttled,
            ),
            (
                "400 Bad Request",
                named("ValidationException"),
                FailureKind::HttpStatus,
            ),
            (
                "200 OK",
                named("ValidationException"),
                FailureKind::ServerError,
            ),
            (
                "200 OK",
                r#"{"message": "slow down"}"#.to_owned(),
                FailureKind::ServerError,
            ),
        ] {
            let answer = sized(status, "application/json", &body);
            for mode in ApiMode::all().filter(|mode| is_signed(*mode)) {
                let response = ask_aws(mode, answer.clone());
                fails_with(&response, kind, "slow down");
            }
        }
    }

    #[test]
    fn bytes_after_a_complete_answer_are_noted() {
        let whole = [text("Hello"), end()].concat();
        for (bytes, noted) in [
            (&b"bye"[..], Some("bye")),
            (
                b"upstream closed the connection",
                Some("upstream closed the connection"),
            ),
            (&whole[..20], None),
        ] {
            let response = converse(&[&whole, bytes].concat());
            assert_eq!(response.error, None);
            assert_eq!(response.num_tokens_output, Some(2));
            let quoted = response.annotations["outside_events"].as_str().unwrap();
            assert!(noted.is_none_or(|noted| noted == quoted), "{quoted}");
        }
        // Before the end they are no answer.
        let response = converse(&[&text("Hello"), &b"bye bye bye bye"[..]].concat());
        fails_with(
            &response,
            FailureKind::Malformed,
            "outside of its events it says: bye bye",
        );
    }

    #[test]
    fn messages_that_are_no_converse_fail_in_the_servers_words() {
        let odd = message("event", "odd", &json!({"strange": "busy"}));
        for body in [odd.clone(), odd.repeat(2)] {
            fails_with(&converse(&body), FailureKind::Malformed, "busy");
        }
        let answer = [odd, text("Hello"), end()].concat();
        assert_eq!(converse(&answer).error, None);
    }

    #[test]
    fn damage_and_exceptions_keep_what_came_before() {
        let first = text("Hello");
        let whole = [
            first.clone(),
            text(" you"),
            message("event", "messageStop", &json!({"stopReason": "end_turn"})),
        ]
        .concat();
        assert_eq!(converse(&whole).error, None);

        let mut damaged = whole.clone();
        damaged[first.len() + 40] ^= 1;
        let slow_down = json!({"message": "slow down"});
        let exception = message("exception", "throttlingException", &slow_down);
        for (body, error) in [
            // HTTP says that this is all, but a message is not over.
            (whole[..first.len() + 20].to_vec(), "ended within message"),
            (damaged, "checksum"),
            (
                [first, exception].concat(),
                "Bedrock throttlingException: slow down",
            ),
        ] {
            let response = converse(&body);
            let got = response.error.unwrap().to_string();
            assert!(got.contains(error), "{got}");
            assert_eq!(response.response_text.as_deref(), Some("Hello"));
        }
    }
}
