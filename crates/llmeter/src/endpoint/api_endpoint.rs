//! An API at an address.

use std::borrow::Cow;
use std::sync::Arc;
#[cfg(feature = "aws")]
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::access::{HttpAccess, is_harmless_header};
#[cfg(feature = "aws")]
use super::aws_access::AwsAccess;
use super::{
    Destination, Endpoint, EndpointError, FrameDecoder, Framing, HttpApi, HttpRequest, Identity,
    SavedObject, Transport, trust,
};
use crate::api::{self, Api, EndpointSetup};
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::payload::Payload;
use llmeter_wire::Server;
#[cfg(feature = "aws")]
use llmeter_wire::clock::Stamp;

/// A model behind an API of llmeter's table, at one address. An [`EndpointBuilder`] makes it.
///
/// [`EndpointBuilder`]: super::EndpointBuilder
#[derive(Debug, Clone)]
pub struct ApiEndpoint {
    pub(super) api: &'static dyn Api,
    /// The API with the settings of its own, if it has any.
    pub(super) configured: Option<Arc<dyn Api>>,
    /// The class by which files name it.
    pub(super) class: &'static str,
    pub(super) setup: EndpointSetup,
    pub(super) route: RequestAuth,
    /// Whether a file alone names the address.
    pub(super) is_from_file: bool,
    /// What the key is called.
    pub(super) key_name: Option<String>,
}

/// The way to the API.
#[derive(Debug, Clone)]
pub(super) enum RequestAuth {
    /// Every request has the same target and the same header lines.
    Plain {
        access: HttpAccess,
        target: String,
        headers: Vec<(String, SecretString)>,
        /// Whether the server is the API's own, which llmeter knows.
        is_known_server: bool,
        /// What to do about a missing key, if no server responds without one.
        missing_key: Option<&'static str>,
    },
    /// Requests are signed one by one.
    #[cfg(feature = "aws")]
    Aws { access: AwsAccess, path: String },
}

impl RequestAuth {
    pub(super) fn access(&self) -> &HttpAccess {
        match self {
            Self::Plain { access, .. } => access,
            #[cfg(feature = "aws")]
            Self::Aws { access, .. } => access.access(),
        }
    }
}

impl ApiEndpoint {
    fn api(&self) -> &dyn Api {
        self.configured.as_deref().unwrap_or(self.api)
    }

    /// The base URL, with a slash at the end.
    pub fn base_url(&self) -> &str {
        self.route.access().base_url()
    }

    /// The names of the headers that the user gave, for the record.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        self.route.access().header_names()
    }
}

impl Endpoint for ApiEndpoint {
    fn identity(&self) -> &Identity {
        &self.setup.identity
    }

    fn is_streaming(&self) -> bool {
        self.setup.streaming
    }

    fn prepare_payload(&self, payload: &mut Payload) -> Result<(), EndpointError> {
        let model = &self.setup.identity.model_id;
        api::prepare(self.api(), payload, Some(model), self.setup.streaming)
    }

    fn prompt_text(&self, payload: &Payload) -> Option<Value> {
        self.api().prompt_text(payload).map(Value::String)
    }

    fn continue_conversation(
        &self,
        payload: &mut Payload,
        previous: &Payload,
        answer: &str,
    ) -> Result<(), EndpointError> {
        self.api().continue_conversation(payload, previous, answer)
    }

    fn transport(&self) -> Transport<'_> {
        Transport::Http(self)
    }

    fn saved(&self) -> SavedObject {
        self.to_saved()
    }

    fn extra_state(&self) -> Map<String, Value> {
        let mut state = match &self.route {
            RequestAuth::Plain { .. } => Map::new(),
            #[cfg(feature = "aws")]
            RequestAuth::Aws { access, .. } => access.extra_state(),
        };
        state.extend(self.additions_apart());
        state
    }

    fn destinations(&self) -> Vec<Destination> {
        if !self.is_from_file {
            return Vec::new();
        }
        let key_name = || match &self.key_name {
            Some(name) => name.clone(),
            None => "the API key".to_owned(),
        };
        let (is_default, signing): (bool, Option<&str>) = match &self.route {
            RequestAuth::Plain {
                is_known_server, ..
            } => (*is_known_server, None),
            #[cfg(feature = "aws")]
            RequestAuth::Aws { access, .. } => (!access.is_elsewhere(), access.secret()),
        };
        let key = match signing {
            Some(name) if self.setup.api_key.is_none() => Some(name.to_owned()),
            _ => self.setup.api_key.as_ref().map(|_| key_name()),
        };
        let headers = self.header_names().filter(|name| !is_harmless_header(name));
        let secrets = key.into_iter().chain(headers.map(trust::header));
        let address = self.base_url().trim_end_matches('/');
        secrets
            .map(|secret| Destination {
                is_default,
                ..Destination::new(secret, address)
            })
            .collect()
    }
}

impl HttpApi for ApiEndpoint {
    fn server(&self) -> &Server {
        self.route.access().server()
    }

    fn method(&self) -> &str {
        self.api().method()
    }

    fn check(&self) -> Result<()> {
        match &self.route {
            RequestAuth::Plain {
                missing_key: Some(expected),
                ..
            } => Err(Error::missing(Setting::ApiKey).with_hint(*expected)),
            RequestAuth::Plain { .. } => Ok(()),
            #[cfg(feature = "aws")]
            RequestAuth::Aws { access, .. } => access.check(),
        }
    }

    fn request(&self, payload: &Payload) -> Result<HttpRequest, EndpointError> {
        let body = self.api().body(payload)?;
        match &self.route {
            RequestAuth::Plain {
                target, headers, ..
            } => Ok(HttpRequest {
                target: target.clone(),
                headers: headers.clone(),
                body,
            }),
            #[cfg(feature = "aws")]
            RequestAuth::Aws { access, path } => {
                let accept = self.api().accept(self.setup.streaming);
                let own = self.api().headers(&self.setup);
                access.request(path, accept, own, body)
            }
        }
    }

    #[cfg(feature = "aws")]
    fn request_lifetime(&self) -> Option<Duration> {
        match &self.route {
            RequestAuth::Plain { .. } => None,
            RequestAuth::Aws { access, .. } => access.request_lifetime(),
        }
    }

    #[cfg(feature = "aws")]
    fn is_fresh(&self, made: Stamp) -> bool {
        match &self.route {
            RequestAuth::Plain { .. } => true,
            RequestAuth::Aws { access, .. } => access.is_fresh(made),
        }
    }

    fn framing(&self) -> Framing {
        self.api().framing()
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        self.api().decoder()
    }

    fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match &self.route {
            RequestAuth::Plain { access, .. } => access.redact(text),
            #[cfg(feature = "aws")]
            RequestAuth::Aws { access, .. } => access.redact(text),
        }
    }
}
