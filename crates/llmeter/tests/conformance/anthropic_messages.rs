//! Anthropic Messages.

use std::sync::Arc;

use llmeter::endpoint::AnthropicMessages;
use llmeter::payload::Payload;
use serde_json::{Value, json};

use crate::cases::Samples;

fn event(value: Value) -> String {
    let kind = value["type"].as_str().unwrap();
    format!("event: {kind}\ndata: {value}\n\n")
}

fn start(usage: Value) -> String {
    event(json!({"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m",
        "stop_reason": null, "stop_sequence": null, "usage": usage,
    }}))
}

fn block(index: u32, block: Value, deltas: &[Value]) -> Vec<String> {
    let start = json!({"type": "content_block_start", "index": index, "content_block": block});
    let mut frames = vec![event(start), event(json!({"type": "ping"}))];
    frames.extend(deltas.iter().map(|delta| {
        event(json!({"type": "content_block_delta", "index": index, "delta": delta}))
    }));
    frames.push(event(json!({"type": "content_block_stop", "index": index})));
    frames
}

fn text_block(index: u32, pieces: &[&str]) -> Vec<String> {
    let deltas: Vec<Value> = pieces
        .iter()
        .map(|piece| json!({"type": "text_delta", "text": piece}))
        .collect();
    block(index, json!({"type": "text", "text": ""}), &deltas)
}

fn end(reason: &str, usage: Value) -> Vec<String> {
    vec![
        event(json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage})),
        event(json!({"type": "message_stop"})),
    ]
}

fn frames(blocks: &[Vec<String>], reason: &str) -> Vec<String> {
    // Cached tokens are not part of `input_tokens`, and need not be told again at the end.
    let usage = json!({"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 1});
    let mut all = vec![start(usage)];
    all.extend(blocks.iter().flatten().cloned());
    all.extend(end(reason, json!({"input_tokens": 3, "output_tokens": 2})));
    all
}

fn samples() -> Samples {
    let text = frames(&[text_block(0, &["one", "", " two"])], "end_turn");
    let mut no_usage = vec![start(Value::Null)];
    no_usage.extend(text_block(0, &["one", " two"]));
    no_usage.extend(end("end_turn", Value::Null));
    let thinking = block(
        0,
        json!({"type": "thinking", "thinking": "", "signature": ""}),
        &[
            json!({"type": "thinking_delta", "thinking": "hm"}),
            json!({"type": "signature_delta", "signature": "c2ln"}),
        ],
    );
    let tool = block(
        0,
        json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}),
        &[
            json!({"type": "input_json_delta", "partial_json": ""}),
            json!({"type": "input_json_delta", "partial_json": "{\"a\":1}"}),
        ],
    );
    let mut failing = text[..4].to_vec();
    let error = json!({"type": "overloaded_error", "message": "overloaded"});
    failing.push(event(json!({"type": "error", "error": error})));
    Samples {
        endpoint: |address, streaming| {
            let builder = AnthropicMessages::builder(address, "m").streaming(streaming);
            Arc::new(builder.build().unwrap())
        },
        payload: AnthropicMessages::create_payload("one two three", 9, Payload::new()).unwrap(),
        media_type: "text/event-stream",
        unfinished: text.len() - 2,
        text,
        id: Some("msg_1"),
        finish: "end_turn",
        no_usage,
        reasoning: Some(frames(&[thinking, text_block(1, &["one"])], "end_turn")),
        tool: Some(frames(&[tool], "tool_use")),
        empty: frames(&[], "end_turn"),
        failing,
        whole: json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "text", "text": "one"}, {"type": "text", "text": " two"}],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {
                "input_tokens": 2, "cache_creation_input_tokens": 1, "cache_read_input_tokens": 4,
                "output_tokens": 2,
            },
        })
        .to_string(),
        error: (
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"Slow down"},"request_id":"r"}"#,
            "Slow down (type rate_limit_error)",
        ),
    }
}

#[test]
fn anthropic_messages_conform() {
    samples().conform();
}
