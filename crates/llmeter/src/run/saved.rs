//! A run's configuration as files: the Python system's `run_config.json`, and our own
//! `llmeter.json` for what that has no place for.

use serde_json::{Value, json};

use crate::base::error::Result;
use crate::run::{Connections, Load, RunConfig};
use crate::storage::Location;
use llmeter_wire::{Proxies, StampSource};

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
    let endpoint = config.endpoint.saved();
    Ok(json!({
        "endpoint": endpoint.to_json(),
        "output_path": folder,
        "tokenizer": config.tokenizer.saved(),
        "clients": config.clients,
        "n_requests": config.requests_per_client().unwrap_or(0),
        "run_duration": duration(config),
        "payload": folder.join("payload.jsonl"),
        "run_name": run_name,
        "run_description": config.run_description,
        "timeout": seconds(config.timeout),
        "callbacks": callbacks,
        "low_memory": config.low_memory,
        "progress_bar_stats": null,
    }))
}

/// `llmeter.json`: the rest of the configuration, and where the run was made.
pub(crate) fn own_config(config: &RunConfig) -> Value {
    json!({
        "format": 1,
        "llmeter_version": env!("CARGO_PKG_VERSION"),
        "seed": config.seed,
        "warmup": config.warmup,
        "stamps": match config.stamps {
            StampSource::Kernel => "kernel",
            StampSource::User => "user",
        },
        "ca_file": config.ca_file.as_ref().map(|file| file.to_string_lossy()),
        "max_retries": config.max_retries,
        "insecure": config.insecure,
        // Without the credentials that the proxy's URL may have.
        "proxy": config.proxy().ok().flatten().map(|proxy| proxy.shown().to_owned()),
        "proxy_from": match config.proxies {
            Proxies::None => "none",
            Proxies::All(_) => "flag",
            Proxies::Environment(_) => "environment",
        },
        "http2": config.http2,
        "connections": match config.connections {
            Connections::Keep => "keep",
            Connections::New => "new",
        },
        "workers": config.worker_count(),
        "grace": seconds(config.grace),
        "max_cost": config.max_cost,
        "endpoint": config.endpoint.saved_apart(),
        "machine": {
            "os": std::env::consts::OS,
            "architecture": std::env::consts::ARCH,
            "cores": std::thread::available_parallelism().map_or(1, usize::from),
        },
    })
}

fn duration(config: &RunConfig) -> Value {
    match config.load {
        Load::Duration(duration) => seconds(duration),
        _ => Value::Null,
    }
}

/// Whole seconds as an integer, as the Python system writes its default timeout.
fn seconds(duration: std::time::Duration) -> Value {
    if duration.subsec_nanos() == 0 {
        json!(duration.as_secs())
    } else {
        json!(duration.as_secs_f64())
    }
}
