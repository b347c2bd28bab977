//! What can keep the simulator from starting or from keeping its log.

use std::{io, net::SocketAddr, path::PathBuf};

/// Everything that can go wrong with the simulator itself.
///
/// What goes wrong with one request is told over HTTP and is no `SimError`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// A setting has a value that cannot be used.
    #[error("{field} {value}: expected {accepted}")]
    Invalid {
        /// The field of [`SimConfig`](crate::SimConfig).
        field: &'static str,
        /// The value that was given.
        value: String,
        /// What would be accepted.
        accepted: &'static str,
    },
    /// The address could not be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A file with a certificate or with its key cannot be read, or holds none.
    #[error("{}: {reason}", path.display())]
    CertificateFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate cannot be made, or does not fit to its key.
    #[error("the certificate cannot be used: {0}")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A worker thread could not be started or broke down.
    #[error("the simulator's {what}: {source}")]
    Runtime {
        /// The part that failed.
        what: &'static str,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The truth file could not be created, written or read.
    #[error("truth file {}: {source}", path.display())]
    Truth {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A line of a truth file is no truth record.
    #[error("truth file {}, line {line}: {reason}", path.display())]
    TruthFormat {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl SimError {
    pub(crate) fn certificate(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Certificate(reason.into())
    }
}
