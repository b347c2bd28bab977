//! The callbacks of a run, from flags and configuration file.

use std::sync::Arc;

use anyhow::{Context, Result};
use llmeter::Callback;
use llmeter::callback::{self, CacheBuster};
use serde_json::{Map, Value};

use crate::args::RunArguments;
use crate::exit::UsageError;

/// What a table of `[[callbacks]]` names its type with.
const TYPE: &str = "type";
/// What it names a file with that holds the callback.
const FILE: &str = "file";

/// The callbacks that the settings ask for, in the order in which a run calls them: what changes
/// requests first, then the tables of the configuration file, then the files in their order, then
/// the prices.
pub(crate) fn of(arguments: &RunArguments) -> Result<Vec<Arc<dyn Callback>>> {
    let mut callbacks: Vec<Arc<dyn Callback>> = Vec::new();
    if arguments.cache_buster {
        callbacks.push(Arc::new(CacheBuster::new(arguments.seed)));
    }
    for (index, table) in arguments.callbacks.iter().enumerate() {
        let place = || format!("callbacks, table {}", index + 1);
        callbacks.push(from_table(table).with_context(place)?);
    }
    for file in &arguments.callback_files {
        callbacks.push(<dyn Callback>::load_from_file_blocking(file)?);
    }
    if let Some(model) = arguments.prices().model()? {
        callbacks.push(Arc::new(model));
    }
    Ok(callbacks)
}

/// A table names its type, whose fields are its other keys, or a file.
fn from_table(table: &toml::Table) -> Result<Arc<dyn Callback>> {
    match (table.get(TYPE), table.get(FILE)) {
        (None, Some(toml::Value::String(file))) if table.len() == 1 => {
            Ok(<dyn Callback>::load_from_file_blocking(file)?)
        }
        (Some(toml::Value::String(_)), _) => {
            let value = serde_json::to_value(table)?;
            Ok(callback::from_json(&typed(value))?)
        }
        _ => Err(UsageError(format!(
            "give {TYPE} = \"NAME\" and the fields of that type, or {FILE} = \"FILE.json\"; \
             `llmeter callbacks` lists the types"
        ))
        .into()),
    }
}

/// Turns every `type` into the key by which saved objects bear a bare name.
fn typed(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let named = |name: String| match name.as_str() {
                TYPE => "_type".to_owned(),
                _ => name,
            };
            let fields = fields
                .into_iter()
                .map(|(name, value)| (named(name), typed(value)));
            Value::Object(Map::from_iter(fields))
        }
        Value::Array(items) => items.into_iter().map(typed).collect(),
        other => other,
    }
}
