//! From flags to an endpoint.

use std::sync::Arc;

use anyhow::Result;
use llmeter::endpoint::{APIS, Api, EndpointSettings, SavedObject};
use llmeter::probe::KeyVariable;
use llmeter::wire::{Proxies, Proxy};
use llmeter::{Endpoint, RunConfig};
use secrecy::SecretString;
use serde_json::Value;

use super::text_or_file;
use crate::args::EndpointArguments;
use crate::exit::UsageError;

/// The environment variable that holds an endpoint's key, `named` or the API's usual one, and whether
/// it is set; `None` for an API without keys.
pub(crate) fn key_variable(endpoint: &dyn Endpoint, named: Option<&str>) -> Option<KeyVariable> {
    let usual = || {
        let api = Api::of_saved(&endpoint.saved()).ok()?;
        api.key_variable_at(Some(&endpoint.identity().provider))
    };
    let name = named.or_else(usual)?;
    Some(KeyVariable {
        name: name.to_owned(),
        is_set: std::env::var_os(name).is_some_and(|value| !value.is_empty()),
    })
}

impl EndpointArguments {
    /// These settings where they are given, `file`'s elsewhere.
    pub(super) fn over(self, file: Self) -> Self {
        let has_ca_file = self.ca_file.is_some();
        Self {
            endpoint: self.endpoint.or(file.endpoint),
            base_url: self.base_url.or(file.base_url),
            model: self.model.or(file.model),
            provider: self.provider.or(file.provider),
            region: self.region.or(file.region),
            api_key_env: self.api_key_env.or(file.api_key_env),
            headers: if self.headers.is_empty() {
                file.headers
            } else {
                self.headers
            },
            ca_file: self.ca_file.or(file.ca_file.filter(|_| !self.insecure)),
            insecure: self.insecure || (file.insecure && !has_ca_file),
            no_proxy: self.no_proxy || (file.no_proxy && self.proxy.is_none()),
            proxy: self.proxy.or(file.proxy.filter(|_| !self.no_proxy)),
            http2: self.http2 || file.http2,
            body: self.body.or(file.body),
            framing: self.framing.or(file.framing),
            jmespath: if self.jmespath.is_empty() {
                file.jmespath
            } else {
                self.jmespath
            },
            method: self.method.or(file.method),
        }
    }

    /// How the endpoint is reached.
    pub(crate) fn reach(&self, config: &mut RunConfig) -> Result<()> {
        config.proxies = Proxies::from_environment();
        self.reach_again(config)
    }

    /// As [`reach`](Self::reach), for a run that is repeated: it goes the way it went unless something
    /// else is said now.
    pub(super) fn reach_again(&self, config: &mut RunConfig) -> Result<()> {
        // Of the two that exclude each other, what is said now drops what was saved.
        if self.ca_file.is_some() {
            config.ca_file.clone_from(&self.ca_file);
            config.insecure = false;
        }
        if self.insecure {
            config.insecure = true;
            config.ca_file = None;
        }
        config.http2 |= self.http2;
        if let Some(url) = &self.proxy {
            config.proxies = Proxies::All(Proxy::from_url(url)?);
        } else if self.no_proxy {
            config.proxies = Proxies::None;
        }
        Ok(())
    }

    /// The API to speak.
    pub(crate) fn api(&self) -> Result<&'static Api> {
        Ok(match &self.endpoint {
            Some(name) => Api::named(name)?,
            None => &APIS[0],
        })
    }

    /// The environment variable that holds the API key; `None` for an API without keys.
    fn key_variable(&self) -> Result<Option<&str>> {
        match &self.api_key_env {
            Some(variable) => Ok(Some(variable)),
            None => Ok(self.api()?.key_variable_at(self.provider.as_deref())),
        }
    }

    fn api_key(&self) -> Result<Option<SecretString>> {
        let Some(variable) = self.key_variable()? else {
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
    pub(crate) fn endpoint(&self) -> Result<Arc<dyn Endpoint>> {
        let headers = self.header_lines()?.into_iter();
        Ok(self.api()?.endpoint(&EndpointSettings {
            base_url: self.base_url.clone(),
            model: self.model.clone(),
            api_key: self.api_key()?,
            region: self.region.clone(),
            provider: self.provider.clone(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect(),
            jmespath: self.jmespath.clone(),
            body: self.body_template()?,
            method: self.method.clone(),
            framing: self.framing.clone(),
        })?)
    }

    /// Refuses to ask another API, which has another key, at the address of a saved one: a key must
    /// not go to an address that it was not given for.
    pub(super) fn check_address(&self, saved: &SavedObject) -> Result<()> {
        let (Some(_), None) = (&self.endpoint, &self.base_url) else {
            return Ok(());
        };
        let (old, new) = (Api::of_saved(saved)?, self.api()?);
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
    pub(super) fn move_from(&self, saved: &mut SavedObject) {
        let Some(api) = Api::of_saved(saved).ok().filter(|api| api.has_providers()) else {
            return;
        };
        let text = |name: &str| saved.state.get(name).and_then(Value::as_str);
        let provider = text("provider");
        let is_elsewhere = self.provider.is_some() && self.provider.as_deref() != provider;
        let region = text("region").or(text("aws_region"));
        let is_of_region = region
            .and_then(|region| api.address_at(provider, region))
            .zip(text("base_url"))
            .is_some_and(|(usual, address)| {
                usual.trim_end_matches('/') == address.trim_end_matches('/')
            });
        let others: &[&str] = if is_elsewhere && self.base_url.is_none() {
            &["base_url", "region", "aws_region", "project_id"]
        } else if self.region.is_some() && is_of_region {
            &["base_url"]
        } else {
            &[]
        };
        for field in others {
            saved.state.remove(*field);
        }
    }

    /// Lays what is said of an API's shape over a saved endpoint.
    pub(super) fn shape_over(&self, saved: &mut SavedObject) -> Result<()> {
        let body = self.body_template()?;
        let given = [
            ("body", &body),
            ("method", &self.method),
            ("framing", &self.framing),
        ];
        let given: Vec<_> = given
            .into_iter()
            .filter_map(|(field, value)| Some((field, value.as_ref()?)))
            .collect();
        if given.is_empty() && self.jmespath.is_empty() {
            return Ok(());
        }
        if Api::of_saved(saved)?.name != "http" {
            let reason = "--body, --framing, --jmespath and --method change a saved run only if its \
                          endpoint is http";
            return Err(UsageError(reason.to_owned()).into());
        }
        for (field, value) in given {
            saved.state.insert(field.to_owned(), value.as_str().into());
        }
        if let Some(Value::Object(places)) = saved.state.get_mut("jmespath") {
            for (part, path) in &self.jmespath {
                places.insert(part.clone(), path.as_str().into());
            }
        }
        Ok(())
    }

    /// The template of a body, read from its file if it is in one.
    pub(crate) fn body_template(&self) -> Result<Option<String>> {
        let body = self.body.as_deref();
        body.map(|body| text_or_file("--body", body)).transpose()
    }

    /// Names and values of the headers that are given.
    pub(crate) fn header_lines(&self) -> Result<Vec<(&str, &str)>> {
        let lines = self.headers.iter();
        lines
            .map(|line| {
                // The line itself may hold a secret, so that the message must not quote it.
                let reason = "--header: a line has no colon; write it as 'Name: value'";
                Ok(line
                    .split_once(':')
                    .map(|(name, value)| (name.trim(), value.trim()))
                    .ok_or_else(|| UsageError(reason.to_owned()))?)
            })
            .collect()
    }
}
