//! No input makes the decoder panic.

use proptest::prelude::*;
use serde_json::json;

use super::chat_decoder;
use crate::endpoint::{Frame, FrameDecoder, ResponseBuilder};
use llmeter_wire::clock::Stamp;

/// JSON that resembles a chunk: known keys, any values.
fn chunk_like() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|truth| json!(truth)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        "\\PC{0,6}".prop_map(|text| json!(text)),
        Just(json!("error")),
    ];
    let key = proptest::sample::select(vec![
        "id",
        "choices",
        "delta",
        "message",
        "index",
        "finish_reason",
        "usage",
        "error",
        "object",
        "content",
        "reasoning",
        "reasoning_content",
        "refusal",
        "tool_calls",
        "function",
        "custom",
        "name",
        "arguments",
        "input",
        "function_call",
        "audio",
        "data",
        "transcript",
        "type",
        "text",
        "thinking",
        "code",
        "prompt_tokens",
        "completion_tokens",
        "detail",
        "msg",
        "loc",
        "prompt_tokens_details",
        "cached_tokens",
    ]);
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::vec((key.clone(), inner), 0..6).prop_map(|fields| {
                fields
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()
            }),
        ]
    })
}

fn survive(data: &[u8]) {
    let mut decoder = chat_decoder();
    let mut response = ResponseBuilder::default();
    response.begin_frame(Stamp(1));
    decoder.frame(
        Frame {
            event: None,
            data,
            is_error: false,
        },
        &mut response,
    );
    decoder.frame(
        Frame {
            event: Some("error"),
            data,
            is_error: false,
        },
        &mut response,
    );
    decoder.end(&mut response);
    chat_decoder().non_streaming(data, &mut response);
    let _ = decoder.error_message(data);
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        survive(&data);
    }

    #[test]
    fn any_json_gives_an_answer(value in chunk_like()) {
        survive(value.to_string().as_bytes());
    }

    #[test]
    fn any_choices_give_an_answer(message in chunk_like(), cut in any::<proptest::sample::Index>()) {
        let text = json!({"choices": [{"delta": message, "message": message}]}).to_string();
        survive(text.as_bytes());
        survive(&text.as_bytes()[..cut.index(text.len())]);
    }

    #[test]
    fn any_escapes_give_an_answer(text in r#"(\\u[dD][8-9a-fA-F]{3}|\\\\|\\"|\\u00e9|é|a|\\|"){0,12}"#) {
        survive(format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#).as_bytes());
    }
}
