//! The callbacks of a run, from flags and configuration file.

use std::sync::Arc;

use anyhow::{Context, Result};
use llmeter::Callback;
use llmeter::callback::{self, CacheBuster};
use serde_json::{Map, Value};

use crate::args::RunArguments;
use crate::exit::UsageError;
use crate::settings::Given;
use crate::{mlflow, prices};

/// What a table of `[[callbacks]]` names its type with.
const TYPE: &str = "type";
/// What it names a file with that holds the callback.
const FILE: &str = "file";

/// The callbacks that the settings ask for, in the order in which a run calls them: what changes
/// requests first, then the prices, the tables of the configuration file and the files in their
/// order, and MLflow last.
pub(crate) fn of(arguments: &RunArguments, given: &Given) -> Result<Vec<Arc<dyn Callback>>> {
    let settings = &given.settings;
    let mut callbacks: Vec<Arc<dyn Callback>> = Vec::new();
    if settings.cache_buster == Some(true) {
        callbacks.push(Arc::new(CacheBuster::new(settings.seed)));
    }
    // Before those that log what it adds.
    if let Some(model) = prices::model(settings)? {
        callbacks.push(Arc::new(model));
    }
    for (index, table) in settings.callbacks.iter().flatten().enumerate() {
        let place = || format!("callbacks, table {}", index + 1);
        callbacks.push(from_table(table).with_context(place)?);
    }
    for file in &arguments.callback_files {
        callbacks.push(<dyn Callback>::load_from_file_blocking(file)?);
    }
    // Last, so that it logs what the others add.
    callbacks.extend(mlflow::of(given)?);
    Ok(callbacks)
}

/// A table names its type, whose fields are its other keys, or a file.
fn from_table(table: &Map<String, Value>) -> Result<Arc<dyn Callback>> {
    match (table.get(TYPE), table.get(FILE)) {
        (None, Some(Value::String(file))) if table.len() == 1 => {
            Ok(<dyn Callback>::load_from_file_blocking(file)?)
        }
        (Some(Value::String(_)), _) => Ok(callback::from_json(&typed(table.clone()))?),
        _ => Err(UsageError(format!(
            "give {TYPE} = \"NAME\" and the fields of that type, or {FILE} = \"FILE.json\"; \
             `llmeter callbacks` lists the types"
        ))
        .into()),
    }
}

/// Turns the `type` of a table into the key by which saved objects bear a bare name, and so in the
/// objects that it has in it. A `type` elsewhere, as among tags, is the user's.
fn typed(mut table: Map<String, Value>) -> Value {
    let name = table.get(TYPE).and_then(Value::as_str).unwrap_or_default();
    let kinds = callback::kinds();
    let kind = kinds
        .iter()
        .find(|kind| kind.class == name || kind.name() == name);
    let fields = kind.map(|kind| kind.fields).unwrap_or_default();
    for field in fields.iter().filter(|field| field.has_objects) {
        match table.get_mut(field.name) {
            Some(Value::Object(objects)) => objects.values_mut().for_each(rename_type),
            Some(Value::Array(objects)) => objects.iter_mut().for_each(rename_type),
            _ => {}
        }
    }
    let mut table = Value::Object(table);
    rename_type(&mut table);
    table
}

fn rename_type(object: &mut Value) {
    if let Value::Object(fields) = object
        && let Some(name) = fields.remove(TYPE)
    {
        fields.insert("_type".to_owned(), name);
    }
}
