//! What an LLM API says: how a payload becomes a request, and what a frame of a response means.
//!
//! Belongs here: one file per API ([`Api`]), the one table of them ([`APIS`]), and what their decoders
//! share. Does not belong here: addresses, authentication, settings and saved forms (`endpoint`).

/// Ways to an endpoint and a payload that do not name the table.
macro_rules! entry_points {
    ($api:ident) => {
        impl $api {
            /// Settings of an endpoint at `base_url`.
            pub fn builder(
                base_url: impl Into<String>,
                model_id: impl Into<String>,
            ) -> $crate::endpoint::EndpointBuilder {
                $crate::endpoint::EndpointBuilder::new(&Self, base_url, model_id)
            }
        }
        entry_points!(payload of $api, &Self);
    };
    ($api:ident by model) => {
        impl $api {
            /// Settings of an endpoint where AWS serves the model.
            pub fn builder(model_id: impl Into<String>) -> $crate::endpoint::EndpointBuilder {
                $crate::endpoint::EndpointBuilder::new(&DEFAULT, "", model_id)
            }
        }
        entry_points!(payload of $api, &DEFAULT);
    };
    (payload of $api:ident, $value:expr) => {
        impl $api {
            /// A payload of a prompt with at most `max_tokens` to generate. `extra` is added last and
            /// wins.
            ///
            /// # Errors
            /// When `max_tokens` is 0, the prompt has no item, or the API does not take one of them
            /// or a system text.
            pub fn create_payload(
                prompt: impl Into<$crate::payload::Prompt>,
                max_tokens: u64,
                extra: $crate::payload::Payload,
            ) -> $crate::Result<$crate::payload::Payload> {
                $crate::api::mode::create_payload($value, &prompt.into(), max_tokens, false, extra)
            }
        }
    };
}

mod annotations;
mod anthropic_messages;
#[cfg(feature = "aws")]
pub(crate) mod aws;
mod azure_openai;
#[cfg(feature = "aws")]
mod bedrock_converse;
#[cfg(feature = "aws")]
mod bedrock_invoke;
mod common_text;
mod delivery;
mod failure;
mod field;
mod gap_sample;
mod gemini;
mod history;
pub(crate) mod http;
mod jmespath;
mod json_frames;
mod lenient;
mod mode;
mod ollama;
mod openai;
mod openai_chat;
mod openai_completions;
mod openai_embeddings;
mod openai_responses;
pub(crate) mod outside;
mod packed_path;
mod payload_fields;
mod response;
mod response_builder;
#[cfg(feature = "aws")]
mod sagemaker;
mod server_time;
mod shared_name;
mod spec;
mod supported_inputs;
mod table;
mod tgi;
mod usage;

use std::fmt::Debug;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

pub use annotations::Annotations;
pub use anthropic_messages::AnthropicMessages;
#[cfg(feature = "aws")]
pub use aws::Service;
pub use azure_openai::AzureOpenAiChat;
#[cfg(feature = "aws")]
pub use bedrock_converse::BedrockConverse;
#[cfg(feature = "aws")]
pub use bedrock_invoke::BedrockInvoke;
pub use delivery::Delivery;
pub(crate) use delivery::is_burst;
pub(crate) use failure::outlook;
pub(crate) use field::{CountSlot, FieldSlot};
pub use field::{FieldValue, ResponseField};
pub use gemini::Gemini;
pub(crate) use history::{add_history, go_on};
pub use http::{HttpEndpoint, RESPONSE_PARTS};
pub use mode::ApiMode;
pub use ollama::Ollama;
pub use openai_chat::OpenAiChat;
pub use openai_completions::OpenAiCompletions;
pub use openai_embeddings::OpenAiEmbeddings;
pub use openai_responses::OpenAiResponses;
pub use packed_path::PackedPath;
pub use payload_fields::{output_limit, prompt_fields};
pub(crate) use response::CHOICES;
pub use response::{InvocationResponse, PathDetail, ResponseDetail, ScheduleDetail};
pub use response_builder::ResponseBuilder;
pub(crate) use response_builder::{OwnMeasurement, StreamEnd};
#[cfg(feature = "aws")]
pub use sagemaker::SageMaker;
pub use server_time::ServerTimeHeader;
pub(crate) use server_time::add_server_times;
pub use shared_name::SharedName;
pub use spec::{ApiSpec, Mode};
pub use supported_inputs::{Format, Part, SupportedInputs};
pub use table::APIS;
pub use tgi::Tgi;
pub(crate) use usage::{CheckedUsage, Evidence};
pub use usage::{TokenSource, Usage};

use crate::base::error::{Error, Result};
use crate::base::failure::{Failure, FailureKind};
use crate::base::setting::Setting;
use crate::payload::{Payload, bytes_within, plain_numbers};
pub use llmeter_wire::framing::{Frame, Framing};
pub use llmeter_wire::{HttpRequest, ResponseHead};

/// What an LLM API says: everything about it that does not depend on where it is.
///
/// An API is one value of this trait in [`APIS`]; `docs/adding-an-api.md` walks through the smallest
/// one. An [`ApiEndpoint`](crate::endpoint::ApiEndpoint) is an API at an address.
pub trait Api: Debug + Send + Sync {
    /// Its names, and where things are in its payloads.
    fn spec(&self) -> &'static ApiSpec;

    /// A payload of a prompt's parts with at most so many tokens to generate.
    fn payload(&self, prompt: &PromptParts<'_>, max_tokens: u64, streaming: bool) -> Payload;

    /// Adds the user's own fields to a payload; they win.
    fn add_extra(&self, payload: &mut Payload, extra: Payload) {
        payload.extend(extra);
    }

    /// Adds what the API needs to the user's payload. Without a model, nothing that names one.
    fn prepare(&self, payload: &mut Payload, model: Option<&str>, streaming: bool);

    /// Makes a payload go on with a conversation: with the payload that was sent before it, and the
    /// answer's text.
    ///
    /// # Errors
    /// If the API takes no conversation.
    fn continue_conversation(
        &self,
        payload: &mut Payload,
        previous: &Payload,
        answer: &str,
    ) -> Result<(), EndpointError> {
        let spec = self.spec();
        history::go_on(
            payload,
            previous,
            answer,
            spec.prompt_fields,
            spec.endpoint_name,
        )
    }

    /// The prompt's text within a payload; `None` if it is not given as text.
    fn prompt_text(&self, payload: &Payload) -> Option<String>;

    /// The body of a request for a prepared payload.
    ///
    /// # Errors
    /// When the payload cannot be written as the API wants it.
    fn body(&self, payload: &Payload) -> Result<Vec<u8>, EndpointError> {
        let json = serde_json::to_string(payload);
        let json = json.map_err(|error| EndpointError(error.to_string()))?;
        Ok(plain_numbers(json).into_bytes())
    }

    /// A fresh decoder for one response.
    fn decoder(&self) -> Box<dyn FrameDecoder>;

    /// How a streaming response is cut into frames.
    fn framing(&self) -> Framing {
        self.spec().framing
    }

    /// The `Accept` header.
    fn accept(&self, streaming: bool) -> &'static str {
        if streaming {
            self.framing().media_type()
        } else {
            "application/json"
        }
    }

    /// The method of every request.
    fn method(&self) -> &str {
        "POST"
    }

    /// Path and query of a request below the base URL.
    ///
    /// # Errors
    /// When a setting that is part of it is missing or cannot be used.
    fn path(&self, setup: &EndpointSetup) -> Result<String> {
        let _ = setup;
        Ok(self.spec().path.to_owned())
    }

    /// The header that carries the key; `None` if the key is sent otherwise.
    fn key_header(&self, key: &SecretString) -> Option<(&'static str, SecretString)> {
        Some(bearer(key))
    }

    /// Headers of every request beside those that every API has.
    fn headers(&self, setup: &EndpointSetup) -> Vec<(&'static str, String)> {
        let _ = setup;
        Vec::new()
    }

    /// The default address; `None` if there is none.
    fn address(&self, region: Option<&str>) -> Option<String> {
        let _ = region;
        self.spec().base_url.map(str::to_owned)
    }

    /// What to do about a missing key, if no server responds without one.
    fn missing_key(&self) -> Option<&'static str> {
        None
    }

    /// The API at a provider; `None` if a provider is but a name.
    ///
    /// # Errors
    /// If there is no such provider; the message lists those that there are.
    fn at_provider(&self, provider: &str) -> Result<Option<&'static dyn Api>> {
        let _ = provider;
        Ok(None)
    }

    /// Takes the settings of an endpoint: completes them, and returns the API as these settings make
    /// it if it has settings of its own.
    ///
    /// # Errors
    /// When a setting cannot be used.
    fn configure(&self, setup: &mut EndpointSetup) -> Result<Option<Arc<dyn Api>>> {
        let _ = setup;
        Ok(None)
    }

    /// The fields of a saved endpoint in order, with the values that they have if nothing is set.
    /// Those that every endpoint has (`model_id`, `endpoint_name`, `provider`, `base_url`, `region`, …)
    /// are filled in; all others are settings of the API's own ([`EndpointSetup::own`]).
    fn saved_fields(&self, streaming: bool) -> Vec<(&'static str, Value)> {
        let _ = streaming;
        unset(&[
            "model_id",
            "endpoint_name",
            "provider",
            "base_url",
            "max_retries",
        ])
    }
}

/// The settings of an endpoint, as its API sees them when the endpoint is built.
#[derive(Debug, Clone)]
pub struct EndpointSetup {
    /// Model, endpoint name and provider.
    pub identity: Identity,
    /// Whether the response is asked for as a stream.
    pub streaming: bool,
    /// The address; empty for the API's default.
    pub base_url: String,
    /// Query parameters of every request.
    pub query: Vec<(String, String)>,
    /// The key.
    pub api_key: Option<SecretString>,
    /// The region, for APIs that have one.
    pub region: Option<String>,
    /// The project, for APIs that have one.
    pub project: Option<String>,
    /// Settings that are the API's own, by their names in files.
    pub own: Map<String, Value>,
}

impl EndpointSetup {
    /// The model's id, for a path.
    ///
    /// # Errors
    /// If it would break the path.
    fn model_in_path(&self) -> Result<&str> {
        let model = self.identity.model_id.trim();
        if model.contains(|c: char| c.is_control() || c == '?' || c == '#') {
            let expected = "a model's id without ?, # and control characters";
            return Err(Error::invalid(
                Setting::Model,
                format!("{model:?}"),
                expected,
            ));
        }
        Ok(model)
    }

    /// A setting of the API's own that is a text.
    pub fn own_text(&self, name: &str) -> Option<&str> {
        self.own.get(name).and_then(Value::as_str)
    }
}

/// What was measured: the model, endpoint name and provider that every result carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The model, as the API calls it.
    pub model_id: String,
    /// A name for the endpoint, for people.
    pub endpoint_name: String,
    /// Who runs it.
    pub provider: String,
}

/// A prompt's items that an API takes, and its system text.
#[derive(Debug, Clone)]
pub struct PromptParts<'p> {
    /// Texts and media in their order; there is at least one.
    pub parts: Vec<Part<'p>>,
    /// The system text; only for APIs that have a place for it.
    pub system: Option<&'p str>,
}

impl<'p> PromptParts<'p> {
    /// The texts.
    pub fn texts(&self) -> Vec<&'p str> {
        self.parts.iter().filter_map(Part::text).collect()
    }

    /// The content of a message: a single text as it is, anything else as a list of blocks.
    pub fn content(&self, block: impl FnMut(&Part<'p>) -> Value) -> Value {
        match self.parts.as_slice() {
            [Part::Text(text)] => Value::from(*text),
            parts => parts.iter().map(block).collect(),
        }
    }
}

/// Adds what an API needs to a payload, and refuses one that it cannot be sent.
///
/// # Errors
/// When the payload holds raw bytes and the API takes only JSON.
pub(crate) fn prepare(
    api: &dyn Api,
    payload: &mut Payload,
    model: Option<&str>,
    streaming: bool,
) -> Result<(), EndpointError> {
    if !api.spec().takes_bytes
        && let Some(path) = bytes_within(payload)
    {
        return Err(EndpointError(format!(
            "the payload holds raw bytes at {path}, and this API takes only JSON: \
             write them in base64 or as a data URL, as the API asks for"
        )));
    }
    api.prepare(payload, model, streaming);
    Ok(())
}

/// Fields of a saved endpoint that are null if nothing is set.
pub(crate) fn unset(names: &[&'static str]) -> Vec<(&'static str, Value)> {
    names.iter().map(|name| (*name, Value::Null)).collect()
}

/// A key as a bearer token.
fn bearer(key: &SecretString) -> (&'static str, SecretString) {
    let value = format!("Bearer {}", key.expose_secret());
    ("Authorization", value.into())
}

/// The timeouts of the Python system's client if nothing is set.
fn sdk_timeout() -> Value {
    json!({"connect": 5.0, "read": 600, "write": 600, "pool": 600})
}

/// Names the model in a payload, if there is one.
fn set_model(payload: &mut Payload, model: Option<&str>) {
    if let Some(model) = model {
        payload.insert("model".into(), model.into());
    }
}

/// One segment of a path, with everything escaped that is not unreserved in a URL.
pub(crate) fn path_segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Turns the frames of one response into its content. Runs far from the socket.
pub trait FrameDecoder: Send {
    /// The head of the response, which comes before everything else.
    fn head(&mut self, head: &ResponseHead, response: &mut ResponseBuilder) {
        let _ = (head, response);
    }

    /// One frame of a stream.
    fn frame(&mut self, frame: Frame<'_>, response: &mut ResponseBuilder);

    /// The body of a non-streaming response.
    fn non_streaming(&mut self, body: &[u8], response: &mut ResponseBuilder);

    /// The stream ended without a network error; report an error if it ended too early.
    fn end(&mut self, response: &mut ResponseBuilder);

    /// The server's own words from the body of an error status, or from what stands between the frames
    /// of a stream, if it has this API's shape.
    fn error_message(&self, body: &[u8]) -> Option<String>;

    /// The name of the error with which the same body says that there were too many requests, where the
    /// API names its errors.
    fn throttle(&self, body: &[u8]) -> Option<String> {
        let _ = body;
        None
    }

    /// Whether responses are generated text, reasoning or tool calls, so that one without any is empty.
    /// Those of embeddings are not: they have no output tokens either, unless the server reports some.
    fn generates_content(&self) -> bool {
        true
    }
}

/// Why an endpoint could not do its part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EndpointError(pub String);

impl From<EndpointError> for Failure {
    fn from(reason: EndpointError) -> Self {
        Self::new(FailureKind::Endpoint, reason.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_id_is_one_segment() {
        assert_eq!(
            path_segment("arn:aws:bedrock:us-east-1:1:inference-profile/us.x-v1:0"),
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x-v1%3A0"
        );
    }

    fn file(path: &str) -> String {
        let path = format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn every_api_has_a_section_in_the_docs() {
        let docs = file("docs/endpoints.md");
        for mode in ApiMode::all() {
            let name = format!("`{}`", mode.name);
            let mut headings = docs.lines().filter(|line| line.starts_with("## "));
            assert!(headings.any(|line| line.contains(&name)), "{name}");
        }
    }

    #[test]
    fn the_walk_through_shows_the_code_as_it_is() {
        let code = [
            "llmeter/src/api/ollama.rs",
            "llmeter/src/api/table.rs",
            "llmeter-sim/src/api/ollama.rs",
        ]
        .map(|path| file(&format!("crates/{path}")));
        let docs = file("docs/adding-an-api.md");
        let excerpts = docs.split("```rust\n").skip(1);
        for excerpt in excerpts.filter_map(|rest| rest.split("```").next()) {
            assert!(code.iter().any(|code| code.contains(excerpt)), "{excerpt}");
        }
    }
}
