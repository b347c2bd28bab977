//! One request, for its response or looked at closely.

use llmeter::endpoint::Endpoint;
use llmeter::probe::ProbeReport;
use llmeter::result::response_to_json;
use llmeter::{Error, InvocationResponse, RunConfig, RunSettings, report};
use pyo3::prelude::*;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

use crate::WIDTH;
use crate::error::{raised, refused};
use crate::parts;

/// What is to be sent: an endpoint, a payload, and settings as JSON.
fn config(endpoint: Arc<dyn Endpoint>, payload: &str, settings: &str) -> PyResult<RunConfig> {
    let sent = parts::payloads(&format!("[{payload}]"))?;
    let mut config = RunConfig::new(endpoint, sent);
    let settings: RunSettings = serde_json::from_str(settings).map_err(refused("settings"))?;
    settings
        .apply(&mut config)
        .map_err(|error| raised(&error))?;
    Ok(config)
}

fn sent(py: Python<'_>, config: &RunConfig) -> PyResult<ProbeReport> {
    let send = || -> Result<ProbeReport, Error> {
        llmeter::probe::probe(config, None, &llmeter::Interrupt::new())
    };
    py.detach(send).map_err(|error| raised(&error))
}

/// Sends one request; gives its response line.
#[pyfunction]
#[pyo3(signature = (endpoint, payload, settings = "{}"))]
pub(crate) fn invoke(
    py: Python<'_>,
    endpoint: &Bound<'_, PyAny>,
    payload: &str,
    settings: &str,
) -> PyResult<String> {
    let (endpoint, _) = parts::endpoint(py, endpoint)?;
    let config = config(endpoint, payload, settings)?;
    let seen = sent(py, &config)?;
    let mut response = seen.response.unwrap_or_else(|| InvocationResponse {
        input_payload: config.payloads.first().cloned(),
        ..InvocationResponse::default()
    });
    if response.error.is_none() {
        response.error = seen.error;
    }
    Ok(response_to_json(&response))
}

/// Sends one request; gives what was seen as JSON, and as text with a number of frames.
#[pyfunction]
pub(crate) fn probe(
    py: Python<'_>,
    endpoint: &Bound<'_, PyAny>,
    payload: &str,
    settings: &str,
    frames: usize,
) -> PyResult<(String, String)> {
    let (endpoint, _) = parts::endpoint(py, endpoint)?;
    let mut config = config(endpoint, payload, settings)?;
    // What is in flight when it ends is over.
    config.grace = Duration::ZERO;
    let seen = sent(py, &config)?;
    let text = report::probe_within(&seen, frames, WIDTH);
    Ok((Value::Object(seen.to_json(usize::MAX)).to_string(), text))
}
