//! Ollama.

use std::sync::Arc;

use llmeter::endpoint::Ollama;
use llmeter::payload::Payload;
use serde_json::{Value, json};

use crate::cases::Samples;

fn line(message: Value) -> String {
    let line = json!({"model": "m", "created_at": "t", "message": message, "done": false});
    format!("{line}\n")
}

fn text(text: &str) -> String {
    line(json!({"role": "assistant", "content": text}))
}

fn last(content: &str, has_usage: bool) -> Value {
    let mut last = json!({
        "model": "m", "created_at": "t", "message": {"role": "assistant", "content": content},
        "done": true, "done_reason": "stop", "total_duration": 5, "load_duration": 1,
    });
    if has_usage {
        last["prompt_eval_count"] = 7.into();
        last["eval_count"] = 2.into();
    }
    last
}

fn end() -> String {
    format!("{}\n", last("", true))
}

fn samples() -> Samples {
    let call = json!({"function": {"name": "f", "arguments": {"a": 1}}});
    Samples {
        endpoint: |address, streaming| {
            let builder = Ollama::builder(address, "m").streaming(streaming);
            Arc::new(builder.build().unwrap())
        },
        payload: Ollama::create_payload("one two three", 9, Payload::new()).unwrap(),
        media_type: "application/x-ndjson",
        text: vec![text("one"), text(" two"), end()],
        unfinished: 2,
        id: None,
        finish: "stop",
        no_usage: vec![text("one"), text(" two"), format!("{}\n", last("", false))],
        reasoning: Some(vec![
            line(json!({"role": "assistant", "content": "", "thinking": "hm"})),
            text("one"),
            end(),
        ]),
        tool: Some(vec![
            line(json!({"role": "assistant", "content": "", "tool_calls": [call]})),
            end(),
        ]),
        empty: vec![end()],
        failing: vec![text("one"), "{\"error\":\"overloaded\"}\n".to_owned()],
        whole: last("one two", true).to_string(),
        error: (r#"{"error":"too many"}"#, "too many"),
    }
}

#[test]
fn ollama_conforms() {
    samples().conform();
}
