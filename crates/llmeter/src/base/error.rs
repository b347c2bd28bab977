//! The library's error type.

use std::path::{Path, PathBuf};

use crate::storage::Location;

/// A result whose error is llmeter's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can stop llmeter from doing what it was asked.
///
/// A *request* that fails is not an `Error`: it is an
/// [`InvocationResponse`](crate::InvocationResponse) whose `error` field says why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting has a value that cannot be used.
    #[error("{field}: {value} is not usable: {expected}")]
    Invalid {
        /// The setting's name, as the user writes it.
        field: &'static str,
        /// The value that was given.
        value: String,
        /// What would be accepted.
        expected: String,
    },
    /// A file or folder could not be read or written.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a present participle: "reading", "creating".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file was read, but its content is not what it should be.
    #[error("{}{}: {reason}", path.display(), position(*line, *column))]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, if known.
        line: Option<usize>,
        /// The column, counted from 1, if known.
        column: Option<usize>,
        /// What is wrong, and what to do about it.
        reason: String,
    },
    /// A run folder is already in use.
    #[error(
        "{path} already holds a run; choose another run name or output folder, or allow overwriting"
    )]
    FolderInUse {
        /// The folder.
        path: Location,
    },
    /// A folder holds nothing that can be loaded as a run.
    #[error("{path} is not a run folder: {reason}")]
    NotARun {
        /// The folder.
        path: Location,
        /// Which files were looked for.
        reason: String,
    },
    /// A callback kept the run from starting.
    #[error("callback {callback} failed in {hook}, so that nothing was sent: {reason}")]
    Callback {
        /// The callback's type.
        callback: String,
        /// The hook that failed.
        hook: crate::callback::Hook,
        /// Why, in the callback's words.
        reason: String,
    },
    /// Something in an object store could not be read or written.
    #[error("{action} {location}: {reason}")]
    Storage {
        /// What was tried, as a present participle: "reading", "writing".
        action: &'static str,
        /// The object or folder.
        location: Location,
        /// Why not, and where it can be set right.
        reason: String,
    },
    /// A host has no address that can be found.
    #[error(
        "cannot resolve the host {host}: {reason}; check --base-url (or --proxy) and the network"
    )]
    Unresolved {
        /// The host.
        host: String,
        /// The system's reason.
        reason: String,
    },
    /// The run could not be carried out on this machine.
    #[error("{0}")]
    Environment(String),
}

impl Error {
    /// An [`Error::Invalid`].
    pub fn invalid(field: &'static str, value: impl ToString, expected: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            value: value.to_string(),
            expected: expected.into(),
        }
    }

    /// An [`Error::Io`], for use with `map_err`.
    pub(crate) fn io(
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
impl From<llmeter_wire::SetupError> for Error {
    fn from(reason: llmeter_wire::SetupError) -> Self {
        use llmeter_wire::SetupError;
        match reason {
            SetupError::Address { value, expected } => Self::invalid("base_url", value, expected),
            SetupError::Proxy {
                variable,
                value,
                expected,
            } => Self::invalid(variable.unwrap_or("proxy"), value, expected),
            SetupError::Unresolved { host, source } => Self::Unresolved {
                host,
                reason: source.to_string(),
            },
            SetupError::CaFile { path, source } => Self::Io {
                action: "reading",
                path,
                source,
            },
            SetupError::CaContent { path, reason } => Self::Content {
                path,
                line: None,
                column: None,
                reason,
            },
            other => Self::Environment(other.to_string()),
        }
    }
}

fn position(line: Option<usize>, column: Option<usize>) -> String {
    match (line, column) {
        (Some(line), Some(column)) => format!(", line {line}, column {column}"),
        (Some(line), None) => format!(", line {line}"),
        _ => String::new(),
    }
}
