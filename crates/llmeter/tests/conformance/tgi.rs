//! Text Generation Inference.

use std::sync::Arc;

use llmeter::endpoint::Tgi;
use llmeter::payload::Payload;
use serde_json::{Value, json};

use crate::cases::{Samples, event};

fn token(text: &str, is_special: bool, generated: Option<&str>, details: Value) -> String {
    let token = json!({"id": 5, "text": text, "logprob": -0.5, "special": is_special});
    event(&json!({
        "index": 1, "token": token, "generated_text": generated, "details": details,
    }))
}

fn piece(text: &str) -> String {
    token(text, false, None, Value::Null)
}

fn samples() -> Samples {
    let details = |reason: &str| {
        json!({
            "finish_reason": reason, "generated_tokens": 2, "input_length": 7, "seed": null,
        })
    };
    let end = |all: &str| token("</s>", true, Some(all), details("eos_token"));
    let error = json!({"error": "Model is overloaded", "error_type": "overloaded"});
    Samples {
        endpoint: |address, streaming| {
            let builder = Tgi::builder(address, "m").streaming(streaming);
            Arc::new(builder.build().unwrap())
        },
        payload: Tgi::create_payload("one two three", 9, Payload::new()).unwrap(),
        media_type: "text/event-stream",
        text: vec![piece("one"), piece(" two"), end("one two")],
        unfinished: 2,
        id: None,
        finish: "eos_token",
        no_usage: vec![
            piece("one"),
            token(" two", false, Some("one two"), Value::Null),
        ],
        reasoning: None,
        tool: None,
        empty: vec![end("")],
        failing: vec![piece("one"), event(&error)],
        whole: json!({"generated_text": "one two", "details": details("eos_token")}).to_string(),
        error: (
            r#"{"error":"Model is busy","error_type":"busy"}"#,
            "Model is busy",
        ),
    }
}

#[test]
fn tgi_conforms() {
    samples().conform();
}
