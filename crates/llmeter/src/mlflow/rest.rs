//! Requests to a tracking server: tries, time limits, and responses.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER,
};
use reqwest::{Method, StatusCode, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::error::{MlflowError, colon};
use super::server::{Authorization, CERTIFICATES, Lookup, TrackingUri};
use crate::base::file::{self, MAX_TEXT_FILE};
use crate::base::shown::{cut, one_line};
use crate::base::side_traffic::{self, BodyError, body_of};
use llmeter_wire::tls_words;

/// The wait before the second try; it doubles from try to try.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The maximum length in characters of a server's message that are passed on.
const MAX_MESSAGE: usize = 500;
/// The same before secrets are hidden in it.
const MAX_FOREIGN: usize = 100_000;
/// Bytes for which an upload gets a second more.
const BYTES_PER_SECOND: u64 = 1_000_000;
const DAY: Duration = Duration::from_secs(86_400);
const API: &str = "/api/2.0/mlflow/";
/// The part of the server that takes artifacts.
pub(super) const ARTIFACTS: &str = "/api/2.0/mlflow-artifacts/artifacts";

/// A tracking server as seen through its REST API.
pub(super) struct Server {
    http: reqwest::Client,
    uri: TrackingUri,
    authorization: Authorization,
    /// The maximum of attempts of one request.
    tries: u32,
    /// For one request, all its tries included.
    timeout: Duration,
}

impl std::fmt::Display for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.uri.fmt(formatter)
    }
}

/// What a request carries.
pub(super) enum Body<'a> {
    Empty,
    Bytes(Vec<u8>, &'static str),
    /// Read while it is sent.
    File(&'a Path, &'static str),
}

/// Why one try failed.
enum Failure {
    /// Another may succeed, at the earliest after so long.
    Passing(String, Option<Duration>),
    Final(MlflowError),
}

impl Server {
    /// # Errors
    /// If the settings or the environment cannot be used.
    pub(super) fn new(
        uri: TrackingUri,
        tries: u32,
        timeout: Duration,
        lookup: Lookup<'_>,
    ) -> Result<Self, MlflowError> {
        let authorization = Authorization::of(&uri, lookup)?;
        let mut builder = side_traffic::client()
            .user_agent(concat!("llmeter/", env!("CARGO_PKG_VERSION")))
            // A POST that is redirected becomes a GET, and credentials might go elsewhere.
            .redirect(redirect::Policy::none());
        if let Some(path) = lookup(CERTIFICATES) {
            let unusable = |reason: String| {
                MlflowError::Setting(format!(
                    "{CERTIFICATES}: {path} is not usable: {reason}; accepted is a PEM file"
                ))
            };
            let pem =
                file::read(&path, MAX_TEXT_FILE).map_err(|reason| unusable(reason.to_string()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|reason| unusable(reason.to_string()))?;
            builder = builder.tls_certs_only(certificates);
        }
        let http = builder.build().map_err(|reason| {
            MlflowError::Setting(format!("no HTTP client can be made: {}", chain(&reason)))
        })?;
        Ok(Self {
            http,
            uri,
            authorization,
            tries,
            timeout,
        })
    }

    /// Its address, without credentials.
    pub(super) fn url(&self) -> &Url {
        self.uri.url()
    }

    /// Where people see a run.
    pub(super) fn page(&self, experiment: &str, run: &str) -> String {
        format!("{}/#/experiments/{experiment}/runs/{run}", self.uri)
    }

    /// Asks for something. `action` says in errors what it was for.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        action: &'static str,
        endpoint: &str,
        query: &[(&str, &str)],
    ) -> Result<T, MlflowError> {
        let mut url = self.endpoint(endpoint);
        url.query_pairs_mut().extend_pairs(query);
        let response = self.send(action, Method::GET, &url, &Body::Empty).await?;
        self.read(action, &response)
    }

    /// Changes something.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        action: &'static str,
        endpoint: &str,
        body: &Value,
    ) -> Result<T, MlflowError> {
        let url = self.endpoint(endpoint);
        let body = Body::Bytes(body.to_string().into_bytes(), "application/json");
        let response = self.send(action, Method::POST, &url, &body).await?;
        self.read(action, &response)
    }

    /// Puts a file at an address.
    pub(super) async fn put(
        &self,
        action: &'static str,
        url: &Url,
        body: &Body<'_>,
    ) -> Result<(), MlflowError> {
        self.send(action, Method::PUT, url, body).await.map(drop)
    }

    fn endpoint(&self, name: &str) -> Url {
        let mut url = self.uri.url().clone();
        let path = format!("{}{API}{name}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }

    fn read<T: DeserializeOwned>(
        &self,
        action: &'static str,
        response: &[u8],
    ) -> Result<T, MlflowError> {
        let odd = |reason: &str| MlflowError::NotMlflow {
            action,
            server: self.uri.to_string(),
            reason: reason.to_owned(),
        };
        let json: Value = serde_json::from_slice(response).map_err(|_| odd("it is no JSON"))?;
        serde_json::from_value(json).map_err(|_| odd("an expected field is missing"))
    }

    /// Sends until there is a response that counts, the tries are used up, or the time is.
    ///
    /// A server that is slow is waited for, not asked again. A run whose creation was carried out
    /// though its response was lost is created twice; MLflow has no means against that.
    async fn send(
        &self,
        action: &'static str,
        method: Method,
        url: &Url,
        body: &Body<'_>,
    ) -> Result<Vec<u8>, MlflowError> {
        let size = match body {
            Body::File(path, _) => tokio::fs::metadata(path).await.map_or(0, |file| file.len()),
            _ => 0,
        };
        let limit = self
            .timeout
            .saturating_add(Duration::from_secs(size / BYTES_PER_SECOND));
        // A limit beyond what the clock has is none.
        let deadline = tokio::time::Instant::now()
            .checked_add(limit)
            .unwrap_or_else(|| tokio::time::Instant::now() + DAY);
        let mut last = "sent no response".to_owned();
        let mut tried = 0;
        while tried < self.tries {
            tried += 1;
            let attempt = self.attempt(action, method.clone(), url, body);
            let earliest = match tokio::time::timeout_at(deadline, attempt).await {
                Ok(Ok(body)) => return Ok(body),
                Ok(Err(Failure::Final(reason))) => return Err(reason),
                Ok(Err(Failure::Passing(reason, earliest))) => {
                    last = reason;
                    earliest
                }
                Err(_) => {
                    if tried == 1 {
                        last = format!("sent no response within {} s", limit.as_secs_f64());
                    }
                    break;
                }
            };
            let wait = FIRST_WAIT * 2_u32.pow(tried - 1);
            let wait = wait.mul_f64(rand::random_range(0.5..1.5));
            let wait = earliest.map_or(wait, |earliest| earliest.max(wait));
            let next = tokio::time::Instant::now() + wait;
            if next >= deadline {
                // Waiting it out would end in no response but this one.
                break;
            }
            if tried < self.tries {
                tracing::debug!("MLflow: {action}: {last}; again in {wait:?}");
                tokio::time::sleep_until(next).await;
            }
        }
        Err(MlflowError::Unreachable {
            action,
            server: self.uri.to_string(),
            reason: last,
            tries: match tried {
                1 => "tried once".to_owned(),
                _ => format!("tried {tried} times"),
            },
        })
    }

    async fn attempt(
        &self,
        action: &'static str,
        method: Method,
        url: &Url,
        body: &Body<'_>,
    ) -> Result<Vec<u8>, Failure> {
        let mut request = self.http.request(method, url.clone());
        if let Some(header) = &self.authorization.header {
            request = request.header(AUTHORIZATION, header);
        }
        request = match body {
            Body::Empty => request,
            Body::Bytes(bytes, kind) => request.header(CONTENT_TYPE, *kind).body(bytes.clone()),
            Body::File(path, kind) => {
                let unreadable = |reason: std::io::Error| {
                    let reason = format!("reading {}: {reason}", path.display());
                    Failure::Final(MlflowError::Artifact(reason))
                };
                let file =
                    tokio::fs::File::from_std(file::open_unlinked(path).map_err(unreadable)?);
                let size = file.metadata().await.map_err(unreadable)?.len();
                request
                    .header(CONTENT_TYPE, *kind)
                    // Not every server takes a body of unknown length.
                    .header(CONTENT_LENGTH, size)
                    .body(file)
            }
        };
        let passing = |reason: reqwest::Error| {
            let what = if reason.is_connect() {
                "cannot be reached"
            } else {
                "broke off"
            };
            Failure::Passing(self.shown(&format!("{what}: {}", chain(&reason))), None)
        };
        let response = request.send().await.map_err(passing)?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = body_of(response).await.map_err(|reason| match reason {
            BodyError::Broken(reason) => passing(reason),
            BodyError::TooLarge => Failure::Final(MlflowError::NotMlflow {
                action,
                server: self.uri.to_string(),
                reason: reason.to_string(),
            }),
        })?;
        if status.is_success() {
            return Ok(body);
        }
        Err(self.failure(action, status, &headers, &body))
    }

    /// What a response other than success means.
    fn failure(
        &self,
        action: &'static str,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Failure {
        let server = self.uri.to_string();
        if status.is_redirection() {
            let target = headers.get(LOCATION).and_then(|value| value.to_str().ok());
            return Failure::Final(MlflowError::NotMlflow {
                action,
                server,
                reason: match target.and_then(|target| without_secrets(self.uri.url(), target)) {
                    Some(target) => format!("it redirects to {}", self.shown(&target)),
                    None => "it redirects".to_owned(),
                },
            });
        }
        let (code, message) = self.said(body);
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            let seconds = headers
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.trim().parse().ok());
            let reason = format!("responded {}{}", status.as_u16(), colon(&message));
            return Failure::Passing(reason, seconds.map(Duration::from_secs));
        }
        Failure::Final(MlflowError::Refused {
            action,
            server,
            status: status.as_u16(),
            code,
            message,
        })
    }

    /// The error code and the message of a response; a page for people says nothing here.
    fn said(&self, body: &[u8]) -> (String, String) {
        let Ok(Value::Object(error)) = serde_json::from_slice(body) else {
            let text = String::from_utf8_lossy(body);
            let text = Some(text.trim()).filter(|text| !text.contains(['<', '\n']));
            return (String::new(), self.shown(text.unwrap_or_default()));
        };
        let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
        let (code, message) = (text("error_code"), text("message"));
        let both = [code, message].into_iter().filter(|part| !part.is_empty());
        let both = both.collect::<Vec<_>>().join(": ");
        (self.shown(code), self.shown(&both))
    }

    /// A foreign text as errors may show it: on one short line and without secrets.
    fn shown(&self, text: &str) -> String {
        one_line(
            &self.authorization.redact(&cut(text, MAX_FOREIGN)),
            MAX_MESSAGE,
        )
    }
}

/// An error and its causes, without the address, which the caller knows.
fn chain(reason: &reqwest::Error) -> String {
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(reason);
    let mut last = None;
    while let Some(inner) = cause {
        last = Some(tls_words(inner).unwrap_or_else(|| inner.to_string()));
        cause = inner.source();
    }
    // The innermost says what happened; the outer ones say which layer noticed.
    last.unwrap_or_else(|| "the request failed".to_owned())
}

/// Where a redirection leads.
fn without_secrets(base: &Url, target: &str) -> Option<String> {
    let mut url = base.join(target).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some(url.to_string())
}
