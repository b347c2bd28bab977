//! Content in other places than OpenAI's own.

use serde_json::{Value, json};

use super::{delta, deltas, frames, whole};

#[test]
fn reasoning_has_many_names_and_is_taken_once() {
    let details = json!([{"type": "reasoning.text", "text": "hm", "index": 0}]);
    let blocks = json!([{"type": "thinking", "thinking": "hm"}]);
    let parts = json!([{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}]);
    for message in [
        json!({"reasoning_details": details}),
        json!({"reasoning_details": [{"type": "reasoning.summary", "summary": "hm"}]}),
        json!({"reasoning": "hm", "reasoning_details": details, "content": ""}),
        json!({"reasoning_content": "hm", "thinking_blocks": blocks}),
        json!({"thinking_blocks": blocks}),
        json!({"reasoning_text": "hm"}),
        json!({"thinking": "hm"}),
        json!({"thought": "hm"}),
        json!({"thoughts": ["hm"], "thought": true}),
        json!({"content": parts}),
    ] {
        let (response, content) = deltas(&[message.clone(), json!({"content": "Yes"})]);
        assert_eq!(
            (&*response.reasoning, &*response.text),
            ("hm", "Yes"),
            "{message}"
        );
        assert_eq!(content, [true, true]);
        assert_eq!(response.times(), [Some(1.0), Some(2.0), Some(2.0)]);
        let body = json!({"choices": [{"message": message, "finish_reason": "stop"}]});
        assert_eq!(whole(&body.to_string()).reasoning, "hm", "{message}");
    }
}

#[test]
fn details_that_repeat_what_came_before_add_what_is_new() {
    let all = [
        "Let me",
        "Let me think",
        "Let me think about it",
        "Let me think about it",
    ];
    let detail = |text: &&str| json!({"reasoning_details": [{"text": text}]});
    let (response, content) = deltas(&all.iter().map(detail).collect::<Vec<_>>());
    assert_eq!(response.reasoning, "Let me think about it");
    assert_eq!(content, [true, true, true, false]);
    let (response, _) = deltas(&["ha", "ha", " ok"].iter().map(detail).collect::<Vec<_>>());
    assert_eq!(response.reasoning, "haha ok");
}

#[test]
fn encrypted_reasoning_counts_unless_something_was_told() {
    let hidden = json!({"reasoning_details": [{"type": "reasoning.encrypted", "data": "AAAA"}]});
    let text = json!({"content": "Yes"});
    let (response, content) = deltas(&[hidden.clone(), text.clone()]);
    assert_eq!(response.times(), [Some(1.0), Some(2.0), Some(2.0)]);
    assert_eq!(content, [true, true]);
    let (response, content) = deltas(&[text, hidden]);
    assert_eq!(response.times(), [Some(1.0); 3]);
    assert_eq!(content, [true, false]);
}

#[test]
fn pictures_are_content() {
    let picture = json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]);
    let (response, content) = deltas(&[json!({"images": picture}), json!({"images": []})]);
    assert_eq!(content, [true, false]);
    assert_eq!(response.content_frames(), 1);
}

fn message(message: Value) -> String {
    json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).to_string()
}

#[test]
fn a_whole_message_in_a_stream_is_taken_as_far_as_it_is_new() {
    let whole = message(json!({"content": "Hello", "reasoning_content": "hm"}));
    let hello = delta(json!({"content": "Hello"}));
    let thought = delta(json!({"reasoning_content": "hm"}));
    for (events, frames_with_content) in [
        (vec![&*whole], 1),
        (vec![&*thought, &*whole], 2),
        (vec![&*thought, &*hello, &*whole], 2),
    ] {
        let (response, content) = frames(&events);
        assert_eq!(response.error, None);
        assert_eq!((&*response.reasoning, &*response.text), ("hm", "Hello"));
        let with_content = content.into_iter().filter(|content| *content).count();
        assert_eq!(with_content, frames_with_content);
    }
    // Told otherwise than before, it was told.
    let other = message(json!({"content": "Something else"}));
    assert_eq!(frames(&[&hello, &other]).0.text, "Hello");
    let call = json!({"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]});
    let (response, _) = frames(&[&delta(call.clone()), &message(call)]);
    assert_eq!(response.tool_calls, "f{}");
}
