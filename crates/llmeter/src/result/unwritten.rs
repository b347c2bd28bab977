//! What of a run could not be written to its folder.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::Error;
use crate::storage::Location;

/// What of a run could not be written to its folder, and why.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Unwritten {
    /// `responses.jsonl` ends before the run did; its lines are whole.
    Responses {
        /// Responses that are not in it.
        missing: u64,
        /// Responses of the run.
        recorded: u64,
        /// Why the next line could not be written.
        reason: Arc<Error>,
    },
    /// Another file, which is missing or as it was before.
    File {
        /// Its name.
        name: &'static str,
        /// Why it could not be written.
        reason: Arc<Error>,
    },
    /// Something of a folder in the cloud.
    Upload {
        /// The folder.
        location: Location,
        /// The folder of this machine that has all files.
        staging: PathBuf,
        /// Why it could not be uploaded.
        reason: Arc<Error>,
    },
}

impl fmt::Display for Unwritten {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Responses {
                missing,
                recorded,
                reason,
            } => write!(
                formatter,
                "responses.jsonl is incomplete: {missing} of {recorded} responses are missing \
                 ({reason}); the statistics are complete"
            ),
            Self::File { name, reason } => write!(formatter, "{name} is missing ({reason})"),
            Self::Upload {
                location,
                staging,
                reason,
            } => write!(
                formatter,
                "the results are not completely in {location}: {reason}; all files are in {}",
                staging.display()
            ),
        }
    }
}
