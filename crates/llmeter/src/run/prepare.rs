//! Everything about a request that can be done before the clock starts.

use std::sync::{Arc, OnceLock};

use secrecy::SecretString;
use serde_json::Value;

use crate::api::output_limit;
use crate::base::error::{Error, Result};
use crate::base::failure::Failure;
use crate::base::foreign::{self, Panic};
use crate::cost::{ExpectedTokens, SpendGuard};
use crate::endpoint::{EndpointError, Transport};
use crate::payload::Payload;
use crate::run::route::Route;
use llmeter_wire::clock::{self, Stamp};
use llmeter_wire::http1;

/// A payload, ready to be sent any number of times.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// As sent.
    pub(crate) payload: Arc<Payload>,
    pub(crate) prompt: Option<Arc<Value>>,
    /// The server that it is for, counted from 0.
    pub(crate) server: u16,
    /// Which one of several payloads it is.
    pub(crate) index: Option<u32>,
    /// The output tokens that it allows.
    pub(crate) output_limit: Option<u64>,
    /// What the data says of it.
    pub(crate) asked: Asked,
    /// When this was made.
    pub(crate) made: Stamp,
    /// The request's bytes, if the endpoint is an HTTP API.
    pub(crate) request: Vec<u8>,
    /// What callbacks and conversations add to the endpoint's headers.
    pub(super) headers: Vec<(String, SecretString)>,
    /// The tokens that it may use, in a run with a limit of cost.
    expected: OnceLock<Arc<ExpectedTokens>>,
}

/// Tokens that the data says a request has, or is to give.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) prompt_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
}

impl Prepared {
    /// # Errors
    /// If the endpoint refuses the payload or panics at it.
    pub(crate) fn of_payload(
        route: &Route,
        payload: Payload,
        headers: Vec<(String, SecretString)>,
    ) -> Result<Self> {
        Self::catch(|| Self::make(route, payload, headers))
    }

    /// # Errors
    /// If the endpoint refuses the payload or panics at it.
    pub(crate) fn new(route: &Route, payload: &Payload) -> Result<Self> {
        Self::with_headers(route, payload, Vec::new())
    }

    /// # Errors
    /// If the endpoint refuses the payload, sends one of these headers itself, or panics.
    pub(crate) fn with_headers(
        route: &Route,
        payload: &Payload,
        headers: Vec<(String, SecretString)>,
    ) -> Result<Self> {
        Self::catch(|| Self::make(route, payload.clone(), headers))
    }

    fn catch(make: impl FnOnce() -> Result<Self>) -> Result<Self> {
        foreign::catch_panic(make).unwrap_or_else(|Panic(reason)| {
            Err(Error::refused(
                "payload",
                format!("the endpoint panicked: {reason}"),
            ))
        })
    }

    fn make(
        route: &Route,
        mut payload: Payload,
        headers: Vec<(String, SecretString)>,
    ) -> Result<Self> {
        let refuse = |reason: EndpointError| Error::refused("payload", reason.0);
        let endpoint = &*route.endpoint;
        endpoint.prepare_payload(&mut payload).map_err(refuse)?;
        let prompt = endpoint.prompt_text(&payload).map(Arc::new);
        let request = encode(route, &payload, &headers).map_err(refuse)?;
        Ok(Self {
            made: clock::now(),
            output_limit: output_limit(&payload),
            payload: Arc::new(payload),
            prompt,
            server: route.number,
            index: None,
            asked: Asked::default(),
            request,
            headers,
            expected: OnceLock::new(),
        })
    }

    /// One that is recorded in the place of a request that could not be made.
    pub(crate) fn nothing(index: u64) -> Self {
        Self {
            payload: Arc::default(),
            prompt: None,
            server: 0,
            index: Some(index as u32),
            output_limit: None,
            asked: Asked::default(),
            made: clock::now(),
            request: Vec::new(),
            headers: Vec::new(),
            expected: OnceLock::new(),
        }
    }

    /// The same, in the place of another one. A changed prompt no longer has the tokens that the data tells.
    pub(crate) fn in_place_of(mut self, other: &Self, is_unchanged: bool) -> Self {
        self.index = other.index;
        self.asked = Asked {
            prompt_tokens: other.asked.prompt_tokens.filter(|_| is_unchanged),
            ..other.asked
        };
        self
    }

    /// The same, as a request of the data.
    pub(crate) fn of_data(mut self, index: u64, asked: Asked) -> Self {
        self.index = Some(index as u32);
        self.asked = asked;
        self
    }

    /// The same, as one of several payloads.
    pub(crate) fn with_index(mut self, index: usize, payloads: usize) -> Self {
        self.index = (payloads > 1).then_some(index as u32);
        self
    }

    /// The tokens that it may use, counted at the first call.
    pub(crate) fn expected(&self, guard: &SpendGuard) -> &Arc<ExpectedTokens> {
        let count = || Arc::new(guard.expect(&self.payload, self.prompt.as_deref()));
        self.expected.get_or_init(count)
    }

    /// The same, made now and for this server. What was prepared of the payload stays as it is.
    ///
    /// # Errors
    /// If the endpoint cannot make the request, or panics.
    pub(crate) fn renewed(&self, route: &Route) -> std::result::Result<Self, Failure> {
        let request = foreign::catch_panic(|| encode(route, &self.payload, &self.headers))
            .map_err(Failure::from)??;
        Ok(Self {
            made: clock::now(),
            payload: self.payload.clone(),
            prompt: self.prompt.clone(),
            server: route.number,
            index: self.index,
            output_limit: self.output_limit,
            asked: self.asked,
            request,
            headers: self.headers.clone(),
            expected: self.expected.clone(),
        })
    }
}

/// The bytes of a request; none for an endpoint that is no HTTP API.
fn encode(
    route: &Route,
    payload: &Payload,
    headers: &[(String, SecretString)],
) -> std::result::Result<Vec<u8>, EndpointError> {
    let Transport::Http(api) = route.endpoint.transport() else {
        return match headers {
            [] => Ok(Vec::new()),
            [(name, _), ..] => Err(EndpointError(format!(
                "the header {name} is added, but the endpoint is no HTTP API"
            ))),
        };
    };
    let mut request = api.request(payload)?;
    for (name, value) in headers {
        let mut own = request.headers.iter();
        if own.any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            return Err(EndpointError(format!(
                "the header {name} is added, which the endpoint sends itself"
            )));
        }
        request.headers.push((name.clone(), value.clone()));
    }
    let bytes = http1::encode_request(api.server(), route.proxy.as_ref(), api.method(), &request);
    Ok(bytes)
}
