//! Runs in progress.

use llmeter::run::RunControl;
use llmeter::storage::Location;
use pyo3::prelude::*;

use crate::error::{raised, refused};

/// Asks a run in progress; gives its state.
#[pyfunction]
pub(crate) fn control(py: Python<'_>, folder: &str, request: &str) -> PyResult<String> {
    let folder = Location::from(folder.to_owned());
    let status = py.detach(|| RunControl::of(folder)?.ask_in_json(request));
    let status = status.map_err(|error| raised(&error))?;
    serde_json::to_string(&status).map_err(refused("status"))
}
