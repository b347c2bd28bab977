//! Data that the core makes or reads, without a run.

use std::sync::Arc;

use llmeter::api::ApiMode;
use llmeter::data::{self, DataSource};
use llmeter::payload::plain_numbers;
use llmeter::{Error, RunConfig, RunSettings};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde_json::json;

use crate::error::{raised, refused};
use crate::parts;

/// The data that settings name, for requests to an endpoint.
fn open(
    py: Python<'_>,
    endpoint: &Bound<'_, PyAny>,
    settings: &str,
) -> PyResult<(Arc<dyn DataSource>, ApiMode)> {
    let (endpoint, _) = parts::endpoint(py, endpoint)?;
    let settings: RunSettings = serde_json::from_str(settings).map_err(refused("settings"))?;
    settings.check().map_err(|error| raised(&error))?;
    let opened = py.detach(|| -> Result<_, Error> {
        let api = ApiMode::of_saved(&endpoint.saved())?;
        let mut config = RunConfig::new(endpoint, []);
        settings.apply(&mut config)?;
        Ok((config.data, api))
    });
    match opened.map_err(|error| raised(&error))? {
        (Some(source), api) => Ok((source, api)),
        (None, _) => Err(PyValueError::new_err("the settings name no data")),
    }
}

/// What data is like: a JSON object with the fields of the description, and its `text`.
#[pyfunction]
pub(crate) fn describe_data(
    py: Python<'_>,
    endpoint: &Bound<'_, PyAny>,
    settings: &str,
    requests: u64,
) -> PyResult<String> {
    let (source, api) = open(py, endpoint, settings)?;
    let prompt = |payload: &_| api.api.prompt_text(payload);
    let described = py.detach(|| data::describe(&*source, requests, prompt, |_| true));
    let described = described.map_err(|error| raised(&error))?;
    let text = described.to_string();
    let mut object = serde_json::to_value(&described).map_err(refused("description"))?;
    object["text"] = json!(text);
    Ok(object.to_string())
}

/// The payloads of the first requests of data, each as JSON.
#[pyfunction]
pub(crate) fn data_payloads(
    py: Python<'_>,
    endpoint: &Bound<'_, PyAny>,
    settings: &str,
    requests: u64,
) -> PyResult<Vec<String>> {
    let (source, _) = open(py, endpoint, settings)?;
    let count = source.size().map_or(requests, |size| size.min(requests));
    let made = py.detach(|| -> Result<Vec<_>, Error> {
        let payloads = (0..count).map(|index| source.request(index).map(|one| one.payload));
        payloads.collect()
    });
    let made = made.map_err(|error| raised(&error))?;
    made.iter()
        .map(|payload| {
            let text = serde_json::to_string(payload).map_err(refused("payload"))?;
            Ok(plain_numbers(text))
        })
        .collect()
}
