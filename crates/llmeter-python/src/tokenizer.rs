//! Tokenizers of users' own, and counting by the core's.

use llmeter::payload::{Tokenizer, tokenizer_from_saved, tokenizer_from_spec};
use pyo3::prelude::*;
use serde_json::Value;

use crate::error::{raised, refused};

/// The tokens of a text.
#[pyfunction]
#[pyo3(signature = (text, tokenizer = "whitespace"))]
pub(crate) fn count(py: Python<'_>, text: &str, tokenizer: &str) -> PyResult<usize> {
    py.detach(|| {
        let counter = match tokenizer.starts_with('{') {
            true => serde_json::from_str(tokenizer)
                .map_err(llmeter_refusal)
                .and_then(|saved| tokenizer_from_saved(&saved)),
            false => tokenizer_from_spec(tokenizer),
        };
        counter.map(|counter| counter.count(text))
    })
    .map_err(|error| raised(&error))
}

fn llmeter_refusal(reason: serde_json::Error) -> llmeter::Error {
    llmeter::Error::refused("tokenizer", reason)
}

/// An object of Python with `encode`.
pub(crate) struct PyTokenizer {
    /// Gives the number of tokens of a text.
    count: Py<PyAny>,
    saved: Value,
}

impl PyTokenizer {
    /// `object` has `count(text) -> int` and `saved`, the JSON of its saved form.
    pub(crate) fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let saved: String = object.getattr("saved")?.extract()?;
        Ok(Self {
            count: object.getattr("count")?.unbind(),
            saved: serde_json::from_str(&saved).map_err(refused("tokenizer"))?,
        })
    }
}

impl Tokenizer for PyTokenizer {
    fn count(&self, text: &str) -> usize {
        self.try_count(text).unwrap_or_default()
    }

    fn try_count(&self, text: &str) -> Option<usize> {
        Python::attach(|py| self.count.call1(py, (text,)).ok()?.extract(py).ok())
    }

    fn saved(&self) -> Value {
        self.saved.clone()
    }
}
