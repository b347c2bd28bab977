//! Checks the settings of an endpoint and makes one of them.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::OpenAiChat;
use super::saved::{is_harmless_header, is_secret_name};
use crate::endpoint::Identity;
use crate::error::{Error, Result};
use crate::wire::Server;

/// Headers that would break the wire's own framing or reading of the answer.
const WIRE_HEADERS: [&str; 9] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Shorter secrets are no secrets, and replacing them would garble any text.
const SHORTEST_SECRET: usize = 4;

/// Settings of an [`OpenAiChat`] endpoint.
#[derive(Debug, Clone)]
#[must_use = "a builder makes nothing until `build` is called"]
pub struct OpenAiChatBuilder {
    base_url: String,
    model_id: String,
    streaming: bool,
    api_key: Option<SecretString>,
    headers: Vec<(String, SecretString)>,
    query: Vec<(String, String)>,
    endpoint_name: String,
    provider: String,
    organization: Option<String>,
    project: Option<String>,
    timeout: Value,
    bad_header_line: bool,
}

impl OpenAiChatBuilder {
    pub(super) fn new(base_url: String, model_id: String) -> Self {
        Self {
            base_url,
            model_id,
            streaming: true,
            api_key: None,
            headers: Vec::new(),
            query: Vec::new(),
            endpoint_name: "openai".to_owned(),
            provider: "openai".to_owned(),
            organization: None,
            project: None,
            // What the Python system's client takes when nothing is set.
            timeout: json!({"connect": 5.0, "read": 600, "write": 600, "pool": 600}),
            bad_header_line: false,
        }
    }

    /// Whether the answer is asked for in pieces; yes if not set.
    pub fn streaming(mut self, streaming: bool) -> Self {
        self.streaming = streaming;
        self
    }

    /// The key that is sent as a bearer token. A server that needs none can go without.
    pub fn api_key(mut self, key: impl Into<SecretString>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// A further header of every request. It wins over llmeter's own header of that name; of two
    /// with one name the later one counts.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// A further header, written as one line: `Name: value`.
    pub fn header_line(mut self, line: &str) -> Self {
        match line.split_once(':') {
            Some((name, value)) => self.header(name.trim(), value.trim()),
            None => {
                self.bad_header_line = true;
                self
            }
        }
    }

    /// A query parameter of every request.
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// A name for the endpoint, for people; `openai` if not set.
    pub fn endpoint_name(mut self, name: impl Into<String>) -> Self {
        self.endpoint_name = name.into();
        self
    }

    /// Who runs the endpoint; `openai` if not set.
    pub fn provider(mut self, provider: impl Into<String>) -> Self {
        self.provider = provider.into();
        self
    }

    /// The OpenAI organization that is charged.
    pub fn organization(mut self, organization: impl Into<String>) -> Self {
        self.organization = Some(organization.into());
        self
    }

    /// The OpenAI project that is charged.
    pub fn project(mut self, project: impl Into<String>) -> Self {
        self.project = Some(project.into());
        self
    }

    /// The timeout that the saved endpoint names, for the Python system's client. What ends a
    /// request here is the run's timeout.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = json!(timeout.as_secs_f64());
        self
    }

    /// The timeout in the form in which it was saved: a number or an object.
    pub(super) fn saved_timeout(mut self, timeout: Value) -> Self {
        self.timeout = timeout;
        self
    }

    /// Checks the settings and makes the endpoint.
    ///
    /// # Errors
    /// When the base URL, a header, the key or the model cannot be used. No message holds a
    /// header's value or the key.
    pub fn build(self) -> Result<OpenAiChat> {
        if self.model_id.trim().is_empty() {
            return Err(Error::invalid("model", "(empty)", "the model's id"));
        }
        let url = base_url(&self.base_url)?;
        let server = Server::from_url(&url)?;

        let mut request_url = url.clone();
        request_url.set_path(&format!("{}chat/completions", url.path()));
        if !self.query.is_empty() {
            request_url.query_pairs_mut().extend_pairs(&self.query);
        }
        let target = match request_url.query() {
            Some(query) => format!("{}?{query}", request_url.path()),
            None => request_url.path().to_owned(),
        };

        let api_key = match &self.api_key {
            Some(key) => api_key(key)?,
            None => None,
        };
        if self.bad_header_line {
            return Err(Error::invalid(
                "header",
                "(a line without a colon)",
                "a line of the form 'Name: value'",
            ));
        }
        let mut own_headers: Vec<(String, SecretString)> = Vec::new();
        for (name, value) in &self.headers {
            let value = header(name, value)?;
            own_headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            own_headers.push((name.clone(), value));
        }

        let mut headers: Vec<(String, SecretString)> = vec![
            ("Content-Type".into(), "application/json".into()),
            ("Accept".into(), accept(self.streaming).into()),
            (
                "User-Agent".into(),
                concat!("llmeter/", env!("CARGO_PKG_VERSION")).into(),
            ),
        ];
        if let Some(key) = &api_key {
            let value = format!("Bearer {}", key.expose_secret());
            headers.push(("Authorization".into(), value.into()));
        }
        for (name, value) in [
            ("OpenAI-Organization", &self.organization),
            ("OpenAI-Project", &self.project),
        ] {
            if let Some(value) = value {
                headers.push((name.into(), header(name, &value.as_str().into())?));
            }
        }
        headers.retain(|(name, _)| {
            !own_headers
                .iter()
                .any(|(own, _)| own.eq_ignore_ascii_case(name))
        });
        headers.extend(own_headers.iter().cloned());

        let secrets = secrets(api_key.as_ref(), &own_headers, &self.query);
        Ok(OpenAiChat {
            identity: Identity {
                model_id: self.model_id,
                endpoint_name: self.endpoint_name,
                provider: self.provider,
            },
            streaming: self.streaming,
            server,
            base_url: url.into(),
            target,
            headers,
            own_headers,
            query: self.query,
            organization: self.organization,
            project: self.project,
            timeout: self.timeout,
            secrets,
        })
    }
}

fn accept(streaming: bool) -> &'static str {
    if streaming {
        "text/event-stream"
    } else {
        "application/json"
    }
}

/// The URL to which `chat/completions` is appended: with a slash at the end.
fn base_url(text: &str) -> Result<Url> {
    let refuse = |expected: &str| {
        // A URL with credentials must not be repeated.
        let shown = if text.contains('@') {
            "(a URL with a user name or password)"
        } else {
            text
        };
        Error::invalid("base_url", shown, expected)
    };
    let mut url: Url = text.trim().parse().map_err(|_| {
        refuse("a URL with the path of the API, for example http://127.0.0.1:8000/v1")
    })?;
    if url.query().is_some() || url.fragment().is_some() {
        let mut short = url.clone();
        short.set_query(None);
        short.set_fragment(None);
        // The query may hold a key.
        return Err(Error::invalid(
            "base_url",
            if text.contains('@') {
                "(a URL)".to_owned()
            } else {
                format!("{short}?…")
            },
            "a URL without a query or fragment",
        ));
    }
    if url.cannot_be_a_base() {
        return Err(refuse("a URL that begins with http:// or https://"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    if path.ends_with("/chat/completions") {
        return Err(refuse("a URL without /chat/completions, which is added"));
    }
    url.set_path(&format!("{path}/"));
    Ok(url)
}

/// The key without white space around it; `None` if nothing is left.
fn api_key(key: &SecretString) -> Result<Option<SecretString>> {
    let text = key.expose_secret().trim();
    if text.is_empty() {
        return Ok(None);
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::invalid(
            "api_key",
            "(hidden)",
            "a key of visible ASCII characters without spaces",
        ));
    }
    Ok(Some(text.into()))
}

/// Checks a header and returns its value without white space around it.
fn header(name: &str, value: &SecretString) -> Result<SecretString> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(Error::invalid(
            "header",
            format!("the name {name:?}"),
            "a name of letters, digits and hyphens",
        ));
    }
    if WIRE_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(Error::invalid(
            "header",
            name,
            "a header other than those that llmeter sets itself to carry the request",
        ));
    }
    let value = value.expose_secret().trim_matches([' ', '\t']);
    if value
        .bytes()
        .any(|byte| (byte < b' ' && byte != b'\t') || byte == 0x7F)
    {
        return Err(Error::invalid(
            "header",
            format!("the value of {name} (hidden)"),
            "a value without line ends and control characters",
        ));
    }
    Ok(value.into())
}

/// What must not appear in a text: the key, the values of headers that are not known to be
/// harmless, and those of query parameters with a telling name.
fn secrets(
    api_key: Option<&SecretString>,
    headers: &[(String, SecretString)],
    query: &[(String, String)],
) -> Vec<SecretString> {
    let mut found: Vec<&str> = api_key.iter().map(|key| key.expose_secret()).collect();
    for (name, value) in headers {
        if !is_harmless_header(name) {
            let value = value.expose_secret();
            found.push(value);
            // A server may repeat a token without the word before it: `Bearer …`.
            if let Some((scheme, token)) = value.split_once(' ')
                && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
            {
                found.push(token.trim());
            }
        }
    }
    for (name, value) in query {
        if is_secret_name(name) {
            found.push(value);
        }
    }
    found.retain(|secret| secret.len() >= SHORTEST_SECRET);
    found.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
    found.dedup();
    found.into_iter().map(SecretString::from).collect()
}
