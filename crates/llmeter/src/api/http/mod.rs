//! Any HTTP API that takes JSON and answers with JSON, described instead of programmed: a template
//! makes the body, and JMESPath finds what an answer says.

mod build;
mod decode;
mod saved;
mod template;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use secrecy::SecretString;
use serde_json::{Map, Value, json};

pub use build::HttpEndpointBuilder;
pub use decode::ANSWER_PARTS;

use self::decode::{Decoder, Places};
use self::template::BodyTemplate;
use super::jmespath::Path;
use super::supported_inputs::{Intake, check_limit};
use super::{
    Endpoint, EndpointError, FrameDecoder, Framing, HttpApi, HttpRequest, Identity, SavedObject,
    Transport,
};
use crate::base::error::Result;
use crate::endpoint::access::Access;
use crate::endpoint::json_api::message_texts;
use crate::endpoint::openai::bytes_within;
use crate::payload::{Payload, Prompt};
use llmeter_wire::Server;

/// An endpoint for any HTTP API that takes JSON and answers with JSON, at once or as a stream.
///
/// The body of a request is a [minijinja](https://docs.rs/minijinja) template, in which each value
/// is written as JSON, texts with their quotes. It knows `payload` (all of it), each field of the
/// payload by its name (`prompt`, `max_tokens` and perhaps `system` in those that [`create_payload`] makes), `model`,
/// and `api_key`. Where an answer, or a frame of it, has its text, its token counts and so on is
/// said in JMESPath.
///
/// ```
/// use llmeter::Endpoint;
/// use llmeter::endpoint::{Framing, HttpEndpoint};
///
/// let endpoint = HttpEndpoint::builder("http://localhost:9000/generate")
///     .body(r#"{"inputs": {{ prompt }}, "limits": {"tokens": {{ max_tokens }}}}"#)
///     .framing(Framing::JsonLines)
///     .jmespath("text", "piece.text")
///     .jmespath("output-tokens", "stats.tokens")
///     .jmespath("end", "done")
///     .build()?;
/// assert!(endpoint.is_streaming());
/// # Ok::<(), llmeter::Error>(())
/// ```
///
/// [`create_payload`]: Self::create_payload
#[derive(Debug, Clone)]
pub struct HttpEndpoint {
    identity: Identity,
    access: Access,
    /// The address as it was given, without query parameters.
    url: String,
    method: String,
    target: String,
    headers: Vec<(String, SecretString)>,
    api_key: Option<SecretString>,
    body: BodyTemplate,
    /// `None` if the answer comes at once.
    framing: Option<Framing>,
    prompt: Option<Path>,
    places: Places,
}

const INTAKE: Intake = Intake {
    system: true,
    instead: "; what a template is to make of media, a payload file can hold in base64",
    ..Intake::of_texts("http")
};

impl HttpEndpoint {
    /// An endpoint at `url`, the whole address with path and query. `{{ model }}` in it stands for
    /// the model.
    pub fn builder(url: impl Into<String>) -> HttpEndpointBuilder {
        HttpEndpointBuilder::new(url.into())
    }

    /// A payload with the fields `prompt` and `max_tokens`, for templates; several texts become one,
    /// a line each. A system text is the field `system`, which is not there without one. `extra` is
    /// added last and wins.
    ///
    /// # Errors
    /// When `max_tokens` is 0, or the prompt has no item or media.
    pub fn create_payload(
        prompt: impl Into<Prompt>,
        max_tokens: u64,
        extra: Payload,
    ) -> Result<Payload> {
        check_limit(max_tokens)?;
        let prompt = prompt.into();
        let text = INTAKE.texts(&prompt)?.join("\n");
        let mut payload = Payload::new();
        if let Some(text) = &prompt.system {
            payload.insert("system".into(), json!(text));
        }
        payload.insert("prompt".into(), json!(text));
        payload.insert("max_tokens".into(), json!(max_tokens));
        payload.extend(extra);
        Ok(payload)
    }

    /// What a template knows.
    fn variables(&self, payload: &Payload) -> Map<String, Value> {
        template::variables(payload, &self.identity.model_id, self.api_key.as_ref())
    }
}

impl Endpoint for HttpEndpoint {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn is_streaming(&self) -> bool {
        self.framing.is_some()
    }

    fn prepare_payload(&self, payload: &mut Payload) -> std::result::Result<(), EndpointError> {
        match bytes_within(payload) {
            None => Ok(()),
            Some(path) => Err(EndpointError(format!(
                "the payload holds raw bytes at {path}, which JSON cannot carry: write them in base64"
            ))),
        }
    }

    fn prompt_text(&self, payload: &Payload) -> Option<Value> {
        let text = match (&self.prompt, payload.get("prompt")) {
            (Some(path), _) => path.find_texts(&Value::Object(payload.clone()))?.join("\n"),
            (None, Some(Value::String(text))) => text.clone(),
            (None, _) => match message_texts(payload) {
                text if text.is_empty() => return None,
                text => text,
            },
        };
        Some(Value::String(text))
    }

    fn transport(&self) -> Transport<'_> {
        Transport::Http(self)
    }

    fn saved(&self) -> SavedObject {
        self.to_saved()
    }
}

impl HttpApi for HttpEndpoint {
    fn server(&self) -> &Server {
        self.access.server()
    }

    fn method(&self) -> &str {
        &self.method
    }

    fn request(&self, payload: &Payload) -> std::result::Result<HttpRequest, EndpointError> {
        let body = self.body.render(&self.variables(payload))?;
        Ok(HttpRequest {
            target: self.target.clone(),
            headers: self.headers.clone(),
            body,
        })
    }

    fn framing(&self) -> Framing {
        self.framing.unwrap_or_default()
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Box::new(Decoder::new(self.places.clone()))
    }

    fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.access.redact(text)
    }
}
