//! Checks the settings of an endpoint and makes one of them.

use std::marker::PhantomData;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{OpenAi, OpenAiApi};
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::endpoint::Identity;
use crate::endpoint::access::{self, Access, AccessSettings};

/// Settings of an [`OpenAi`] endpoint.
#[derive(Debug, Clone)]
#[must_use = "a builder makes nothing until `build` is called"]
pub struct OpenAiBuilder<A> {
    access: AccessSettings,
    model_id: String,
    streaming: bool,
    api_key: Option<SecretString>,
    endpoint_name: Option<String>,
    provider: String,
    organization: Option<String>,
    project: Option<String>,
    timeout: Value,
    api: PhantomData<fn() -> A>,
}

impl<A: OpenAiApi> OpenAiBuilder<A> {
    pub(super) fn new(base_url: String, model_id: String) -> Self {
        Self {
            access: AccessSettings {
                base_url,
                ..AccessSettings::default()
            },
            model_id,
            streaming: A::FORM.streaming_class.is_some(),
            api_key: None,
            endpoint_name: None,
            provider: A::FORM.provider.to_owned(),
            organization: None,
            project: None,
            // What the Python system's client takes when nothing is set.
            timeout: json!({"connect": 5.0, "read": 600, "write": 600, "pool": 600}),
            api: PhantomData,
        }
    }

    /// Whether the answer is asked for in pieces; yes if not set and the API can do it.
    pub fn streaming(mut self, streaming: bool) -> Self {
        self.streaming = streaming;
        self
    }

    /// The key, sent as the API wants it, mostly as a bearer token. A server that needs none can go
    /// without.
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

    /// A name for the endpoint, for people; the API's own if not set.
    pub fn endpoint_name(mut self, name: impl Into<String>) -> Self {
        self.endpoint_name = Some(name.into());
        self
    }

    /// Who runs the endpoint; the API's usual provider if not set.
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
    /// When the base URL, a header, the key or the model cannot be used, or the API has no streams
    /// and one is asked for. No message holds a header's value or the key.
    pub fn build(mut self) -> Result<OpenAi<A>> {
        if self.model_id.trim().is_empty() {
            return Err(Error::missing(Setting::Model));
        }
        let api_key = match &self.api_key {
            Some(key) => access::api_key(key)?,
            None => None,
        };
        let keys: Vec<_> = api_key.iter().cloned().collect();
        if self.streaming && A::FORM.streaming_class.is_none() {
            return Err(Error::field(
                "streaming",
                true,
                "false: this API does not stream",
            ));
        }
        let AccessSettings {
            base_url, query, ..
        } = &mut self.access;
        let path = A::address(base_url, query, &self.model_id)?;
        let access = Access::new(&self.access, A::FORM.path, &keys)?;
        let mut headers = Vec::new();
        if let Some(key) = &api_key {
            let (name, value) = A::key_header(key.expose_secret());
            headers.push((name.to_owned(), value));
        }
        for (name, value) in [
            ("OpenAI-Organization", &self.organization),
            ("OpenAI-Project", &self.project),
        ] {
            if let Some(value) = value {
                let value = access::header(name, &value.as_str().into())?;
                headers.push((name.to_owned(), value));
            }
        }
        Ok(OpenAi {
            identity: Identity {
                model_id: self.model_id,
                endpoint_name: self.endpoint_name.unwrap_or_else(|| {
                    let [whole, streaming] = A::FORM.endpoint_names;
                    let name = if self.streaming { streaming } else { whole };
                    name.to_owned()
                }),
                provider: self.provider,
            },
            streaming: self.streaming,
            target: access.target(&path),
            headers: access.headers(accept(self.streaming), headers),
            access,
            organization: self.organization,
            project: self.project,
            timeout: self.timeout,
            api: PhantomData,
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
