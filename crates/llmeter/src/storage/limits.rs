//! What lies between a store and its connection: limits of what it says that is no object (lists,
//! acknowledgements, errors), and the secrets that requests carry.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use llmeter_wire::redaction::Redaction;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService, ReqwestConnector,
};

use crate::base::lock::lock;

/// Bytes of one response that is no object.
const MAX_RESPONSE: usize = 16 << 20;
/// Bytes of all pages of lists that are read of a store while it is open.
const MAX_LISTS: usize = 64 << 20;
/// Timeout of a whole list, and of the body of any response that is no object.
pub(super) const TIMEOUT: Duration = Duration::from_secs(120);

/// Headers of requests that are secrets. Signatures are none: each request has its own.
const SECRET_HEADERS: [&str; 4] = [
    "authorization",
    "x-amz-security-token",
    "x-aws-ec2-metadata-token",
    "metadata-token",
];
/// Fields of requests for tokens that are secrets.
const SECRET_FIELDS: [&str; 5] = [
    "assertion",
    "client_assertion",
    "client_secret",
    "refresh_token",
    "subject_token",
];
/// How many of the latest secrets are known: tokens are renewed, and a response may speak of the
/// one before.
const MAX_CARRIED: usize = 8;
/// Bytes of a request for a token.
const MAX_FORM: usize = 64 << 10;

/// reqwest within these limits. A clone is of the same store.
#[derive(Debug, Clone, Default)]
pub(super) struct Limited {
    carried: Carried,
}

/// The secrets that requests have carried of late, however the store's client came by them.
#[derive(Debug, Clone, Default)]
pub(super) struct Carried(Arc<Mutex<VecDeque<(String, Redaction)>>>);

impl Limited {
    pub(super) fn carried(&self) -> Carried {
        self.carried.clone()
    }
}

impl Carried {
    /// A text without them.
    pub(super) fn redact(&self, text: &str) -> String {
        let known: Vec<_> = self
            .known()
            .iter()
            .map(|(_, known)| known.clone())
            .collect();
        let hide = |text: String, known: &Redaction| known.apply(&text).into_owned();
        known.iter().fold(text.to_owned(), hide)
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<(String, Redaction)>> {
        lock(&self.0)
    }

    fn note(&self, request: &HttpRequest) {
        for value in SECRET_HEADERS
            .iter()
            .flat_map(|name| request.headers().get_all(*name))
        {
            let Ok(value) = value.to_str() else { continue };
            match value.split_once(' ') {
                Some((scheme, _)) if scheme.starts_with("AWS4-") || scheme == "SharedKey" => {}
                Some((_, token)) => self.add(token.trim()),
                None => self.add(value),
            }
        }
        let is_form = request.headers().get("content-type").is_some_and(|kind| {
            kind.as_bytes()
                .starts_with(b"application/x-www-form-urlencoded")
        });
        if let Some(form) = request
            .body()
            .as_bytes()
            .filter(|form| is_form && form.len() <= MAX_FORM)
        {
            for (name, value) in url::form_urlencoded::parse(form) {
                if SECRET_FIELDS.contains(&&*name) {
                    self.add(&value);
                }
            }
        }
    }

    fn add(&self, secret: &str) {
        let mut known = self.known();
        if known.iter().all(|(known, _)| known != secret) {
            known.truncate(MAX_CARRIED - 1);
            known.push_front((secret.to_owned(), Redaction::new([secret])));
        }
    }
}

impl HttpConnector for Limited {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        llmeter_wire::share_tls_provider();
        let inner = ReqwestConnector::default().connect(options)?;
        let listed = Arc::default();
        let carried = self.carried();
        Ok(HttpClient::new(Service {
            inner,
            listed,
            carried,
        }))
    }
}

#[derive(Debug)]
struct Service {
    inner: HttpClient,
    listed: Arc<AtomicUsize>,
    carried: Carried,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.carried.note(&request);
        let is_get = request.method().as_str() == "GET";
        let query = request.uri().query().unwrap_or_default();
        let is_list = query.contains("list-type=") || query.contains("comp=list");
        let response = self.inner.execute(request).await?;
        if is_get && !is_list && response.status().is_success() {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let listed = Arc::clone(&self.listed);
        let reading = within_limits(body, is_list.then_some(&*listed));
        let body = match tokio::time::timeout(TIMEOUT, reading).await {
            Ok(body) => body?,
            Err(_) => return Err(refused(format!("timed out after {} s", TIMEOUT.as_secs()))),
        };
        Ok(HttpResponse::from_parts(parts, body.into()))
    }
}

async fn within_limits(
    body: HttpResponseBody,
    listed: Option<&AtomicUsize>,
) -> Result<Vec<u8>, HttpError> {
    let mut pieces = body.bytes_stream();
    let mut content = Vec::new();
    while let Some(piece) = pieces.try_next().await? {
        if content.len() + piece.len() > MAX_RESPONSE {
            return Err(refused(format!(
                "the response has more than {MAX_RESPONSE} bytes"
            )));
        }
        if let Some(listed) = listed
            && listed.fetch_add(piece.len(), Ordering::Relaxed) + piece.len() > MAX_LISTS
        {
            return Err(refused(format!("the list has more than {MAX_LISTS} bytes")));
        }
        content.extend_from_slice(&piece);
    }
    Ok(content)
}

/// An error that is not tried again.
fn refused(reason: String) -> HttpError {
    HttpError::new(HttpErrorKind::Decode, std::io::Error::other(reason))
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use llmeter_testing::{ScriptedServer, Step};

    use super::*;

    #[test]
    fn lists_have_a_limit_and_objects_have_none() {
        let body = vec![b'x'; MAX_RESPONSE + 1];
        let server = ScriptedServer::respond(move |request| {
            let is_large = request.target.contains("large");
            let body = if is_large {
                &body
            } else {
                &body[..MAX_RESPONSE - 1]
            };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            vec![Step::Write([head.as_bytes(), body].concat())]
        });
        let server = server.start().unwrap();
        let options = ClientOptions::new().with_allow_http(true);
        let client = Limited::default().connect(&options).unwrap();
        let get = async |path: &str| {
            let uri = format!("http://{}{path}", server.address());
            let request = http::Request::get(uri).body(Vec::new().into()).unwrap();
            let read = client.execute(request).await?.into_body().bytes().await;
            read.map(|body| body.len())
        };
        let reason = |failed: HttpError| failed.source().unwrap().to_string();
        crate::base::runtime::runtime().unwrap().block_on(async {
            assert_eq!(get("/large").await.unwrap(), MAX_RESPONSE + 1);
            let large = get("/?list-type=2&prefix=large").await.unwrap_err();
            assert!(reason(large).contains("more than 16777216 bytes"));
            // Pages count together, what was read of the one before too.
            for _ in 0..3 {
                let read = get("/?comp=list&restype=container").await;
                if let Err(failed) = read {
                    return assert!(reason(failed).contains("more than 67108864 bytes"));
                }
            }
            assert!(get("/?list-type=2").await.is_err());
        });
    }

    #[test]
    fn what_requests_carry_is_hidden() {
        let carried = Carried::default();
        let note = |headers: &[(&str, &str)], body: &'static str| {
            let mut request = http::Request::post("http://host/");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            carried.note(&request.body(body.as_bytes().to_vec().into()).unwrap());
        };
        note(&[("Authorization", "Bearer ya29.Zx8Wc7Vb6Nm5")], "");
        note(
            &[("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/1")],
            "",
        );
        note(&[("x-amz-security-token", "FwoGZXIvYXdzEJr8Qk3")], "");
        let form = ("Content-Type", "application/x-www-form-urlencoded");
        note(
            &[form],
            "grant_type=refresh_token&refresh_token=1%2F%2F0Kd9Lp2Rt4",
        );
        let text =
            "ya29.Zx8Wc7Vb6Nm5, FwoGZXIvYXdzEJr8Qk3, 1//0Kd9Lp2Rt4, AKIDEXAMPLE, refresh_token";
        assert_eq!(
            carried.redact(text),
            "<redacted>, <redacted>, <redacted>, AKIDEXAMPLE, refresh_token"
        );
        for number in 0..20 {
            note(
                &[("authorization", &format!("Bearer token-{number}-Gh5Ty7"))],
                "",
            );
        }
        assert_eq!(carried.known().len(), MAX_CARRIED);
    }
}
