//! A frame that is like an earlier one means what it means by itself.

use proptest::prelude::*;

use super::chat_decoder;
use crate::api::json_frames::Decoder;
use crate::api::openai_chat::decode::Chat;
use crate::endpoint::{Frame, FrameDecoder, ResponseBuilder};
use llmeter_wire::clock::Stamp;

/// Frames with a hole for the raw bytes of a text. Some are no chunks at all.
const FRAMES: &[&str] = &[
    r#"{"id":"a","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"~"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
    r#"{"id":"b","choices":[{"index":0,"delta":{"content":"~"}}]}"#,
    r#"{"choices":[{"delta":{"content":"~","reasoning_content":null,"reasoning":""}}]}"#,
    r#"{"choices":[{"delta":{"content":null,"reasoning_content":"~"}}]}"#,
    r#"{"choices":[{"delta":{"content":"","reasoning":"~"}}]}"#,
    r#"{"choices":[{"delta":{"reasoning_content":"~","reasoning":"x"}}]}"#,
    r#"{"choices":[{"delta":{"reasoning_content":"","reasoning":"~"}}]}"#,
    r#"{"choices":[{"delta":{"content":"~","refusal":"no"}}]}"#,
    r#"{"choices":[{"delta":{"content":"~"},"finish_reason":"error"}]}"#,
    r#"{"choices":[{"delta":{"content":"~"},"finish_reason":"stop"}]}"#,
    r#"{"choices":[{"delta":{"content":"~"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#,
    r#"{"choices":[{"delta":{"content":"~"}}],"timings":{"n":1}}"#,
    r#"{"choices":[{"delta":{"content":"~"}}],"error":"~"}"#,
    r#"{"choices":[{"delta":{"content":"~","content":"~"}}]}"#,
    r#"{"choices":[{"delta":{"x\"content":"~"}}]}"#,
    r#"{"choices":[{"delta":{"content":"a","x":"~"}}]}"#,
    r#"{"choices":[{"delta":{"content":"~","tool_calls":[{"function":{"name":"f"}}]}}]}"#,
    r#"{"choices":[{"index":1,"delta":{"content":"~"}}]}"#,
    r#"{"choices":[{"index":0,"delta":{"content":"~"}},{"index":1,"delta":{"content":"x"}}]}"#,
    r#"{"choices":[{"delta":{"content":[{"type":"text","text":"~"}]}}]}"#,
    r#"{"choices":[{"message":{"content":"~"}}]}"#,
    r#"{"id":"~","choices":[{"delta":{"content":"~"}}]}"#,
    r#"{"id":"c","object":"text_completion","choices":[{"text":"~","index":0,"logprobs":null,"finish_reason":null}]}"#,
    r#"{"choices":[{"text":"~","finish_reason":"stop"}]}"#,
    r#"{"choices":[{"text":"~","index":1}]}"#,
    r#"{"choices":[{"text":"~","delta":{"content":"~"}}]}"#,
    r#"{"choices":[{"text":"","delta":{"content":"~"}}]}"#,
    r#"{"choices":[{"text":null,"delta":{"content":"~"}}]}"#,
    r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
    r#"{"choices":[{"delta":{"content":~}}]}"#,
    "[DONE]~",
    "~",
];

/// The raw bytes of a text: plain, escaped, broken, or imitating what stands around it.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-z ]{0,6}".prop_map(String::into_bytes),
        1 => "\\PC{0,6}".prop_map(String::into_bytes),
        1 => r#"(\\n|\\u00e9|\\ud83d|\\ude00|\\|"|é|a|\t){0,5}"#.prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
        1 => proptest::sample::select(vec![
            r#"","reasoning":"x"#,
            r#"x"},"finish_reason":"stop","y":{"z":""#,
            r#""}}],"error":"boom","x":[{"y":{"z":""#,
            r#"\"#,
            "null",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

fn frame() -> impl Strategy<Value = (Option<&'static str>, Vec<u8>)> {
    let event = prop_oneof![
        20 => Just(None),
        1 => Just(Some("message")),
        1 => Just(Some("error")),
    ];
    // Neighbours in the list are often in the same stream, so that frames repeat.
    let number = prop_oneof![3 => 0..3_usize, 1 => 3..5_usize, 1 => 0..FRAMES.len()];
    (event, number, text()).prop_map(|(event, number, text)| {
        let mut bytes = Vec::new();
        for (part, piece) in FRAMES[number].split('~').enumerate() {
            if part > 0 {
                bytes.extend_from_slice(&text);
            }
            bytes.extend_from_slice(piece.as_bytes());
        }
        (event, bytes)
    })
}

fn decode(
    decoder: &mut Decoder<Chat>,
    event: Option<&str>,
    data: &[u8],
    at: usize,
    response: &mut ResponseBuilder,
) {
    response.begin_frame(Stamp(at as i64 * 1_000_000));
    decoder.frame(
        Frame {
            event,
            data,
            is_error: false,
        },
        response,
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn means_what_it_means_by_itself(frames in proptest::collection::vec(frame(), 1..12)) {
        let (mut with, mut without) = (chat_decoder(), chat_decoder());
        let (mut fast, mut full) = (ResponseBuilder::default(), ResponseBuilder::default());
        for (at, (event, data)) in frames.iter().enumerate() {
            decode(&mut with, *event, data, at, &mut fast);
            without.meaning.template = None;
            decode(&mut without, *event, data, at, &mut full);
            let data = String::from_utf8_lossy(data);
            prop_assert_eq!(format!("{fast:?}"), format!("{full:?}"), "after {}", data);
        }
        with.end(&mut fast);
        without.end(&mut full);
        prop_assert_eq!(format!("{fast:?}"), format!("{full:?}"));
    }
}

/// Otherwise the comparison above would compare nothing.
#[test]
fn usual_frames_need_no_parser() {
    for (number, shape) in FRAMES[..5].iter().enumerate() {
        let mut decoder = chat_decoder();
        let mut response = ResponseBuilder::default();
        decode(
            &mut decoder,
            None,
            shape.replace('~', "one").as_bytes(),
            1,
            &mut response,
        );
        let template = decoder.meaning.template.take();
        let template = template.unwrap_or_else(|| panic!("frame {number} gives no template"));
        response.begin_frame(Stamp(2));
        assert!(template.take(shape.replace('~', " tüó").as_bytes(), &mut response));
        assert_eq!(response.text.clone() + &response.reasoning, "one tüó");
        assert_eq!(response.content_frames(), 2);
        for other in ["", "\\n", "\"", "\n"] {
            assert!(!template.take(shape.replace('~', other).as_bytes(), &mut response));
        }
    }
}
