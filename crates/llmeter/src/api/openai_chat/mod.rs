//! OpenAI Chat Completions, streaming or not, as OpenAI and many other servers speak it.

mod decode;
mod shape;
mod template;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

pub(super) use decode::Decoder;

use super::FrameDecoder;
use super::supported_inputs::{FRAMES, Format, Intake, Part, check_limit, content, usual};
use crate::base::error::Result;
use crate::endpoint::openai::{
    DEFAULT_BASE_URL, OpenAi, OpenAiApi, OpenAiBuilder, OpenAiForm, is_truthy, message_texts,
};
use crate::payload::{Media, MediaKind, Payload, Prompt};

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

/// What the API takes; of documents only PDF, as its reference says.
const INTAKE: Intake = Intake {
    api: "OpenAI Chat Completions",
    system: true,
    images: IMAGES,
    audio: &[("audio/mpeg", "mp3"), ("audio/wav", "wav")],
    videos: &[],
    documents: &usual(["application/pdf"]),
    instead: FRAMES,
};

/// The images that models of OpenAI see.
pub(super) const IMAGES: &[Format] = &usual(["image/jpeg", "image/png", "image/gif", "image/webp"]);

/// Asks for the usage at the end of a stream, unless the user has said something of it.
pub(super) fn ask_for_usage(payload: &mut Payload, streaming: bool) {
    if streaming && !payload.get("stream_options").is_some_and(is_truthy) {
        payload.insert("stream_options".into(), json!({"include_usage": true}));
    }
}

impl OpenAiChat {
    /// A payload with one user message, after a system message if the prompt has a system text.
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
    /// When `max_tokens` is 0, the prompt has no item, or the API does not take one: images are
    /// JPEG, PNG, GIF or WebP, audio is MP3 or WAV, documents are PDF.
    pub fn create_payload(
        prompt: impl Into<Prompt>,
        max_tokens: u64,
        extra: Payload,
    ) -> Result<Payload> {
        check_limit(max_tokens)?;
        let prompt = prompt.into();
        let content = content(&INTAKE.parts(&prompt)?, block);
        let system = prompt.system.iter();
        let system = system.map(|text| json!({"role": "system", "content": text}));
        let user = json!({"role": "user", "content": content});
        let mut payload = Payload::new();
        payload.insert("messages".into(), system.chain([user]).collect());
        payload.insert("max_tokens".into(), json!(max_tokens));
        payload.extend(extra);
        Ok(payload)
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
