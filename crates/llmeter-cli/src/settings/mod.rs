//! From flags and configuration file to one validated plan, before anything runs.

mod endpoint;
mod payload;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use llmeter::endpoint::Api;
use llmeter::payload::tokenizer_from_spec;
use llmeter::{Callback, Load, RunConfig, SavedRun};
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

pub(crate) use endpoint::key_variable;

use crate::args::RunArguments;
use crate::callbacks;
use crate::exit::UsageError;
use crate::prices::Prices;

/// What is wrong without any content.
pub(crate) const NOTHING_TO_SEND: &str =
    "nothing to send: give --prompt TEXT, --image FILE or the like, or --payload FILE";

/// Reads the configuration file, if one is named, and lays the flags over it.
pub(crate) fn with_file(flags: RunArguments) -> Result<RunArguments> {
    let Some(path) = &flags.config else {
        return Ok(flags);
    };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    let file = read(&text).map_err(|reason| mistake(path, &text, &reason))?;
    if file.requests.is_some() && file.duration.is_some() {
        return Err(both(path, "requests", "duration"));
    }
    let payload = &file.payload;
    if let (Some(setting), true) = (payload.of_message().first(), payload.payload.is_some()) {
        return Err(both(path, setting, "payload"));
    }
    if payload.payload.is_some() && payload.max_tokens.is_some() {
        return Err(both(path, "payload", "max-tokens"));
    }
    Ok(flags.over(file))
}

/// Flags that are no settings of a file: what a file says of callbacks, it says in tables.
const NOT_IN_FILES: &[&str] = &["config", "from", "callback", "no-callbacks"];

/// Each group of settings takes what is its own, so that a mistake is still found where it stands;
/// what is no group's is refused.
fn read(text: &str) -> Result<RunArguments, toml::de::Error> {
    let flags = RunArguments::augment_args(clap::Command::new("run"));
    let flags = flags.get_arguments().filter_map(clap::Arg::get_long);
    let mut settings: Vec<&str> = flags.filter(|flag| !NOT_IN_FILES.contains(flag)).collect();
    settings.push("callbacks");
    Keys { settings }.deserialize(toml::Deserializer::parse(text)?)?;
    Ok(RunArguments {
        endpoint: toml::from_str(text)?,
        payload: toml::from_str(text)?,
        ..toml::from_str(text)?
    })
}

/// Refuses keys that are no settings.
struct Keys<'s> {
    settings: Vec<&'s str>,
}

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("settings")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(()) = map.next_key_seed(Key(&self.settings))? {
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// One key, which must be a setting.
struct Key<'s>(&'s [&'s str]);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a setting")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<(), E> {
        if self.0.contains(&key) {
            return Ok(());
        }
        let names: Vec<_> = self.0.iter().map(|name| format!("`{name}`")).collect();
        let names = names.join(", ");
        Err(E::custom(format!(
            "unknown field `{key}`, expected one of {names}"
        )))
    }
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

/// A text that is given, or the one in the file that `@FILE` names, without the line break at its
/// end. `@@` is an `@` that names no file.
fn text_or_file(flag: &str, given: &str) -> Result<String> {
    let Some(path) = given.strip_prefix('@') else {
        return Ok(given.to_owned());
    };
    if path.starts_with('@') {
        return Ok(path.to_owned());
    }
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{flag}: cannot read the file {path:?}"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
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
        Self {
            config: self.config,
            from: self.from,
            endpoint: self.endpoint.over(file.endpoint),
            payload: self.payload.over(file.payload),
            max_retries: self.max_retries.or(file.max_retries),
            connections: self.connections.or(file.connections),
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
            workers: self.workers.or(file.workers),
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
                let endpoint = self.endpoint.endpoint()?;
                let payloads = self
                    .payload
                    .payloads(self.endpoint.api()?)?
                    .ok_or_else(|| UsageError(NOTHING_TO_SEND.to_owned()))?;
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
        set(&mut config.workers, self.workers.map(Some));
        match &self.from {
            Some(_) => self.endpoint.reach_again(&mut config)?,
            None => self.endpoint.reach(&mut config)?,
        }
        set(&mut config.output, self.output.map(Some));
        set(&mut config.run_description, self.description.map(Some));
        set(&mut config.max_cost, self.max_cost.map(Some));
        config.run_name = self.run_name;
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
        self.endpoint.check_address(&saved.endpoint)?;
        self.endpoint.move_from(&mut saved.endpoint);
        let state = &mut saved.endpoint.state;
        for (field, flag) in [
            ("base_url", &self.endpoint.base_url),
            ("model_id", &self.endpoint.model),
            ("region", &self.endpoint.region),
            ("provider", &self.endpoint.provider),
        ] {
            if let Some(value) = flag {
                state.insert(field.to_owned(), value.as_str().into());
            }
        }
        if !self.endpoint.headers.is_empty() {
            let mut headers = match state.remove("default_headers") {
                Some(Value::Object(headers)) => headers,
                _ => Map::new(),
            };
            for (name, value) in self.endpoint.header_lines()? {
                headers.insert(name.to_owned(), value.into());
            }
            state.insert("default_headers".to_owned(), headers.into());
        }
        if self.endpoint.endpoint.is_some() {
            saved.endpoint.class = self.endpoint.api()?.class.to_owned();
            saved.endpoint.state.remove("endpoint_type");
        }
        self.endpoint.shape_over(&mut saved.endpoint)?;
        if self.no_callbacks || !callbacks.is_empty() {
            saved.callbacks.clear();
        }
        let api = Api::of_saved(&saved.endpoint)?;
        let folder = saved.folder().to_string();
        let mut config = saved
            .into_config(self.endpoint.api_key_env.as_deref())
            .with_context(|| format!("cannot repeat the run in {folder}"))?;
        if !callbacks.is_empty() {
            config.callbacks = callbacks;
        }
        if let Some(payloads) = self.payload.payloads(api)? {
            config.payloads = payloads.into_iter().map(Arc::new).collect();
        }
        Ok(config)
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
}
