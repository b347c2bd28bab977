//! OpenAI Chat Completions, streaming or not, as OpenAI and many other servers speak it.

mod build;
mod decode;
mod lenient;
mod saved;
mod shape;
mod template;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};

pub use build::OpenAiChatBuilder;
pub(super) use decode::{error_text, excerpt, lenient_json};

use super::access::Access;
use super::{
    Endpoint, EndpointError, FrameDecoder, HttpApi, HttpRequest, Identity, SavedObject, Way,
};
use crate::error::{Error, Result};
use crate::payload::{ContentItem, Payload, Prompt};
use crate::wire::Server;

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
#[derive(Debug, Clone)]
pub struct OpenAiChat {
    identity: Identity,
    streaming: bool,
    access: Access,
    /// Path and query of a request.
    target: String,
    /// All header lines of a request.
    headers: Vec<(String, SecretString)>,
    organization: Option<String>,
    project: Option<String>,
    timeout: Value,
}

impl OpenAiChat {
    /// An endpoint at `base_url`, written as the OpenAI SDK takes it (`…/v1` included).
    pub fn builder(base_url: impl Into<String>, model_id: impl Into<String>) -> OpenAiChatBuilder {
        OpenAiChatBuilder::new(base_url.into(), model_id.into())
    }

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
        if max_tokens == 0 {
            return Err(Error::invalid("max_tokens", 0, "a number from 1 up"));
        }
        let content = match prompt.into().0.as_slice() {
            [] => {
                return Err(Error::invalid(
                    "prompt",
                    "(empty)",
                    "a text, or a list with at least one item",
                ));
            }
            [ContentItem::Text(text)] => json!(text),
            items => items
                .iter()
                .map(|ContentItem::Text(text)| json!({"type": "text", "text": text}))
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

    /// The base URL, with a slash at the end.
    pub fn base_url(&self) -> &str {
        self.access.base_url()
    }

    /// The names of the headers that the user gave, for the record.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        self.access.header_names()
    }

    /// The timeout that was set on the endpoint, if it is a plain one.
    ///
    /// It is kept for the Python system's sake; what ends a request here is the run's timeout.
    pub fn timeout(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.timeout.as_f64()?).ok()
    }
}

impl Endpoint for OpenAiChat {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn is_streaming(&self) -> bool {
        self.streaming
    }

    fn prepare_payload(&self, payload: &mut Payload) -> Result<(), EndpointError> {
        if let Some(path) = bytes_within(payload) {
            return Err(EndpointError(format!(
                "the payload holds raw bytes at {path}, and this API takes only JSON: \
                 put them into a data URL"
            )));
        }
        payload.insert("model".into(), json!(self.identity.model_id));
        payload.insert("stream".into(), json!(self.streaming));
        if self.streaming && !payload.get("stream_options").is_some_and(is_truthy) {
            payload.insert("stream_options".into(), json!({"include_usage": true}));
        }
        Ok(())
    }

    fn prompt_text(&self, payload: &Payload) -> Option<Value> {
        let messages = payload.get("messages").and_then(Value::as_array);
        let mut texts: Vec<&str> = Vec::new();
        for content in messages
            .into_iter()
            .flatten()
            .filter_map(|m| m.get("content"))
        {
            match content {
                Value::String(text) if !text.is_empty() => texts.push(text),
                Value::Array(parts) => {
                    texts.extend(parts.iter().filter_map(|part| part.get("text")?.as_str()));
                }
                _ => {}
            }
        }
        Some(Value::String(texts.join("\n")))
    }

    fn way(&self) -> Way<'_> {
        Way::Http(self)
    }

    fn saved(&self) -> SavedObject {
        self.to_saved()
    }
}

impl HttpApi for OpenAiChat {
    fn server(&self) -> &Server {
        self.access.server()
    }

    fn request(&self, payload: &Payload) -> Result<HttpRequest, EndpointError> {
        let body = serde_json::to_vec(payload).map_err(|error| EndpointError(error.to_string()))?;
        Ok(HttpRequest {
            target: self.target.clone(),
            headers: self.headers.clone(),
            body,
        })
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Box::<decode::Decoder>::default()
    }

    fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.access.redact(text)
    }
}

/// What Python takes for true.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// The path of the first bytes marker within a payload.
pub(super) fn bytes_within(fields: &Payload) -> Option<String> {
    if fields.len() == 1 && fields.contains_key("__llmeter_bytes__") {
        return Some(String::new());
    }
    fields.iter().find_map(|(key, value)| {
        let path = bytes_within_value(value)?;
        Some(format!(
            "{key}{}{path}",
            if path.is_empty() { "" } else { "." }
        ))
    })
}

fn bytes_within_value(value: &Value) -> Option<String> {
    match value {
        Value::Object(fields) => bytes_within(fields),
        Value::Array(list) => list.iter().enumerate().find_map(|(index, value)| {
            let path = bytes_within_value(value)?;
            Some(format!(
                "{index}{}{path}",
                if path.is_empty() { "" } else { "." }
            ))
        }),
        _ => None,
    }
}
