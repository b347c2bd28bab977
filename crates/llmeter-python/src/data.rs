//! Results as Python holds them.

use std::sync::{Arc, Mutex, PoisonError};

use llmeter::RunResult;
use llmeter::report;
use llmeter::result::{RunSummary, response_from_json, response_to_json};
use llmeter::storage::Location;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyList;
use serde_json::{Map, Value};

use crate::error::{raised, refused};

/// A result of the core.
#[pyclass(frozen)]
pub(crate) struct RunData(Arc<Mutex<RunResult>>);

impl RunData {
    pub(crate) fn new(result: RunResult) -> Self {
        Self(Arc::new(Mutex::new(result)))
    }

    /// Does something with the result, without Python's lock.
    pub(crate) fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut RunResult) -> T + Send,
    ) -> T {
        let result = self.0.clone();
        py.detach(move || work(&mut result.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Does something quick.
    fn at_once<T>(&self, work: impl FnOnce(&RunResult) -> T) -> T {
        work(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[pymethods]
impl RunData {
    fn __len__(&self) -> usize {
        self.at_once(|result| result.responses.len())
    }

    /// The fields of `summary.json`.
    fn summary(&self) -> String {
        self.at_once(|result| Value::Object(result.summary.to_map()).to_string())
    }

    /// The statistics as `stats.json` has them.
    fn stats(&self, py: Python<'_>) -> String {
        self.with(py, |result| Value::Object(result.stats_map()).to_string())
    }

    fn warnings(&self) -> Vec<String> {
        self.at_once(|result| result.warnings.clone())
    }

    /// What people should know of the figures.
    fn notes(&self, py: Python<'_>) -> Vec<String> {
        self.with(py, |result| report::notes(result))
    }

    /// A response as a line of `responses.jsonl`.
    fn line(&self, index: usize) -> PyResult<String> {
        self.at_once(|result| result.responses.get(index).map(response_to_json))
            .ok_or_else(|| PyIndexError::new_err("there is no such response"))
    }

    fn lines(&self, py: Python<'_>) -> Vec<String> {
        self.with(py, |result| {
            result.responses.iter().map(response_to_json).collect()
        })
    }

    /// The values of a field or annotation.
    fn column(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyList>> {
        let values = self.with(py, |result| result.get_dimension(name));
        let values = values.map_err(|error| raised(&error))?;
        let values = values.iter().map(|value| object(py, value));
        let values: Vec<_> = values.collect::<PyResult<_>>()?;
        Ok(PyList::new(py, values)?.unbind())
    }

    /// Takes over what Python made of the summary, and the statistics that callbacks contributed.
    fn update(&self, py: Python<'_>, summary: &str, contributed: &str) -> PyResult<()> {
        let summary: RunSummary = serde_json::from_str(summary).map_err(refused("summary"))?;
        let mut stats: Map<String, Value> =
            serde_json::from_str(contributed).map_err(refused("stats"))?;
        let errors = stats.remove("callback_errors");
        let errors = errors.map(serde_json::from_value).transpose();
        let errors = errors.map_err(refused("callback_errors"))?;
        self.with(py, |result| {
            result.summary = summary;
            if let Some(errors) = errors {
                result.callback_errors = errors;
            }
            let (numbers, others) = stats
                .into_iter()
                .partition::<Map<_, _>, _>(|(_, value)| value.is_number());
            result.add_stats(others);
            result.contribute_stats(numbers)
        })
        .map_err(|error| raised(&error))
    }

    /// Writes the files of a run folder.
    fn save(&self, py: Python<'_>, path: String) -> PyResult<()> {
        self.with(py, |result| result.save(Some(&Location::from(path))))
            .map_err(|error| raised(&error))
    }
}

/// A JSON value as a Python object.
fn object(py: Python<'_>, value: &Value) -> PyResult<Py<PyAny>> {
    match value {
        Value::Null => Ok(py.None()),
        Value::Bool(is_so) => is_so.into_py_any(py),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.into_py_any(py),
            (None, number) => number.into_py_any(py),
        },
        Value::String(text) => text.into_py_any(py),
        Value::Array(items) => {
            let items: Vec<_> = items
                .iter()
                .map(|item| object(py, item))
                .collect::<PyResult<_>>()?;
            items.into_py_any(py)
        }
        Value::Object(fields) => {
            let dict = pyo3::types::PyDict::new(py);
            for (name, value) in fields {
                dict.set_item(name, object(py, value)?)?;
            }
            dict.into_py_any(py)
        }
    }
}

/// Loads a run folder.
#[pyfunction]
pub(crate) fn load_result(py: Python<'_>, path: String, responses: bool) -> PyResult<RunData> {
    let loaded = py.detach(|| match responses {
        true => RunResult::load(path),
        false => RunResult::load_without_responses(path),
    });
    loaded.map(RunData::new).map_err(|error| raised(&error))
}

fn from_lines(lines: &[String], summary: &str, stats: &str) -> PyResult<RunResult> {
    let summary: RunSummary = serde_json::from_str(summary).map_err(refused("summary"))?;
    let stats: Map<String, Value> = serde_json::from_str(stats).map_err(refused("stats"))?;
    let responses = lines.iter().enumerate().map(|(at, line)| {
        response_from_json(line)
            .map_err(|reason| PyValueError::new_err(format!("response {}: {reason}", at + 1)))
    });
    let mut result = RunResult::from_responses(summary, responses.collect::<PyResult<_>>()?);
    result.add_stats(stats);
    Ok(result)
}

/// A result made of response lines.
#[pyfunction]
#[pyo3(signature = (lines, summary, stats = "{}"))]
pub(crate) fn result_from_lines(
    py: Python<'_>,
    lines: Vec<String>,
    summary: &str,
    stats: &str,
) -> PyResult<RunData> {
    py.detach(|| from_lines(&lines, summary, stats))
        .map(RunData::new)
}

/// The statistics of response lines.
#[pyfunction]
pub(crate) fn stats(py: Python<'_>, lines: Vec<String>, summary: &str) -> PyResult<String> {
    py.detach(|| {
        let result = from_lines(&lines, summary, "{}")?;
        Ok(Value::Object(result.stats_map()).to_string())
    })
}
