//! The library's error type.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::base::setting::{Problem, Setting};
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
    #[error("{}", problem.describe(setting.name(), &|other| other.name().to_owned()))]
    Invalid {
        /// The setting.
        setting: Setting,
        /// What is wrong with it.
        problem: Problem,
        /// What to do about it, if the problem does not tell.
        hint: Option<String>,
    },
    /// A field of a payload, of something saved, or an argument cannot be used.
    #[error("{}", problem.describe(field, &|other| other.name().to_owned()))]
    Field {
        /// The field's name.
        field: Cow<'static, str>,
        /// What is wrong with it.
        problem: Problem,
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
    /// A setting has a value that is not accepted.
    pub fn invalid(setting: Setting, value: impl ToString, expected: impl Into<String>) -> Self {
        let value = Some(value.to_string());
        let expected = expected.into();
        Self::about(setting, Problem::Value { value, expected })
    }

    /// A setting has a value that is not accepted and may be a secret.
    pub fn hidden(setting: Setting, expected: impl Into<String>) -> Self {
        let (value, expected) = (None, expected.into());
        Self::about(setting, Problem::Value { value, expected })
    }

    /// A setting has to be given; its usual example is named.
    pub fn missing(setting: Setting) -> Self {
        let example = setting.example().map(str::to_owned);
        Self::about(setting, Problem::Missing { example })
    }

    /// A setting has to be given, for example like this.
    pub fn missing_like(setting: Setting, example: impl Into<String>) -> Self {
        let example = Some(example.into());
        Self::about(setting, Problem::Missing { example })
    }

    /// A setting means something only if another one has one of these values.
    pub fn not_applicable(setting: Setting, to: Setting, values: impl Into<String>) -> Self {
        let values = values.into();
        Self::about(setting, Problem::NotApplicable { to, values })
    }

    /// What is in use does not support a setting.
    pub fn unsupported(setting: Setting, by: impl Into<String>) -> Self {
        Self::about(setting, Problem::Unsupported { by: by.into() })
    }

    /// Two settings exclude each other.
    pub fn conflict(setting: Setting, with: Setting) -> Self {
        Self::about(setting, Problem::Conflict { with })
    }

    /// A setting means something only together with another one.
    pub fn requires(setting: Setting, other: Setting) -> Self {
        Self::about(setting, Problem::Requires { other })
    }

    /// A field has a value that is not accepted.
    pub fn field(
        field: impl Into<Cow<'static, str>>,
        value: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Self::Field {
            field: field.into(),
            problem: Problem::Value {
                value: Some(value.to_string()),
                expected: expected.into(),
            },
        }
    }

    /// A field, or something that is saved, is refused for a reason of its own.
    pub fn refused(what: impl Into<Cow<'static, str>>, reason: impl ToString) -> Self {
        Self::Field {
            field: what.into(),
            problem: Problem::Refused {
                reason: reason.to_string(),
            },
        }
    }

    /// A field has to be there.
    pub fn missing_field(field: impl Into<Cow<'static, str>>) -> Self {
        Self::Field {
            field: field.into(),
            problem: Problem::Missing { example: None },
        }
    }

    fn about(setting: Setting, problem: Problem) -> Self {
        Self::Invalid {
            setting,
            problem,
            hint: None,
        }
    }

    /// Adds what to do about a setting; other errors stay as they are.
    #[must_use]
    pub fn with_hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Invalid { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// What to do about it, if more is known than the message tells.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Invalid { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }

    /// The message, with settings called as `name` says: as flags, or as the keys of a file.
    pub fn worded(&self, name: &dyn Fn(Setting) -> String) -> String {
        match self {
            Self::Invalid {
                setting, problem, ..
            } => problem.describe(&name(*setting), name),
            other => other.to_string(),
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
            SetupError::Address { value, expected } => {
                Self::invalid(Setting::BaseUrl, value, expected)
            }
            SetupError::Proxy {
                variable,
                value,
                expected,
            } => Self::invalid(
                variable.map_or(Setting::Proxy, Setting::Variable),
                value,
                expected,
            ),
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
