//! Signatures of requests: AWS Signature Version 4.

use std::borrow::Cow;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use secrecy::SecretString;

use llmeter_wire::clock;

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
    // The signer would write the request that it signs, token and all, into a detailed log.
    let signed = tracing::dispatcher::with_default(&tracing::Dispatch::none(), || {
        sign(request, &parameters.into())
    });
    let (instructions, _) = signed.map_err(|reason| refuse(&reason))?.into_parts();
    let signed = instructions.headers();
    Ok(signed
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect())
}

/// Digits of a signature, and of the other hashes in signed requests.
const SIGNATURE: usize = 64;
/// What stands before a signature in a header; in a URL `3D` follows, which are digits, too.
const SIGNATURE_NAMES: [&str; 2] = ["Signature=", "Signature%"];

/// A text without hexadecimal numbers of a signature's length, or those that are called so, should
/// they have been cut.
pub(crate) fn without_signatures(text: &str) -> Cow<'_, str> {
    if !may_have_signatures(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        out.push_str(&rest[..start]);
        let digits = &rest[start..];
        let end = digits.find(|c: char| !c.is_ascii_hexdigit());
        let (digits, after) = digits.split_at(end.unwrap_or(digits.len()));
        let is_named = SIGNATURE_NAMES.iter().any(|name| out.ends_with(name));
        match is_named || digits.len() >= SIGNATURE {
            true => out.push_str("<redacted>"),
            false => out.push_str(digits),
        }
        rest = after;
    }
    Cow::Owned(out + rest)
}

/// Whether a text has a name of signatures or a long number: most have neither.
fn may_have_signatures(text: &[u8]) -> bool {
    let is_digit = |at: &usize| text.get(*at).is_some_and(u8::is_ascii_hexdigit);
    // A number that is long enough has a digit at one of these places.
    let mut places = (0..text.len()).step_by(SIGNATURE);
    let is_long = |at: usize| {
        let before = (0..at).rev().take_while(is_digit).count();
        before + (at..).take_while(is_digit).count() >= SIGNATURE
    };
    let mut names = SIGNATURE_NAMES.iter();
    names.any(|name| memchr::memmem::find(text, name.as_bytes()).is_some())
        || places.any(|at| is_digit(&at) && is_long(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_hidden_whole_or_cut() {
        let signature = "0123456789abcdef".repeat(4);
        let cut = &signature[..9];
        for (text, expected) in [
            (
                format!("Signature={signature}, more"),
                "Signature=<redacted>, more",
            ),
            (
                format!("Signature%3D{signature}&more"),
                "Signature%<redacted>&more",
            ),
            (format!("bad hash {signature}"), "bad hash <redacted>"),
            (format!("Signature={cut}…"), "Signature=<redacted>…"),
            (
                "request 1a-2b at 7 was refused".to_owned(),
                "request 1a-2b at 7 was refused",
            ),
        ] {
            assert_eq!(without_signatures(&text), expected);
        }
    }
}
