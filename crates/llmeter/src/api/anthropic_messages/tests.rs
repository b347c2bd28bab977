//! What frames of Anthropic Messages become.

use serde_json::{Value, json};

use super::AnthropicMessages;
use crate::api::json_frames::tests::{frames, whole};
use crate::endpoint::Usage;

fn delta(delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": 0, "delta": delta})
}

fn block(block: Value) -> Value {
    json!({"type": "content_block_start", "index": 0, "content_block": block})
}

#[test]
fn thinking_comes_before_the_answer_even_if_its_text_is_kept_back() {
    for hidden in [
        delta(json!({"type": "signature_delta", "signature": "c2ln"})),
        block(json!({"type": "redacted_thinking", "data": "…"})),
    ] {
        let (response, content) = frames(
            &AnthropicMessages,
            &[
                json!({"type": "message_start", "message": {"id": "m1", "usage": {"input_tokens": 1}}}),
                block(json!({"type": "thinking", "thinking": "", "signature": ""})),
                hidden,
                delta(json!({"type": "text_delta", "text": "a"})),
                json!({"type": "content_block_stop", "index": 0}),
                json!({"type": "message_stop"}),
            ],
        );
        assert_eq!(content, [false, false, true, true, false, false]);
        assert_eq!(response.times(), [Some(3.0), Some(4.0), Some(4.0)]);
        assert_eq!(
            (response.text.as_str(), response.reasoning.as_str()),
            ("a", "")
        );
        assert!(!response.is_failed());
    }
}

#[test]
fn the_signature_of_thoughts_that_were_told_is_no_token() {
    let (response, content) = frames(
        &AnthropicMessages,
        &[
            delta(json!({"type": "thinking_delta", "thinking": "hm"})),
            delta(json!({"type": "signature_delta", "signature": "c2ln"})),
            delta(json!({"type": "text_delta", "text": "a"})),
        ],
    );
    assert_eq!(content, [true, false, true]);
    assert_eq!(response.reasoning, "hm");
}

#[test]
fn a_tool_call_begins_with_its_name() {
    let (response, content) = frames(
        &AnthropicMessages,
        &[
            block(json!({"type": "tool_use", "id": "t", "name": "f", "input": {}})),
            delta(json!({"type": "input_json_delta", "partial_json": ""})),
            delta(json!({"type": "input_json_delta", "partial_json": "{\"a\":1}"})),
            delta(json!({"type": "citations_delta", "citation": {"cited_text": "x"}})),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
        ],
    );
    assert_eq!(content, [true, false, true, false, false]);
    assert_eq!(response.tool_calls, "f{\"a\":1}");
    assert_eq!(response.finish_reason.as_deref(), Some("tool_use"));
    assert!(!response.has_text && !response.is_failed());
    let body = json!({"content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "tool_use", "name": "f", "input": {"a": 1}},
        {"type": "web_search_tool_result", "content": [{"url": "u"}]},
    ], "stop_reason": "tool_use"});
    let response = whole(&AnthropicMessages, &body);
    assert_eq!(
        (response.reasoning.as_str(), response.tool_calls.as_str()),
        ("hm", "f{\"a\":1}")
    );
}

#[test]
fn usage_is_cumulative_and_cached_tokens_are_input() {
    let usage = |usages: [Value; 2]| {
        let [start, end] = usages;
        let (response, _) = frames(
            &AnthropicMessages,
            &[
                json!({"type": "message_start", "message": {"usage": start}}),
                json!({"type": "message_delta", "delta": {}, "usage": end}),
                json!({"type": "message_stop"}),
            ],
        );
        response.usage
    };
    let start = json!({
        "input_tokens": 10, "cache_read_input_tokens": 200, "cache_creation_input_tokens": 30,
        "output_tokens": 1,
    });
    let expected = Usage {
        input: Some(240),
        output: Some(9),
        input_cached: Some(200),
        output_reasoning: None,
        total: None,
    };
    assert_eq!(
        usage([start.clone(), json!({"output_tokens": 9})]),
        expected
    );
    let end = json!({
        "input_tokens": 20, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4},
    });
    let expected = Usage {
        input: Some(250),
        output_reasoning: Some(4),
        ..expected
    };
    assert_eq!(usage([start, end]), expected);
    let odd = json!({"input_tokens": "7", "output_tokens": -1, "cache_read_input_tokens": null});
    assert_eq!(usage([odd, Value::Null]), Usage::default());
    let endless = json!({"input_tokens": u64::MAX, "cache_read_input_tokens": u64::MAX});
    assert_eq!(usage([endless, json!({})]).input, None);
}

fn stop() -> [Value; 2] {
    [
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
        json!({"type": "message_stop"}),
    ]
}

#[test]
fn content_that_comes_with_the_beginning_or_the_end_is_taken_once() {
    let text = json!({"type": "text", "text": "Hello"});
    // With the message's beginning, at its time.
    let early = json!({"type": "message_start", "message": {"content": [text]}});
    let [delta, end] = stop();
    let (response, _) = frames(&AnthropicMessages, &[early.clone(), delta, end]);
    assert_eq!((&*response.text, response.content_frames()), ("Hello", 1));
    assert_eq!(response.times(), [Some(1.0); 3]);
    // Unless it comes again.
    let piece = json!({"type": "content_block_delta", "index": 0,
                       "delta": {"type": "text_delta", "text": "Hello"}});
    let [delta, end] = stop();
    let (response, _) = frames(&AnthropicMessages, &[early, piece.clone(), delta, end]);
    assert_eq!((&*response.text, response.content_frames()), ("Hello", 1));
    assert_eq!(response.times(), [Some(2.0); 3]);
    // With the block's end.
    let begin = block(json!({"type": "text", "text": ""}));
    let close = json!({"type": "content_block_stop", "index": 0, "content_block": text});
    let [delta, end] = stop();
    let (response, content) = frames(
        &AnthropicMessages,
        &[begin.clone(), close.clone(), delta, end],
    );
    assert_eq!(response.text, "Hello");
    assert_eq!(content, [false, true, false, false]);
    let [delta, end] = stop();
    let (response, _) = frames(&AnthropicMessages, &[begin, piece, close, delta, end]);
    assert_eq!((&*response.text, response.content_frames()), ("Hello", 1));
    // With the message's end, or as the one event.
    let whole = json!({"type": "message", "content": [text], "stop_reason": "end_turn"});
    let end = json!({"type": "message_stop", "message": whole});
    for only in [end, whole] {
        let (response, _) = frames(&AnthropicMessages, &[only]);
        assert_eq!(response.error, None);
        assert_eq!((&*response.text, response.content_frames()), ("Hello", 1));
    }
}

#[test]
fn the_input_of_a_call_is_taken_once() {
    let input = json!({"q": 1});
    let begin = |input: Value| block(json!({"type": "tool_use", "name": "f", "input": input}));
    let piece = json!({"type": "content_block_delta", "index": 0,
                       "delta": {"type": "input_json_delta", "partial_json": "{\"q\":1}"}});
    let close = json!({"type": "content_block_stop", "index": 0,
                       "content_block": {"type": "tool_use", "name": "f", "input": input}});
    let empty = json!({"type": "content_block_stop", "index": 0,
                       "content_block": {"type": "tool_use", "name": "f", "input": {}}});
    for (events, expected) in [
        (vec![begin(input.clone())], "f{\"q\":1}"),
        (vec![begin(input.clone()), piece.clone()], "f{\"q\":1}"),
        (
            vec![begin(input), piece.clone(), close.clone()],
            "f{\"q\":1}",
        ),
        (vec![begin(json!({})), piece, close.clone()], "f{\"q\":1}"),
        (vec![begin(json!({})), close], "f{\"q\":1}"),
        (vec![begin(json!({})), empty], "f"),
    ] {
        let (response, _) = frames(&AnthropicMessages, &events);
        assert_eq!(response.tool_calls, expected, "{events:?}");
    }
}
