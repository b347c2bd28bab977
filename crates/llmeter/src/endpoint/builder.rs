//! Checks the settings of an endpoint and makes it.

use std::sync::Arc;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::access::{self, AccessSettings, HttpAccess};
use super::api_endpoint::{ApiEndpoint, RequestAuth};
use super::saved::is_shared;
#[cfg(feature = "aws")]
use super::{AwsOptions, aws_access::AwsAccess};
use super::{Endpoint, EndpointSettings, Framing, Identity, trust};
use crate::api::{self, APIS, Api, ApiMode, EndpointSetup};
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;

/// Settings of an [`ApiEndpoint`], whichever API it speaks.
#[derive(Debug, Clone)]
#[must_use = "a builder makes nothing until `build` is called"]
pub struct EndpointBuilder {
    api: &'static dyn Api,
    access: AccessSettings,
    model_id: String,
    pub(super) streaming: bool,
    api_key: Option<SecretString>,
    endpoint_name: Option<String>,
    provider: Option<String>,
    /// `None` is what the environment says.
    region: Option<String>,
    project: Option<String>,
    jmespath: Vec<(String, String)>,
    own: Vec<(&'static str, Value)>,
    is_from_file: bool,
    key_name: Option<String>,
    #[cfg(feature = "aws")]
    aws: AwsOptions,
}

impl EndpointBuilder {
    /// Settings of an endpoint for an API. An empty `base_url` is the API's default address.
    pub fn new(
        api: &'static dyn Api,
        base_url: impl Into<String>,
        model_id: impl Into<String>,
    ) -> Self {
        let mut modes = api.spec().modes.iter();
        Self {
            api,
            access: AccessSettings {
                base_url: base_url.into(),
                ..AccessSettings::default()
            },
            model_id: model_id.into(),
            streaming: modes.any(|mode| mode.streaming != Some(false)),
            api_key: None,
            endpoint_name: None,
            provider: None,
            region: None,
            project: None,
            jmespath: Vec::new(),
            own: Vec::new(),
            is_from_file: false,
            key_name: None,
            #[cfg(feature = "aws")]
            aws: AwsOptions::from_environment(),
        }
    }

    /// Whether a streaming response is asked for; yes if not set and the API can stream.
    pub fn streaming(mut self, streaming: bool) -> Self {
        self.streaming = streaming;
        self
    }

    /// The model.
    pub fn model(mut self, model_id: impl Into<String>) -> Self {
        self.model_id = model_id.into();
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

    /// Says that the address, or how it is reached, is from a file that may be somebody else's: a run asks
    /// before it sends a secret there ([`Trust`](super::Trust)).
    pub fn address_from_file(mut self) -> Self {
        self.is_from_file = true;
        self
    }

    /// What the key is called where it must not be shown: the environment variable that it is from.
    pub fn api_key_name(mut self, name: impl Into<String>) -> Self {
        self.key_name = Some(name.into());
        self
    }

    /// A name for the endpoint, for people; the API's own if not set. For SageMaker it is the name
    /// that AWS knows.
    pub fn endpoint_name(mut self, name: impl Into<String>) -> Self {
        self.endpoint_name = Some(name.into());
        self
    }

    /// Who runs the endpoint; by default the one who made the API. For Anthropic's API it says where
    /// requests go and how they are signed in.
    pub fn provider(mut self, provider: impl Into<String>) -> Self {
        self.provider = Some(provider.into());
        self
    }

    /// Where the API is, if not at its default address.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.access.base_url = base_url.into();
        self
    }

    /// The region, for APIs that have one; what the environment says if not set.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// The project: OpenAI's that is charged, or Google's.
    pub fn project(mut self, project: impl Into<String>) -> Self {
        self.project = Some(project.into());
        self
    }

    /// Credentials of AWS, for APIs that are signed for; those of the environment if not set. Region,
    /// address, key and headers are this builder's own where it has them.
    #[cfg(feature = "aws")]
    pub fn aws(mut self, options: AwsOptions) -> Self {
        self.aws = options;
        self
    }

    /// Where a part of the response is, for APIs whose shape is not known:
    /// [`RESPONSE_PARTS`](super::RESPONSE_PARTS). Of two for one part the later counts.
    pub fn jmespath(mut self, part: impl Into<String>, path: impl Into<String>) -> Self {
        self.jmespath.push((part.into(), path.into()));
        self
    }

    /// How the stream of an [`HttpEndpoint`](super::HttpEndpoint) is framed; its response is
    /// non-streaming if not set.
    pub fn framing(self, framing: Framing) -> Self {
        self.set("framing", api::http::framing_name(framing))
    }

    /// The body's template of an [`HttpEndpoint`](super::HttpEndpoint); the payload as it is if not
    /// set. One of white space alone sends no body.
    pub fn body(self, template: impl Into<String>) -> Self {
        self.set("body", template.into())
    }

    /// The HTTP method of an [`HttpEndpoint`](super::HttpEndpoint); POST if not set.
    pub fn method(self, method: impl Into<String>) -> Self {
        self.set("method", method.into())
    }

    /// A setting that is the API's own, by its name in saved files: `organization` of OpenAI's APIs,
    /// `inference_config` of Bedrock Converse, …
    pub fn set(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.own.push((name, value.into()));
        self
    }

    /// Checks the settings and makes the endpoint.
    ///
    /// # Errors
    /// When a setting is missing or cannot be used, or is none of the API's. No message holds a
    /// header's value, a key or another secret.
    pub fn build(mut self) -> Result<ApiEndpoint> {
        let spec = self.api.spec();
        if self.model_id.trim().is_empty() {
            let default = spec.default_model;
            let missing = || Error::missing(Setting::Model);
            self.model_id = default.ok_or_else(missing)?.to_owned();
        }
        let Some(mode) = spec.modes.iter().find(|mode| {
            mode.streaming
                .is_none_or(|streaming| streaming == self.streaming)
        }) else {
            let expected = "false: this API does not stream";
            return Err(Error::field("streaming", self.streaming, expected));
        };
        let provider = self.provider.take();
        let provider = provider.unwrap_or_else(|| spec.provider.to_owned());
        let api = match self.api.at_provider(&provider)? {
            Some(api) => api,
            None if is_signed(self.api) && provider != spec.provider => {
                let expected = format!("{}, which serves this API", spec.provider);
                return Err(Error::invalid(Setting::Provider, provider, expected));
            }
            None => self.api,
        };
        let default_name = match spec.endpoint_name {
            "" => &self.model_id,
            name => mode.endpoint_name.unwrap_or(name),
        };
        let mut setup = EndpointSetup {
            identity: Identity {
                endpoint_name: self
                    .endpoint_name
                    .take()
                    .unwrap_or_else(|| default_name.to_owned()),
                model_id: self.model_id.clone(),
                provider,
            },
            streaming: self.streaming,
            base_url: std::mem::take(&mut self.access.base_url),
            query: std::mem::take(&mut self.access.query),
            api_key: match &self.api_key {
                Some(key) => access::api_key(key)?,
                None => None,
            },
            region: self.region.take(),
            project: self.project.take(),
            own: self.own_settings(api)?,
        };
        let configured = api.configure(&mut setup)?;
        let known = configured.as_deref().unwrap_or(api);
        #[cfg(feature = "aws")]
        let route = match known.spec().service {
            Some(service) => self.aws_route(service, known, &mut setup)?,
            None => self.plain_route(known, &mut setup)?,
        };
        #[cfg(not(feature = "aws"))]
        let route = self.plain_route(known, &mut setup)?;
        Ok(ApiEndpoint {
            api,
            configured,
            class: mode.class,
            setup,
            route,
            is_from_file: self.is_from_file,
            key_name: self.key_name,
        })
    }

    /// The settings that are the API's own, those that are not given with their defaults.
    fn own_settings(&mut self, api: &'static dyn Api) -> Result<Map<String, Value>> {
        let fields = api.saved_fields(self.streaming);
        let mut own = Map::new();
        for (name, value) in self.own.drain(..) {
            if is_shared(name) || !fields.iter().any(|(field, _)| *field == name) {
                let setting = Setting::ALL.iter().find(|setting| setting.name() == name);
                let has = |api: &dyn Api| {
                    api.saved_fields(true)
                        .iter()
                        .any(|(field, _)| *field == name)
                };
                return Err(match setting {
                    Some(setting) => Error::not_applicable(*setting, Setting::Endpoint, apis(has)),
                    None => Error::refused(name, "this API has no such setting"),
                });
            }
            own.insert(name.to_owned(), value);
        }
        let parts = api.spec().response_parts;
        for (part, path) in self.jmespath.drain(..) {
            match parts.iter().find(|(name, _)| *name == part) {
                Some((_, "jmespath")) => {
                    let places = own.entry("jmespath").or_insert_with(|| Map::new().into());
                    places[part] = path.into();
                }
                Some((_, field)) => {
                    own.insert((*field).to_owned(), path.into());
                }
                None if parts.is_empty() => {
                    let apis = apis(|api| !api.spec().response_parts.is_empty());
                    return Err(Error::not_applicable(
                        Setting::Jmespath,
                        Setting::Endpoint,
                        apis,
                    ));
                }
                None => {
                    let names: Vec<_> = parts.iter().map(|(name, _)| *name).collect();
                    let expected = format!("one of the parts {}", names.join(", "));
                    let given = format!("{part}={path}");
                    return Err(Error::invalid(Setting::Jmespath, given, expected));
                }
            }
        }
        for (name, default) in fields {
            let value = own.get(name).unwrap_or(&Value::Null);
            if value.is_null() && !default.is_null() {
                own.insert(name.to_owned(), default);
            }
        }
        Ok(own)
    }

    fn plain_route(&self, api: &dyn Api, setup: &mut EndpointSetup) -> Result<RequestAuth> {
        let default = api.address(setup.region.as_deref());
        if setup.base_url.trim().is_empty() {
            let example = api.spec().example_base_url;
            let missing = || Error::missing_like(Setting::BaseUrl, example);
            setup.base_url = default.clone().ok_or_else(missing)?;
        }
        // Saved endpoints name their address even if it is the default.
        let given = setup.base_url.trim_end_matches('/');
        let is_default = default
            .as_ref()
            .is_some_and(|default| default.trim_end_matches('/') == given);
        let mut known = default
            .as_deref()
            .into_iter()
            .chain(api.spec().saved_base_url);
        let is_known_server = known.any(|known| trust::is_same_server(known, given));
        let keys: Vec<_> = setup.api_key.iter().cloned().collect();
        let settings = AccessSettings {
            base_url: setup.base_url.clone(),
            query: setup.query.clone(),
            ..self.access.clone()
        };
        let access = HttpAccess::new(&settings, api.spec().appended, &keys)?;
        let mut headers: Vec<(String, SecretString)> = Vec::new();
        for (name, value) in api.headers(setup) {
            let value = access::header(name, &value.into())?;
            headers.push((name.to_owned(), value));
        }
        if let Some((name, value)) = setup.api_key.as_ref().and_then(|key| api.key_header(key)) {
            headers.push((name.to_owned(), value));
        }
        let is_authorized = setup.api_key.is_some()
            || access
                .header_names()
                .any(|name| name.eq_ignore_ascii_case("authorization"));
        Ok(RequestAuth::Plain {
            target: access.target(&api.path(setup)?),
            headers: access.headers(api.accept(setup.streaming), headers),
            is_known_server,
            missing_key: api.missing_key().filter(|_| is_default && !is_authorized),
            access,
        })
    }

    #[cfg(feature = "aws")]
    fn aws_route(
        &mut self,
        service: api::Service,
        api: &dyn Api,
        setup: &mut EndpointSetup,
    ) -> Result<RequestAuth> {
        let mut options = std::mem::take(&mut self.aws);
        if let Some(region) = setup.region.take() {
            options = options.region(region);
        }
        if !setup.base_url.is_empty() {
            options = options.base_url(&setup.base_url);
        }
        if let Some(key) = &setup.api_key {
            options = options.bearer_token(key.clone());
        }
        self.access.query.clone_from(&setup.query);
        let access = AwsAccess::with(&options, service, &self.access)?;
        setup.region = access.region().map(str::to_owned);
        Ok(RequestAuth::Aws {
            path: api.path(setup)?,
            access,
        })
    }
}

/// Whether requests are signed for a service of AWS.
fn is_signed(api: &dyn Api) -> bool {
    #[cfg(feature = "aws")]
    return api.spec().service.is_some();
    #[cfg(not(feature = "aws"))]
    {
        let _ = api;
        false
    }
}

/// The names of the APIs that are so, as a sentence has them.
fn apis(are_so: impl Fn(&dyn Api) -> bool) -> String {
    let apis = APIS.iter().filter(|api| are_so(**api));
    let names: Vec<_> = apis
        .filter_map(|api| Some(api.spec().modes.last()?.name))
        .collect();
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => names.concat(),
    }
}

impl ApiMode {
    /// An endpoint's settings from what a user says.
    ///
    /// # Errors
    /// If the model is missing, or the framing has another name.
    pub fn builder(&self, settings: &EndpointSettings) -> Result<EndpointBuilder> {
        let model = settings.model.as_deref();
        let model = model.or(self.api.spec().default_model);
        let missing = || Error::missing(Setting::Model);
        let base_url = settings.base_url.as_deref().unwrap_or_default();
        if base_url.is_empty() && self.api.address(None).is_none() && !is_signed(self.api) {
            let example = self.api.spec().example_base_url;
            return Err(Error::missing_like(Setting::BaseUrl, example));
        }
        let mut builder = EndpointBuilder::new(self.api, base_url, model.ok_or_else(missing)?);
        if let Some(streaming) = self.streaming {
            builder = builder.streaming(streaming);
        }
        builder.region.clone_from(&settings.region);
        builder.provider.clone_from(&settings.provider);
        builder.api_key.clone_from(&settings.api_key);
        builder.key_name.clone_from(&settings.api_key_name);
        builder.is_from_file = settings.is_address_from_file;
        builder.access.headers.clone_from(&settings.headers);
        builder.jmespath.clone_from(&settings.jmespath);
        for (name, value) in [
            ("body", &settings.body),
            ("method", &settings.method),
            ("framing", &settings.framing),
        ] {
            if let Some(value) = value {
                builder = builder.set(name, value.as_str());
            }
        }
        #[cfg(feature = "aws")]
        if let Some(options) = &settings.aws {
            builder = builder.aws(options.clone());
        }
        Ok(builder)
    }

    /// Settings with which the API is asked for `some-model` at a server that speaks all of them, as
    /// llmeter's simulator does; `server` is its address without a path.
    pub fn example(&self, server: &str) -> EndpointSettings {
        let spec = self.api.spec();
        let path = spec.example_base_url.splitn(4, '/').nth(3);
        let mut settings = EndpointSettings {
            base_url: Some(format!("{server}/{}", path.unwrap_or_default())),
            model: Some("some-model".to_owned()),
            region: Some("us-east-1".to_owned()),
            ..EndpointSettings::default()
        };
        for (name, value) in spec.example_settings {
            let value = (*value).to_owned();
            match *name {
                "body" => settings.body = Some(value),
                "framing" => settings.framing = Some(value),
                "method" => settings.method = Some(value),
                part => settings.jmespath.push((part.to_owned(), value)),
            }
        }
        settings
    }

    /// Makes an endpoint from what a user says.
    ///
    /// # Errors
    /// If a setting is missing or cannot be used.
    pub fn endpoint(&self, settings: &EndpointSettings) -> Result<Arc<dyn Endpoint>> {
        Ok(Arc::new(self.builder(settings)?.build()?))
    }
}
