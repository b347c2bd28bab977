//! Answers in one piece.

use serde_json::{Value, json};

use super::Operation;
use super::frame::some_words;
use crate::openai::{Answer, Finish, arguments, completion};

/// The body of a plain answer.
pub(crate) fn whole(operation: Operation, answer: &Answer) -> Vec<u8> {
    let seed = answer.seed(0);
    match operation {
        Operation::Invoke { .. } => return completion(answer),
        Operation::SageMaker { .. } => json!({
            "generated_text": some_words(seed, 0..answer.visible),
            "details": answer.usage.then(|| details(answer)),
        }),
        Operation::Converse { .. } => {
            let mut content = Vec::new();
            if answer.reasoning > 0 {
                let text = some_words(!seed, 0..answer.reasoning);
                content.push(json!({"reasoningContent": {"reasoningText": {"text": text}}}));
            }
            match &answer.tool {
                Some(tool) if answer.visible > 0 => {
                    let all = answer.visible;
                    let input = arguments(tool, seed, 1..all, all, true);
                    content.push(json!({"toolUse": {
                        "toolUseId": answer.tool_call_id(0),
                        "name": tool.name,
                        "input": serde_json::from_str::<Value>(&input).unwrap_or_default(),
                    }}));
                }
                _ => content.push(json!({"text": some_words(seed, 0..answer.visible)})),
            }
            json!({
                "output": {"message": {"role": "assistant", "content": content}},
                "stopReason": stop_reason(answer),
                "usage": answer.usage.then(|| usage(answer)),
                "metrics": {"latencyMs": 0},
            })
        }
    }
    .to_string()
    .into_bytes()
}

/// Converse's usage.
pub(super) fn usage(answer: &Answer) -> Value {
    let output = answer.completion_tokens();
    json!({
        "inputTokens": answer.prompt_tokens,
        "outputTokens": output,
        "totalTokens": answer.prompt_tokens + output,
        "cacheReadInputTokens": 0,
        "cacheWriteInputTokens": 0,
    })
}

pub(super) fn stop_reason(answer: &Answer) -> &'static str {
    match (answer.finish, &answer.tool) {
        (Finish::Length, _) => "max_tokens",
        (_, Some(_)) => "tool_use",
        _ => "end_turn",
    }
}

/// What a text generation container says of its answer.
pub(super) fn details(answer: &Answer) -> Value {
    let reason = match answer.finish {
        Finish::Length => "length",
        _ => "eos_token",
    };
    json!({
        "finish_reason": reason,
        "generated_tokens": answer.completion_tokens(),
        "seed": null,
    })
}
