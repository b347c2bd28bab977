//! OpenAI Responses, streaming or not.

mod decode;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::FrameDecoder;
use super::openai_chat::{IMAGES, file};
use super::supported_inputs::{FRAMES, Intake, Part, check_limit, usual};
use crate::base::error::Result;
use crate::endpoint::openai::{DEFAULT_BASE_URL, OpenAi, OpenAiApi, OpenAiForm, message_texts};
use crate::payload::{DOCX, MediaKind, PPTX, Payload, Prompt, XLSX};

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

/// What the API takes. Its reference has no audio among the parts of a message.
const INTAKE: Intake = Intake {
    api: "OpenAI Responses",
    system: true,
    images: IMAGES,
    audio: &[],
    videos: &[],
    documents: &usual([
        "application/pdf",
        DOCX,
        PPTX,
        XLSX,
        "application/msword",
        "application/vnd.ms-powerpoint",
        "application/vnd.ms-excel",
        "application/rtf",
        "application/json",
        "text/plain",
        "text/markdown",
        "text/csv",
        "text/html",
        "text/xml",
    ]),
    instead: FRAMES,
};

impl OpenAiResponses {
    /// A payload with one user message; of several texts, each is a message. A system text becomes
    /// the `instructions`.
    ///
    /// `extra` is added last and wins over what this function makes.
    ///
    /// # Errors
    /// When `max_output_tokens` is 0, the prompt has no item, or the API does not take one: images
    /// are JPEG, PNG, GIF or WebP, documents are PDF, office files or texts.
    pub fn create_payload(
        prompt: impl Into<Prompt>,
        max_output_tokens: u64,
        extra: Payload,
    ) -> Result<Payload> {
        check_limit(max_output_tokens)?;
        let prompt = prompt.into();
        let parts = INTAKE.parts(&prompt)?;
        let message = |content: Value| json!({"role": "user", "content": content});
        let texts: Option<Vec<&str>> = parts.iter().map(Part::text).collect();
        let input = match texts.as_deref() {
            Some([text]) => json!(text),
            Some(texts) => texts.iter().map(|text| message(json!(text))).collect(),
            None => json!([message(parts.iter().map(block).collect())]),
        };
        let mut payload = Payload::new();
        payload.insert("input".into(), input);
        payload.insert("max_output_tokens".into(), json!(max_output_tokens));
        if let Some(text) = prompt.system {
            payload.insert("instructions".into(), json!(text));
        }
        payload.extend(extra);
        Ok(payload)
    }
}

fn block(part: &Part<'_>) -> Value {
    match *part {
        Part::Text(text) => json!({"type": "input_text", "text": text}),
        Part::Media(media, _) if media.kind() == MediaKind::Document => {
            let mut block = file(media);
            block.insert("type".into(), json!("input_file"));
            Value::Object(block)
        }
        Part::Media(media, _) => {
            json!({"type": "input_image", "image_url": media.data_url(), "detail": "auto"})
        }
    }
}
