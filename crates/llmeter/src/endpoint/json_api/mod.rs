//! APIs that take a JSON object and answer with JSON, one object or a stream of them.
//!
//! Belongs here: what these APIs have in common, so that the file of one of them says only what is
//! its own ([`Dialect`], [`Meaning`]). Does not belong here: what a field of an API means.

mod build;
mod saved;

use std::borrow::Cow;
#[cfg(feature = "aws")]
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};

pub(crate) use crate::api::json_frames::{Decoder, Meaning, count, list, object, text};
pub use build::JsonEndpointBuilder;

use super::access::Access;
#[cfg(feature = "aws")]
use super::aws::{AwsAccess, Service};
use super::openai::bytes_within;
use super::{
    Endpoint, EndpointError, FrameDecoder, Framing, HttpApi, HttpRequest, Identity, SavedObject,
    Transport,
};
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::payload::Payload;
use llmeter_wire::Server;
#[cfg(feature = "aws")]
use llmeter_wire::clock::Stamp;

/// What is an API's own.
pub(crate) trait Dialect: std::fmt::Debug + Send + Sync {
    /// How the API and its endpoints are called.
    fn names(&self) -> &'static Names;

    /// Path and query of a request below the base URL.
    fn path(&self, model: &str, streaming: bool) -> String;

    /// The header that carries the key.
    fn key_header(&self, key: &SecretString) -> (&'static str, SecretString);

    /// Headers of every request beside those that every API has.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// How a streamed answer is cut into frames.
    fn framing(&self) -> Framing {
        Framing::Sse
    }

    /// What an answer is asked to be.
    fn accept(&self, streaming: bool) -> &'static str {
        if streaming {
            self.framing().media_type()
        } else {
            "application/json"
        }
    }

    /// Adds what the API needs to the user's payload.
    fn prepare(&self, payload: &mut Payload, model: &str, streaming: bool);

    /// The prompt's text.
    fn prompt_text(&self, payload: &Payload) -> String;

    /// A fresh decoder for one answer.
    fn decoder(&self) -> Box<dyn FrameDecoder>;

    /// The dialect of the API at a provider; `None` if a provider is but a name.
    ///
    /// # Errors
    /// If there is no such provider.
    fn at_provider(&self, _provider: &str) -> Result<Option<&'static dyn Dialect>> {
        Ok(None)
    }

    /// The usual address, where it depends on more than the API.
    fn address(&self, _region: Option<&str>) -> Option<String> {
        Some(self.names().base_url.to_owned())
    }

    /// What is missing if there is no address.
    fn missing_address(&self) -> Error {
        Error::missing(Setting::BaseUrl)
    }

    /// The region that the environment names.
    fn region(&self) -> Option<String> {
        None
    }

    /// The project that the environment names.
    fn project(&self) -> Option<String> {
        None
    }

    /// What comes before [`path`](Self::path).
    ///
    /// # Errors
    /// If something of it is missing.
    fn path_prefix(&self, _region: Option<&str>, _project: Option<&str>) -> Result<String> {
        Ok(String::new())
    }

    /// What to do about a missing key, if nobody answers without one.
    fn missing_key(&self) -> Option<&'static str> {
        None
    }

    /// The service of AWS for which requests are signed.
    #[cfg(feature = "aws")]
    fn service(&self) -> Option<Service> {
        None
    }

    /// The fields that a saved endpoint has of its own, in order, with their usual values.
    fn saved_fields(&self, _streaming: bool) -> Vec<(&'static str, Value)> {
        Vec::new()
    }
}

/// How an API and its endpoints are called.
#[derive(Debug)]
pub(crate) struct Names {
    /// What an endpoint and its provider are called if the user does not say.
    pub(crate) endpoint: &'static str,
    pub(crate) provider: &'static str,
    /// Module and classes by which files name it.
    pub(crate) module: &'static str,
    pub(crate) stream_class: &'static str,
    pub(crate) whole_class: &'static str,
    /// Where it usually is.
    pub(crate) base_url: &'static str,
    /// The beginning of the path that is added to the base URL and that users may add as well.
    pub(crate) appended: &'static [&'static str],
}

/// A model behind an API that takes a JSON object and answers with JSON: Anthropic Messages,
/// Gemini, Ollama, TGI.
#[derive(Debug, Clone)]
pub struct JsonEndpoint {
    dialect: &'static dyn Dialect,
    identity: Identity,
    streaming: bool,
    route: Route,
    /// Saved fields that have no meaning here and are kept for the Python system.
    kept: Map<String, Value>,
}

/// The way to the API.
#[derive(Debug, Clone)]
enum Route {
    /// Every request has the same target and the same header lines.
    Plain {
        access: Access,
        target: String,
        headers: Vec<(String, SecretString)>,
        /// What is missing without which nobody answers.
        missing_key: Option<&'static str>,
    },
    /// Requests are signed one by one.
    #[cfg(feature = "aws")]
    Aws { access: AwsAccess, path: String },
}

impl Route {
    fn access(&self) -> &Access {
        match self {
            Self::Plain { access, .. } => access,
            #[cfg(feature = "aws")]
            Self::Aws { access, .. } => access.access(),
        }
    }
}

impl JsonEndpoint {
    /// The base URL, with a slash at the end.
    pub fn base_url(&self) -> &str {
        self.route.access().base_url()
    }

    /// The names of the headers that the user gave, for the record.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        self.route.access().header_names()
    }
}

impl Endpoint for JsonEndpoint {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn is_streaming(&self) -> bool {
        self.streaming
    }

    fn prepare_payload(&self, payload: &mut Payload) -> std::result::Result<(), EndpointError> {
        if let Some(path) = bytes_within(payload) {
            return Err(EndpointError(format!(
                "the payload holds raw bytes at {path}, and this API takes only JSON: \
                 write them in base64, as the API asks for"
            )));
        }
        self.dialect
            .prepare(payload, &self.identity.model_id, self.streaming);
        Ok(())
    }

    fn prompt_text(&self, payload: &Payload) -> Option<Value> {
        Some(Value::String(self.dialect.prompt_text(payload)))
    }

    fn transport(&self) -> Transport<'_> {
        Transport::Http(self)
    }

    fn saved(&self) -> SavedObject {
        self.to_saved()
    }
}

impl HttpApi for JsonEndpoint {
    fn server(&self) -> &Server {
        self.route.access().server()
    }

    fn request(&self, payload: &Payload) -> std::result::Result<HttpRequest, EndpointError> {
        let body = serde_json::to_vec(payload).map_err(|error| EndpointError(error.to_string()))?;
        match &self.route {
            Route::Plain {
                target, headers, ..
            } => Ok(HttpRequest {
                target: target.clone(),
                headers: headers.clone(),
                body,
            }),
            #[cfg(feature = "aws")]
            Route::Aws { access, path } => {
                let own = self.dialect.headers();
                access.request(path, self.dialect.accept(self.streaming), own, body)
            }
        }
    }

    fn check(&self) -> Result<()> {
        match &self.route {
            Route::Plain {
                missing_key: Some(expected),
                ..
            } => Err(Error::missing(Setting::ApiKey).with_hint(*expected)),
            Route::Plain { .. } => Ok(()),
            #[cfg(feature = "aws")]
            Route::Aws { access, .. } => access.check(),
        }
    }

    #[cfg(feature = "aws")]
    fn request_lifetime(&self) -> Option<Duration> {
        match &self.route {
            Route::Plain { .. } => None,
            Route::Aws { access, .. } => access.request_lifetime(),
        }
    }

    #[cfg(feature = "aws")]
    fn is_fresh(&self, made: Stamp) -> bool {
        match &self.route {
            Route::Plain { .. } => true,
            Route::Aws { access, .. } => access.is_fresh(made),
        }
    }

    fn framing(&self) -> Framing {
        self.dialect.framing()
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        self.dialect.decoder()
    }

    fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match &self.route {
            Route::Plain { access, .. } => access.redact(text),
            #[cfg(feature = "aws")]
            Route::Aws { access, .. } => access.redact(text),
        }
    }
}

/// The texts in `content` of all `messages`: a text, or text parts.
pub(crate) fn message_texts(payload: &Payload) -> String {
    let mut texts: Vec<&str> = Vec::new();
    for message in list(payload, "messages") {
        match message.get("content") {
            Some(Value::String(text)) => texts.push(text),
            Some(Value::Array(parts)) => texts.extend(parts.iter().filter_map(|part| {
                let is_text = part.get("type").and_then(Value::as_str) == Some("text");
                part.get("text")?.as_str().filter(|_| is_text)
            })),
            _ => {}
        }
    }
    texts.retain(|text| !text.is_empty());
    texts.join("\n")
}

/// A key as a bearer token.
pub(crate) fn bearer(key: &SecretString) -> (&'static str, SecretString) {
    use secrecy::ExposeSecret;
    let value = format!("Bearer {}", key.expose_secret());
    ("Authorization", value.into())
}
