//! From flags to an endpoint.

use std::sync::Arc;

use anyhow::Result;
use llmeter::api::ApiMode;
use llmeter::endpoint::{EndpointSettings, Transport};
use llmeter::payload::{Payload, read_json};
use llmeter::probe::ApiKeyVariable;
use llmeter::{Endpoint, Error, RunConfig, RunSettings, Setting};
use secrecy::SecretString;
use serde_json::Value;

use super::{Given, text_or_file};
use crate::exit::UsageError;

/// The environment variable that holds an endpoint's key, `named` or the API's usual one, and whether
/// it is set; `None` for an API without keys.
pub(crate) fn key_variable(endpoint: &dyn Endpoint, named: Option<&str>) -> Option<ApiKeyVariable> {
    let usual = || {
        let api = ApiMode::of_saved(&endpoint.saved()).ok()?;
        api.key_variable_at(Some(&endpoint.identity().provider))
    };
    let name = named.or_else(usual)?;
    Some(ApiKeyVariable {
        name: name.to_owned(),
        is_set: std::env::var_os(name).is_some_and(|value| !value.is_empty()),
    })
}

/// The API to speak.
pub(crate) fn api(settings: &RunSettings) -> Result<ApiMode> {
    Ok(match &settings.endpoint {
        Some(name) => ApiMode::named(name)?,
        None => ApiMode::default(),
    })
}

/// The environment variable that holds the API key; `None` for an API without keys.
fn variable_of(settings: &RunSettings) -> Result<Option<&str>> {
    match &settings.api_key_env {
        Some(variable) => Ok(Some(variable)),
        None => Ok(api(settings)?.key_variable_at(settings.provider.as_deref())),
    }
}

fn api_key(settings: &RunSettings) -> Result<Option<SecretString>> {
    let Some(variable) = variable_of(settings)? else {
        return Ok(None);
    };
    match std::env::var(variable) {
        Ok(key) if !key.is_empty() => Ok(Some(SecretString::from(key))),
        Ok(_) | Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(UsageError(format!(
            "the API key in {variable} is not text; check the variable"
        ))
        .into()),
    }
}

/// The only endpoint that these settings describe.
///
/// # Errors
/// If they describe several, too.
pub(crate) fn endpoint(all: &Given) -> Result<Arc<dyn Endpoint>> {
    match endpoints(all)? {
        (endpoint, replicas) if replicas.is_empty() => Ok(endpoint),
        _ => Err(Error::unsupported(Setting::BaseUrl, "this command if there are several").into()),
    }
}

/// A run at the endpoints that these settings describe.
pub(crate) fn run_at(all: &Given) -> Result<RunConfig> {
    let (endpoint, replicas) = endpoints(all)?;
    let mut config = RunConfig::new(endpoint, []);
    config.replicas = replicas;
    Ok(config)
}

/// An endpoint.
type Described = Arc<dyn Endpoint>;

/// The endpoint that these settings describe, and its replicas.
fn endpoints(all: &Given) -> Result<(Described, Vec<Described>)> {
    let settings = &all.settings;
    let given = EndpointSettings {
        api_key: api_key(settings)?,
        api_key_name: variable_of(settings)?.map(str::to_owned),
        is_address_from_file: all.is_address_from_file(),
        ..given(settings)?
    };
    let api = api(settings)?;
    let others = settings.base_url.iter().flatten().skip(1);
    let replica = |address: &String| {
        let given = EndpointSettings {
            base_url: Some(address.clone()),
            ..given.clone()
        };
        api.endpoint(&given)
    };
    let replicas = others.map(replica).collect::<llmeter::Result<_>>()?;
    Ok((api.endpoint(&given)?, replicas))
}

/// An endpoint for its bodies alone: its address does not matter, and its key is not shown.
pub(crate) fn endpoint_of_bodies(settings: &RunSettings) -> Result<Arc<dyn Endpoint>> {
    let given = EndpointSettings {
        base_url: Some("http://localhost/".to_owned()),
        api_key: Some("<API-key>".to_owned().into()),
        framing: None,
        ..given(settings)?
    };
    Ok(api(settings)?.endpoint(&given)?)
}

/// The body that is sent for a payload; `None` if there is none.
pub(crate) fn body(endpoint: &dyn Endpoint, payload: &Payload) -> Result<Option<Value>> {
    let Transport::Http(api) = endpoint.transport() else {
        return Ok(None);
    };
    let body = api.request(payload)?.body;
    let text = std::str::from_utf8(&body)?;
    Ok(match text.trim() {
        "" => None,
        text => Some(read_json(text)?),
    })
}

/// What is said of the endpoint, without its key.
pub(crate) fn given(settings: &RunSettings) -> Result<EndpointSettings> {
    let body = settings.body.as_deref();
    let body = body.map(|body| text_or_file(Setting::Body, body));
    let header = |line: &String| {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| Error::hidden(Setting::Header, "a line like 'Name: value'"))?;
        Ok((name.trim().to_owned(), value.trim().into()))
    };
    Ok(EndpointSettings {
        base_url: settings.base_url.iter().flatten().next().cloned(),
        model: settings.model.clone(),
        region: settings.region.clone(),
        provider: settings.provider.clone(),
        headers: settings
            .header
            .iter()
            .flatten()
            .map(header)
            .collect::<Result<_>>()?,
        jmespath: settings.jmespath.clone().unwrap_or_default(),
        body: body.transpose()?,
        method: settings.method.clone(),
        framing: settings.framing.clone(),
        ..EndpointSettings::default()
    })
}
