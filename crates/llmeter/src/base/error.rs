//! The library's error type.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::failure::Failure;
use crate::base::file::FileProblem;
use crate::base::setting::{Setting, SettingProblem};
use llmeter_wire::{ConnectError, SetupError};

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
        problem: SettingProblem,
        /// What to do about it, if the problem does not tell.
        hint: Option<String>,
    },
    /// A field of a payload, of something saved, or an argument cannot be used.
    #[error("{}", problem.describe(field, &|other| other.name().to_owned()))]
    Field {
        /// The field's name.
        field: Cow<'static, str>,
        /// What is wrong with it.
        problem: SettingProblem,
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
        /// What the reader of the file said.
        source: Option<Cause>,
    },
    /// A run folder is already in use.
    #[error("{path} already holds a run; choose another run name or output folder")]
    FolderInUse {
        /// The folder, as a path or a URL.
        path: String,
    },
    /// Another run writes to a run folder.
    #[error("another run is writing to {path}; choose another run name or output folder")]
    FolderBusy {
        /// The folder.
        path: String,
    },
    /// A folder holds nothing that can be loaded as a run.
    #[error("{path} is not a run folder: {reason}")]
    NotARun {
        /// The folder, as a path or a URL.
        path: String,
        /// Which files were looked for.
        reason: String,
    },
    /// A callback kept the run from starting.
    #[error("callback {callback} failed in {hook}, so that nothing was sent: {reason}")]
    Callback {
        /// The callback's type.
        callback: String,
        /// The hook that failed.
        hook: &'static str,
        /// Why, in the callback's words.
        reason: String,
        /// The error that the callback's was made of.
        source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    },
    /// Something in an object store could not be read or written. The store's own error is not kept:
    /// it may quote signed addresses.
    #[error("{action} {location}: {reason}")]
    Storage {
        /// What was tried, as a present participle: "reading", "writing".
        action: &'static str,
        /// The URL of the object or folder.
        location: String,
        /// Why not, and where it can be set right.
        reason: String,
    },
    /// A host has no address that can be found.
    #[error("cannot resolve the host {host}: {source}")]
    Unresolved {
        /// The host.
        host: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The server, or the proxy before it, cannot be reached.
    #[error("cannot reach {server}: {}", without_place(failure))]
    Unreachable {
        /// The server's host and port.
        server: String,
        /// What went wrong. [`diagnose`](crate::probe::diagnose) tells what to do.
        #[source]
        failure: Failure,
    },
    /// TLS cannot be set up.
    #[error("{0}")]
    EndpointSetup(#[source] SetupError),
    /// There are no credentials for AWS, or they have expired.
    #[error("{reason}")]
    Credentials {
        /// What is missing, and why.
        reason: String,
    },
    /// A service beside the endpoint, such as a price list, does not tell what is asked.
    #[error("asking {service} ({operation}): {reason}")]
    Service {
        /// The service.
        service: &'static str,
        /// What it was asked.
        operation: String,
        /// Why it does not tell.
        reason: String,
        /// What the connection or the response's reader said.
        source: Option<Cause>,
    },
    /// A file, such as a saved run, says that secrets go to servers that nobody named or trusted.
    #[error("not sent, because only a file names the server: {}", destinations.join(", "))]
    Untrusted {
        /// Which secret would go where: `OPENAI_API_KEY to https://…`.
        destinations: Vec<String>,
    },
    /// A run cannot be logged to MLflow.
    #[error("MLflow: {reason}")]
    Mlflow {
        /// Why not.
        reason: String,
        /// What to do about it, if the reason does not tell.
        hint: Option<&'static str>,
    },
    /// This build of llmeter lacks a feature.
    #[error("{what}: this build of llmeter lacks the feature `{feature}`")]
    MissingFeature {
        /// What needs it.
        what: String,
        /// The feature of the crate.
        feature: &'static str,
    },
    /// The process may not open as many files as it needs.
    #[error("{purpose} {needed} open files, but this process may have {limit}; raise the limit (ulimit -n {}) or use \
         fewer clients", needed.next_power_of_two())]
    OpenFiles {
        /// What needs them: "8 clients need".
        purpose: String,
        /// How many.
        needed: u64,
        /// The limit.
        limit: u64,
    },
    /// The operating system refuses something.
    #[error("cannot {action}: {source}")]
    System {
        /// What was tried: "start a thread".
        action: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// Parts of a load that are to be merged are missing or cannot be read.
    #[error("{}", problems.join("; "))]
    MissingParts {
        /// What is missing, each in a sentence.
        problems: Vec<String>,
    },
    /// A call that prepares the server failed.
    #[error("{call} failed, so that nothing was sent: {reason}")]
    ServerCall {
        /// The call: `POST /reset_prefix_cache`.
        call: String,
        /// What the server said, or why it said nothing.
        reason: String,
    },
    /// A run in progress cannot be asked, or refuses what it is asked for.
    #[error("{path}: {reason}")]
    Control {
        /// The run's folder.
        path: String,
        /// Why, in one line.
        reason: String,
    },
    /// The run was interrupted before it sent anything.
    #[error("the run was interrupted before it began")]
    Interrupted,
    /// Something that cannot happen did.
    #[error("internal error, please report it: {0}")]
    Internal(&'static str),
}

/// What an error comes from.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Error {
    /// A setting has a value that is not accepted.
    pub fn invalid(setting: Setting, value: impl ToString, expected: impl Into<String>) -> Self {
        let value = Some(value.to_string());
        let expected = expected.into();
        Self::about(setting, SettingProblem::Value { value, expected })
    }

    /// A setting has a value that is not accepted and may be a secret.
    pub fn hidden(setting: Setting, expected: impl Into<String>) -> Self {
        let (value, expected) = (None, expected.into());
        Self::about(setting, SettingProblem::Value { value, expected })
    }

    /// A required setting is missing; the error shows an example.
    pub fn missing(setting: Setting) -> Self {
        let example = setting.example().map(str::to_owned);
        Self::about(setting, SettingProblem::Missing { example })
    }

    /// A setting has to be given, for example like this.
    pub fn missing_like(setting: Setting, example: impl Into<String>) -> Self {
        let example = Some(example.into());
        Self::about(setting, SettingProblem::Missing { example })
    }

    /// A setting means something only if another one has one of these values.
    pub fn not_applicable(setting: Setting, to: Setting, values: impl Into<String>) -> Self {
        let values = values.into();
        Self::about(setting, SettingProblem::NotApplicable { to, values })
    }

    /// What is in use does not support a setting.
    pub fn unsupported(setting: Setting, by: impl Into<String>) -> Self {
        Self::about(setting, SettingProblem::Unsupported { by: by.into() })
    }

    /// Two settings exclude each other.
    pub fn conflict(setting: Setting, with: Setting) -> Self {
        Self::about(setting, SettingProblem::Conflict { with })
    }

    /// A setting means something only together with another one.
    pub fn requires(setting: Setting, other: Setting) -> Self {
        Self::requires_any(setting, &[other])
    }

    /// A setting means something only together with one of some others.
    pub fn requires_any(setting: Setting, others: &[Setting]) -> Self {
        let any_of = others.to_vec();
        Self::about(setting, SettingProblem::Requires { any_of })
    }

    /// A field has a value that is not accepted.
    pub fn field(
        field: impl Into<Cow<'static, str>>,
        value: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Self::Field {
            field: field.into(),
            problem: SettingProblem::Value {
                value: Some(value.to_string()),
                expected: expected.into(),
            },
        }
    }

    /// A field, or something that is saved, is refused for a reason of its own.
    pub fn refused(what: impl Into<Cow<'static, str>>, reason: impl ToString) -> Self {
        Self::Field {
            field: what.into(),
            problem: SettingProblem::Refused {
                reason: reason.to_string(),
            },
        }
    }

    /// A field has to be there.
    pub fn missing_field(field: impl Into<Cow<'static, str>>) -> Self {
        Self::Field {
            field: field.into(),
            problem: SettingProblem::Missing { example: None },
        }
    }

    fn about(setting: Setting, problem: SettingProblem) -> Self {
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
            Self::Mlflow { hint, .. } => *hint,
            Self::Io { source, .. } => match source.kind() {
                ErrorKind::InvalidInput => FileProblem::of(source)?.hint(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    Some("free some space, or choose another `output`")
                }
                ErrorKind::FileTooLarge => Some("raise the limit of the size of files (ulimit -f)"),
                _ => None,
            },
            Self::FolderInUse { .. } => Some("`overwrite` replaces it"),
            Self::MissingParts { .. } => {
                Some("`allow_missing` merges what is there; the merged run names what is not")
            }
            Self::Untrusted { .. } => Some(
                "name the server with `base_url`, or trust it: `trusted_hosts` in llmeter/config.toml of your \
                 configuration folder",
            ),
            Self::Unresolved { .. } => Some("check `base_url` (or `proxy`) and the network"),
            _ => None,
        }
    }

    /// The message, with settings called as `name` says: as flags, or as the keys of a file.
    pub fn with_setting_names(&self, name: &dyn Fn(Setting) -> String) -> String {
        match self {
            Self::Invalid {
                setting, problem, ..
            } => problem.describe(&name(*setting), name),
            other => other.to_string(),
        }
    }

    /// Adds what an [`Error::Content`] comes from.
    pub(crate) fn caused_by(mut self, cause: impl Into<Cause>) -> Self {
        if let Self::Content { source, .. } = &mut self {
            *source = Some(cause.into());
        }
        self
    }

    /// An [`Error::System`], for use with `map_err`.
    pub(crate) fn system(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { action, source }
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

impl From<SetupError> for Error {
    fn from(reason: SetupError) -> Self {
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
            SetupError::SourceAddress { address, source } => {
                let error = Self::invalid(
                    Setting::SourceAddress,
                    address,
                    "an address of this machine",
                );
                error.with_hint(format!(
                    "`ip address` lists them; the system says: {source}"
                ))
            }
            SetupError::SourceFamily { server } => {
                let expected = match server.is_ipv4() {
                    true => "an IPv4 address among them",
                    false => "an IPv6 address among them",
                };
                let expected = format!("{expected}, since the server or proxy is at {server}");
                Self::hidden(Setting::SourceAddress, expected)
            }
            SetupError::Unresolved { host, source } => Self::Unresolved { host, source },
            SetupError::Capture(source) => {
                let expected = "a source of stamps that this process may use";
                Self::invalid(Setting::Stamps, "packet", expected).with_hint(format!(
                    "packets are captured as root, or with CAP_NET_RAW: `sudo setcap cap_net_raw+ep \
                     \"$(command -v llmeter)\"`, or --cap-add NET_RAW for a container; the system \
                     says: {source}"
                ))
            }
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
                source: None,
            },
            other => Self::EndpointSetup(other),
        }
    }
}

/// Why there is no connection, without the address.
fn without_place(failure: &Failure) -> String {
    match failure.cause() {
        Some(ConnectError::Tcp(_, source) | ConnectError::Unix { source, .. }) => {
            source.to_string()
        }
        _ => failure.to_string(),
    }
}

fn position(line: Option<usize>, column: Option<usize>) -> String {
    match (line, column) {
        (Some(line), Some(column)) => format!(", line {line}, column {column}"),
        (Some(line), None) => format!(", line {line}"),
        _ => String::new(),
    }
}
