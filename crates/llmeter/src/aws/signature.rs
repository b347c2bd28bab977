//! Signatures of requests: AWS Signature Version 4.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use secrecy::SecretString;

use crate::wire::clock;

/// What a signature is good for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) region: &'a str,
    /// The service's name in signatures.
    pub(crate) service: &'a str,
}

/// The headers that sign a POST request now, these headers included.
///
/// # Errors
/// If the request cannot be signed.
pub(crate) fn signed_headers(
    credentials: Credentials,
    scope: Scope<'_>,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Vec<(String, SecretString)>, String> {
    let refuse = |reason: &dyn std::fmt::Display| format!("cannot sign the request: {reason}");
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(scope.region)
        .name(scope.service)
        .time(SystemTime::from(clock::wall()))
        .settings(SigningSettings::default())
        .build()
        .map_err(|reason| refuse(&reason))?;
    let headers = headers.iter().copied();
    let request = SignableRequest::new("POST", url, headers, SignableBody::Bytes(body))
        .map_err(|reason| refuse(&reason))?;
    let (instructions, _) = sign(request, &parameters.into())
        .map_err(|reason| refuse(&reason))?
        .into_parts();
    let signed = instructions.headers();
    Ok(signed
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect())
}
