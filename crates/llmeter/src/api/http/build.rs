//! Checks the settings of an endpoint and makes it.

use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use super::HttpEndpoint;
use super::decode::{ANSWER_PARTS, Places};
use super::template::BodyTemplate;
use crate::api::jmespath::Path;
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::endpoint::access::{Access, AccessSettings, api_key, path_segment};
use crate::endpoint::json_api::bearer;
use crate::endpoint::{EndpointSettings, Framing, Identity};

/// Settings of an [`HttpEndpoint`].
#[derive(Debug, Clone)]
#[must_use = "a builder makes nothing until `build` is called"]
pub struct HttpEndpointBuilder {
    url: String,
    model_id: String,
    endpoint_name: String,
    provider: String,
    method: String,
    body: Option<String>,
    framing: Option<Framing>,
    places: Vec<(String, String)>,
    api_key: Option<SecretString>,
    access: AccessSettings,
}

impl HttpEndpointBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            model_id: "unknown".to_owned(),
            endpoint_name: "http".to_owned(),
            provider: "http".to_owned(),
            method: "POST".to_owned(),
            body: None,
            framing: None,
            places: Vec::new(),
            api_key: None,
            access: AccessSettings::default(),
        }
    }

    /// The builder for what a user said.
    ///
    /// # Errors
    /// When there is no address, or the framing has another name.
    pub(crate) fn of_settings(settings: &EndpointSettings) -> Result<Self> {
        let url = settings.base_url("http://localhost:9000/generate")?;
        let mut builder = Self::new(url.to_owned());
        if let Some(model) = &settings.model {
            builder = builder.model(model);
        }
        if let Some(provider) = &settings.provider {
            builder = builder.provider(provider);
        }
        if let Some(method) = &settings.method {
            builder = builder.method(method);
        }
        if let Some(body) = &settings.body {
            builder = builder.body(body);
        }
        if let Some(name) = &settings.framing {
            builder.framing = framing_named(name)?;
        }
        builder.places.clone_from(&settings.jmespath);
        builder.api_key.clone_from(&settings.api_key);
        builder.access.headers.clone_from(&settings.headers);
        Ok(builder)
    }

    /// The model, for the record and for templates; `unknown` if not set.
    pub fn model(mut self, model_id: impl Into<String>) -> Self {
        self.model_id = model_id.into();
        self
    }

    /// A name for the endpoint, for people; `http` if not set.
    pub fn endpoint_name(mut self, name: impl Into<String>) -> Self {
        self.endpoint_name = name.into();
        self
    }

    /// Who runs the endpoint; `http` if not set.
    pub fn provider(mut self, provider: impl Into<String>) -> Self {
        self.provider = provider.into();
        self
    }

    /// The HTTP method; POST if not set.
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = method.into();
        self
    }

    /// The template of a request's body; the payload as it is if not set. One of white space alone
    /// sends no body.
    pub fn body(mut self, template: impl Into<String>) -> Self {
        self.body = Some(template.into());
        self
    }

    /// The answer is a stream, framed like this. If not set it comes at once.
    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = Some(framing);
        self
    }

    /// Where a part of the answer is, one of [`ANSWER_PARTS`]. Of two for one part the later counts.
    pub fn jmespath(mut self, part: impl Into<String>, path: impl Into<String>) -> Self {
        self.places.push((part.into(), path.into()));
        self
    }

    /// The key: what a template calls `api_key`, and, if none does, a bearer token.
    pub fn api_key(mut self, key: impl Into<SecretString>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// A further header of every request. It wins over llmeter's own header of that name; of two
    /// with one name the later one counts.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.access.headers.push((name.into(), value.into()));
        self
    }

    /// A query parameter of every request, beside those of the address.
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.access.query.push((name.into(), value.into()));
        self
    }

    /// Checks the settings and makes the endpoint.
    ///
    /// # Errors
    /// When the address, a header, the key, the method, the template or an expression cannot be
    /// used, or it is not said where a stream has its text. No message holds a secret.
    pub fn build(mut self) -> Result<HttpEndpoint> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if self.method.is_empty() || !self.method.bytes().all(is_token) {
            let expected = "an HTTP method like POST, PUT or GET";
            return Err(Error::invalid(
                Setting::Method,
                format!("{:?}", self.method),
                expected,
            ));
        }
        let (base_url, path) = self.address()?;
        self.access.base_url = base_url;
        let api_key = match &self.api_key {
            Some(key) => api_key(key)?,
            None => None,
        };
        let keys: Vec<_> = api_key.iter().cloned().collect();
        let access = Access::new(&self.access, "", &keys)?;
        let body = BodyTemplate::new(self.body.as_deref())?;
        for (part, path) in &self.places {
            if !ANSWER_PARTS.iter().any(|(name, _)| name == part) {
                let names: Vec<_> = ANSWER_PARTS.iter().map(|(name, _)| *name).collect();
                let expected = format!("one of the parts {}", names.join(", "));
                return Err(Error::invalid(
                    Setting::Jmespath,
                    format!("{part}={path}"),
                    expected,
                ));
            }
        }
        let place = |part: &str| {
            let mut places = self.places.iter().rev();
            places
                .find(|(name, _)| name == part)
                .map(|(_, path)| path.clone())
        };
        if self.framing.is_some() && place("text").is_none() {
            return Err(
                Error::missing_like(Setting::Jmespath, "text=choices[0].delta.content")
                    .with_hint("say where a frame of the stream has its text"),
            );
        }
        let prompt = place("prompt")
            .map(|text| Path::new("prompt", &text))
            .transpose()?;
        let accept = match self.framing {
            Some(framing) => framing.media_type(),
            None => "application/json",
        };
        let of_key = match &api_key {
            Some(key) if !body.text().contains("api_key") => {
                let (name, value) = bearer(key);
                vec![(name.to_owned(), value)]
            }
            _ => Vec::new(),
        };
        Ok(HttpEndpoint {
            target: access.target(&path),
            headers: access.headers(accept, of_key),
            places: Places::new(place)?,
            prompt,
            url: self.url,
            method: self.method.to_ascii_uppercase(),
            identity: Identity {
                model_id: self.model_id,
                endpoint_name: self.endpoint_name,
                provider: self.provider,
            },
            access,
            api_key,
            body,
            framing: self.framing,
        })
    }

    /// Cuts the address into a base URL and the last segment of its path; its query goes to the
    /// others.
    fn address(&mut self) -> Result<(String, String)> {
        let expected = "a URL with the whole path, like http://localhost:9000/generate";
        // An address that is none may still hold a key.
        let refuse = || Error::hidden(Setting::BaseUrl, expected);
        let model = path_segment(&self.model_id);
        let filled = self
            .url
            .trim()
            .replace("{{ model }}", &model)
            .replace("{{model}}", &model);
        let mut url: Url = filled.parse().map_err(|_| refuse())?;
        if url.cannot_be_a_base() {
            return Err(refuse());
        }
        let query: Vec<(String, String)> = url
            .query_pairs()
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        url.set_query(None);
        url.set_fragment(None);
        // What is saved has no query: it may hold a key.
        if let Some((before, _)) = self.url.trim().split_once(['?', '#']) {
            self.url = before.to_owned();
        }
        self.access.query.splice(..0, query);
        let path = url.path().to_owned();
        let (folder, last) = path.rsplit_once('/').unwrap_or(("", ""));
        url.set_path(folder);
        Ok((url.into(), last.to_owned()))
    }
}

/// How a stream is framed, by the name that users give it; `None` if there is no stream.
pub(super) fn framing_named(name: &str) -> Result<Option<Framing>> {
    FRAMINGS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, framing)| *framing)
        .ok_or_else(|| {
            let names: Vec<_> = FRAMINGS.iter().map(|(name, _)| *name).collect();
            Error::invalid(
                Setting::Framing,
                name,
                format!("one of {}", names.join(", ")),
            )
        })
}

/// The names of framings.
pub(super) const FRAMINGS: [(&str, Option<Framing>); 4] = [
    ("none", None),
    ("sse", Some(Framing::Sse)),
    ("ndjson", Some(Framing::JsonLines)),
    ("event-stream", Some(Framing::EventStream)),
];

impl HttpEndpointBuilder {
    /// The expressions as a file has them.
    pub(super) fn saved_places(mut self, places: &serde_json::Map<String, Value>) -> Result<Self> {
        for (part, path) in places {
            let Value::String(path) = path else {
                return Err(Error::field("jmespath", path, "expressions as texts"));
            };
            self.places.push((part.clone(), path.clone()));
        }
        Ok(self)
    }

    /// The framing as a file has it.
    pub(super) fn saved_framing(mut self, name: &str) -> Result<Self> {
        self.framing = framing_named(name)?;
        Ok(self)
    }
}
