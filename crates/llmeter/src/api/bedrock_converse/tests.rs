use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::endpoint::{ApiEndpoint, AwsOptions, Endpoint, HttpApi};
use llmeter_wire::clock::Stamp;

fn endpoint() -> ApiEndpoint {
    let aws = AwsOptions::new().region("us-east-1").bearer_token("key1");
    BedrockConverse::builder("m:1").aws(aws).build().unwrap()
}

/// Decodes events, each 1 ms after the one before, the request having left at 0.
fn decode(events: &[(&str, Value)]) -> ResponseBuilder {
    let (mut decoder, mut response) = (DEFAULT.decoder(), ResponseBuilder::default());
    response.sent_at(Stamp(0));
    for (number, (event, data)) in events.iter().enumerate() {
        response.begin_frame(Stamp((number as i64 + 1) * 1_000_000));
        let data = data.to_string();
        let frame = Frame {
            event: Some(event),
            data: data.as_bytes(),
            is_error: event.ends_with("Exception"),
        };
        decoder.frame(frame, &mut response);
    }
    decoder.end(&mut response);
    response
}

fn delta(delta: Value) -> (&'static str, Value) {
    (
        "contentBlockDelta",
        json!({"contentBlockIndex": 0, "delta": delta}),
    )
}

fn stop() -> (&'static str, Value) {
    ("messageStop", json!({"stopReason": "end_turn"}))
}

#[test]
fn a_stream_gives_text_reasoning_usage_and_trace() {
    let response = decode(&[
        ("messageStart", json!({"role": "assistant"})),
        delta(json!({"reasoningContent": {"text": "hm"}})),
        delta(json!({"reasoningContent": {"signature": "abc"}})),
        delta(json!({"text": "Hello"})),
        delta(json!({"text": " you"})),
        ("contentBlockStop", json!({"contentBlockIndex": 0})),
        stop(),
        (
            "metadata",
            json!({"usage": {"inputTokens": 5, "outputTokens": 4, "cacheReadInputTokens": 2,
                "cacheWriteInputTokens": 1}, "metrics": {"latencyMs": 9},
                "trace": {"guardrail": {"x": 1}}}),
        ),
    ]);
    assert_eq!(response.error, None);
    assert_eq!((&*response.text, &*response.reasoning), ("Hello you", "hm"));
    assert_eq!(response.times(), [Some(0.002), Some(0.004), Some(0.005)]);
    assert_eq!(response.finish_reason.as_deref(), Some("end_turn"));
    assert_eq!(
        (response.usage.input, response.usage.output),
        (Some(8), Some(4))
    );
    assert_eq!(response.usage.input_cached, Some(2));
    assert_eq!(response.annotations["server_timings"]["latencyMs"], 9);
    assert_eq!(response.annotations["bedrock_trace"]["guardrail"]["x"], 1);
    assert_eq!(response.annotations["num_tokens_input_cache_write"], 1);
}

#[test]
fn a_tool_call_is_content() {
    let response = decode(&[
        (
            "contentBlockStart",
            json!({"start": {"toolUse": {"toolUseId": "t", "name": "weather"}}}),
        ),
        delta(json!({"toolUse": {"input": "{\"a\":1}"}})),
        stop(),
    ]);
    assert_eq!(response.tool_calls, "weather{\"a\":1}");
    assert_eq!(response.times()[0], Some(0.001));
}

#[test]
fn what_goes_wrong_is_said() {
    let error =
        |events: &[(&str, Value)]| decode(events).error_text().unwrap_or_default().to_owned();
    assert_eq!(
        error(&[
            delta(json!({"text": "a"})),
            ("throttlingException", json!({"message": "slow down"}))
        ]),
        "Bedrock throttlingException: slow down"
    );
    assert!(error(&[delta(json!({"text": "a"}))]).contains("messageStop"));
    assert!(error(&[]).contains("without a single event"));
    assert!(error(&[("contentBlockDelta", json!(7)), stop()]).contains("not a JSON object"));
    assert_eq!(error(&[("somethingNew", json!("x")), stop()]), "");
    assert_eq!(decode(&[stop()]).usage.output, None);
}

#[test]
fn a_whole_answer_is_read_and_another_is_refused() {
    let whole = |body: &str| {
        let (mut decoder, mut response) = (DEFAULT.decoder(), ResponseBuilder::default());
        let head = ResponseHead::new(200).with("x-amzn-RequestId", "r-1");
        decoder.head(&head, &mut response);
        decoder.non_streaming(body.as_bytes(), &mut response);
        response
    };
    let body = json!({
        "output": {"message": {"role": "assistant", "content": [
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
            {"text": "a"}, {"text": "b"},
            {"toolUse": {"toolUseId": "t", "name": "f", "input": {"x": 1}}},
        ]}},
        "stopReason": "tool_use",
        "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
    });
    let response = whole(&body.to_string());
    assert_eq!((&*response.text, &*response.reasoning), ("ab", "hm"));
    assert_eq!(response.tool_calls, "f{\"x\":1}");
    assert_eq!(response.id.as_deref(), Some("r-1"));
    assert_eq!(response.error, None);
    for body in ["", "{", "[]", "{}", "{\"output\": 1}"] {
        assert!(whole(body).is_failed(), "{body}");
    }
}

#[test]
fn a_request_has_the_model_in_its_path_and_bytes_in_base64() {
    let endpoint = endpoint();
    let image =
        json!({"image": {"format": "png", "source": {"bytes": {"__llmeter_bytes__": "AAE="}}}});
    let mut payload = Payload::new();
    payload.insert(
        "messages".into(),
        json!([{"role": "user", "content": [image]}]),
    );
    endpoint.prepare_payload(&mut payload).unwrap();
    assert_eq!(payload["modelId"], "m:1");
    let request = endpoint.request(&payload).unwrap();
    assert_eq!(request.target, "/model/m%3A1/converse-stream");
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body.get("modelId"), None);
    assert_eq!(
        body["messages"][0]["content"][0]["image"]["source"]["bytes"],
        "AAE="
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        kind in prop::sample::select(vec!["contentBlockStart", "contentBlockDelta", "messageStop", "metadata", "x"]),
        data in proptest::collection::vec(any::<u8>(), 0..60),
        is_error in any::<bool>(),
    ) {
        let (mut decoder, mut response) = (DEFAULT.decoder(), ResponseBuilder::default());
        decoder.frame(Frame { event: Some(kind), data: &data, is_error }, &mut response);
        decoder.non_streaming(&data, &mut response);
        decoder.end(&mut response);
        let _ = decoder.error_message(&data);
        prop_assert!(response.usage.output.is_none());
    }
}
