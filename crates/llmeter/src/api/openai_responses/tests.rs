//! What events of real servers, and of broken ones, become.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::OpenAiResponses;
use crate::api::Api;
use crate::endpoint::{Frame, ResponseBuilder, Usage};
use llmeter_wire::clock::Stamp;

/// Decodes events that arrive a second apart.
pub(super) fn events(events: &[Value]) -> ResponseBuilder {
    let data: Vec<String> = events.iter().map(Value::to_string).collect();
    let frames: Vec<_> = data.iter().map(|data| (None, data.as_bytes())).collect();
    decode(&frames)
}

fn decode(frames: &[(Option<&str>, &[u8])]) -> ResponseBuilder {
    let mut decoder = OpenAiResponses.decoder();
    let mut response = ResponseBuilder::default();
    response.sent_at(Stamp(0));
    for (second, &(event, data)) in (1..).zip(frames) {
        response.begin_frame(Stamp(second * 1_000_000_000));
        decoder.frame(
            Frame {
                event,
                data,
                is_error: false,
            },
            &mut response,
        );
    }
    decoder.end(&mut response);
    response
}

fn whole(body: &str) -> ResponseBuilder {
    let mut response = ResponseBuilder::default();
    response.begin_frame(Stamp(1));
    OpenAiResponses
        .decoder()
        .non_streaming(body.as_bytes(), &mut response);
    response
}

fn delta(kind: &str, text: &str) -> Value {
    json!({"type": format!("response.{kind}.delta"), "output_index": 0, "delta": text})
}

fn created() -> Value {
    json!({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}})
}

fn usage() -> Value {
    json!({
        "input_tokens": 9, "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 6, "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 15,
    })
}

fn completed() -> Value {
    json!({"type": "response.completed", "response": {
        "id": "resp_1", "status": "completed", "usage": usage(),
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "again"}]}],
    }})
}

const COUNTS: Usage = Usage {
    input: Some(9),
    output: Some(6),
    input_cached: Some(4),
    output_reasoning: Some(2),
    total: Some(15),
};

#[test]
fn a_stream_of_reasoning_and_text() {
    let response = events(&[
        created(),
        json!({"type": "response.output_item.added", "item": {"type": "reasoning", "summary": []}}),
        delta("reasoning_summary_text", "hm"),
        delta("reasoning_text", "m"),
        json!({"type": "response.reasoning_summary_text.done", "text": "hmm"}),
        json!({"type": "response.output_item.added", "item": {"type": "message", "content": []}}),
        json!({"type": "response.content_part.added", "part": {"type": "output_text", "text": ""}}),
        delta("output_text", "Hel"),
        delta("output_text", "lo"),
        json!({"type": "response.output_text.done", "text": "Hello"}),
        completed(),
    ]);
    assert_eq!(response.error, None);
    assert_eq!(response.id.as_deref(), Some("resp_1"));
    assert_eq!((&*response.reasoning, &*response.text), ("hmm", "Hello"));
    assert_eq!(response.times(), [Some(3.0), Some(8.0), Some(9.0)]);
    assert_eq!(response.content_frames(), 4);
    assert_eq!(response.usage, COUNTS);
    assert_eq!(response.finish_reason.as_deref(), Some("completed"));
}

#[test]
fn calls_of_tools_are_content_from_their_name_on() {
    let response = events(&[
        created(),
        json!({"type": "response.output_item.added",
               "item": {"type": "function_call", "name": "f", "arguments": ""}}),
        delta("function_call_arguments", "{}"),
        json!({"type": "response.function_call_arguments.done", "arguments": "{}"}),
        json!({"type": "response.output_item.done",
               "item": {"type": "function_call", "name": "f", "arguments": "{}"}}),
        json!({"type": "response.completed", "response": {"status": "completed", "output": [
            {"type": "function_call", "name": "f", "arguments": "{}"}]}}),
    ]);
    assert_eq!(response.error, None);
    assert_eq!((&*response.tool_calls, response.has_text), ("f{}", false));
    assert_eq!(response.times(), [Some(2.0), Some(2.0), Some(3.0)]);

    let response = events(&[
        json!({"type": "response.output_item.added", "item": {"type": "web_search_call"}}),
        delta("output_audio", "AAAA"),
        delta("something_new", "x"),
        delta("something_new", ""),
        delta("refusal", "No."),
        completed(),
    ]);
    assert_eq!(response.text, "No.");
    assert_eq!(response.content_frames(), 4);
}

#[test]
fn an_incomplete_answer_is_an_answer() {
    let end = |details: Value| {
        let mut event = completed();
        event["type"] = json!("response.incomplete");
        event["response"]["status"] = json!("incomplete");
        event["response"]["incomplete_details"] = details;
        event
    };
    for (details, reason) in [
        (json!({"reason": "max_output_tokens"}), "max_output_tokens"),
        (json!(null), "incomplete"),
    ] {
        let response = events(&[created(), delta("output_text", "Hel"), end(details.clone())]);
        assert_eq!((response.error, response.usage), (None, COUNTS));
        assert_eq!(
            (&*response.text, response.finish_reason.as_deref()),
            ("Hel", Some(reason))
        );

        let response = whole(&end(details)["response"].to_string());
        assert_eq!((response.error, response.usage), (None, COUNTS));
        assert_eq!(
            (&*response.text, response.finish_reason.as_deref()),
            ("again", Some(reason))
        );
    }
}

#[test]
fn failures_in_the_stream_keep_what_came_before() {
    let failed = json!({"type": "response.failed", "response": {
        "id": "resp_1", "status": "failed", "usage": usage(),
        "error": {"code": "server_error", "message": "The model broke."},
    }});
    for (event, message) in [
        (failed, "server_error: The model broke."),
        (
            json!({"type": "error", "code": "rate_limit_exceeded", "message": "Slow down.",
                   "param": null, "sequence_number": 3}),
            "rate_limit_exceeded: Slow down.",
        ),
        (
            json!({"type": "error", "error": {"type": "t", "code": "c", "message": "m"}}),
            "m (type t, code c)",
        ),
        (json!({"error": {"message": "m"}}), "m"),
        (
            json!({"type": "error"}),
            "the response failed without a reason",
        ),
        (
            json!({"type": "response.failed", "response": null}),
            "the response failed without a reason",
        ),
        (
            json!({"type": "response.cancelled", "response": {}}),
            "the response was cancelled",
        ),
    ] {
        let response = events(&[created(), delta("output_text", "Hel"), event]);
        assert_eq!(response.error_text(), Some(message));
        assert_eq!(response.text, "Hel");
    }
    let response = decode(&[(Some("error"), b"out of memory")]);
    assert_eq!(response.error_text(), Some("out of memory"));
}

#[test]
fn streams_that_are_cut_or_are_none_are_failures() {
    let response = events(&[created(), delta("output_text", "Hel")]);
    assert!(
        response
            .error_text()
            .unwrap()
            .to_string()
            .contains("no response.completed")
    );
    assert!(
        events(&[])
            .error_text()
            .unwrap()
            .contains("without a single event")
    );
    let response = decode(&[(None, b"{\"type\":")]);
    assert!(
        response
            .error_text()
            .unwrap()
            .to_string()
            .contains("frame 1 is not valid JSON")
    );
    let response = decode(&[(None, b"[1]")]);
    assert!(
        response
            .error
            .unwrap()
            .to_string()
            .contains("not a JSON object")
    );
}

#[test]
fn odd_servers_are_understood() {
    // No deltas: the content comes with the end.
    let response = events(&[created(), completed()]);
    assert_eq!((response.error, &*response.text), (None, "again"));
    // The type only in the event's name, an end without a type, and a mark that OpenAI has not.
    let response = decode(&[
        (Some("response.output_text.delta"), b"{\"delta\": \"a\"}"),
        (None, b""),
        (
            Some("response.output_text.delta"),
            b"{\"delta\": {\"text\": \"b\"}}",
        ),
        (
            Some("response.output_text.delta"),
            b"{\"delta\": \"\\ud83d\"}",
        ),
        (Some("response.unknown"), b"{}"),
        (None, b"[DONE]"),
        (None, b"garbage after the end"),
    ]);
    assert_eq!((response.error, &*response.text), (None, "ab\u{fffd}"));
    // Nothing generated, and no usage.
    let response = events(&[json!({"type": "response.completed", "response": {"output": []}})]);
    assert_eq!(
        (&response.error, response.usage, response.has_text),
        (&None, Usage::default(), false)
    );
    assert_eq!(response.content_frames(), 0);
}

#[test]
fn a_whole_response() {
    let response = whole(
        &json!({
            "id": "resp_2", "object": "response", "status": "completed", "error": null,
            "output": [
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
                {"type": "reasoning", "summary": [{"text": "short"}], "content": [{"text": "m"}]},
                {"type": "message", "content": [
                    {"type": "output_text", "text": "Hel"}, {"type": "output_text", "text": "lo"},
                    {"type": "refusal", "refusal": "!"}]},
                {"type": "function_call", "name": "f", "arguments": "{}"},
            ],
            "usage": usage(),
        })
        .to_string(),
    );
    assert_eq!(response.error, None);
    assert_eq!(response.id.as_deref(), Some("resp_2"));
    assert_eq!(
        (&*response.reasoning, &*response.text, &*response.tool_calls),
        ("hmm", "Hello!", "f{}")
    );
    assert_eq!(response.usage, COUNTS);
}

#[test]
fn bodies_that_are_no_answer_are_failures() {
    for (body, message) in [
        ("", "is empty"),
        ("{", "not valid JSON"),
        ("{}", "it has no output"),
        ("[]", "it has no output"),
        (r#"{"error": {"message": "m", "code": "c"}}"#, "m (code c)"),
        (
            r#"{"status": "queued", "output": []}"#,
            "not finished: its status is \"queued\"",
        ),
        (r#"{"status": "cancelled"}"#, "was cancelled"),
        (
            r#"{"status": "failed", "error": {"code": "server_error", "message": "m"}}"#,
            "server_error: m",
        ),
        (r#"{"status": "completed", "error": {"message": "m"}}"#, "m"),
    ] {
        let error = whole(body).error.unwrap().to_string();
        assert!(error.contains(message), "{body}: {error}");
    }
}

/// JSON that resembles an event: known keys, any values.
fn event_like() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        "\\PC{0,6}".prop_map(|text| json!(text)),
        proptest::sample::select(vec![
            "error",
            "response.completed",
            "response.failed",
            "response.incomplete",
            "message",
            "response.output_text.delta",
            "response.output_item.added",
            "function_call",
            "reasoning",
            "failed",
            "incomplete",
        ])
        .prop_map(|text| json!(text)),
    ];
    let key = proptest::sample::select(vec![
        "type",
        "delta",
        "text",
        "response",
        "item",
        "output",
        "content",
        "summary",
        "status",
        "error",
        "code",
        "message",
        "usage",
        "input_tokens",
        "output_tokens",
        "id",
        "name",
        "arguments",
        "incomplete_details",
        "reason",
        "refusal",
        "timings",
    ]);
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..6).prop_map(|fields| {
                let fields = fields.into_iter();
                fields.map(|(key, value)| (key.to_owned(), value)).collect()
            }),
        ]
    })
}

fn survive(data: &[u8]) {
    let mut decoder = OpenAiResponses.decoder();
    let mut response = ResponseBuilder::default();
    response.begin_frame(Stamp(1));
    for event in [None, Some("response.output_text.delta"), Some("error")] {
        decoder.frame(
            Frame {
                event,
                data,
                is_error: false,
            },
            &mut response,
        );
    }
    decoder.end(&mut response);
    assert!(response.is_complete() || response.is_failed());
    decoder.error_message(data);
    let mut response = ResponseBuilder::default();
    response.begin_frame(Stamp(1));
    OpenAiResponses.decoder().non_streaming(data, &mut response);
    assert!(response.is_complete() || response.is_failed());
}

proptest! {
    #[test]
    fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        survive(&data);
    }

    #[test]
    fn any_event_is_survived(event in event_like()) {
        survive(event.to_string().as_bytes());
    }
}
