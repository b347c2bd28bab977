//! What a run is made of: objects of Python, and JSON for those of the core.

use std::sync::Arc;

use llmeter::callback;
use llmeter::endpoint::{ApiEndpoint, AwsOptions, Endpoint, EndpointBuilder, SavedObject};
use llmeter::payload::{Payload, Tokenizer, read_json, tokenizer_from_saved};
use llmeter::storage::Location;
use llmeter::{Callback, Error, RunConfig, RunSettings};
use pyo3::prelude::*;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::callback::PyCallback;
use crate::endpoint::PyEndpoint;
use crate::error::{invalid, raised, refused};
use crate::hooks::Hooks;
use crate::tokenizer::PyTokenizer;

/// An endpoint of the core, as Python hands it over.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct NativeEndpoint {
    saved: Value,
    api_key: Option<Secret>,
    base_url: Option<String>,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    query: Map<String, Value>,
    region: Option<String>,
    project: Option<String>,
    max_retries: Option<u32>,
    aws: Option<NativeAws>,
}

/// A text that is not shown.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
struct Secret(SecretString);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// What it says of AWS.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct NativeAws {
    region: Option<String>,
    endpoint_url: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<Secret>,
    session_token: Option<Secret>,
    bearer_token: Option<Secret>,
}

impl NativeEndpoint {
    fn build(self) -> Result<ApiEndpoint, Error> {
        let saved = SavedObject::from_json(&self.saved)
            .map_err(|reason| Error::refused("endpoint", reason))?;
        let mut builder = ApiEndpoint::builder_from_saved(&saved)?;
        if let Some(key) = self.api_key {
            builder = builder.api_key(key.0);
        }
        if let Some(address) = self.base_url {
            builder = builder.base_url(address);
        }
        builder = pairs(self.headers).fold(builder, |to, (name, value)| to.header(name, value));
        builder = pairs(self.query).fold(builder, |to, (name, value)| to.query(name, value));
        if let Some(region) = self.region {
            builder = builder.region(region);
        }
        if let Some(project) = self.project {
            builder = builder.project(project);
        }
        if let Some(aws) = self.aws {
            builder = aws.over(builder);
        }
        builder.build()
    }
}

impl NativeAws {
    fn over(self, builder: EndpointBuilder) -> EndpointBuilder {
        let mut options = AwsOptions::from_environment();
        if let Some(region) = self.region {
            options = options.region(region);
        }
        if let Some(address) = self.endpoint_url {
            options = options.base_url(address);
        }
        if let (Some(id), Some(secret)) = (self.access_key_id, self.secret_access_key) {
            options = options.access_keys(id, secret.0, self.session_token.map(|token| token.0));
        }
        if let Some(token) = self.bearer_token {
            options = options.bearer_token(token.0);
        }
        builder.aws(options)
    }
}

fn pairs(values: Map<String, Value>) -> impl Iterator<Item = (String, String)> {
    values.into_iter().map(|(name, value)| match value {
        Value::String(text) => (name, text),
        other => (name, other.to_string()),
    })
}

/// An endpoint, and how often it sends a request again.
pub(crate) fn endpoint(
    py: Python<'_>,
    given: &Bound<'_, PyAny>,
) -> PyResult<(Arc<dyn Endpoint>, Option<u32>)> {
    let Ok(native) = given.extract::<String>() else {
        return Ok((Arc::new(PyEndpoint::new(given)?), None));
    };
    let native = native_endpoint(&native)?;
    let retries = native.max_retries;
    // It may look for credentials.
    let built = py.detach(|| native.build());
    Ok((Arc::new(built.map_err(|error| raised(&error))?), retries))
}

fn native_endpoint(text: &str) -> PyResult<NativeEndpoint> {
    // A reason could quote a secret.
    serde_json::from_str(text)
        .map_err(|_| invalid("endpoint: it is not in the form that the core takes"))
}

/// An endpoint at several addresses.
fn replicas(
    py: Python<'_>,
    given: &Bound<'_, PyAny>,
    addresses: &[String],
) -> PyResult<Vec<Arc<dyn Endpoint>>> {
    let Ok(native) = given.extract::<String>() else {
        return Err(invalid(
            "base_url: an endpoint of your own has its address itself",
        ));
    };
    let native = native_endpoint(&native)?;
    let at = |address: &String| {
        let endpoint = NativeEndpoint {
            base_url: Some(address.clone()),
            ..native.clone()
        };
        let built = py.detach(|| endpoint.build());
        Ok(Arc::new(built.map_err(|error| raised(&error))?) as _)
    };
    addresses.iter().map(at).collect()
}

/// Payloads: a JSON list of objects.
pub(crate) fn payloads(text: &str) -> PyResult<Vec<Payload>> {
    let Value::Array(items) = read_json(text).map_err(refused("payload"))? else {
        return Err(invalid("payload: expected a list"));
    };
    let object = |item| match item {
        Value::Object(payload) => Ok(payload),
        other => Err(invalid(format!("payload: expected a dict, not {other}"))),
    };
    items.into_iter().map(object).collect()
}

/// The configuration of a run: (settings, endpoint, payloads, callbacks, tokenizer).
pub(crate) fn config(
    part: &Bound<'_, PyAny>,
    hooks: &Arc<Hooks>,
) -> PyResult<(RunConfig, Map<String, Value>)> {
    type Parts<'py> = (
        String,
        Bound<'py, PyAny>,
        String,
        Vec<Bound<'py, PyAny>>,
        Bound<'py, PyAny>,
    );
    let (settings, given, sent, callbacks, tokenizer): Parts<'_> = part.extract()?;
    let mut settings: Map<String, Value> =
        serde_json::from_str(&settings).map_err(refused("settings"))?;
    let folder = settings.remove("folder");
    let more = match settings.remove("experiment") {
        Some(Value::Object(more)) => more,
        _ => Map::new(),
    };
    let (endpoint, retries) = endpoint(part.py(), &given)?;
    let mut config = RunConfig::new(endpoint, payloads(&sent)?);
    if let Some(retries) = retries {
        config.max_retries = retries;
    }
    let settings: RunSettings =
        serde_json::from_value(settings.into()).map_err(refused("settings"))?;
    settings.check().map_err(|error| raised(&error))?;
    if let Some(addresses) = settings.base_url.as_deref() {
        let mut endpoints = replicas(part.py(), &given, addresses)?.into_iter();
        if let Some(first) = endpoints.next() {
            config.endpoint = first;
        }
        config.replicas = endpoints.collect();
    }
    // Data is made with it.
    if let Some(tokenizer) = one_tokenizer(&tokenizer)? {
        config.tokenizer = tokenizer;
    }
    settings
        .apply(&mut config)
        .map_err(|error| raised(&error))?;
    config.folder = folder
        .as_ref()
        .and_then(Value::as_str)
        .map(|folder| Location::from(folder.to_owned()));
    for callback in &callbacks {
        config.callbacks.push(one_callback(callback, hooks)?);
    }
    Ok((config, more))
}

fn one_callback(given: &Bound<'_, PyAny>, hooks: &Arc<Hooks>) -> PyResult<Arc<dyn Callback>> {
    match given.extract::<String>() {
        Ok(saved) => {
            let saved = serde_json::from_str(&saved).map_err(refused("callback"))?;
            callback::from_json(&saved).map_err(|error| raised(&error))
        }
        Err(_) => Ok(Arc::new(PyCallback::new(given, hooks.clone())?)),
    }
}

fn one_tokenizer(given: &Bound<'_, PyAny>) -> PyResult<Option<Arc<dyn Tokenizer>>> {
    if given.is_none() {
        return Ok(None);
    }
    Ok(Some(match given.extract::<String>() {
        Ok(saved) => {
            let saved = serde_json::from_str(&saved).map_err(refused("tokenizer"))?;
            tokenizer_from_saved(&saved).map_err(|error| raised(&error))?
        }
        Err(_) => Arc::new(PyTokenizer::new(given)?),
    }))
}
