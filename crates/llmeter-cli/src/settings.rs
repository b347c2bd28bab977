//! From flags and configuration file to one validated plan, before anything runs.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use llmeter::endpoint::{APIS, Api, EndpointSettings};
use llmeter::payload::{Payload, load_payloads, tokenizer_from_spec};
use llmeter::{Callback, Endpoint, Load, RunConfig, SavedRun};
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::args::RunArguments;
use crate::callbacks;
use crate::exit::UsageError;
use crate::prices::Prices;

const DEFAULT_MAX_TOKENS: u64 = 256;

/// Reads the configuration file, if one is named, and lays the flags over it.
pub(crate) fn with_file(flags: RunArguments) -> Result<RunArguments> {
    let Some(path) = &flags.config else {
        return Ok(flags);
    };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    let file: RunArguments =
        toml::from_str(&text).map_err(|reason| mistake(path, &text, &reason))?;
    if file.requests.is_some() && file.duration.is_some() {
        return Err(both(path, "requests", "duration"));
    }
    if file.prompt.is_some() && file.payload.is_some() {
        return Err(both(path, "prompt", "payload"));
    }
    if file.payload.is_some() && file.max_tokens.is_some() {
        return Err(both(path, "payload", "max-tokens"));
    }
    Ok(flags.over(file))
}

/// A mistake in a configuration file, in one line.
fn mistake(path: &Path, text: &str, reason: &toml::de::Error) -> UsageError {
    let position = reason.span().map_or_else(String::new, |span| {
        let before = text.get(..span.start).unwrap_or(text);
        let line = 1 + before.matches('\n').count();
        let column = 1 + before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count();
        format!(", line {line}, column {column}")
    });
    let what = reason.message().lines().collect::<Vec<_>>().join(" ");
    let what = what
        .replace("expected usize", "expected a whole number")
        .replace("expected u64", "expected a whole number")
        .replace("unknown field", "unknown setting")
        .replace("expected one of", "the settings are");
    // The most frequent slip: names as TOML files often write them.
    let slip = what
        .strip_prefix("unknown setting `")
        .and_then(|rest| rest.split('`').next())
        .map(|name| name.replace('_', "-"))
        .filter(|name| what.contains(&format!(" `{name}`")) && name.contains('-'));
    if let Some(name) = slip {
        let given = name.replace('-', "_");
        return UsageError(format!(
            "{}{position}: unknown setting `{given}`; write `{name}`",
            path.display()
        ));
    }
    UsageError(format!("{}{position}: {what}", path.display()))
}

fn both(path: &Path, one: &str, other: &str) -> anyhow::Error {
    let path = path.display();
    UsageError(format!("{path}: give {one} or {other}, not both")).into()
}

impl RunArguments {
    /// These settings where they are given, `file`'s elsewhere. Of two that exclude each other, a
    /// flag drops the file's.
    fn over(self, file: Self) -> Self {
        let has_load = self.requests.is_some() || self.duration.is_some();
        let has_own_payload = self.payload.is_some();
        let has_content = self.prompt.is_some() || self.payload.is_some();
        Self {
            config: self.config,
            from: self.from,
            endpoint: self.endpoint.or(file.endpoint),
            base_url: self.base_url.or(file.base_url),
            model: self.model.or(file.model),
            region: self.region.or(file.region),
            api_key_env: self.api_key_env.or(file.api_key_env),
            headers: if self.headers.is_empty() {
                file.headers
            } else {
                self.headers
            },
            ca_file: self.ca_file.or(file.ca_file.filter(|_| !self.insecure)),
            insecure: self.insecure || file.insecure,
            max_retries: self.max_retries.or(file.max_retries),
            connections: self.connections.or(file.connections),
            prompt: self.prompt.or(file.prompt.filter(|_| !has_content)),
            payload: self.payload.or(file.payload.filter(|_| !has_content)),
            max_tokens: self
                .max_tokens
                .or(file.max_tokens.filter(|_| !has_own_payload)),
            tokenizer: self.tokenizer.or(file.tokenizer),
            clients: self.clients.or(file.clients),
            requests: self.requests.or(file.requests.filter(|_| !has_load)),
            duration: self.duration.or(file.duration.filter(|_| !has_load)),
            timeout: self.timeout.or(file.timeout),
            warmup: self.warmup.or(file.warmup),
            seed: self.seed.or(file.seed),
            // Those of the command line are called after the file's.
            callback_files: self.callback_files,
            callbacks: file.callbacks,
            cache_buster: self.cache_buster || file.cache_buster,
            mlflow: self.mlflow.or(file.mlflow),
            mlflow_experiment: self.mlflow_experiment.or(file.mlflow_experiment),
            mlflow_artifacts: self.mlflow_artifacts || file.mlflow_artifacts,
            cost_input: self.cost_input.or(file.cost_input),
            cost_output: self.cost_output.or(file.cost_output),
            cost_cached_input: self.cost_cached_input.or(file.cost_cached_input),
            cost_hour: self.cost_hour.or(file.cost_hour),
            max_cost: self.max_cost.or(file.max_cost),
            no_callbacks: self.no_callbacks,
            stamps: self.stamps.or(file.stamps),
            calibrate: self.calibrate || file.calibrate,
            strict: self.strict || file.strict,
            lanes: self.lanes.or(file.lanes),
            low_memory: self.low_memory || file.low_memory,
            output: self.output.or(file.output),
            run_name: self.run_name.or(file.run_name),
            description: self.description.or(file.description),
            overwrite: self.overwrite || file.overwrite,
            quiet: self.quiet || file.quiet,
            json: self.json || file.json,
        }
    }

    /// The run that these settings describe.
    pub(crate) fn into_config(self) -> Result<RunConfig> {
        let callbacks = callbacks::of(&self)?;
        let mut config = match &self.from {
            Some(folder) => self.repeated(SavedRun::load(folder)?, callbacks)?,
            None => {
                let endpoint = self.endpoint()?;
                let payloads = self.payloads(self.api()?)?.ok_or_else(|| {
                    UsageError("nothing to send: give --prompt TEXT or --payload FILE".to_owned())
                })?;
                let mut config = RunConfig::new(endpoint, payloads);
                config.output = Some("runs".into());
                config.callbacks = callbacks;
                config
            }
        };
        fn set<T>(place: &mut T, setting: Option<T>) {
            if let Some(setting) = setting {
                *place = setting;
            }
        }
        let tokenizer = self.tokenizer.as_deref().map(tokenizer_from_spec);
        set(&mut config.tokenizer, tokenizer.transpose()?);
        set(&mut config.clients, self.clients);
        set(&mut config.load, self.requests.map(Load::Requests));
        set(&mut config.load, self.duration.map(Load::Duration));
        set(&mut config.timeout, self.timeout);
        set(&mut config.warmup, self.warmup);
        set(&mut config.seed, self.seed);
        set(&mut config.stamps, self.stamps.map(Into::into));
        set(&mut config.max_retries, self.max_retries);
        set(&mut config.connections, self.connections.map(Into::into));
        set(&mut config.lanes, self.lanes.map(Some));
        set(&mut config.ca_file, self.ca_file.map(Some));
        set(&mut config.output, self.output.map(Some));
        set(&mut config.run_description, self.description.map(Some));
        set(&mut config.max_cost, self.max_cost.map(Some));
        config.run_name = self.run_name;
        config.insecure |= self.insecure;
        config.low_memory |= self.low_memory;
        config.overwrite = self.overwrite;
        config.validate()?;
        Ok(config)
    }

    /// A saved run, changed by the flags that are given.
    fn repeated(
        &self,
        mut saved: SavedRun,
        callbacks: Vec<Arc<dyn Callback>>,
    ) -> Result<RunConfig> {
        let state = &mut saved.endpoint.state;
        for (field, flag) in [
            ("base_url", &self.base_url),
            ("model_id", &self.model),
            ("region", &self.region),
        ] {
            if let Some(value) = flag {
                state.insert(field.to_owned(), value.as_str().into());
            }
        }
        if !self.headers.is_empty() {
            let mut headers = match state.remove("default_headers") {
                Some(Value::Object(headers)) => headers,
                _ => Map::new(),
            };
            for (name, value) in self.header_lines()? {
                headers.insert(name.to_owned(), value.into());
            }
            state.insert("default_headers".to_owned(), headers.into());
        }
        if self.endpoint.is_some() {
            saved.endpoint.class = self.api()?.classes[0].to_owned();
            saved.endpoint.state.remove("endpoint_type");
        }
        if self.no_callbacks || !callbacks.is_empty() {
            saved.callbacks.clear();
        }
        let api = Api::of_saved(&saved.endpoint)?;
        let folder = saved.folder().to_string();
        let mut config = saved
            .into_config(self.api_key_env.as_deref())
            .with_context(|| format!("cannot repeat the run in {folder}"))?;
        if !callbacks.is_empty() {
            config.callbacks = callbacks;
        }
        if let Some(payloads) = self.payloads(api)? {
            config.payloads = payloads.into_iter().map(Arc::new).collect();
        }
        Ok(config)
    }

    /// The payloads that are given, if any are, in the shape of an API.
    fn payloads(&self, api: &Api) -> Result<Option<Vec<Payload>>> {
        match (&self.prompt, &self.payload) {
            (Some(text), _) => {
                let max_tokens = self.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
                let payload = api.create_payload(text.as_str(), max_tokens)?;
                Ok(Some(vec![payload]))
            }
            (None, _) if self.max_tokens.is_some() => {
                let reason =
                    "--max-tokens goes with --prompt; the payloads of a file have their own";
                Err(UsageError(reason.to_owned()).into())
            }
            (None, Some(path)) => {
                path.check("payload")?;
                Ok(Some(load_payloads(path)?))
            }
            (None, None) => Ok(None),
        }
    }

    /// The prices that are given.
    pub(crate) fn prices(&self) -> Prices {
        Prices {
            cost_input: self.cost_input,
            cost_output: self.cost_output,
            cost_cached_input: self.cost_cached_input,
            cost_hour: self.cost_hour,
        }
    }

    /// The API to speak.
    fn api(&self) -> Result<&'static Api> {
        Ok(match &self.endpoint {
            Some(name) => Api::named(name)?,
            None => &APIS[0],
        })
    }

    /// The environment variable that holds the API key.
    pub(crate) fn key_variable(&self) -> Result<&str> {
        match &self.api_key_env {
            Some(variable) => Ok(variable),
            None => Ok(self.api()?.key_variable),
        }
    }

    fn endpoint(&self) -> Result<Arc<dyn Endpoint>> {
        let variable = self.key_variable()?;
        let api_key = match std::env::var(variable) {
            Ok(key) if !key.is_empty() => Some(SecretString::from(key)),
            Ok(_) | Err(std::env::VarError::NotPresent) => None,
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(UsageError(format!(
                    "the API key in {variable} is not text; check the variable"
                ))
                .into());
            }
        };
        let headers = self.header_lines()?.into_iter();
        Ok(self.api()?.endpoint(&EndpointSettings {
            base_url: self.base_url.clone(),
            model: self.model.clone(),
            api_key,
            region: self.region.clone(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect(),
        })?)
    }

    /// Names and values of the headers that are given.
    fn header_lines(&self) -> Result<Vec<(&str, &str)>> {
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
