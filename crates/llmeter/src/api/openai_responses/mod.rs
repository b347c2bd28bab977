//! OpenAI Responses, streaming or not.

mod closing;
mod decode;
#[cfg(test)]
pub(super) mod tests;

use serde_json::{Value, json};

use super::json_frames::{Decoder, message_texts};
use super::openai_chat::{IMAGES, file};
use super::supported_inputs::{FRAMES, mime_types};
use super::*;
use crate::payload::{DOCX, MediaKind, PPTX, XLSX};

/// The Responses API, at a base URL as the OpenAI SDK takes it.
///
/// A payload has one user message; of several texts, each is a message. A system text becomes the
/// `instructions`. Images are JPEG, PNG, GIF or WebP, documents are PDF, office files or texts.
///
/// ```
/// use llmeter::endpoint::OpenAiResponses;
///
/// let endpoint = OpenAiResponses::builder("http://127.0.0.1:8000/v1", "my-model").build()?;
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct OpenAiResponses;

entry_points!(OpenAiResponses);

/// Whether the Python system's time to first token ends at visible text only.
const VISIBLE_ONLY: &str = "ttft_visible_tokens_only";

const SPEC: ApiSpec = ApiSpec {
    about: "OpenAI Responses",
    modes: &[
        Mode {
            endpoint_name: Some("openai-response-stream"),
            ..Mode::streaming("openai-responses-stream", "OpenAIResponseStreamEndpoint")
        },
        Mode::non_streaming("openai-responses", "OpenAIResponseEndpoint"),
    ],
    module: "llmeter.endpoints.openai_response",
    endpoint_name: "openai-response",
    appended: &["responses"],
    system_fields: &["instructions"],
    prompt_fields: &["input"],
    limit_fields: &[&["max_output_tokens"]],
    inputs: INPUTS,
    path: "responses",
    ..openai::SPEC
};

/// What the API takes. Its reference has no audio among the parts of a message.
const INPUTS: SupportedInputs = SupportedInputs {
    api: "OpenAI Responses",
    system: true,
    images: IMAGES,
    audio: &[],
    videos: &[],
    documents: &mime_types([
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

impl Api for OpenAiResponses {
    fn spec(&self) -> &'static ApiSpec {
        &SPEC
    }

    fn payload(&self, prompt: &PromptParts<'_>, max_tokens: u64, _: bool) -> Payload {
        let message = |content: Value| json!({"role": "user", "content": content});
        let parts = prompt.parts.iter();
        let texts: Option<Vec<&str>> = parts.clone().map(Part::text).collect();
        let input = match texts.as_deref() {
            Some([text]) => json!(text),
            Some(texts) => texts.iter().map(|text| message(json!(text))).collect(),
            None => json!([message(parts.map(block).collect())]),
        };
        let mut payload = Payload::new();
        payload.insert("input".into(), input);
        payload.insert("max_output_tokens".into(), json!(max_tokens));
        if let Some(text) = prompt.system {
            payload.insert("instructions".into(), json!(text));
        }
        payload
    }

    fn prepare(&self, payload: &mut Payload, model: Option<&str>, streaming: bool) {
        openai::prepare(payload, model, streaming);
    }

    fn prompt_text(&self, payload: &Payload) -> Option<String> {
        Some(match payload.get("input") {
            Some(Value::String(text)) => text.clone(),
            input => message_texts(input, |_| true),
        })
    }

    /// Here the first token counts, whatever it is; so the Python system must do when it runs this
    /// endpoint again.
    fn configure(&self, setup: &mut EndpointSetup) -> Result<Option<Arc<dyn Api>>> {
        let own = setup.own.get_mut(VISIBLE_ONLY);
        own.into_iter().for_each(|value| *value = json!(false));
        Ok(None)
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Decoder::boxed(decode::Events::default())
    }

    fn headers(&self, setup: &EndpointSetup) -> Vec<(&'static str, String)> {
        openai::headers(setup)
    }

    fn saved_fields(&self, streaming: bool) -> Vec<(&'static str, Value)> {
        let switch = (VISIBLE_ONLY, json!(false));
        openai::saved_fields(if streaming {
            std::slice::from_ref(&switch)
        } else {
            &[]
        })
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
