//! Which certificates are trusted.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme, WantsVerifier,
};

use crate::error::{Result, SetupError};
use crate::insecure::AnyCertificate;
use crate::tls_error::is_authority_as_server;

/// Trusts what the system trusts.
pub(super) fn system() -> Result<ClientConfig> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(SetupError::NoTrustedCertificates {
            source: found.errors.into_iter().next(),
        });
    }
    let config = tls_versions()?.with_root_certificates(roots);
    Ok(config.with_no_client_auth())
}

/// Trusts the certificates in a PEM file.
pub(super) fn file(file: &Path) -> Result<ClientConfig> {
    let text = std::fs::read(file).map_err(|source| SetupError::CaFile {
        path: file.to_path_buf(),
        source,
    })?;
    let unusable = |reason: String| SetupError::CaContent {
        path: file.to_path_buf(),
        reason,
    };
    let mut roots = RootCertStore::empty();
    let mut given = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|reason: pem::Error| {
            unusable(format!("a certificate in it is not valid PEM: {reason}"))
        })?;
        roots.add(certificate.clone()).map_err(|_| {
            unusable("a certificate in it cannot be used: it is malformed".to_owned())
        })?;
        given.push(certificate);
    }
    if roots.is_empty() {
        return Err(unusable(
            "there is no certificate in it (PEM, -----BEGIN CERTIFICATE-----)".to_owned(),
        ));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
    let of_authorities = verifier
        .build()
        .map_err(|reason| unusable(reason.to_string()))?;
    let config = tls_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(GivenCertificates {
            of_authorities,
            given,
        }));
    Ok(config.with_no_client_auth())
}

/// Trusts whoever is at the other end.
pub(super) fn any() -> Result<ClientConfig> {
    let config = tls_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider())));
    Ok(config.with_no_client_auth())
}

/// Has HTTP clients of side traffic use the same TLS provider. One that the program has chosen stays.
pub fn share_tls_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn tls_versions() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>> {
    let builder = ClientConfig::builder_with_provider(provider());
    Ok(builder.with_safe_default_protocol_versions()?)
}

/// Takes what the given authorities have signed, and a server's certificate that is itself among the
/// given ones, as a self-signed one is.
#[derive(Debug)]
struct GivenCertificates {
    of_authorities: Arc<WebPkiServerVerifier>,
    given: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for GivenCertificates {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.of_authorities.verify_server_cert(
            certificate,
            intermediates,
            name,
            ocsp_response,
            now,
        );
        match verified {
            // Only who signed it, and for what, is in doubt: the dates are checked before.
            Err(Error::InvalidCertificate(reason))
                if is_about_signer(&reason) && self.given.contains(certificate) =>
            {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.of_authorities
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.of_authorities
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.of_authorities.supported_verify_schemes()
    }
}

fn is_about_signer(reason: &CertificateError) -> bool {
    matches!(
        reason,
        CertificateError::UnknownIssuer | CertificateError::BadSignature
    ) || is_authority_as_server(reason)
}
