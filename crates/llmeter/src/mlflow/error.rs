//! What can go wrong on the way to a tracking server.

use super::server::{PASSWORD, TOKEN, TRACKING_URI, USERNAME};

/// Why a run could not be logged. No message holds a secret.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum MlflowError {
    /// A setting that no attempt can help.
    #[error("{0}")]
    Setting(String),
    /// No response that counts, within the tries and the time there are.
    #[error("{action}: {server} {reason}; {tries}")]
    Unreachable {
        action: &'static str,
        server: String,
        reason: String,
        tries: String,
    },
    /// The server understood and says no.
    #[error("{action}: {server} responded {status}{}{}", colon(message), remedy(*status))]
    Refused {
        action: &'static str,
        server: String,
        status: u16,
        /// MLflow's name for the failure, like `RESOURCE_DOES_NOT_EXIST`.
        code: String,
        message: String,
    },
    /// A response that is none of MLflow's.
    #[error(
        "{action}: {server} sent a response that is not MLflow's ({reason}); is {TRACKING_URI} or tracking_uri the address of a tracking server?"
    )]
    NotMlflow {
        action: &'static str,
        server: String,
        reason: String,
    },
    /// A failure after the run was there: what was logged before it still is.
    #[error("run {run}: {reason}")]
    InRun {
        run: String,
        /// Where the run can be seen.
        page: String,
        reason: Box<MlflowError>,
    },
    /// A file that could not be taken to the server.
    #[error("artifacts: {0}")]
    Artifact(String),
}

impl MlflowError {
    /// Whether the server refused for this reason.
    pub(super) fn has_code(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }

    /// What to do about it, if the message does not tell.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable { .. } | Self::Refused { status: 404, .. } => {
                Some("is it an MLflow server? `mlflow` names its address")
            }
            Self::InRun { reason, .. } => reason.hint(),
            _ => None,
        }
    }

    /// Whether further requests may fare better.
    pub(super) fn concerns_one_request(&self) -> bool {
        match self {
            Self::Refused { status, .. } => !matches!(status, 401 | 403),
            Self::Artifact(_) => true,
            _ => false,
        }
    }
}

/// What follows a status: nothing, or a colon and the message.
pub(super) fn colon(message: &str) -> String {
    match message {
        "" => String::new(),
        message => format!(": {message}"),
    }
}

fn remedy(status: u16) -> String {
    match status {
        401 => format!("; it wants to know who you are: set {USERNAME} and {PASSWORD}, or {TOKEN}"),
        403 => format!(
            "; these credentials may not do that: check {USERNAME} and {PASSWORD}, or {TOKEN}, and \
             what the server allows them"
        ),
        _ => String::new(),
    }
}
