//! Who is let in: the user's own browser, and no page of anybody else.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

/// What an address begins with that leads in: a secret of this viewer's.
///
/// Other users of the machine can connect, too, and pages of other sites can have a browser send requests
/// here, but neither knows this.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    token: String,
    port: u16,
}

/// Headers of every answer.
const ALWAYS: [(&str, &str); 6] = [
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("x-frame-options", "DENY"),
];

/// What the viewer's own pages may do: their own files, and nothing from elsewhere.
pub(super) const OWN_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What a report may do, which has everything in itself: its scripts have no origin, so that they could read
/// nothing of the viewer's.
pub(super) const REPORT_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; \
     style-src 'unsafe-inline'; img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'; sandbox allow-scripts allow-downloads allow-popups allow-modals";

/// What an answer may be that is no page.
pub(super) const NO_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

impl Guard {
    pub(super) fn new(port: u16) -> Self {
        // 122 bits from the system's source of randomness.
        let token = uuid::Uuid::new_v4().simple().to_string();
        Self { token, port }
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// The part of a path behind the secret; else the status to refuse with.
    pub(super) fn admit<'a>(
        &self,
        method: &Method,
        path: &'a str,
        headers: &HeaderMap,
    ) -> Result<&'a str, StatusCode> {
        // A name that somebody has lead to this machine is not this machine's.
        if !self.is_own_host(headers) || !self.is_own_origin(headers) {
            return Err(StatusCode::FORBIDDEN);
        }
        let rest = path.strip_prefix('/').ok_or(StatusCode::NOT_FOUND)?;
        let (token, _) = rest.split_once('/').unwrap_or((rest, ""));
        if !is_same(token, &self.token) {
            return Err(StatusCode::NOT_FOUND);
        }
        match *method {
            Method::GET | Method::HEAD => Ok(&rest[self.token.len()..]),
            _ => Err(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    fn is_own_host(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all("host").iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        let is_own = |host: &str| {
            let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
            matches!(name, "127.0.0.1" | "localhost") && port.parse() == Ok(self.port)
        };
        hosts.next().is_none() && host.is_some_and(is_own)
    }

    /// Browsers say of which origin the page is that sends a request, if it is not the address's own.
    fn is_own_origin(&self, headers: &HeaderMap) -> bool {
        let own = ["127.0.0.1", "localhost"].map(|name| format!("http://{name}:{}", self.port));
        let mut origins = headers.get_all("origin").iter();
        origins.all(|origin| own.iter().any(|own| origin.as_bytes() == own.as_bytes()))
    }
}

/// Compares without telling by its time how much is right.
fn is_same(one: &str, other: &str) -> bool {
    let different = one.bytes().zip(other.bytes());
    let different = different.fold(0, |different, (one, other)| different | (one ^ other));
    one.len() == other.len() && std::hint::black_box(different) == 0
}

/// Adds the headers of every answer.
pub(super) fn harden(headers: &mut HeaderMap, policy: &'static str) {
    for (name, value) in ALWAYS {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    headers.insert("content-security-policy", HeaderValue::from_static(policy));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_the_own_address_with_the_secret_leads_in() {
        let guard = Guard::new(4321);
        let token = guard.token().to_owned();
        let own = headers(&[("host", "127.0.0.1:4321")]);
        let path = format!("/{token}/report/1");
        let get = |path: &str, headers: &HeaderMap| {
            guard.admit(&Method::GET, path, headers).map(str::to_owned)
        };
        assert_eq!(get(&path, &own).as_deref(), Ok("/report/1"));
        assert_eq!(get(&format!("/{token}"), &own).as_deref(), Ok(""));
        for wrong in [
            "/",
            "",
            "/x",
            &format!("/{token}x/"),
            &format!("/{}", &token[1..]),
        ] {
            assert_eq!(get(wrong, &own), Err(StatusCode::NOT_FOUND), "{wrong}");
        }
        for wrong in [
            &[][..],
            &[("host", "evil.example:4321")],
            &[("host", "127.0.0.1")],
            &[("host", "127.0.0.1:80")],
            &[("host", "127.0.0.1:4321"), ("host", "evil.example")],
            &[
                ("host", "127.0.0.1:4321"),
                ("origin", "http://evil.example"),
            ],
            &[("host", "127.0.0.1:4321"), ("origin", "null")],
            &[("host", "127.0.0.1:4321"), ("origin", "http://127.0.0.1:1")],
        ] {
            assert_eq!(
                get(&path, &headers(wrong)),
                Err(StatusCode::FORBIDDEN),
                "{wrong:?}"
            );
        }
        for right in [
            &[("host", "localhost:4321")][..],
            &[
                ("host", "127.0.0.1:4321"),
                ("origin", "http://127.0.0.1:4321"),
            ],
        ] {
            assert!(get(&path, &headers(right)).is_ok(), "{right:?}");
        }
        let post = guard.admit(&Method::POST, &path, &own);
        assert_eq!(post, Err(StatusCode::METHOD_NOT_ALLOWED));
    }
}
