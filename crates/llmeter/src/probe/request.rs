//! The request of a probe, as it was sent.

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::endpoint::is_harmless_header;
use llmeter_wire::http2;

/// What stands in the place of a header's value that may be a secret.
pub(super) const HIDDEN: &str = "(hidden)";
/// Characters of a request's body that are kept.
const MAX_BODY: usize = 4 * 1024;

/// A request as it was sent, without what may be secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProbeRequest {
    /// `POST /v1/chat/completions HTTP/1.1`; with HTTP/2 `POST /v1/chat/completions HTTP/2`.
    pub line: String,
    /// Names and values of the headers. HTTP/2 has `:scheme` and `:authority` among them; the other
    /// two pseudo-headers are in the line.
    pub headers: Vec<(String, String)>,
    /// The body's beginning.
    pub body: String,
    /// The body's length.
    pub body_bytes: usize,
}

impl ProbeRequest {
    /// Takes a request's bytes apart. `redacted` hides the endpoint's secrets.
    pub(super) fn new(bytes: &[u8], redacted: impl Fn(&str) -> String) -> Self {
        let end = bytes.windows(4).position(|part| part == b"\r\n\r\n");
        let (head, body) = match end {
            Some(end) => (&bytes[..end], &bytes[end + 4..]),
            None => (bytes, &[][..]),
        };
        let head = String::from_utf8_lossy(head);
        let mut lines = head.split("\r\n");
        let line = redacted(lines.next().unwrap_or_default());
        let headers = lines.filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let value = SecretString::from(value);
            Some((name.to_owned(), shown_header(name, &value)))
        });
        Self {
            headers: headers.collect(),
            line,
            body: redacted(&String::from_utf8_lossy(&body[..body.len().min(MAX_BODY)])),
            body_bytes: body.len(),
        }
    }

    /// The same request as HTTP/2 sends it.
    pub(super) fn by_http2(self, is_encrypted: bool, bytes: &[u8]) -> Self {
        let Some(headers) = http2::headers(is_encrypted, bytes) else {
            return self;
        };
        let headers = headers.into_iter().map(|(name, value)| {
            let value = shown_header(&name, &SecretString::from(value));
            (name, value)
        });
        let line = self.line.strip_suffix(" HTTP/1.1").unwrap_or(&self.line);
        Self {
            line: format!("{line} HTTP/2"),
            headers: headers.collect(),
            ..self
        }
    }

    /// The path, with the query.
    pub(super) fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }
}

/// A header's value as far as it can be shown: what is not known to be harmless is hidden, and of
/// credentials the kind is left.
fn shown_header(name: &str, value: &SecretString) -> String {
    let value = value.expose_secret();
    let mut shown = ["host", ":authority", ":scheme", "content-length"].iter();
    if is_harmless_header(name) || shown.any(|known| name.eq_ignore_ascii_case(known)) {
        return value.to_owned();
    }
    let kind = value.split_once(' ').map(|(kind, _)| kind);
    let is_of_kind = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_kind = |kind: &&str| kind.len() <= 20 && kind.bytes().all(is_of_kind);
    let is_credential = name.to_ascii_lowercase().ends_with("authorization");
    match kind.filter(is_kind).filter(|_| is_credential) {
        Some(kind) => format!("{kind} {HIDDEN}"),
        None => HIDDEN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_shown_without_what_may_be_secret() {
        let bytes =
            b"POST /v1/x?key=geheim HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer geheim\r\n\
                      Proxy-Authorization: geheim\r\nX-Thing: geheim\r\nAccept: */*\r\n\
                      Content-Length: 12\r\n\r\n{\"a\":\"geheim\"}";
        let request = ProbeRequest::new(bytes, |text| text.replace("geheim", "<redacted>"));
        assert!(!format!("{request:?}").contains("geheim"), "{request:?}");
        assert_eq!(request.line, "POST /v1/x?key=<redacted> HTTP/1.1");
        assert_eq!(request.target(), "/v1/x?key=<redacted>");
        let values: Vec<&str> = request.headers.iter().map(|(_, value)| &**value).collect();
        assert_eq!(
            values,
            ["h", "Bearer (hidden)", HIDDEN, HIDDEN, "*/*", "12"]
        );
        assert_eq!(request.body_bytes, 14);

        let request = request.by_http2(true, bytes);
        assert!(!format!("{request:?}").contains("geheim"), "{request:?}");
        assert_eq!(request.line, "POST /v1/x?key=<redacted> HTTP/2");
        assert_eq!(request.target(), "/v1/x?key=<redacted>");
        let names: Vec<&str> = request.headers.iter().map(|(name, _)| &**name).collect();
        assert_eq!(
            names,
            [
                ":scheme",
                ":authority",
                "authorization",
                "proxy-authorization",
                "x-thing",
                "accept",
                "content-length"
            ]
        );
        let values: Vec<&str> = request.headers.iter().map(|(_, value)| &**value).collect();
        assert_eq!(
            values,
            ["https", "h", "Bearer (hidden)", HIDDEN, HIDDEN, "*/*", "12"]
        );
        assert_eq!(request.body_bytes, 14);
    }
}
