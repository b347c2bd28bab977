//! What users say of endpoints.

use secrecy::SecretString;

#[cfg(feature = "aws")]
use super::AwsOptions;
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;

/// What a user says of an endpoint, whichever API it speaks.
#[derive(Debug, Clone, Default)]
pub struct EndpointSettings {
    /// Where the API is; `None` is the provider's own address, if it has one.
    pub base_url: Option<String>,
    /// The model to ask for.
    pub model: Option<String>,
    /// The key; a server that needs none can go without.
    pub api_key: Option<SecretString>,
    /// The region, for the APIs of AWS; `None` is what the environment says.
    pub region: Option<String>,
    /// Who runs the API, where several do: Claude's messages come from `anthropic`, `bedrock`,
    /// `bedrock-mantle`, `vertex` or `foundry`. Elsewhere it is a name for the record; `None` is the
    /// API's usual one.
    pub provider: Option<String>,
    /// Further headers of every request.
    pub headers: Vec<(String, SecretString)>,
    /// Where parts of an answer are, for the APIs that leave its shape to the model or the server:
    /// names of [`ANSWER_PARTS`](super::ANSWER_PARTS) with JMESPath expressions.
    pub jmespath: Vec<(String, String)>,
    /// The template of a body; only for `http`, like the next two.
    pub body: Option<String>,
    /// The HTTP method; POST if not set.
    pub method: Option<String>,
    /// How a streamed answer is framed: `none`, `sse`, `ndjson` or `event-stream`.
    pub framing: Option<String>,
}

impl EndpointSettings {
    /// The base URL of an API without a usual address. `example` says what to give.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn base_url(&self, example: &str) -> Result<&str> {
        let base_url = self.base_url.as_deref();
        base_url.ok_or_else(|| Error::missing_like(Setting::BaseUrl, example))
    }

    /// The expressions, if they are for these parts.
    #[cfg(feature = "aws")]
    pub(crate) fn places(&self, parts: &[&str]) -> Result<impl Iterator<Item = (&str, &str)>> {
        let mut places = self.jmespath.iter();
        if let Some((part, path)) = places.find(|(part, _)| !parts.contains(&part.as_str())) {
            let expected = format!("one of the parts {}", parts.join(", "));
            return Err(Error::invalid(
                Setting::Jmespath,
                format!("{part}={path}"),
                expected,
            ));
        }
        let places = self.jmespath.iter();
        Ok(places.map(|(part, path)| (part.as_str(), path.as_str())))
    }

    /// Refuses what only the API has that is made of templates.
    pub(crate) fn refuse_templates(&self) -> Result<()> {
        let given = [
            (Setting::Body, &self.body),
            (Setting::Method, &self.method),
            (Setting::Framing, &self.framing),
        ];
        match given.into_iter().find(|(_, setting)| setting.is_some()) {
            None => Ok(()),
            Some((setting, _)) => Err(Error::not_applicable(setting, Setting::Endpoint, "http")),
        }
    }

    /// Refuses what only APIs have whose shape is not known.
    pub(crate) fn refuse_shapes(&self) -> Result<()> {
        self.refuse_templates()?;
        match self.jmespath.first() {
            None => Ok(()),
            Some(_) => Err(Error::not_applicable(
                Setting::Jmespath,
                Setting::Endpoint,
                "http, bedrock-invoke and sagemaker",
            )),
        }
    }

    /// The way to AWS; the environment says what the settings leave open.
    #[cfg(feature = "aws")]
    pub(crate) fn aws(&self, provider: &'static str) -> Result<AwsOptions> {
        if let Some(other) = self.provider.as_deref().filter(|name| *name != provider) {
            let expected = format!("{provider}, which serves this API");
            return Err(Error::invalid(Setting::Provider, other, expected));
        }
        let mut options = AwsOptions::from_environment();
        if let Some(region) = &self.region {
            options = options.region(region);
        }
        if let Some(base_url) = &self.base_url {
            options = options.base_url(base_url);
        }
        if let Some(key) = &self.api_key {
            options = options.bearer_token(key.clone());
        }
        for (name, value) in &self.headers {
            options = options.header(name, value.clone());
        }
        Ok(options)
    }

    /// The model.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn model(&self) -> Result<&str> {
        let model = self.model.as_deref();
        model.ok_or_else(|| Error::missing(Setting::Model))
    }
}
