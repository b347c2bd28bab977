//! No input makes a decoder panic, and what tests of the APIs share.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::api::{AnthropicMessages, Api, Frame, Gemini, Ollama, ResponseBuilder, Tgi};
use llmeter_wire::clock::Stamp;

const JSON_APIS: [&dyn Api; 4] = [&AnthropicMessages, &Gemini, &Ollama, &Tgi];

/// Decodes frames that arrive a second apart, and says which of them carried content.
pub(crate) fn frames(api: &dyn Api, data: &[Value]) -> (ResponseBuilder, Vec<bool>) {
    let mut decoder = api.decoder();
    let mut response = ResponseBuilder::default();
    response.sent_at(Stamp(0));
    let mut content = Vec::new();
    for (index, data) in data.iter().enumerate() {
        response.begin_frame(Stamp((index as i64 + 1) * 1_000_000_000));
        let data = data.to_string();
        let frame = Frame {
            is_error: false,
            event: None,
            data: data.as_bytes(),
        };
        decoder.frame(frame, &mut response);
        content.push(response.frame_has_content());
    }
    decoder.end(&mut response);
    (response, content)
}

/// Decodes a response that is no stream.
pub(crate) fn whole(api: &dyn Api, body: &Value) -> ResponseBuilder {
    let mut response = ResponseBuilder::default();
    response.begin_frame(Stamp(1));
    api.decoder()
        .non_streaming(body.to_string().as_bytes(), &mut response);
    response
}

/// JSON that resembles frames: known keys, any values.
fn frame_like() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|truth| json!(truth)),
        any::<u64>().prop_map(|number| json!(number)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        "\\PC{0,6}".prop_map(|text| json!(text)),
        proptest::sample::select(vec![
            "message_start",
            "content_block_start",
            "content_block_delta",
            "message_delta",
            "message_stop",
            "text",
            "text_delta",
            "thinking",
            "thinking_delta",
            "signature_delta",
            "input_json_delta",
            "tool_use",
            "redacted_thinking",
        ])
        .prop_map(|text| json!(text)),
    ];
    #[rustfmt::skip]
    let keys = vec![
        "type", "message", "id", "usage", "content_block", "delta", "text", "thinking", "signature",
        "partial_json", "name", "input", "stop_reason", "content", "input_tokens", "output_tokens",
        "cache_read_input_tokens", "output_tokens_details", "thinking_tokens", "error", "candidates",
        "parts", "thought", "functionCall", "args", "finishReason", "index", "usageMetadata",
        "promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "promptFeedback",
        "blockReason", "responseId", "done", "done_reason", "eval_count", "total_duration",
        "tool_calls", "function", "arguments", "token", "special", "generated_text", "details",
        "generated_tokens", "prefill", "finish_reason", "toolUsePromptTokenCount",
    ];
    let key = proptest::sample::select(keys);
    leaf.prop_recursive(5, 48, 6, move |inner| {
        let fields = proptest::collection::vec((key.clone(), inner.clone()), 0..7);
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Value::from),
            fields.prop_map(|fields| {
                let fields = fields.into_iter();
                fields.map(|(key, value)| (key.to_owned(), value)).collect()
            }),
        ]
    })
}

fn survive(frames: &[&[u8]]) {
    for api in JSON_APIS {
        let (mut decoder, mut response) = (api.decoder(), ResponseBuilder::default());
        response.sent_at(Stamp(0));
        for (index, &data) in frames.iter().enumerate() {
            response.begin_frame(Stamp(1 + index as i64));
            decoder.frame(
                Frame {
                    event: None,
                    data,
                    is_error: false,
                },
                &mut response,
            );
            let event = Some("error");
            if index == frames.len() - 1 {
                decoder.frame(
                    Frame {
                        event,
                        data,
                        is_error: false,
                    },
                    &mut response,
                );
            }
        }
        decoder.end(&mut response);
        assert!(response.is_complete() || response.is_failed());
        for &data in frames {
            let mut response = ResponseBuilder::default();
            api.decoder().non_streaming(data, &mut response);
            assert!(response.is_complete() || response.is_failed());
            let _ = decoder.error_message(data);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        survive(&[&data]);
    }

    #[test]
    fn any_json_gives_an_answer(
        values in proptest::collection::vec(frame_like(), 1..4),
        cut in any::<proptest::sample::Index>(),
    ) {
        let texts: Vec<String> = values.iter().map(Value::to_string).collect();
        let mut frames: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        survive(&frames);
        let last = frames.pop().unwrap();
        frames.push(&last[..cut.index(last.len())]);
        survive(&frames);
    }
}

#[test]
fn texts_that_are_no_unicode_are_kept_as_far_as_they_are() {
    for api in JSON_APIS {
        let (mut decoder, mut response) = (api.decoder(), ResponseBuilder::default());
        response.begin_frame(Stamp(1));
        for data in [
            &br#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"a\ud800"}}"#[..],
            br#"{"candidates":[{"content":{"parts":[{"text":"a\ud800"}]}}]}"#,
            br#"{"message":{"content":"a\ud800"}}"#,
            br#"{"token":{"text":"a\ud800"}}"#,
        ] {
            decoder.frame(
                Frame {
                    event: None,
                    data,
                    is_error: false,
                },
                &mut response,
            );
        }
        assert_eq!(
            (response.text.as_str(), response.is_failed()),
            ("a\u{fffd}", false)
        );
    }
}
