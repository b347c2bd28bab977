//! OpenAI's older Completions: a text, or the ids of its tokens, is continued.

use serde_json::{Value, json};

use super::FrameDecoder;
use super::openai_chat::{Decoder, ask_for_usage};
use super::supported_inputs::{Intake, check_limit};
use crate::base::error::Result;
use crate::endpoint::openai::{DEFAULT_BASE_URL, OpenAi, OpenAiApi, OpenAiForm, plain_texts};
use crate::payload::{Payload, Prompt};

/// A model behind an OpenAI-compatible Completions API, without messages and roles.
///
/// ```
/// use llmeter::endpoint::OpenAiCompletions;
///
/// let endpoint = OpenAiCompletions::builder("http://127.0.0.1:8000/v1", "my-model").build()?;
/// # Ok::<(), llmeter::Error>(())
/// ```
pub type OpenAiCompletions = OpenAi<Completions>;

/// The older Completions API.
#[derive(Debug, Clone)]
pub enum Completions {}

impl OpenAiApi for Completions {
    const FORM: OpenAiForm = OpenAiForm {
        // The Python system has no such endpoint, so that these names are llmeter's own.
        module: "llmeter.endpoints.openai_completions",
        streaming_class: Some("OpenAILegacyCompletionStreamEndpoint"),
        whole_class: "OpenAILegacyCompletionEndpoint",
        endpoint_names: ["openai-completions", "openai-completions-stream"],
        provider: "openai",
        base_url: Some(DEFAULT_BASE_URL),
        path: "completions",
        saved_when_streaming: &[],
    };

    fn prepare(payload: &mut Payload, streaming: bool) {
        payload.insert("stream".into(), json!(streaming));
        ask_for_usage(payload, streaming);
    }

    /// The prompt, unless it is given as token ids.
    fn prompt_text(payload: &Payload) -> Option<Value> {
        plain_texts(payload.get("prompt"))
    }

    fn decoder() -> Box<dyn FrameDecoder> {
        Box::new(Decoder::of("completion"))
    }
}

const INTAKE: Intake = Intake::of_texts("OpenAI's older Completions");

impl OpenAiCompletions {
    /// A payload with one text to continue; the prompt's items are put on a line each.
    ///
    /// `extra` is added last and wins over what this function makes.
    ///
    /// # Errors
    /// When `max_tokens` is 0, or the prompt has no item, a system text or media.
    pub fn create_payload(
        prompt: impl Into<Prompt>,
        max_tokens: u64,
        extra: Payload,
    ) -> Result<Payload> {
        check_limit(max_tokens)?;
        let mut payload = Payload::new();
        let prompt = prompt.into();
        payload.insert("prompt".into(), INTAKE.texts(&prompt)?.join("\n").into());
        payload.insert("max_tokens".into(), json!(max_tokens));
        payload.extend(extra);
        Ok(payload)
    }

    /// A payload with the ids of the tokens to continue.
    ///
    /// # Errors
    /// When `max_tokens` is 0 or there is no token.
    pub fn create_token_payload(
        tokens: &[u32],
        max_tokens: u64,
        extra: Payload,
    ) -> Result<Payload> {
        check_limit(max_tokens)?;
        if tokens.is_empty() {
            return Err(crate::Error::missing_field("tokens"));
        }
        let mut payload = Payload::new();
        payload.insert("prompt".into(), json!(tokens));
        payload.insert("max_tokens".into(), json!(max_tokens));
        payload.extend(extra);
        Ok(payload)
    }
}
