//! The certificate that the server shows.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{self, PemObject},
        },
    },
};

use crate::error::SimError;

/// The certificate that a server shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// One that is made when the server starts, for `localhost`, the loopback addresses and the
    /// address that is listened on. [`RunningSimulator::certificate`] gives it to clients, which
    /// have to be told to trust it.
    ///
    /// [`RunningSimulator::certificate`]: crate::RunningSimulator::certificate
    Made,
    /// One from PEM files.
    Files {
        /// The certificate, and those that lead from it to a trusted one.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

/// What a server needs for TLS, and the certificate as PEM if it was made. Clients may choose HTTP/2.
pub(crate) fn acceptor(
    certificate: &Certificate,
    host: IpAddr,
) -> Result<(TlsAcceptor, Option<String>), SimError> {
    let (chain, key, made) = match certificate {
        Certificate::Made => {
            let mut names = ["localhost", "127.0.0.1", "::1"]
                .map(str::to_owned)
                .to_vec();
            let host = host.to_string();
            if !names.contains(&host) {
                names.push(host);
            }
            let CertifiedKey { cert, signing_key } =
                generate_simple_self_signed(names).map_err(SimError::certificate)?;
            let key = PrivateKeyDer::try_from(signing_key.serialize_der());
            let key = key.map_err(SimError::certificate)?;
            (vec![cert.der().clone()], key, Some(cert.pem()))
        }
        Certificate::Files { certificate, key } => {
            let chain = CertificateDer::pem_file_iter(certificate)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .and_then(|chain| match chain.is_empty() {
                    true => Err(pem::Error::NoItemsFound),
                    false => Ok(chain),
                });
            let chain = chain.map_err(|reason| {
                unusable(
                    certificate,
                    "no certificate (-----BEGIN CERTIFICATE-----)",
                    reason,
                )
            })?;
            let found = PrivateKeyDer::from_pem_file(key);
            let found = found.map_err(|reason| {
                unusable(key, "no private key (-----BEGIN PRIVATE KEY-----)", reason)
            })?;
            (chain, found, None)
        }
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(SimError::certificate)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(SimError::certificate)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), made))
}

/// A PEM file that lacks what is looked for.
fn unusable(path: &Path, missing: &str, reason: pem::Error) -> SimError {
    SimError::CertificateFile {
        path: path.to_owned(),
        reason: match reason {
            pem::Error::NoItemsFound => format!("there is {missing} in it"),
            reason => reason.to_string(),
        },
    }
}
