//! Why a server cannot be dialed as asked.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

/// A result of setting up the way to a server.
pub type Result<T, E = SetupError> = std::result::Result<T, E>;

/// What was given cannot be used, or this machine lacks something. Found before anything is sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A server's address cannot be used.
    #[error("{value} is not usable as an address: {expected}")]
    Address {
        /// What was given, without credentials.
        value: String,
        /// What would be accepted.
        expected: String,
    },
    /// A proxy's address cannot be used.
    #[error("{value} is not usable as a proxy: {expected}")]
    Proxy {
        /// The environment variable that names the proxy; `None` if the caller does.
        variable: Option<&'static str>,
        /// What was given, without credentials.
        value: String,
        /// What would be accepted.
        expected: String,
    },
    /// A host has no address that can be found.
    #[error("cannot resolve {host}: {source}")]
    Unresolved {
        /// The host.
        host: String,
        /// The system's reason.
        source: io::Error,
    },
    /// An address to connect from is not one of this machine's.
    #[error("{address} is no address of this machine: {source}")]
    SourceAddress {
        /// The address.
        address: IpAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// None of the addresses to connect from can reach the server.
    #[error("no source address is of the family of {server}")]
    SourceFamily {
        /// An address of the server, or of the proxy that leads to it.
        server: IpAddr,
    },
    /// Packets cannot be captured.
    #[error("packets cannot be captured: {0}")]
    Capture(#[source] io::Error),
    /// A file of trusted certificates cannot be read.
    #[error("reading {}: {source}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file of trusted certificates holds something else.
    #[error("{}: {reason}", path.display())]
    CaContent {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A host cannot have a certificate.
    #[error("{host} cannot have a certificate: {source}")]
    ServerName {
        /// The host.
        host: String,
        /// Why not.
        source: rustls::pki_types::InvalidDnsNameError,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {}", crate::tls_error::words(.0))]
    Tls(#[from] rustls::Error),
    /// The system has no trusted certificates.
    #[error(
        "this system has no trusted certificates for https; install its ca-certificates package"
    )]
    NoTrustedCertificates {
        /// The first failure of the search, if it failed.
        source: Option<rustls_native_certs::Error>,
    },
}

impl SetupError {
    pub(crate) fn address(value: impl ToString, expected: impl Into<String>) -> Self {
        Self::Address {
            value: value.to_string(),
            expected: expected.into(),
        }
    }
}
