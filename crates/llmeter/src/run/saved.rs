//! A run's configuration as files: the Python system's `run_config.json`, and our own
//! `llmeter.json` for what that has no place for.

use serde_json::{Value, json};

use super::settings::{RunSettings, seconds};
use crate::base::error::Result;
use crate::base::setting::Setting;
use crate::run::RunConfig;
use crate::storage::Location;
use llmeter_wire::Proxies;

/// `run_config.json`: exactly the keys that the Python system knows, in its order.
///
/// # Errors
/// If a callback cannot be saved.
pub(crate) fn run_config(config: &RunConfig, folder: &Location, run_name: &str) -> Result<Value> {
    let callbacks = match config.callbacks.as_slice() {
        [] => Value::Null,
        callbacks => callbacks
            .iter()
            .map(|callback| Ok(callback.saved()?.to_json()))
            .collect::<Result<_>>()?,
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

/// `llmeter.json`: the rest of the configuration, and where the run was made.
pub(crate) fn own_config(config: &RunConfig) -> Value {
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
    own.into()
}
