//! OpenAI embeddings: as many vectors as there are inputs, when a first token would be due.

use serde_json::{Map, Value, json};

use super::completions::{prompts, tokens_in};
use super::required_text;
use crate::openai::request::present;
use crate::openai::{Answer, ApiError, ChatRequest};

/// Length of the vectors: few, so that an answer stays small.
const DIMENSIONS: u64 = 16;

pub(super) fn parse(_: &str, request: &Map<String, Value>) -> Result<ChatRequest, ApiError> {
    let inputs = prompts(request, "input")?;
    match present(request, "encoding_format").and_then(Value::as_str) {
        None | Some("float" | "base64") => {}
        Some(other) => {
            let reason = format!("'{other}'. Supported values are: 'float' and 'base64'.");
            return Err(ApiError::wrong_value("encoding_format", &reason));
        }
    }
    Ok(ChatRequest {
        model: required_text(request, "model")?,
        stream: false,
        include_usage: true,
        // Nothing is generated.
        limit: Some(0),
        choices: u32::try_from(inputs.len()).unwrap_or(u32::MAX),
        prompt_tokens: inputs.iter().map(tokens_in).sum(),
        tool: None,
    })
}

/// The vectors are always lists of numbers, which clients take for base64, too.
pub(super) fn whole(answer: &Answer) -> Value {
    let data: Vec<Value> = (0..answer.choices)
        .map(|index| {
            let seed = answer.seed(index);
            // Any numbers from -1 to 1 that differ from input to input.
            let vector: Vec<f64> = (0..DIMENSIONS)
                .map(|place| {
                    (seed.wrapping_mul(31).wrapping_add(place * 7) % 201) as f64 / 100.0 - 1.0
                })
                .collect();
            json!({"object": "embedding", "index": index, "embedding": vector})
        })
        .collect();
    json!({
        "object": "list",
        "data": data,
        "model": answer.model,
        "usage": answer.usage.then(
            || json!({"prompt_tokens": answer.prompt_tokens, "total_tokens": answer.prompt_tokens}),
        ),
    })
}
