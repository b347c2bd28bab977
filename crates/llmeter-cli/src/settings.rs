//! From flags and configuration file to one validated plan, before anything runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use llmeter::payload::{Payload, load_payloads, tokenizer_from_spec};
use llmeter::{Load, OpenAiChat, RunConfig};
use secrecy::SecretString;

use crate::args::{EndpointKind, RunArguments};
use crate::exit::UsageError;

const DEFAULT_KEY_VARIABLE: &str = "OPENAI_API_KEY";
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
            endpoint: self.endpoint.or(file.endpoint),
            base_url: self.base_url.or(file.base_url),
            model: self.model.or(file.model),
            api_key_env: self.api_key_env.or(file.api_key_env),
            headers: if self.headers.is_empty() {
                file.headers
            } else {
                self.headers
            },
            ca_file: self.ca_file.or(file.ca_file),
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
        let endpoint = self.endpoint()?;
        let payloads = match (&self.prompt, &self.payload) {
            (Some(text), None) => {
                let max_tokens = self.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
                vec![OpenAiChat::create_payload(
                    text.as_str(),
                    max_tokens,
                    Payload::new(),
                )?]
            }
            (None, Some(_)) if self.max_tokens.is_some() => {
                let reason =
                    "--max-tokens goes with --prompt; the payloads of a file have their own";
                return Err(UsageError(reason.to_owned()).into());
            }
            (None, Some(path)) => {
                path.check("payload")?;
                load_payloads(path)?
            }
            _ => {
                return Err(UsageError(
                    "nothing to send: give --prompt TEXT or --payload FILE".to_owned(),
                )
                .into());
            }
        };
        let mut config = RunConfig::new(Arc::new(endpoint), payloads);
        if let Some(spec) = &self.tokenizer {
            config.tokenizer = tokenizer_from_spec(spec)?;
        }
        config.clients = self.clients.unwrap_or(1);
        config.load = match (self.requests, self.duration) {
            (_, Some(duration)) => Load::Duration(duration),
            (Some(count), None) => Load::Requests(count),
            (None, None) => Load::EachPayloadOnce,
        };
        config.timeout = self.timeout.unwrap_or(Duration::from_secs(60));
        config.warmup = self.warmup.unwrap_or(0);
        config.seed = self.seed.unwrap_or(0);
        config.stamps = self.stamps.map(Into::into).unwrap_or_default();
        config.lanes = self.lanes;
        config.ca_file = self.ca_file;
        config.low_memory = self.low_memory;
        config.output = Some(self.output.unwrap_or_else(|| "runs".into()));
        config.run_name = self.run_name;
        config.run_description = self.description;
        config.overwrite = self.overwrite;
        config.validate()?;
        Ok(config)
    }

    /// The environment variable that holds the API key.
    pub(crate) fn key_variable(&self) -> &str {
        self.api_key_env.as_deref().unwrap_or(DEFAULT_KEY_VARIABLE)
    }

    fn endpoint(&self) -> Result<OpenAiChat> {
        let needed = |value: &Option<String>, flag: &str, what: &str| {
            value
                .clone()
                .ok_or_else(|| UsageError(format!("{flag} is missing: give {what}")))
        };
        let base_url = needed(
            &self.base_url,
            "--base-url",
            "the API's address, like http://localhost:8000/v1",
        )?;
        let model = needed(&self.model, "--model", "the model to ask for")?;
        let is_streaming = self.endpoint != Some(EndpointKind::OpenaiChat);
        let mut builder = OpenAiChat::builder(&base_url, &model).streaming(is_streaming);
        let variable = self.key_variable();
        match std::env::var(variable) {
            Ok(key) if !key.is_empty() => builder = builder.api_key(SecretString::from(key)),
            Ok(_) | Err(std::env::VarError::NotPresent) => {}
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(UsageError(format!(
                    "the API key in {variable} is not text; check the variable"
                ))
                .into());
            }
        }
        for line in &self.headers {
            // The line itself may hold a secret, so that the message must not quote it.
            let (name, value) = line.split_once(':').ok_or_else(|| {
                UsageError("--header: a line has no colon; write it as 'Name: value'".to_owned())
            })?;
            builder = builder.header(name.trim(), value.trim());
        }
        Ok(builder.build()?)
    }
}
