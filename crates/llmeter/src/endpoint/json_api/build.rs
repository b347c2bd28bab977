//! Checks the settings of an endpoint and makes one of them.

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::{Dialect, JsonEndpoint, Route};
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::endpoint::access::{self, Access, AccessSettings};
#[cfg(feature = "aws")]
use crate::endpoint::{
    AwsOptions,
    aws::{AwsAccess, Service},
};
use crate::endpoint::{EndpointSettings, Identity};

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
    /// `None` is what the environment says.
    region: Option<String>,
    project: Option<String>,
    #[cfg(feature = "aws")]
    aws: AwsOptions,
    pub(super) kept: Map<String, Value>,
}

impl JsonEndpointBuilder {
    pub(crate) fn new(dialect: &'static dyn Dialect, base_url: String, model_id: String) -> Self {
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
            region: None,
            project: None,
            #[cfg(feature = "aws")]
            aws: AwsOptions::from_environment(),
            kept: Map::new(),
        }
    }

    /// The builder for an endpoint at the API's usual address.
    pub(crate) fn usual(dialect: &'static dyn Dialect, model_id: String) -> Self {
        Self::new(dialect, String::new(), model_id)
    }

    /// The builder for what a user said; without a base URL at the API's usual address.
    pub(crate) fn of_settings(
        dialect: &'static dyn Dialect,
        settings: &EndpointSettings,
        model: &str,
        streaming: bool,
    ) -> Self {
        let base_url = settings.base_url.clone().unwrap_or_default();
        let mut builder = Self::new(dialect, base_url, model.to_owned()).streaming(streaming);
        builder.region.clone_from(&settings.region);
        if let Some(provider) = &settings.provider {
            builder.provider.clone_from(provider);
        }
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

    /// Where the API is, if not at its usual address.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.access.base_url = base_url.into();
        self
    }

    /// The region, for APIs that have one; what the environment says if not set.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// The project, for APIs that have one; what the environment says if not set.
    pub fn project(mut self, project: impl Into<String>) -> Self {
        self.project = Some(project.into());
        self
    }

    /// Credentials of AWS, for APIs that are signed for; those of the environment if not set.
    /// Region, address, key and headers are this builder's own where it has them.
    #[cfg(feature = "aws")]
    pub fn aws(mut self, options: AwsOptions) -> Self {
        self.aws = options;
        self
    }

    /// Checks the settings and makes the endpoint.
    ///
    /// # Errors
    /// When the base URL, a header, the key, the model or the provider cannot be used. No message
    /// holds a header's value or the key.
    pub fn build(mut self) -> Result<JsonEndpoint> {
        let model = self.model_id.trim().to_owned();
        if model.is_empty() {
            return Err(Error::missing(Setting::Model));
        }
        if model.contains(|c: char| c.is_control() || c == '?' || c == '#') {
            return Err(Error::invalid(
                Setting::Model,
                format!("{model:?}"),
                "a model's id without ?, # and control characters",
            ));
        }
        if let Some(dialect) = self.dialect.at_provider(&self.provider)? {
            self.dialect = dialect;
        }
        #[cfg(feature = "aws")]
        let route = match self.dialect.service() {
            Some(service) => self.aws_route(service, &model)?,
            None => self.plain_route(&model)?,
        };
        #[cfg(not(feature = "aws"))]
        let route = self.plain_route(&model)?;
        Ok(JsonEndpoint {
            route,
            dialect: self.dialect,
            identity: Identity {
                model_id: self.model_id,
                endpoint_name: self.endpoint_name,
                provider: self.provider,
            },
            streaming: self.streaming,
            kept: self.kept,
        })
    }

    fn plain_route(&mut self, model: &str) -> Result<Route> {
        let dialect = self.dialect;
        let region = self.region.take().or_else(|| dialect.region());
        let project = self.project.take().or_else(|| dialect.project());
        for (field, value) in [("region", &region), ("project_id", &project)] {
            let is_saved = |(name, _): &(&str, Value)| *name == field;
            if let Some(value) = value
                && dialect.saved_fields(false).iter().any(is_saved)
            {
                self.kept.insert(field.to_owned(), value.as_str().into());
            }
        }
        let usual = dialect.address(region.as_deref());
        if self.access.base_url.is_empty() {
            self.access.base_url = usual.clone().ok_or_else(|| dialect.missing_address())?;
        }
        // Saved endpoints name their address even if it is the usual one.
        let given = self.access.base_url.trim_end_matches('/');
        let is_usual = usual.is_some_and(|usual| usual.trim_end_matches('/') == given);
        let api_key = match &self.api_key {
            Some(key) => access::api_key(key)?,
            None => None,
        };
        let keys: Vec<_> = api_key.iter().cloned().collect();
        let mut access = Access::new(&self.access, "", &keys)?;
        for appended in dialect.names().appended {
            access = Access::new(&self.access, appended, &keys)?;
        }
        let own = dialect.headers().iter();
        let mut headers: Vec<(String, SecretString)> = own
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        if let Some(key) = &api_key {
            let (name, value) = dialect.key_header(key);
            headers.push((name.to_owned(), value));
        }
        let is_authorized = api_key.is_some()
            || access
                .header_names()
                .any(|name| name.eq_ignore_ascii_case("authorization"));
        let prefix = dialect.path_prefix(region.as_deref(), project.as_deref())?;
        let path = dialect.path(model, self.streaming);
        Ok(Route::Plain {
            target: access.target(&format!("{prefix}{path}")),
            headers: access.headers(dialect.accept(self.streaming), headers),
            missing_key: dialect.missing_key().filter(|_| is_usual && !is_authorized),
            access,
        })
    }

    #[cfg(feature = "aws")]
    fn aws_route(&mut self, service: Service, model: &str) -> Result<Route> {
        let mut options = std::mem::take(&mut self.aws);
        if let Some(region) = self.region.take() {
            options = options.region(region);
        }
        if !self.access.base_url.is_empty() {
            options = options.base_url(&self.access.base_url);
        }
        if let Some(key) = &self.api_key {
            options = options.bearer_token(key.clone());
        }
        let access = AwsAccess::with(&options, service, &self.access)?;
        if let Some(region) = access.region() {
            self.kept.insert("aws_region".to_owned(), region.into());
        }
        Ok(Route::Aws {
            path: self.dialect.path(model, self.streaming),
            access,
        })
    }
}
