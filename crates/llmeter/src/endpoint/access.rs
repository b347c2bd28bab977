//! How an HTTP API is reached: its address, and what every request carries.

use std::borrow::Cow;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

use crate::api::APIS;
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use llmeter_wire::redaction::Redaction;
use llmeter_wire::{Server, content_encoding, unix_address, unix_base_url};

/// Headers that would break the wire's own framing or reading of the response.
const WIRE_HEADERS: [&str; 8] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers whose values are no secret and are saved, beside those of single APIs.
const HARMLESS_HEADERS: [&str; 8] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "content-type",
    "http-referer",
    "referer",
    "user-agent",
    "x-title",
];

pub(crate) fn is_harmless_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.as_str();
    HARMLESS_HEADERS.contains(&name)
        || APIS
            .iter()
            .any(|api| api.spec().plain_headers.contains(&name))
}

/// Whether a parameter's name says that its value is a secret.
fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "key", "token", "secret", "auth", "sig", "pass", "cred", "code",
    ]
    .iter()
    .any(|word| name.contains(word))
}

/// What a user says of an API's address and of the requests to it.
#[derive(Debug, Clone, Default)]
pub(super) struct AccessSettings {
    pub(crate) base_url: String,
    pub(crate) headers: Vec<(String, SecretString)>,
    pub(crate) query: Vec<(String, String)>,
    /// A header was given as a line without a colon.
    pub(crate) bad_header_line: bool,
}

impl AccessSettings {
    /// Adds a header, written as one line: `Name: value`.
    pub(super) fn header_line(&mut self, line: &str) {
        match line.split_once(':') {
            Some((name, value)) => {
                let header = (name.trim().to_owned(), value.trim().into());
                self.headers.push(header);
            }
            None => self.bad_header_line = true,
        }
    }
}

/// An API's address, and what the user adds to each request.
#[derive(Debug, Clone)]
pub(super) struct HttpAccess {
    server: Server,
    /// With a slash at the end. For a Unix socket it has `localhost` for a host.
    base_url: Url,
    /// The base URL as it is shown and saved.
    shown: String,
    headers: Vec<(String, SecretString)>,
    query: Vec<(String, String)>,
    redaction: Redaction,
}

impl HttpAccess {
    /// Checks the settings. `appended` is the path that the API adds to the base URL, which users
    /// sometimes give as well; `keys` are secrets that requests carry beside the user's headers.
    ///
    /// # Errors
    /// When the base URL or a header cannot be used. No message holds a header's value.
    pub(super) fn new(
        settings: &AccessSettings,
        appended: &[&str],
        keys: &[SecretString],
    ) -> Result<Self> {
        let given = settings.base_url.trim();
        let (base_url, server, shown) = match unix_address(given) {
            None => {
                let base_url = base_url(given, given, appended)?;
                let server = Server::from_url(&base_url)?;
                let shown = base_url.to_string();
                (base_url, server, shown)
            }
            Some((socket, path)) => {
                let server = Server::from_socket(socket)?;
                let base_url = base_url(&format!("http://localhost{path}"), given, appended)?;
                let shown = unix_base_url(socket, base_url.path());
                (base_url, server, shown)
            }
        };
        if settings.bad_header_line {
            return Err(Error::hidden(Setting::Header, "a line like 'Name: value'"));
        }
        let mut headers: Vec<(String, SecretString)> = Vec::new();
        for (name, value) in &settings.headers {
            let value = header(name, value)?;
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.push((name.clone(), value));
        }
        let redaction = redaction(keys, &headers, &settings.query);
        Ok(Self {
            server,
            base_url,
            shown,
            headers,
            query: settings.query.clone(),
            redaction,
        })
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// With a slash at the end.
    pub(super) fn base_url(&self) -> &str {
        &self.shown
    }

    /// The names of the headers that the user gave.
    pub(super) fn header_names(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(|(name, _)| name.as_str())
    }

    /// Path and query of a request. `path` is below the base URL; it may have a query of its own.
    pub(super) fn target(&self, path: &str) -> String {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}{path}", self.base_url.path()));
        url.set_query(query);
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        }
    }

    /// All headers of a JSON request: llmeter's and the API's, over which the user's win.
    pub(super) fn headers(
        &self,
        accept: &str,
        of_api: Vec<(String, SecretString)>,
    ) -> Vec<(String, SecretString)> {
        let agent = concat!("llmeter/", env!("CARGO_PKG_VERSION"));
        let mut headers: Vec<(String, SecretString)> = vec![
            ("Content-Type".into(), "application/json".into()),
            ("Accept".into(), accept.into()),
            ("User-Agent".into(), agent.into()),
        ];
        headers.extend(of_api);
        headers.retain(|(name, _)| {
            let is_own = |(own, _): &(String, _)| own.eq_ignore_ascii_case(name);
            !self.headers.iter().any(is_own)
        });
        headers.extend(self.headers.iter().cloned());
        headers
    }

    /// Hides the secrets of requests in a text.
    pub(super) fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.redaction.apply(text)
    }

    /// The user's headers that are no secrets.
    pub(super) fn saved_headers(&self) -> Map<String, Value> {
        let harmless = self
            .headers
            .iter()
            .filter(|(name, _)| is_harmless_header(name));
        harmless
            .map(|(name, value)| (name.clone(), json!(value.expose_secret())))
            .collect()
    }

    /// The names of the user's headers that may be secrets, and are not saved.
    pub(super) fn unsaved_headers(&self) -> Vec<Value> {
        let names = self.header_names();
        let secret = names.filter(|name| !is_harmless_header(name));
        secret.map(Value::from).collect()
    }

    /// The names of the user's query parameters that may be secrets, and are not saved.
    pub(super) fn unsaved_query(&self) -> Vec<Value> {
        let names = self.query.iter().map(|(name, _)| name);
        let secret = names.filter(|name| is_secret_name(name));
        secret.map(|name| json!(name)).collect()
    }

    /// The user's query parameters that are no secrets.
    pub(super) fn saved_query(&self) -> Map<String, Value> {
        let harmless = self.query.iter().filter(|(name, _)| !is_secret_name(name));
        harmless
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect()
    }
}

/// The entries of a saved mapping; values that are no texts are written as JSON.
pub(super) fn pairs(state: &Map<String, Value>, name: &str) -> Vec<(String, String)> {
    let entries = state.get(name).and_then(Value::as_object);
    entries
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (name.clone(), value)
        })
        .collect()
}

/// A base URL with a slash at the end. `given` is what the user wrote for it; `appended` is a path
/// that the API adds itself.
fn base_url(text: &str, given: &str, appended: &[&str]) -> Result<Url> {
    let refuse = |expected: &str| {
        // A URL with credentials must not be repeated.
        match given.contains('@') {
            true => Error::hidden(Setting::BaseUrl, expected),
            false => Error::invalid(Setting::BaseUrl, given, expected),
        }
    };
    let mut url: Url = text.parse().map_err(|_| {
        refuse(
            "a URL with the path of the API, for example http://127.0.0.1:8000/v1 or \
             unix:/run/llm.sock:/v1",
        )
    })?;
    if url.query().is_some() || url.fragment().is_some() {
        let mut short = url.clone();
        short.set_query(None);
        short.set_fragment(None);
        // The query may hold a key.
        let expected = "a URL without a query or fragment";
        return Err(match text.contains('@') {
            true => Error::hidden(Setting::BaseUrl, expected),
            false => Error::invalid(Setting::BaseUrl, format!("{short}?…"), expected),
        });
    }
    if url.cannot_be_a_base() {
        return Err(refuse("a URL that begins with http://, https:// or unix:"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    let mut appended = appended.iter();
    if let Some(appended) = appended.find(|appended| path.ends_with(&format!("/{appended}"))) {
        return Err(refuse(&format!(
            "a URL without /{appended}, which is added"
        )));
    }
    url.set_path(&format!("{path}/"));
    Ok(url)
}

/// The key without white space around it; `None` if nothing is left.
pub(super) fn api_key(key: &SecretString) -> Result<Option<SecretString>> {
    let text = key.expose_secret().trim();
    if text.is_empty() {
        return Ok(None);
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::hidden(
            Setting::ApiKey,
            "a key of visible ASCII characters without spaces",
        ));
    }
    Ok(Some(text.into()))
}

/// Checks a header and returns its value without white space around it.
pub(crate) fn header(name: &str, value: &SecretString) -> Result<SecretString> {
    let refuse = |given: String, expected| Err(Error::invalid(Setting::Header, given, expected));
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return refuse(format!("{name:?}"), "a name of letters, digits and hyphens");
    }
    if WIRE_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        let expected = "a header other than those that llmeter sets itself to carry the request";
        return refuse(name.to_owned(), expected);
    }
    let value = value.expose_secret().trim_matches([' ', '\t']);
    if value.contains(|c: char| c.is_ascii_control() && c != '\t') {
        let expected = "a value without line ends and control characters";
        return refuse(format!("{name}: …"), expected);
    }
    if name.eq_ignore_ascii_case("accept-encoding")
        && !codings(value).all(content_encoding::is_readable)
    {
        let expected = "encodings that llmeter can undo: gzip, deflate";
        return refuse(format!("{name}: {value}"), expected);
    }
    Ok(value.into())
}

/// The names in a value like `gzip;q=1.0, deflate`.
fn codings(value: &str) -> impl Iterator<Item = &str> {
    let items = value.split(',');
    let names = items.map(|item| item.split(';').next().unwrap_or_default().trim());
    names.filter(|name| !name.is_empty())
}

/// What must not appear in a text: the keys, the values of headers that are not known to be
/// harmless, and those of query parameters with a telling name.
fn redaction(
    keys: &[SecretString],
    headers: &[(String, SecretString)],
    query: &[(String, String)],
) -> Redaction {
    let mut found: Vec<String> = Vec::new();
    found.extend(keys.iter().map(|key| key.expose_secret().to_owned()));
    let secret = headers.iter().filter(|(name, _)| !is_harmless_header(name));
    for value in secret.map(|(_, value)| value.expose_secret()) {
        found.push(value.to_owned());
        // A server may repeat a token without the word before it: `Bearer …`.
        let Some((scheme, token)) = value.split_once(' ') else {
            continue;
        };
        if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            found.push(token.trim().to_owned());
            if scheme.eq_ignore_ascii_case("basic") {
                found.extend(password(token.trim()));
            }
        }
    }
    let secret = query.iter().filter(|(name, _)| is_secret_name(name));
    found.extend(secret.map(|(_, value)| value.clone()));
    Redaction::new(found.iter().map(String::as_str))
}

/// The password in a user's credentials, `user:password` in base64.
fn password(credentials: &str) -> Option<String> {
    use base64::Engine as _;
    let decoded = base64::engine::general_purpose::STANDARD.decode(credentials);
    let text = String::from_utf8(decoded.ok()?).ok()?;
    Some(text.split_once(':')?.1.to_owned())
}
