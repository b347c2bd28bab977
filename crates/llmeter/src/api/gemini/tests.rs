//! What frames of Gemini become.

use serde_json::{Value, json};

use super::Gemini;
use crate::api::json_frames::tests::{frames, whole};
use crate::endpoint::Usage;

fn parts(parts: Value) -> Value {
    json!({"candidates": [{"content": {"parts": parts}}]})
}

fn end(usage: Value) -> Value {
    json!({"candidates": [{"finishReason": "STOP"}], "usageMetadata": usage})
}

#[test]
fn thoughts_and_the_prompts_of_tools_are_counted_apart() {
    let begun = json!({"candidates": [], "usageMetadata": {
        "promptTokenCount": 7, "cachedContentTokenCount": 5, "totalTokenCount": 7}});
    let (response, _) = frames(
        &Gemini,
        &[
            begun.clone(),
            parts(json!([{"text": "hm", "thought": true}, {"text": "a", "thought": false}])),
            end(json!({
                "promptTokenCount": 7, "toolUsePromptTokenCount": 2, "candidatesTokenCount": 3,
                "thoughtsTokenCount": 4, "cachedContentTokenCount": 5, "totalTokenCount": 16,
            })),
        ],
    );
    let expected = Usage {
        input: Some(9),
        output: Some(7),
        input_cached: Some(5),
        output_reasoning: Some(4),
        total: Some(16),
    };
    assert_eq!(response.usage, expected);
    assert_eq!(
        (response.text.as_str(), response.reasoning.as_str()),
        ("a", "hm")
    );
    // No output is reported yet.
    let (response, _) = frames(&Gemini, &[begun]);
    assert_eq!(
        (response.usage.input, response.usage.output),
        (Some(7), None)
    );
    assert!(response.is_failed(), "cut");
}

#[test]
fn content_that_is_no_text_is_content() {
    let (response, content) = frames(
        &Gemini,
        &[
            parts(json!([{"functionCall": {"name": "f", "args": {"a": 1}}}])),
            parts(json!([{"inlineData": {"mimeType": "image/png", "data": "AA=="}}])),
            parts(json!([{"executableCode": {"language": "PYTHON", "code": "1"}}])),
            parts(json!([{"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}])),
            parts(json!([{"text": "", "thoughtSignature": "c2ln"}])),
            json!({"candidates": [{"index": 1, "content": {"parts": [{"text": "b"}]}}]}),
            end(json!({})),
        ],
    );
    assert_eq!(content, [true, true, true, false, false, true, false]);
    assert_eq!(response.tool_calls, "f{\"a\":1}");
    assert_eq!(
        response.text, "",
        "a second candidate's text is not this one's"
    );
    assert!(!response.is_failed());
}

#[test]
fn a_blocked_prompt_is_a_failure() {
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}});
    for response in [
        frames(&Gemini, std::slice::from_ref(&blocked)).0,
        whole(&Gemini, &blocked),
    ] {
        let error = response.error.unwrap().to_string();
        assert_eq!(error, "the prompt was blocked: SAFETY");
        assert_eq!(response.usage.input, Some(3));
    }
}
