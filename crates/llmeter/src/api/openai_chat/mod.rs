//! OpenAI Chat Completions, streaming or not, as OpenAI and many other servers speak it.

mod decode;
mod shape;
mod template;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

pub(super) use decode::Chat;

use super::json_frames::{Decoder, message_texts};
use super::supported_inputs::{FRAMES, mime_types};
use super::*;
use crate::payload::{Media, MediaKind};

/// The Chat Completions API, at a base URL as the OpenAI SDK takes it (`…/v1` included).
///
/// A payload has one user message, after a system message if the prompt has a system text. Images are
/// JPEG, PNG, GIF or WebP, audio is MP3 or WAV, documents are PDF.
///
/// ```
/// use llmeter::Endpoint;
/// use llmeter::endpoint::OpenAiChat;
/// use llmeter::payload::Payload;
///
/// let endpoint = OpenAiChat::builder("http://127.0.0.1:8000/v1", "my-model").build()?;
/// assert_eq!(endpoint.identity().model_id, "my-model");
/// assert!(endpoint.is_streaming());
/// let payload = OpenAiChat::create_payload("Hello", 64, Payload::new())?;
/// assert_eq!(payload["messages"][0]["content"], "Hello");
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct OpenAiChat;

entry_points!(OpenAiChat);

pub(super) const SPEC: ApiSpec = ApiSpec {
    about: "OpenAI Chat Completions",
    modes: &[
        Mode::streaming("openai-chat-stream", "OpenAICompletionStreamEndpoint"),
        Mode::non_streaming("openai-chat", "OpenAICompletionEndpoint"),
    ],
    module: "llmeter.endpoints.openai",
    endpoint_name: "openai",
    appended: &["chat/completions"],
    prompt_fields: &["messages"],
    limit_fields: &[&["max_completion_tokens"], &["max_tokens"]],
    inputs: INPUTS,
    path: "chat/completions",
    ..openai::SPEC
};

/// What the API takes; of documents only PDF, as its reference says.
const INPUTS: SupportedInputs = SupportedInputs {
    api: "OpenAI Chat Completions",
    system: true,
    images: IMAGES,
    audio: &[("audio/mpeg", "mp3"), ("audio/wav", "wav")],
    videos: &[],
    documents: &mime_types(["application/pdf"]),
    instead: FRAMES,
};

/// The images that models of OpenAI see.
pub(crate) const IMAGES: &[Format] =
    &mime_types(["image/jpeg", "image/png", "image/gif", "image/webp"]);

impl Api for OpenAiChat {
    fn spec(&self) -> &'static ApiSpec {
        &SPEC
    }

    fn payload(&self, prompt: &PromptParts<'_>, max_tokens: u64, _: bool) -> Payload {
        let system = prompt.system.iter();
        let system = system.map(|text| json!({"role": "system", "content": text}));
        let user = json!({"role": "user", "content": prompt.content(block)});
        let mut payload = Payload::new();
        payload.insert("messages".into(), system.chain([user]).collect());
        payload.insert("max_tokens".into(), json!(max_tokens));
        payload
    }

    fn prepare(&self, payload: &mut Payload, model: Option<&str>, streaming: bool) {
        openai::prepare(payload, model, streaming);
        openai::ask_for_usage(payload, streaming);
    }

    fn prompt_text(&self, payload: &Payload) -> Option<String> {
        Some(message_texts(payload.get("messages"), |_| true))
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Decoder::boxed(Chat::of("chat completion"))
    }

    fn headers(&self, setup: &EndpointSetup) -> Vec<(&'static str, String)> {
        openai::headers(setup)
    }

    fn saved_fields(&self, _: bool) -> Vec<(&'static str, Value)> {
        openai::saved_fields(&[])
    }
}

fn block(part: &Part<'_>) -> Value {
    match *part {
        Part::Text(text) => json!({"type": "text", "text": text}),
        Part::Media(media, format) => match media.kind() {
            MediaKind::Audio => {
                let audio = json!({"data": media.base64(), "format": format});
                json!({"type": "input_audio", "input_audio": audio})
            }
            MediaKind::Document => json!({"type": "file", "file": file(media)}),
            MediaKind::Image | MediaKind::Video => {
                json!({"type": "image_url", "image_url": {"url": media.data_url()}})
            }
        },
    }
}

/// A file as models of OpenAI take it, with its name if it has one.
pub(super) fn file(media: &Media) -> Payload {
    let mut file = Payload::new();
    file.insert("file_data".into(), media.data_url().into());
    if let Some(name) = media.file_name() {
        file.insert("filename".into(), name.into());
    }
    file
}
