//! One LLM API reached at one address with one model.
//!
//! Belongs here: the [`Endpoint`] trait; an API at an address ([`ApiEndpoint`]) with its settings,
//! authentication, signing and saved form; the registry of users' own endpoints. Does not belong here:
//! what an API says (`api`), sockets, clocks and HTTP (`wire`), who sends when (`load`).
//!
//! Connections, times and errors of the network are the wire's. An endpoint that is no HTTP API
//! implements [`Invoke`] and reports chunks of the response as they come.

mod access;
mod api_endpoint;
#[cfg(feature = "aws")]
mod aws_access;
#[cfg(feature = "aws")]
mod aws_options;
mod builder;
mod overlay;
mod registry;
mod saved;
mod settings;
mod trust;

use std::borrow::Cow;
use std::time::Duration;

pub(crate) use access::{header, is_harmless_header};
/// The attribute that an implementation of [`Invoke`] bears.
pub use async_trait::async_trait;
use serde_json::{Map, Value};

pub use api_endpoint::ApiEndpoint;
#[cfg(feature = "aws")]
pub use aws_options::AwsOptions;
pub use builder::EndpointBuilder;
pub use registry::register;
pub use saved::from_saved;
pub use settings::EndpointSettings;
pub use trust::{Destination, Trust, own_configuration};

use crate::api::go_on;
pub use crate::api::*;
use crate::base::failure::Failure;
use crate::payload::Payload;
pub use crate::saved::SavedObject;
use llmeter_wire::Server;
use llmeter_wire::clock::{self, Stamp};

/// Where payloads may have their conversation.
const CONVERSATION_FIELDS: &[&str] = &["messages", "contents", "input", "prompt", "inputs"];

/// One LLM API at one address with one model.
///
/// Implement it for an API that llmeter does not know; see `examples/own_endpoint.rs`.
pub trait Endpoint: Send + Sync {
    /// Model, endpoint name and provider.
    fn identity(&self) -> &Identity;

    /// Whether the response is a stream, so that a time to first token exists.
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

    /// Makes a payload go on with a conversation: with the payload that was sent before it, and the
    /// answer's text. By default payloads are taken to have their conversation where one of the known
    /// APIs has it.
    ///
    /// # Errors
    /// If the API takes no conversation.
    fn continue_conversation(
        &self,
        payload: &mut Payload,
        previous: &Payload,
        answer: &str,
    ) -> Result<(), EndpointError> {
        let name = &self.identity().endpoint_name;
        go_on(payload, previous, answer, CONVERSATION_FIELDS, name)
    }

    /// How the endpoint is driven.
    fn transport(&self) -> Transport<'_>;

    /// The endpoint as it is saved in `run_config.json`.
    fn saved(&self) -> SavedObject;

    /// What belongs to the saved state but has no place in the Python package's form of it, which
    /// allows no further fields. It is kept apart, and part of the state again when a run is repeated.
    fn extra_state(&self) -> Map<String, Value> {
        Map::new()
    }

    /// The secrets of the user's that it sends to a server which only a file names, as one that was made
    /// from a saved run. A run does not start unless [`RunConfig::trust`](crate::RunConfig::trust)
    /// includes all of these. An endpoint whose address the program gave has none.
    fn destinations(&self) -> Vec<Destination> {
        Vec::new()
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

    /// How a streaming response is cut into frames.
    fn framing(&self) -> Framing {
        Framing::Sse
    }

    /// A fresh decoder for one response.
    fn decoder(&self) -> Box<dyn FrameDecoder>;

    /// Hides this endpoint's secrets in a text that came from the server.
    fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        Cow::Borrowed(text)
    }
}

/// An endpoint that carries out the request itself.
#[async_trait]
pub trait Invoke: Send + Sync {
    /// Sends the payload and reports the response's chunks to `response` as they come; each call takes
    /// the time. Call [`ResponseBuilder::sent`] just before the request leaves; without that call the clock
    /// starts when this function is called.
    ///
    /// It runs on the thread that sends for other clients, too: await whatever takes time, and never
    /// block. When the run's timeout ends the request, the returned future is dropped. A panic
    /// counts as a failed request.
    ///
    /// # Errors
    /// Whatever made the request fail; what was reported before is kept.
    async fn invoke(
        &self,
        payload: &Payload,
        response: &mut ResponseBuilder,
    ) -> Result<(), Failure>;

    /// Who takes the times, if not llmeter: what the statistic `measurement_stamps` calls it. Such an
    /// endpoint reports responses by [`ResponseBuilder::measured`].
    fn own_clock(&self) -> Option<&'static str> {
        None
    }
}
