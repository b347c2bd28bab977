//! The library's errors as Python's exceptions.

use std::fmt::Display;
use std::io::ErrorKind;

use llmeter::Error;
use pyo3::exceptions::{
    PyConnectionError, PyFileExistsError, PyFileNotFoundError, PyInterruptedError, PyOSError,
    PyPermissionError, PyRuntimeError, PyValueError,
};
use pyo3::prelude::*;

/// An error of the library, in its own words.
pub(crate) fn raised(error: &Error) -> PyErr {
    let mut text = error.to_string();
    if let Some(hint) = error.hint() {
        text.push_str(&format!("\nhint: {}", hint.replace('`', "")));
    }
    match error {
        Error::Io { source, .. } => match source.kind() {
            ErrorKind::NotFound => PyFileNotFoundError::new_err(text),
            ErrorKind::PermissionDenied => PyPermissionError::new_err(text),
            _ => PyOSError::new_err(text),
        },
        Error::NotARun { .. } => PyFileNotFoundError::new_err(text),
        Error::FolderInUse { .. } | Error::FolderBusy { .. } => PyFileExistsError::new_err(text),
        Error::Unreachable { .. } | Error::Unresolved { .. } => PyConnectionError::new_err(text),
        Error::Untrusted { .. } => PyPermissionError::new_err(text),
        Error::Interrupted => PyInterruptedError::new_err(text),
        Error::Invalid { .. }
        | Error::Field { .. }
        | Error::Content { .. }
        | Error::MissingParts { .. } => PyValueError::new_err(text),
        _ => PyRuntimeError::new_err(text),
    }
}

/// What JSON of the package's own cannot be.
pub(crate) fn refused(what: &str) -> impl Fn(serde_json::Error) -> PyErr {
    move |reason| PyValueError::new_err(format!("{what}: {reason}"))
}

/// A value that is not accepted.
pub(crate) fn invalid(reason: impl Display) -> PyErr {
    PyValueError::new_err(reason.to_string())
}

/// Something failed that is nobody's mistake.
pub(crate) fn failed(reason: impl Display) -> PyErr {
    PyRuntimeError::new_err(reason.to_string())
}

/// An exception in words, as `error` of a response has it: its text, or its type if it has none.
pub(crate) fn in_words(py: Python<'_>, error: &PyErr) -> String {
    let text = error.value(py).to_string();
    match text.is_empty() {
        true => error
            .get_type(py)
            .name()
            .map_or_else(|_| "exception".to_owned(), |name| name.to_string()),
        false => text,
    }
}
