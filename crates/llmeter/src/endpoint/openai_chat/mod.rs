//! OpenAI Chat Completions, streaming or not, as OpenAI and many other servers speak it.

mod decode;
mod shape;
mod template;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

pub(super) use decode::Decoder;

use super::FrameDecoder;
use super::openai::{
    DEFAULT_BASE_URL, OpenAi, OpenAiApi, OpenAiBuilder, OpenAiForm, check_limit, is_truthy,
    message_texts, texts,
};
use crate::error::Result;
use crate::payload::{Payload, Prompt};

/// A model behind an OpenAI-compatible Chat Completions API.
///
/// ```
/// use llmeter::Endpoint;
/// use llmeter::endpoint::OpenAiChat;
///
/// let endpoint = OpenAiChat::builder("http://127.0.0.1:8000/v1", "my-model").build()?;
/// assert_eq!(endpoint.identity().model_id, "my-model");
/// assert!(endpoint.is_streaming());
/// # Ok::<(), llmeter::Error>(())
/// ```
pub type OpenAiChat = OpenAi<Chat>;

/// Settings of an [`OpenAiChat`] endpoint.
pub type OpenAiChatBuilder = OpenAiBuilder<Chat>;

/// The Chat Completions API.
#[derive(Debug, Clone)]
pub enum Chat {}

impl OpenAiApi for Chat {
    const FORM: OpenAiForm = OpenAiForm {
        module: "llmeter.endpoints.openai",
        streaming_class: Some("OpenAICompletionStreamEndpoint"),
        whole_class: "OpenAICompletionEndpoint",
        endpoint_names: ["openai", "openai"],
        provider: "openai",
        base_url: Some(DEFAULT_BASE_URL),
        path: "chat/completions",
        saved_when_streaming: &[],
    };

    fn prepare(payload: &mut Payload, streaming: bool) {
        payload.insert("stream".into(), json!(streaming));
        ask_for_usage(payload, streaming);
    }

    fn prompt_text(payload: &Payload) -> Option<Value> {
        Some(message_texts(payload.get("messages")))
    }

    fn decoder() -> Box<dyn FrameDecoder> {
        Box::<Decoder>::default()
    }
}

/// Asks for the usage at the end of a stream, unless the user has said something of it.
pub(super) fn ask_for_usage(payload: &mut Payload, streaming: bool) {
    if streaming && !payload.get("stream_options").is_some_and(is_truthy) {
        payload.insert("stream_options".into(), json!({"include_usage": true}));
    }
}

impl OpenAiChat {
    /// A payload with one user message.
    ///
    /// `extra` is added last and wins over what this function makes.
    ///
    /// ```
    /// # use llmeter::{endpoint::OpenAiChat, payload::Payload};
    /// let payload = OpenAiChat::create_payload("Hello", 64, Payload::new())?;
    /// assert_eq!(payload["messages"][0]["content"], "Hello");
    /// # Ok::<(), llmeter::Error>(())
    /// ```
    ///
    /// # Errors
    /// When `max_tokens` is 0 or the prompt has no item.
    pub fn create_payload(
        prompt: impl Into<Prompt>,
        max_tokens: u64,
        extra: Payload,
    ) -> Result<Payload> {
        check_limit("max_tokens", max_tokens)?;
        let content = match texts(&prompt.into())?.as_slice() {
            [text] => json!(text),
            items => items
                .iter()
                .map(|text| json!({"type": "text", "text": text}))
                .collect(),
        };
        let mut payload = Payload::new();
        payload.insert(
            "messages".into(),
            json!([{"role": "user", "content": content}]),
        );
        payload.insert("max_tokens".into(), json!(max_tokens));
        payload.extend(extra);
        Ok(payload)
    }
}
