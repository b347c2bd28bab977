//! What goes wrong with TLS, in words: the library's own names are for programmers.

use std::io;

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error};

/// Why a TLS handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsErrorKind {
    /// Nobody who is trusted has signed the certificate.
    UnknownIssuer,
    /// The certificate is an authority's, not a server's.
    AuthorityAsServer,
    /// The certificate has expired, or is not valid yet.
    NotValidNow,
    /// The certificate is for another host.
    OtherName,
    /// The certificate cannot be trusted for another reason.
    Certificate,
    /// The server speaks something else than TLS.
    NotTls,
    /// The server broke off the handshake.
    Alert,
}

impl TlsErrorKind {
    /// What a failed handshake's error says.
    pub(crate) fn of(reason: &io::Error) -> Option<Self> {
        Some(match library(reason)? {
            Error::InvalidCertificate(certificate) => match certificate {
                // A signature is bad where another certificate of the same name is trusted.
                Certificate::UnknownIssuer | Certificate::BadSignature => Self::UnknownIssuer,
                Certificate::Expired
                | Certificate::ExpiredContext { .. }
                | Certificate::NotValidYet
                | Certificate::NotValidYetContext { .. } => Self::NotValidNow,
                Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                    Self::OtherName
                }
                other if is_authority_as_server(other) => Self::AuthorityAsServer,
                _ => Self::Certificate,
            },
            Error::NoCertificatesPresented => Self::Certificate,
            Error::InvalidMessage(_) => Self::NotTls,
            Error::AlertReceived(_) => Self::Alert,
            _ => return None,
        })
    }
}

/// Whether a certificate is refused for being an authority's.
pub(crate) fn is_authority_as_server(reason: &Certificate) -> bool {
    let Certificate::Other(other) = reason else {
        return false;
    };
    matches!(
        other.0.downcast_ref(),
        Some(webpki::Error::CaUsedAsEndEntity)
    )
}

fn library(reason: &io::Error) -> Option<&Error> {
    reason.get_ref()?.downcast_ref()
}

/// An error, if it is the TLS library's, in words; however deep it is in errors of reading and writing.
pub fn tls_words(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(reason) = cause.downcast_ref() {
        return Some(words(reason));
    }
    tls_words(cause.downcast_ref::<io::Error>()?.get_ref()?)
}

/// An error of a TLS connection, in words.
pub(crate) fn in_words(reason: io::Error) -> io::Error {
    match library(&reason).is_some() || reason.kind() == io::ErrorKind::UnexpectedEof {
        true => io::Error::new(reason.kind(), described(&reason)),
        false => reason,
    }
}

/// What an error of a TLS connection says.
pub(crate) fn described(reason: &io::Error) -> String {
    match library(reason) {
        Some(reason) => words(reason),
        None if reason.kind() == io::ErrorKind::UnexpectedEof => {
            "the server closed the connection without ending TLS".to_owned()
        }
        None => reason.to_string(),
    }
}

/// What an error of the TLS library says.
pub(crate) fn words(reason: &Error) -> String {
    match reason {
        Error::InvalidCertificate(reason) => of_certificate(reason),
        Error::NoCertificatesPresented => "the server showed no certificate".to_owned(),
        Error::InvalidMessage(_) => "what the server sent is no TLS".to_owned(),
        Error::AlertReceived(alert) => format!("the server refused it: {}", of_alert(*alert)),
        Error::PeerIncompatible(why) => format!(
            "client and server have no way of TLS in common ({})",
            spelled(&format!("{why:?}"))
        ),
        Error::PeerMisbehaved(why) => format!(
            "the server breaks the rules of TLS ({})",
            spelled(&format!("{why:?}"))
        ),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "the server sent a TLS message out of turn".to_owned()
        }
        Error::DecryptError => "what the server sent cannot be decrypted".to_owned(),
        Error::PeerSentOversizedRecord => {
            "the server sent a TLS record that is too long".to_owned()
        }
        Error::NoApplicationProtocol => {
            "the server speaks none of the protocols asked for".to_owned()
        }
        Error::InvalidCertRevocationList(_) => {
            "a list of revoked certificates is invalid".to_owned()
        }
        Error::FailedToGetCurrentTime => "this machine does not know the time".to_owned(),
        Error::FailedToGetRandomBytes => "this machine gives no random numbers".to_owned(),
        Error::General(reason) => reason.clone(),
        other => {
            let name = format!("{other:?}");
            format!("the TLS library gave up ({})", spelled(&name))
        }
    }
}

fn of_certificate(reason: &Certificate) -> String {
    let plain = match reason {
        Certificate::UnknownIssuer => "nobody who is trusted has signed the server's certificate",
        Certificate::BadSignature => {
            "the signature of the server's certificate is not that of the authority that it names"
        }
        Certificate::BadEncoding => "the server's certificate is malformed",
        Certificate::Expired => "the server's certificate has expired",
        Certificate::NotValidYet => "the server's certificate is not valid yet",
        Certificate::ExpiredContext { not_after, .. } => {
            return format!("the server's certificate expired on {}", day(*not_after));
        }
        Certificate::NotValidYetContext { not_before, .. } => {
            return format!(
                "the server's certificate is not valid before {}",
                day(*not_before)
            );
        }
        Certificate::Revoked => "the server's certificate is revoked",
        Certificate::NotValidForName => "the server's certificate is for another host",
        Certificate::NotValidForNameContext {
            expected,
            presented,
        } => {
            let host = expected.to_str();
            let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
            return match names.as_slice() {
                [] => format!(
                    "the server's certificate is not for {host}: it names no host \
                     (subjectAltName)"
                ),
                names => format!(
                    "the server's certificate is not for {host}, but for {}",
                    names.join(", ")
                ),
            };
        }
        Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => {
            "the server's certificate is not one for servers"
        }
        Certificate::UnhandledCriticalExtension => {
            "the server's certificate demands something that is not supported"
        }
        Certificate::InvalidOcspResponse => {
            "what the server says of its certificate's revocation is invalid"
        }
        other if is_authority_as_server(other) => {
            "the server shows an authority's certificate as its own"
        }
        Certificate::Other(_) => "the server's certificate cannot be used",
        other => {
            let name = spelled(&format!("{other:?}"));
            return format!("the server's certificate cannot be trusted ({name})");
        }
    };
    plain.to_owned()
}

fn of_alert(alert: Alert) -> String {
    let plain = match alert {
        Alert::HandshakeFailure | Alert::InsufficientSecurity => {
            "it has no cipher in common with this client"
        }
        Alert::ProtocolVersion => "it speaks another version of TLS",
        Alert::UnrecognisedName => "it does not know this host name",
        Alert::CertificateRequired | Alert::NoCertificate => "it wants a client certificate",
        Alert::BadCertificate | Alert::CertificateUnknown | Alert::UnknownCA => {
            "it does not accept the client's certificate"
        }
        Alert::AccessDenied => "it denies access",
        Alert::InternalError => "it met an internal error",
        Alert::NoApplicationProtocol => "it speaks none of the protocols asked for",
        Alert::Unknown(code) => return format!("TLS alert {code}"),
        other => return format!("TLS alert \"{}\"", spelled(&format!("{other:?}"))),
    };
    plain.to_owned()
}

/// The day of a time, in UTC.
fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match Timestamp::from_second(seconds) {
        Ok(time) => time.strftime("%Y-%m-%d").to_string(),
        Err(_) => "a day far off".to_owned(),
    }
}

/// A name of a certificate without the library's name for its kind: `a.example` of
/// `DnsName("a.example")`.
fn bare(name: &str) -> &str {
    let inner = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

/// The library's name for a thing as words: `no cipher suites in common` of
/// `NoCipherSuitesInCommon`. What it holds beside is left out.
fn spelled(name: &str) -> String {
    let end = name.find(|c: char| !c.is_ascii_alphanumeric());
    let mut words = String::new();
    let mut was_small = false;
    for letter in name[..end.unwrap_or(name.len())].chars() {
        if letter.is_ascii_uppercase() && was_small {
            words.push(' ');
        }
        was_small = !letter.is_ascii_uppercase();
        words.push(letter.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use rustls::pki_types::ServerName;
    use rustls::{InvalidMessage, OtherError, PeerIncompatible, PeerMisbehaved};

    use super::*;

    #[test]
    fn no_message_has_a_name_of_the_library() {
        let time = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let (now, then) = (time(1_800_000_000), time(1_700_000_000));
        let expected = ServerName::try_from("a.example").unwrap();
        let presented = vec![
            "DnsName(\"b.example\")".to_owned(),
            "IpAddress(10.0.0.1)".to_owned(),
        ];
        let other = |reason| OtherError(Arc::new(reason));
        let certificates = [
            Certificate::UnknownIssuer,
            Certificate::BadSignature,
            Certificate::BadEncoding,
            Certificate::Expired,
            Certificate::NotValidYet,
            Certificate::Revoked,
            Certificate::NotValidForName,
            Certificate::InvalidPurpose,
            Certificate::UnknownRevocationStatus,
            Certificate::ApplicationVerificationFailure,
            Certificate::Other(other(webpki::Error::CaUsedAsEndEntity)),
            Certificate::Other(other(webpki::Error::UnsupportedCertVersion)),
            Certificate::ExpiredContext {
                time: now,
                not_after: then,
            },
            Certificate::NotValidYetContext {
                time: then,
                not_before: now,
            },
            Certificate::NotValidForNameContext {
                expected,
                presented,
            },
        ];
        let others = [
            Error::NoCertificatesPresented,
            Error::InvalidMessage(InvalidMessage::InvalidContentType),
            Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
            Error::PeerMisbehaved(PeerMisbehaved::TooManyEmptyFragments),
            Error::AlertReceived(Alert::HandshakeFailure),
            Error::AlertReceived(Alert::UnknownPSKIdentity),
            Error::AlertReceived(Alert::Unknown(200)),
            Error::DecryptError,
            Error::EncryptError,
            Error::HandshakeNotComplete,
            Error::BadMaxFragmentSize,
            Error::Other(other(webpki::Error::BadDer)),
        ];
        let certificates = certificates.into_iter().map(Error::InvalidCertificate);
        let all: Vec<_> = certificates
            .chain(others)
            .map(|error| words(&error))
            .collect();
        for words in &all {
            let is_camel =
                |pair: &[u8]| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase();
            let words = words.replace("subjectAltName", "");
            assert!(!words.as_bytes().windows(2).any(is_camel), "{words}");
            assert!(
                !words.contains(['{', '_']) && !words.contains("::"),
                "{words}"
            );
        }
        let has = |part: &str| assert!(all.iter().any(|words| words.contains(part)), "{part}");
        has("expired on 2023-11-14");
        has("not valid before 2027-01-15");
        has("not for a.example, but for b.example, 10.0.0.1");
        has("(no cipher suites in common)");
        has("TLS alert \"unknown pskidentity\"");
    }
}
