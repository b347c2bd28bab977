//! OpenAI Responses, streaming or not.

mod decode;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::FrameDecoder;
use super::openai::{
    DEFAULT_BASE_URL, OpenAi, OpenAiApi, OpenAiForm, check_limit, message_texts, texts,
};
use crate::error::Result;
use crate::payload::{Payload, Prompt};

/// A model behind an OpenAI-compatible Responses API.
///
/// ```
/// use llmeter::endpoint::OpenAiResponses;
///
/// let endpoint = OpenAiResponses::builder("http://127.0.0.1:8000/v1", "my-model").build()?;
/// # Ok::<(), llmeter::Error>(())
/// ```
pub type OpenAiResponses = OpenAi<Responses>;

/// The Responses API.
#[derive(Debug, Clone)]
pub enum Responses {}

impl OpenAiApi for Responses {
    const FORM: OpenAiForm = OpenAiForm {
        module: "llmeter.endpoints.openai_response",
        streaming_class: Some("OpenAIResponseStreamEndpoint"),
        whole_class: "OpenAIResponseEndpoint",
        endpoint_names: ["openai-response", "openai-response-stream"],
        provider: "openai",
        base_url: Some(DEFAULT_BASE_URL),
        path: "responses",
        // Here the first token counts, whatever it is; so the Python system must do when it runs
        // this endpoint again.
        saved_when_streaming: &[("ttft_visible_tokens_only", false)],
    };

    fn prompt_text(payload: &Payload) -> Option<Value> {
        Some(match payload.get("input") {
            Some(Value::String(text)) => json!(text),
            input => message_texts(input),
        })
    }

    fn decoder() -> Box<dyn FrameDecoder> {
        Box::<decode::Decoder>::default()
    }
}

impl OpenAiResponses {
    /// A payload with one user message; of several items, each is a message.
    ///
    /// `extra` (`instructions`, say) is added last and wins over what this function makes.
    ///
    /// # Errors
    /// When `max_output_tokens` is 0 or the prompt has no item.
    pub fn create_payload(
        prompt: impl Into<Prompt>,
        max_output_tokens: u64,
        extra: Payload,
    ) -> Result<Payload> {
        check_limit("max_output_tokens", max_output_tokens)?;
        let input = match texts(&prompt.into())?.as_slice() {
            [text] => json!(text),
            items => items
                .iter()
                .map(|text| json!({"role": "user", "content": text}))
                .collect(),
        };
        let mut payload = Payload::new();
        payload.insert("input".into(), input);
        payload.insert("max_output_tokens".into(), json!(max_output_tokens));
        payload.extend(extra);
        Ok(payload)
    }
}
