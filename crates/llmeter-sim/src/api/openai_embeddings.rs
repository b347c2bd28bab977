//! OpenAI embeddings: as many vectors as there are inputs, when a first token would be due.

use serde_json::{Map, Value, json};

use super::request::{present, required_text};
use super::{
    Api, ApiError, ApiInfo, ApiRequest, Completion, Delta, FrameBuffer, Route, Stream, openai,
};
use crate::conformance::Case;

/// Length of the vectors: few, so that a response stays small.
const DIMENSIONS: u64 = 16;

#[derive(Debug)]
pub(super) struct OpenAiEmbeddings;

impl Api for OpenAiEmbeddings {
    fn about(&self) -> ApiInfo {
        ApiInfo {
            names: &["openai-embeddings"],
            finish_reason: None,
            has_id: false,
            ..openai::ABOUT
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        super::only(path, "/embeddings")
    }

    fn parse(&self, route: &Route, request: &Map<String, Value>) -> Result<ApiRequest, ApiError> {
        let inputs = openai::prompts(request, "input")?;
        match present(request, "encoding_format").and_then(Value::as_str) {
            None | Some("float" | "base64") => {}
            Some(other) => {
                let reason = format!("'{other}'. Supported values are: 'float' and 'base64'.");
                return Err(ApiError::wrong_value("encoding_format", &reason));
            }
        }
        Ok(ApiRequest {
            model: required_text(request, "model")?,
            // Nothing is generated.
            limit: Some(0),
            choices: u32::try_from(inputs.len()).unwrap_or(u32::MAX),
            ..ApiRequest::new(route, openai::prompt(inputs))
        })
    }

    /// The vectors are always lists of numbers, which clients take for base64, too.
    fn body(&self, completion: &Completion) -> Value {
        let tokens = completion.prompt_tokens;
        let vector = |index| {
            let seed = completion.seed(index).wrapping_mul(31);
            // Any numbers from -1 to 1 that differ from input to input.
            let number = |place| (seed.wrapping_add(place * 7) % 201) as f64 / 100.0 - 1.0;
            let vector: Vec<f64> = (0..DIMENSIONS).map(number).collect();
            json!({"object": "embedding", "index": index, "embedding": vector})
        };
        json!({
            "object": "list",
            "data": (0..completion.choices).map(vector).collect::<Vec<_>>(),
            "model": completion.model,
            "usage": completion.usage.then(
                || json!({"prompt_tokens": tokens, "total_tokens": tokens}),
            ),
        })
    }

    /// There is no stream of vectors, and no request for one.
    fn content(&self, _: &mut Stream, _: u32, _: &Delta, _: &mut FrameBuffer) {}

    fn closing(&self, _: &mut Stream, _: &mut FrameBuffer) {}

    fn cannot(&self, case: Case, _: bool) -> Option<&'static str> {
        matches!(
            case,
            Case::Reasoning | Case::ToolCall | Case::EmptyResponse | Case::HugeFrame
        )
        .then_some("vectors say nothing")
    }
}
