//! From flags to an endpoint.

use std::sync::Arc;

use anyhow::Result;
use llmeter::api::ApiMode;
use llmeter::endpoint::{EndpointSettings, SavedObject};
use llmeter::probe::KeyVariable;
use llmeter::{Endpoint, Error, RunSettings, Setting};
use secrecy::SecretString;
use serde_json::Value;

use super::text_or_file;
use crate::exit::UsageError;

/// The environment variable that holds an endpoint's key, `named` or the API's usual one, and whether
/// it is set; `None` for an API without keys.
pub(crate) fn key_variable(endpoint: &dyn Endpoint, named: Option<&str>) -> Option<KeyVariable> {
    let usual = || {
        let api = ApiMode::of_saved(&endpoint.saved()).ok()?;
        api.key_variable_at(Some(&endpoint.identity().provider))
    };
    let name = named.or_else(usual)?;
    Some(KeyVariable {
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

/// The endpoint that these settings describe.
pub(crate) fn endpoint(settings: &RunSettings) -> Result<Arc<dyn Endpoint>> {
    let headers = header_lines(settings)?.into_iter();
    Ok(api(settings)?.endpoint(&EndpointSettings {
        base_url: settings.base_url.clone(),
        model: settings.model.clone(),
        api_key: api_key(settings)?,
        region: settings.region.clone(),
        provider: settings.provider.clone(),
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect(),
        jmespath: settings.jmespath.clone().unwrap_or_default(),
        body: body_template(settings)?,
        method: settings.method.clone(),
        framing: settings.framing.clone(),
        ..EndpointSettings::default()
    })?)
}

/// Refuses to ask another API, which has another key, at the address of a saved one: a key must
/// not go to an address that it was not given for.
pub(crate) fn check_address(settings: &RunSettings, saved: &SavedObject) -> Result<()> {
    let (Some(_), None) = (&settings.endpoint, &settings.base_url) else {
        return Ok(());
    };
    let (old, new) = (ApiMode::of_saved(saved)?, api(settings)?);
    if old.key_variable() == new.key_variable() {
        return Ok(());
    }
    let reason = format!(
        "--endpoint {}: the saved run asked {} at its own address; give the one to ask now with \
         --base-url",
        new.name, old.name
    );
    Err(UsageError(reason).into())
}

/// Takes from a saved endpoint what is another one's at the provider or in the region that is
/// given: one provider's key must not go to another one's address.
pub(crate) fn move_from(settings: &RunSettings, saved: &mut SavedObject) {
    let Some(api) = ApiMode::of_saved(saved).ok().filter(ApiMode::has_providers) else {
        return;
    };
    let text = |name: &str| saved.state.get(name).and_then(Value::as_str);
    let provider = text("provider");
    let is_elsewhere = settings.provider.is_some() && settings.provider.as_deref() != provider;
    let region = text("region").or(text("aws_region"));
    let is_of_region = region
        .and_then(|region| api.address_at(provider, region))
        .zip(text("base_url"))
        .is_some_and(|(usual, address)| {
            usual.trim_end_matches('/') == address.trim_end_matches('/')
        });
    let others: &[&str] = if is_elsewhere && settings.base_url.is_none() {
        &["base_url", "region", "aws_region", "project_id"]
    } else if settings.region.is_some() && is_of_region {
        &["base_url"]
    } else {
        &[]
    };
    for field in others {
        saved.state.remove(*field);
    }
}

/// Lays what is said of an API's shape over a saved endpoint.
pub(crate) fn shape_over(settings: &RunSettings, saved: &mut SavedObject) -> Result<()> {
    let body = body_template(settings)?;
    let given = [
        ("body", &body),
        ("method", &settings.method),
        ("framing", &settings.framing),
    ];
    let given: Vec<_> = given
        .into_iter()
        .filter_map(|(field, value)| Some((field, value.as_ref()?)))
        .collect();
    if given.is_empty() && settings.jmespath.is_none() {
        return Ok(());
    }
    let fields = ApiMode::of_saved(saved)?.api.saved_fields(true);
    if !fields.iter().any(|(field, _)| *field == "jmespath") {
        let shape = [Setting::Body, Setting::Method, Setting::Framing];
        let given = shape
            .into_iter()
            .find(|setting| settings.get(*setting).is_some());
        let setting = given.unwrap_or(Setting::Jmespath);
        return Err(Error::not_applicable(setting, Setting::Endpoint, "http").into());
    }
    for (field, value) in given {
        saved.state.insert(field.to_owned(), value.as_str().into());
    }
    if let Some(Value::Object(places)) = saved.state.get_mut("jmespath") {
        for (part, path) in settings.jmespath.iter().flatten() {
            places.insert(part.clone(), path.as_str().into());
        }
    }
    Ok(())
}

/// The template of a body, read from its file if it is in one.
pub(crate) fn body_template(settings: &RunSettings) -> Result<Option<String>> {
    let body = settings.body.as_deref();
    body.map(|body| text_or_file(Setting::Body, body))
        .transpose()
}

/// Names and values of the headers that are given.
pub(crate) fn header_lines(settings: &RunSettings) -> Result<Vec<(&str, &str)>> {
    let lines = settings.header.iter().flatten();
    lines
        .map(|line| {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| Error::hidden(Setting::Header, "a line like 'Name: value'"))?;
            Ok((name.trim(), value.trim()))
        })
        .collect()
}
