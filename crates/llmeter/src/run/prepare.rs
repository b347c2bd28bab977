//! Everything about a request that can be done before the clock starts.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::base::error::{Error, Result};
use crate::base::failure::Failure;
use crate::base::foreign::{self, Panic};
use crate::cost::{ExpectedTokens, SpendGuard};
use crate::endpoint::{Endpoint, Transport};
use crate::payload::Payload;
use llmeter_wire::clock::{self, Stamp};
use llmeter_wire::{Proxy, http1};

/// A payload, ready to be sent any number of times.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// As sent.
    pub(crate) payload: Arc<Payload>,
    pub(crate) prompt: Option<Arc<Value>>,
    /// When this was made.
    pub(crate) made: Stamp,
    /// The request's bytes, if the endpoint is an HTTP API.
    pub(crate) request: Vec<u8>,
    /// The tokens that it may use, in a run with a limit of cost.
    expected: OnceLock<Arc<ExpectedTokens>>,
}

impl Prepared {
    /// # Errors
    /// If the endpoint refuses the payload or panics at it.
    pub(crate) fn new(
        endpoint: &dyn Endpoint,
        proxy: Option<&Proxy>,
        payload: &Payload,
    ) -> Result<Self> {
        foreign::guarded(|| Self::make(endpoint, proxy, payload)).unwrap_or_else(|Panic(reason)| {
            Err(Error::refused(
                "payload",
                format!("the endpoint panicked: {reason}"),
            ))
        })
    }

    fn make(endpoint: &dyn Endpoint, proxy: Option<&Proxy>, payload: &Payload) -> Result<Self> {
        let mut payload = payload.clone();
        let refuse = |reason: crate::endpoint::EndpointError| Error::refused("payload", reason.0);
        endpoint.prepare_payload(&mut payload).map_err(refuse)?;
        let prompt = endpoint.prompt_text(&payload).map(Arc::new);
        let request = match endpoint.transport() {
            Transport::Http(api) => {
                let request = api.request(&payload).map_err(refuse)?;
                http1::encode_request(api.server(), proxy, api.method(), &request)
            }
            Transport::Invoke(_) => Vec::new(),
        };
        Ok(Self {
            made: clock::now(),
            payload: Arc::new(payload),
            prompt,
            request,
            expected: OnceLock::new(),
        })
    }

    /// The tokens that it may use, counted at the first call.
    pub(crate) fn expected(&self, guard: &SpendGuard) -> &Arc<ExpectedTokens> {
        let count = || Arc::new(guard.expect(&self.payload, self.prompt.as_deref()));
        self.expected.get_or_init(count)
    }

    /// The same, made now. What was prepared of the payload stays as it is.
    ///
    /// # Errors
    /// If the endpoint cannot make the request, or panics.
    pub(crate) fn renewed(
        &self,
        endpoint: &dyn Endpoint,
        proxy: Option<&Proxy>,
    ) -> std::result::Result<Self, Failure> {
        let request = match endpoint.transport() {
            Transport::Http(api) => {
                let request =
                    foreign::guarded(|| api.request(&self.payload)).map_err(Failure::from)??;
                http1::encode_request(api.server(), proxy, api.method(), &request)
            }
            Transport::Invoke(_) => Vec::new(),
        };
        Ok(Self {
            made: clock::now(),
            payload: self.payload.clone(),
            prompt: self.prompt.clone(),
            request,
            expected: self.expected.clone(),
        })
    }
}
