//! Callbacks of users' own: Python objects with asynchronous hooks.
//!
//! `before_run` and `after_run` are called by Python itself, around the run.

use std::sync::Arc;

use llmeter::callback::{
    Callback, Hook, HookError, HookResult, InvokeRequest, RequestData, async_trait,
};
use llmeter::endpoint::SavedObject;
use llmeter::payload::{plain_numbers, read_json};
use llmeter::result::{response_from_json, response_to_json};
use llmeter::{Error, InvocationResponse};
use pyo3::prelude::*;
use serde_json::Value;

use crate::error::{invalid, refused};
use crate::hooks::Hooks;

/// One callback, or several that stand together, of which the first one calls all hooks.
pub(crate) struct PyCallback {
    hooks: Arc<Hooks>,
    name: String,
    saved: Option<SavedObject>,
    /// Takes a payload and gives it as the hook left it.
    before_invoke: Option<Arc<Py<PyAny>>>,
    /// Takes a response line and gives it as the hook left it.
    after_invoke: Option<Arc<Py<PyAny>>>,
}

impl PyCallback {
    /// `object` has `name`, `saved` (JSON or none), and `before_invoke` and `after_invoke`, each a coroutine
    /// function or none.
    pub(crate) fn new(object: &Bound<'_, PyAny>, hooks: Arc<Hooks>) -> PyResult<Self> {
        let hook = |name: &str| -> PyResult<Option<Arc<Py<PyAny>>>> {
            let hook = object.getattr(name)?;
            Ok((!hook.is_none()).then(|| Arc::new(hook.unbind())))
        };
        let saved: Option<String> = object.getattr("saved")?.extract()?;
        let saved = saved
            .map(|saved| {
                let saved: Value = serde_json::from_str(&saved).map_err(refused("callback"))?;
                SavedObject::from_json(&saved).map_err(invalid)
            })
            .transpose()?;
        Ok(Self {
            hooks,
            name: object.getattr("name")?.extract()?,
            saved,
            before_invoke: hook("before_invoke")?,
            after_invoke: hook("after_invoke")?,
        })
    }
}

#[async_trait]
impl Callback for PyCallback {
    fn saved(&self) -> Result<Option<SavedObject>, Error> {
        Ok(self.saved.clone())
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn hooks(&self) -> &'static [Hook] {
        match (&self.before_invoke, &self.after_invoke) {
            (Some(_), Some(_)) => &[Hook::BeforeInvoke, Hook::AfterInvoke],
            (Some(_), None) => &[Hook::BeforeInvoke],
            (None, Some(_)) => &[Hook::AfterInvoke],
            (None, None) => &[],
        }
    }

    async fn before_invoke(&self, request: &mut InvokeRequest) -> HookResult {
        let Some(hook) = &self.before_invoke else {
            return Ok(());
        };
        let payload = Value::Object(request.payload.clone());
        let text = plain_numbers(payload.to_string());
        let changed = self.hooks.call(hook, text).await.map_err(HookError::new)?;
        match read_json(&changed)? {
            Value::Object(payload) => request.payload = payload,
            _ => return Err(HookError::new("the payload is no longer a dict")),
        }
        Ok(())
    }

    async fn after_invoke(
        &self,
        response: &mut InvocationResponse,
        _: &mut RequestData,
    ) -> HookResult {
        let Some(hook) = &self.after_invoke else {
            return Ok(());
        };
        let line = response_to_json(response);
        let changed = self.hooks.call(hook, line).await.map_err(HookError::new)?;
        // An empty text says that nothing was changed.
        if changed.is_empty() {
            return Ok(());
        }
        let mut changed = response_from_json(&changed)?;
        // Kept as it is: it has more than a line tells.
        if changed.error.as_ref().map(|error| error.message()) == response.error_text() {
            changed.error = response.error.take();
        }
        if changed.input_payload == response.input_payload {
            changed.input_payload = response.input_payload.take();
        }
        *response = changed;
        Ok(())
    }
}
