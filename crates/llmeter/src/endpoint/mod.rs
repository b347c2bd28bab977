//! One LLM API reached at one address with one model.
//!
//! Belongs here: the [`Endpoint`] trait, what an answer consists of, and one file per API.
//! Does not belong here: sockets, clocks and HTTP (`wire`), who sends when (`load`).
//!
//! An HTTP API says only two things: how a payload becomes a request, and what a frame of the
//! answer means. Connections, times and errors of the network are the wire's. An endpoint that is
//! no HTTP API implements [`Invoke`] instead and reports pieces of the answer as they come.

mod access;
mod answer;
mod anthropic_messages;
#[cfg(feature = "aws")]
mod aws;
mod azure_openai;
#[cfg(feature = "aws")]
mod bedrock_converse;
#[cfg(feature = "aws")]
mod bedrock_invoke;
mod catalog;
pub(crate) mod failure;
mod gemini;
mod http;
mod intake;
mod jmespath;
mod json_api;
pub(crate) mod lenient;
mod ollama;
pub mod openai;
mod openai_chat;
mod openai_completions;
mod openai_embeddings;
mod openai_responses;
mod prepared;
mod response;
#[cfg(feature = "aws")]
mod sagemaker;
mod saved_state;
mod settings;
mod tgi;

use std::borrow::Cow;
use std::time::Duration;

pub(crate) use access::is_harmless_header;
/// The attribute that an implementation of [`Invoke`] bears.
pub use async_trait::async_trait;
use serde_json::{Map, Value};

pub use answer::{Answer, Usage};
pub use anthropic_messages::AnthropicMessages;
#[cfg(feature = "aws")]
pub use aws::AwsOptions;
pub use azure_openai::{AzureChat, AzureOpenAiChat};
#[cfg(feature = "aws")]
pub use bedrock_converse::{BedrockConverse, BedrockConverseBuilder};
#[cfg(feature = "aws")]
pub use bedrock_invoke::{BedrockInvoke, BedrockInvokeBuilder};
pub use catalog::{APIS, Api, from_saved};
pub use gemini::Gemini;
pub use http::{ANSWER_PARTS, HttpEndpoint, HttpEndpointBuilder};
pub use json_api::{JsonEndpoint, JsonEndpointBuilder};
pub use ollama::Ollama;
pub use openai_chat::{Chat, OpenAiChat, OpenAiChatBuilder};
pub use openai_completions::{Completions, OpenAiCompletions};
pub use openai_embeddings::{Embeddings, OpenAiEmbeddings};
pub use openai_responses::{OpenAiResponses, Responses};
pub use response::{InvocationResponse, ResponseDetail};
#[cfg(feature = "aws")]
pub use sagemaker::{SageMaker, SageMakerBuilder};
pub use settings::EndpointSettings;
pub use tgi::Tgi;

use crate::payload::Payload;
pub use crate::saved::SavedObject;
use llmeter_wire::Server;
use llmeter_wire::clock::{self, Stamp};
pub use llmeter_wire::framing::{Frame, Framing};
pub use llmeter_wire::{HttpRequest, ResponseHead};

/// Who answers: the three names that every result carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The model, as the API calls it.
    pub model_id: String,
    /// A name for the endpoint, for people.
    pub endpoint_name: String,
    /// Who runs it.
    pub provider: String,
}

/// One LLM API at one address with one model.
///
/// Implement it for an API that llmeter does not know; see `examples/own_endpoint.rs`.
pub trait Endpoint: Send + Sync {
    /// Model, endpoint name and provider.
    fn identity(&self) -> &Identity;

    /// Whether the answer comes in pieces, so that a time to first token exists.
    fn is_streaming(&self) -> bool;

    /// Adds what the API needs to the user's payload (model, stream switches, …).
    ///
    /// # Errors
    /// When the payload cannot be sent to this API.
    fn prepare_payload(&self, payload: &mut Payload) -> Result<(), EndpointError> {
        let _ = payload;
        Ok(())
    }

    /// The prompt's text within a payload, for the record and for estimating tokens.
    fn prompt_text(&self, payload: &Payload) -> Option<Value> {
        let _ = payload;
        None
    }

    /// How the endpoint is driven.
    fn transport(&self) -> Transport<'_>;

    /// The endpoint as it is saved in `run_config.json`.
    fn saved(&self) -> SavedObject;

    /// What belongs to the saved state but has no place in the Python package's form of it, which
    /// allows no further fields. It is kept apart, and part of the state again when a run is repeated.
    fn saved_apart(&self) -> Map<String, Value> {
        Map::new()
    }
}

/// How an endpoint is driven.
#[derive(Clone, Copy)]
pub enum Transport<'a> {
    /// Over llmeter's own wire, which takes the times.
    Http(&'a dyn HttpApi),
    /// By the endpoint itself.
    Invoke(&'a dyn Invoke),
}

/// An HTTP API: a request builder and a frame decoder over the shared wire.
pub trait HttpApi: Send + Sync {
    /// Where to connect.
    fn server(&self) -> &Server;

    /// The method of every request.
    fn method(&self) -> &str {
        "POST"
    }

    /// Makes sure that requests can be made, before anything is sent: that there are credentials, for
    /// example. Called once before a run; it may take its time and block.
    ///
    /// # Errors
    /// What keeps every request from being made.
    fn check(&self) -> crate::Result<()> {
        Ok(())
    }

    /// The request for a prepared payload. Called before the clock starts.
    ///
    /// # Errors
    /// When the payload cannot be turned into a request.
    fn request(&self, payload: &Payload) -> Result<HttpRequest, EndpointError>;

    /// How long a request can be sent after it was made; `None` for ever. Requests that are signed
    /// with the time are made anew before they are too old.
    fn request_lifetime(&self) -> Option<Duration> {
        None
    }

    /// Whether a request that was made then can still be sent. By default that is so for half of
    /// [`request_lifetime`](Self::request_lifetime), since it may have to wait.
    fn is_fresh(&self, made: Stamp) -> bool {
        let lifetime = self.request_lifetime();
        lifetime.is_none_or(|lifetime| clock::now() < made.after(lifetime / 2))
    }

    /// How a streamed answer is cut into frames.
    fn framing(&self) -> Framing {
        Framing::Sse
    }

    /// A fresh decoder for one answer.
    fn decoder(&self) -> Box<dyn FrameDecoder>;

    /// Hides this endpoint's secrets in a text that came from the server.
    fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        Cow::Borrowed(text)
    }
}

/// Turns the frames of one answer into its content. Runs far from the socket.
pub trait FrameDecoder: Send {
    /// The head of the answer, which comes before everything else.
    fn head(&mut self, head: &ResponseHead, answer: &mut Answer) {
        let _ = (head, answer);
    }

    /// One frame of a stream.
    fn frame(&mut self, frame: Frame<'_>, answer: &mut Answer);

    /// A whole body that was not sent as a stream.
    fn whole(&mut self, body: &[u8], answer: &mut Answer);

    /// The stream ended without a network error; report an error if it ended too early.
    fn end(&mut self, answer: &mut Answer);

    /// The server's own words from the body of an error status, if the body has this API's shape.
    fn error_message(&self, body: &[u8]) -> Option<String>;
}

/// An endpoint that carries out the request itself.
#[async_trait]
pub trait Invoke: Send + Sync {
    /// Sends the payload and reports the answer's pieces to `answer` as they come; each call takes
    /// the time. Call [`Answer::sent`] just before the request leaves; without that call the clock
    /// starts when this function is called.
    ///
    /// It runs on the thread that sends for other clients, too: await whatever takes time, and never
    /// block. When the run's timeout ends the request, the returned future is dropped. A panic
    /// counts as a failed request.
    ///
    /// # Errors
    /// Whatever made the request fail; what was reported before is kept.
    async fn invoke(&self, payload: &Payload, answer: &mut Answer) -> Result<(), EndpointError>;
}

/// Why an endpoint could not do its part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EndpointError(pub String);
