//! Gemini.

use std::sync::Arc;

use llmeter::endpoint::Gemini;
use llmeter::payload::Payload;
use serde_json::{Value, json};

use crate::cases::{Samples, event};

fn chunk(parts: Value, finish: Option<&str>, usage: Value) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = finish.into();
    }
    json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m", "responseId": "r1"})
}

fn samples() -> Samples {
    let begun = json!({"promptTokenCount": 7, "totalTokenCount": 7});
    // One token of two was thought, which is counted apart.
    let usage = json!({
        "promptTokenCount": 7, "candidatesTokenCount": 1, "thoughtsTokenCount": 1,
        "totalTokenCount": 9, "cachedContentTokenCount": 4,
    });
    let piece = |part: Value| event(&chunk(json!([part]), None, begun.clone()));
    let end = |usage: &Value| {
        let part = json!({"text": "", "thoughtSignature": "c2ln"});
        event(&chunk(json!([part]), Some("STOP"), usage.clone()))
    };
    let [one, two] = ["one", " two"].map(|text| json!({"text": text}));
    let error =
        json!({"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"});
    let failing = vec![piece(one.clone()), event(&json!({ "error": error }))];
    let bare = |parts: Value, finish| {
        let mut chunk = chunk(parts, finish, Value::Null);
        chunk.as_object_mut().unwrap().remove("usageMetadata");
        event(&chunk)
    };
    Samples {
        endpoint: |address, streaming| {
            let builder = Gemini::builder(format!("{address}/v1beta"), "m").streaming(streaming);
            Arc::new(builder.build().unwrap())
        },
        payload: Gemini::create_payload("one two three", 9, Payload::new()).unwrap(),
        media_type: "text/event-stream",
        text: vec![piece(one.clone()), piece(two.clone()), end(&usage)],
        unfinished: 2,
        id: Some("r1"),
        finish: "STOP",
        no_usage: vec![bare(json!([one]), None), bare(json!([two]), Some("STOP"))],
        reasoning: Some(vec![
            piece(json!({"text": "hm", "thought": true})),
            piece(one.clone()),
            end(&usage),
        ]),
        tool: Some(vec![
            piece(json!({"functionCall": {"name": "f", "args": {"a": 1}}})),
            end(&usage),
        ]),
        empty: vec![end(&usage)],
        failing,
        whole: chunk(json!([one, two]), Some("STOP"), usage).to_string(),
        error: (
            r#"[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}]"#,
            "Quota (code 429)",
        ),
    }
}

#[test]
fn gemini_conforms() {
    samples().conform();
}
