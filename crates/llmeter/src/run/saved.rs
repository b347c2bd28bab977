//! A run's configuration as files: the Python system's `run_config.json`, and our own
//! `llmeter.json` for what that has no place for.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::settings::{RunSettings, seconds};
use crate::base::error::Result;
use crate::base::setting::Setting;
use crate::load::Load;
use crate::run::RunConfig;
use crate::storage::Location;
use llmeter_wire::Proxies;

/// `run_config.json`: exactly the keys that the Python system knows, in its order.
///
/// # Errors
/// If a callback cannot be saved.
pub(crate) fn run_config(config: &RunConfig, folder: &Location, run_name: &str) -> Result<Value> {
    let mut callbacks = Vec::new();
    for callback in &config.callbacks {
        callbacks.extend(callback.saved()?.map(|saved| saved.to_json()));
    }
    let callbacks = match config.callbacks.is_empty() {
        true => Value::Null,
        false => callbacks.into(),
    };
    let settings = RunSettings::of(config);
    let value = |setting| settings.get(setting);
    Ok(json!({
        "endpoint": config.endpoint.saved().to_json(),
        "output_path": folder,
        "tokenizer": config.tokenizer.saved(),
        "clients": value(Setting::Clients),
        "n_requests": config.requests_per_client().unwrap_or(0),
        "run_duration": value(Setting::Duration),
        "payload": folder.join("payload.jsonl"),
        "run_name": run_name,
        "run_description": value(Setting::Description),
        "timeout": value(Setting::Timeout),
        "callbacks": callbacks,
        "low_memory": value(Setting::LowMemory),
        "progress_bar_stats": null,
    }))
}

/// What of a run has no saved form. While there is anything, the run cannot be repeated from its
/// folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unsaved {
    /// The names of callbacks.
    pub callbacks: Vec<String>,
    /// Whether the load is a schedule.
    pub schedule: bool,
}

impl Unsaved {
    /// # Errors
    /// If a callback cannot be saved although it should be.
    pub(crate) fn of(config: &RunConfig) -> Result<Self> {
        let mut callbacks = Vec::new();
        for callback in &config.callbacks {
            if callback.saved()?.is_none() {
                callbacks.push(callback.name().to_owned());
            }
        }
        Ok(Self {
            callbacks,
            schedule: matches!(config.load, Load::Schedule(_)),
        })
    }

    /// Whether everything has a saved form.
    pub fn is_empty(&self) -> bool {
        self.callbacks.is_empty() && !self.schedule
    }
}

impl fmt::Display for Unsaved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let callbacks = self.callbacks.iter();
        let callbacks = callbacks.map(|name| format!("callback {name}"));
        let schedule = self.schedule.then(|| "the schedule".to_owned());
        let all: Vec<_> = callbacks.chain(schedule).collect();
        formatter.write_str(&all.join(", "))
    }
}

/// `llmeter.json`: the rest of the configuration, and where the run was made.
///
/// # Errors
/// If a callback cannot be saved although it should be.
pub(crate) fn own_config(config: &RunConfig) -> Result<Value> {
    let mut own = RunSettings::of(config).own();
    let more = json!({
        "format": 1,
        "llmeter_version": env!("CARGO_PKG_VERSION"),
        // Without the credentials that the proxy's URL may have.
        "proxy": config.proxy().ok().flatten().map(|proxy| proxy.shown().to_owned()),
        "proxy_from": match config.proxies {
            Proxies::None => "none",
            Proxies::All(_) => "flag",
            Proxies::Environment(_) => "environment",
        },
        "grace": seconds(config.grace),
        "endpoint": config.endpoint.extra_state(),
        "machine": {
            "os": std::env::consts::OS,
            "architecture": std::env::consts::ARCH,
            "cores": std::thread::available_parallelism().map_or(1, usize::from),
        },
    });
    own.extend(more.as_object().cloned().unwrap_or_default());
    let unsaved = Unsaved::of(config)?;
    if !unsaved.is_empty() {
        own.insert("unsaved".to_owned(), json!(unsaved));
    }
    Ok(own.into())
}
