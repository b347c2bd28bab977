//! Checks the settings of an endpoint and makes one of them.

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::{Dialect, JsonEndpoint};
use crate::endpoint::access::{self, Access, AccessSettings};
use crate::endpoint::{EndpointSettings, Identity};
use crate::error::{Error, Result};

/// Settings of a [`JsonEndpoint`].
#[derive(Debug, Clone)]
#[must_use = "a builder makes nothing until `build` is called"]
pub struct JsonEndpointBuilder {
    dialect: &'static dyn Dialect,
    access: AccessSettings,
    model_id: String,
    streaming: bool,
    api_key: Option<SecretString>,
    endpoint_name: String,
    provider: String,
    pub(super) kept: Map<String, Value>,
}

impl JsonEndpointBuilder {
    pub(in crate::endpoint) fn new(
        dialect: &'static dyn Dialect,
        base_url: String,
        model_id: String,
    ) -> Self {
        let names = dialect.names();
        Self {
            dialect,
            access: AccessSettings {
                base_url,
                ..AccessSettings::default()
            },
            model_id,
            streaming: true,
            api_key: None,
            endpoint_name: names.endpoint.to_owned(),
            provider: names.provider.to_owned(),
            kept: Map::new(),
        }
    }

    /// The builder for what a user said; without a base URL at the API's usual address.
    pub(in crate::endpoint) fn of_settings(
        dialect: &'static dyn Dialect,
        settings: &EndpointSettings,
        model: &str,
        streaming: bool,
    ) -> Self {
        let base_url = settings.base_url.as_deref();
        let base_url = base_url.unwrap_or(dialect.names().base_url).to_owned();
        let mut builder = Self::new(dialect, base_url, model.to_owned()).streaming(streaming);
        builder.api_key.clone_from(&settings.api_key);
        builder.access.headers.clone_from(&settings.headers);
        builder
    }

    /// Whether the answer is asked for in pieces; yes if not set.
    pub fn streaming(mut self, streaming: bool) -> Self {
        self.streaming = streaming;
        self
    }

    /// The key. A server that needs none can go without.
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

    /// A further header, written as one line: `Name: value`.
    pub fn header_line(mut self, line: &str) -> Self {
        self.access.header_line(line);
        self
    }

    /// A query parameter of every request.
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.access.query.push((name.into(), value.into()));
        self
    }

    /// A name for the endpoint, for people; by default the API's.
    pub fn endpoint_name(mut self, name: impl Into<String>) -> Self {
        self.endpoint_name = name.into();
        self
    }

    /// Who runs the endpoint; by default the one who made the API.
    pub fn provider(mut self, provider: impl Into<String>) -> Self {
        self.provider = provider.into();
        self
    }

    /// Checks the settings and makes the endpoint.
    ///
    /// # Errors
    /// When the base URL, a header, the key, the model or the provider cannot be used. No message
    /// holds a header's value or the key.
    pub fn build(self) -> Result<JsonEndpoint> {
        let model = self.model_id.trim();
        if model.is_empty() {
            return Err(Error::invalid("model", "(empty)", "the model's id"));
        }
        if model.contains(|c: char| c.is_control() || c == '?' || c == '#') {
            return Err(Error::invalid(
                "model",
                format!("{model:?}"),
                "a model's id without ?, # and control characters",
            ));
        }
        self.dialect.check_provider(&self.provider)?;
        let api_key = match &self.api_key {
            Some(key) => access::api_key(key)?,
            None => None,
        };
        let keys: Vec<_> = api_key.iter().cloned().collect();
        let mut access = Access::new(&self.access, "", &keys)?;
        for appended in self.dialect.names().appended {
            access = Access::new(&self.access, appended, &keys)?;
        }
        let own = self.dialect.headers().iter();
        let mut headers: Vec<(String, SecretString)> = own
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        if let Some(key) = &api_key {
            let (name, value) = self.dialect.key_header(key);
            headers.push((name.to_owned(), value));
        }
        let accept = if self.streaming {
            self.dialect.framing().media_type()
        } else {
            "application/json"
        };
        Ok(JsonEndpoint {
            target: access.target(&self.dialect.path(model, self.streaming)),
            headers: access.headers(accept, headers),
            dialect: self.dialect,
            identity: Identity {
                model_id: self.model_id,
                endpoint_name: self.endpoint_name,
                provider: self.provider,
            },
            streaming: self.streaming,
            access,
            kept: self.kept,
        })
    }
}
