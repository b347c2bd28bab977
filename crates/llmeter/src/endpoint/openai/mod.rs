//! What the APIs of the OpenAI family have in common.
//!
//! Belongs here: settings, saved form and requests of all of them. Does not belong here: what
//! payloads and answers of one API mean; each is an [`OpenAiApi`] in a file of its own.

mod build;
mod saved;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};

pub use build::OpenAiBuilder;

use super::access::Access;
use super::{
    Endpoint, EndpointError, FrameDecoder, HttpApi, HttpRequest, Identity, SavedObject, Transport,
};
use crate::base::error::Result;
use crate::payload::Payload;
use llmeter_wire::Server;

/// Where the OpenAI SDK goes when no base URL is given.
pub(crate) const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1/";

/// What one API of the family adds to what all have in common.
pub trait OpenAiApi: fmt::Debug + Clone + Send + Sync + 'static {
    /// Names and addresses.
    const FORM: OpenAiForm;

    /// The path below the base URL. May rewrite the base URL and add query parameters.
    ///
    /// # Errors
    /// If the base URL is not one of this API.
    fn address(
        base_url: &mut String,
        query: &mut Vec<(String, String)>,
        model_id: &str,
    ) -> Result<String> {
        let _ = (base_url, query, model_id);
        Ok(Self::FORM.path.to_owned())
    }

    /// The header that carries the key.
    fn key_header(key: &str) -> (&'static str, SecretString) {
        ("Authorization", format!("Bearer {key}").into())
    }

    /// Adds what requests need beside the model.
    fn prepare(payload: &mut Payload, streaming: bool) {
        payload.insert("stream".into(), json!(streaming));
    }

    /// The prompt's text within a payload.
    fn prompt_text(payload: &Payload) -> Option<Value>;

    /// A fresh decoder for one answer.
    fn decoder() -> Box<dyn FrameDecoder>;
}

/// Names and addresses of one API of the family.
#[derive(Debug, Clone, Copy)]
pub struct OpenAiForm {
    /// The Python module of the classes.
    pub module: &'static str,
    /// The class by which files name the endpoint that streams, if there is one.
    pub streaming_class: Option<&'static str>,
    /// The class by which files name the endpoint that answers at once.
    pub whole_class: &'static str,
    /// What the endpoint is called if nobody says otherwise: answering at once, and streaming.
    pub endpoint_names: [&'static str; 2],
    /// Who usually runs it.
    pub provider: &'static str,
    /// The provider's own address.
    pub base_url: Option<&'static str>,
    /// What is added to the base URL.
    pub path: &'static str,
    /// Switches that the saved form of a streaming endpoint has beside the common settings.
    pub saved_when_streaming: &'static [(&'static str, bool)],
}

/// A model behind an API of the OpenAI family; `A` says which.
#[derive(Debug, Clone)]
pub struct OpenAi<A> {
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
    api: PhantomData<fn() -> A>,
}

impl<A: OpenAiApi> OpenAi<A> {
    /// An endpoint at `base_url`, written as the OpenAI SDK takes it (`…/v1` included).
    pub fn builder(base_url: impl Into<String>, model_id: impl Into<String>) -> OpenAiBuilder<A> {
        OpenAiBuilder::new(base_url.into(), model_id.into())
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

impl<A: OpenAiApi> Endpoint for OpenAi<A> {
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
        A::prepare(payload, self.streaming);
        Ok(())
    }

    fn prompt_text(&self, payload: &Payload) -> Option<Value> {
        A::prompt_text(payload)
    }

    fn transport(&self) -> Transport<'_> {
        Transport::Http(self)
    }

    fn saved(&self) -> SavedObject {
        self.to_saved()
    }
}

impl<A: OpenAiApi> HttpApi for OpenAi<A> {
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
        A::decoder()
    }

    fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.access.redact(text)
    }
}

/// The texts of messages, each on a line: contents that are texts, and those of parts.
pub(crate) fn message_texts(messages: Option<&Value>) -> Value {
    let messages = messages.and_then(Value::as_array);
    let mut texts: Vec<&str> = Vec::new();
    for content in messages
        .into_iter()
        .flatten()
        .filter_map(|message| message.get("content"))
    {
        match content {
            Value::String(text) if !text.is_empty() => texts.push(text),
            Value::Array(parts) => {
                texts.extend(parts.iter().filter_map(|part| part.get("text")?.as_str()));
            }
            _ => {}
        }
    }
    Value::String(texts.join("\n"))
}

/// The text of a field that is a text or a list of texts, each on a line; `None` for token ids.
pub(crate) fn plain_texts(field: Option<&Value>) -> Option<Value> {
    match field? {
        Value::String(text) => Some(json!(text)),
        Value::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            Some(json!(texts?.join("\n")))
        }
        _ => None,
    }
}

/// What Python takes for true.
pub(crate) fn is_truthy(value: &Value) -> bool {
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
pub(crate) fn bytes_within(fields: &Payload) -> Option<String> {
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
