//! OpenAI's older Completions: a text, or the ids of its tokens, is continued.

use serde_json::{Value, json};

use super::json_frames::Decoder;
use super::openai_chat::Chat;
use super::*;
use crate::base::error::Error;

/// The older Completions API without messages and roles, at a base URL as the OpenAI SDK takes it.
///
/// A payload has one text to continue; the prompt's items are put on a line each. There is no place
/// for a system text or media.
///
/// ```
/// use llmeter::endpoint::OpenAiCompletions;
///
/// let endpoint = OpenAiCompletions::builder("http://127.0.0.1:8000/v1", "my-model").build()?;
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct OpenAiCompletions;

entry_points!(OpenAiCompletions);

impl OpenAiCompletions {
    /// A payload with the ids of the tokens to continue.
    ///
    /// # Errors
    /// When `max_tokens` is 0 or there is no token.
    pub fn create_token_payload(
        tokens: &[u32],
        max_tokens: u64,
        extra: Payload,
    ) -> Result<Payload> {
        if tokens.is_empty() {
            return Err(Error::missing_field("tokens"));
        }
        let mut payload = Self::create_payload("", max_tokens, Payload::new())?;
        payload.insert("prompt".into(), json!(tokens));
        payload.extend(extra);
        Ok(payload)
    }
}

const SPEC: ApiSpec = ApiSpec {
    about: "OpenAI's older completions of a text",
    modes: &[
        Mode {
            endpoint_name: Some("openai-completions-stream"),
            ..Mode::streaming(
                "openai-completions-stream",
                "OpenAILegacyCompletionStreamEndpoint",
            )
        },
        Mode::non_streaming("openai-completions", "OpenAILegacyCompletionEndpoint"),
    ],
    // The Python system has no such endpoint, so that these names are llmeter's own.
    module: "llmeter.endpoints.openai_completions",
    endpoint_name: "openai-completions",
    appended: &["completions"],
    prompt_fields: &["prompt"],
    limit_fields: &[&["max_tokens"]],
    inputs: SupportedInputs::of_texts("OpenAI's older Completions"),
    path: "completions",
    ..openai::SPEC
};

impl Api for OpenAiCompletions {
    fn spec(&self) -> &'static ApiSpec {
        &SPEC
    }

    fn payload(&self, prompt: &PromptParts<'_>, max_tokens: u64, _: bool) -> Payload {
        let mut payload = Payload::new();
        payload.insert("prompt".into(), prompt.texts().join("\n").into());
        payload.insert("max_tokens".into(), json!(max_tokens));
        payload
    }

    fn prepare(&self, payload: &mut Payload, model: Option<&str>, streaming: bool) {
        openai::prepare(payload, model, streaming);
        openai::ask_for_usage(payload, streaming);
    }

    /// The prompt, unless it is given as token ids.
    fn prompt_text(&self, payload: &Payload) -> Option<String> {
        openai::plain_texts(payload.get("prompt"))
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Decoder::boxed(Chat::of("completion"))
    }

    fn headers(&self, setup: &EndpointSetup) -> Vec<(&'static str, String)> {
        openai::headers(setup)
    }

    fn saved_fields(&self, _: bool) -> Vec<(&'static str, Value)> {
        openai::saved_fields(&[])
    }
}
