//! Endpoints of users' own: Python objects whose `invoke` the core calls.

use std::sync::Arc;
use std::time::Duration;

use llmeter::endpoint::{
    Endpoint, Identity, Invoke, ResponseBuilder, SavedObject, Transport, async_trait,
};
use llmeter::payload::{Payload, plain_numbers};
use llmeter::result::response_from_json;
use llmeter::wire::clock;
use llmeter::{Failure, FailureKind, InvocationResponse};
use pyo3::prelude::*;
use serde_json::Value;

use crate::ending::UnderWay;
use crate::error::{in_words, refused};
use crate::pool::Pool;

/// An endpoint in Python.
///
/// It takes its times itself. What they may be wrong by is how long its thread waited for Python's lock
/// before the request: as long it may wait after each token.
pub(crate) struct PyEndpoint {
    /// Takes a payload as JSON and gives a response line.
    invoke: Arc<Py<PyAny>>,
    identity: Identity,
    saved: SavedObject,
    pool: Arc<Pool>,
}

impl PyEndpoint {
    /// `object` has `invoke(payload: str) -> str`, `identity` (model, name, provider) and `saved`.
    pub(crate) fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (model_id, endpoint_name, provider) = object.getattr("identity")?.extract()?;
        let saved: String = object.getattr("saved")?.extract()?;
        let saved: Value = serde_json::from_str(&saved).map_err(refused("endpoint"))?;
        Ok(Self {
            invoke: Arc::new(object.getattr("invoke")?.unbind()),
            identity: Identity {
                model_id,
                endpoint_name,
                provider,
            },
            saved: SavedObject::from_json(&saved).map_err(crate::error::invalid)?,
            pool: Arc::default(),
        })
    }
}

impl Endpoint for PyEndpoint {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What comes is one response, with times of its own.
    fn is_streaming(&self) -> bool {
        false
    }

    fn transport(&self) -> Transport<'_> {
        Transport::Invoke(self)
    }

    fn saved(&self) -> SavedObject {
        self.saved.clone()
    }
}

#[async_trait]
impl Invoke for PyEndpoint {
    async fn invoke(
        &self,
        payload: &Payload,
        response: &mut ResponseBuilder,
    ) -> Result<(), Failure> {
        // Without Python's lock, which this thread must not wait for.
        let invoke = self.invoke.clone();
        let payload = payload.clone();
        let (reply, answer) = tokio::sync::oneshot::channel();
        let under_way = UnderWay::new();
        let call = move || {
            let answer = call(&invoke, payload);
            drop((invoke, under_way));
            // The run may have been stopped.
            let _ = reply.send(answer);
        };
        self.pool.spawn(call).map_err(|reason| {
            Failure::new(FailureKind::Endpoint, format!("no thread for it: {reason}"))
        })?;
        let lost = |_| Failure::new(FailureKind::Endpoint, "the endpoint's thread ended early");
        let (measured, uncertainty) = answer.await.map_err(lost)??;
        response.measured(measured, uncertainty);
        Ok(())
    }

    fn own_clock(&self) -> Option<&'static str> {
        Some("python")
    }
}

/// Calls `invoke`, and tells how long Python's lock was waited for.
fn call(invoke: &Py<PyAny>, payload: Payload) -> Result<(InvocationResponse, Duration), Failure> {
    let failed = |reason: String| Failure::new(FailureKind::Endpoint, reason);
    let payload = plain_numbers(Value::Object(payload).to_string());
    let before = clock::now();
    Python::attach(|py| {
        let waited = clock::now().seconds_since(before);
        let line = invoke
            .call1(py, (payload,))
            .and_then(|line| line.extract::<String>(py))
            .map_err(|error| failed(in_words(py, &error)))?;
        let response = response_from_json(&line)
            .map_err(|reason| failed(format!("the response cannot be read: {reason}")))?;
        Ok((response, Duration::from_secs_f64(waited.max(0.0))))
    })
}
