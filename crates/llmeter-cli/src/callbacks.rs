//! The callbacks of a run, from flags and configuration file.

use std::sync::Arc;

use anyhow::{Context, Result};
use llmeter::callback::{self, CacheBuster};
use llmeter::mlflow::MlflowCallback;
use llmeter::{Callback, Error, RunSettings, Setting};
use serde_json::{Map, Value};

use crate::args::RunArguments;
use crate::exit::UsageError;
use crate::prices;

/// What a table of `[[callbacks]]` names its type with.
const TYPE: &str = "type";
/// What it names a file with that holds the callback.
const FILE: &str = "file";

/// The callbacks that the settings ask for, in the order in which a run calls them: what changes
/// requests first, then the prices, the tables of the configuration file and the files in their
/// order, and MLflow last.
pub(crate) fn of(
    arguments: &RunArguments,
    settings: &RunSettings,
) -> Result<Vec<Arc<dyn Callback>>> {
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
    if let Some(mlflow) = mlflow(settings)? {
        callbacks.push(Arc::new(mlflow));
    }
    Ok(callbacks)
}

fn mlflow(settings: &RunSettings) -> Result<Option<MlflowCallback>> {
    let Some(uri) = &settings.mlflow else {
        let details = [Setting::MlflowExperiment, Setting::MlflowArtifacts];
        return match settings.given().find(|given| details.contains(given)) {
            Some(setting) => Err(Error::requires(setting, Setting::Mlflow).into()),
            None => Ok(None),
        };
    };
    let mut mlflow = MlflowCallback::new().artifacts(settings.mlflow_artifacts == Some(true));
    if !uri.is_empty() {
        mlflow = mlflow.tracking_uri(uri)?;
    } else if std::env::var_os("MLFLOW_TRACKING_URI").is_none_or(|uri| uri.is_empty()) {
        let error = Error::hidden(Setting::Mlflow, "the address of a tracking server");
        return Err(error
            .with_hint("set MLFLOW_TRACKING_URI, or give it here")
            .into());
    }
    if let Some(name) = &settings.mlflow_experiment {
        mlflow = mlflow.experiment(name);
    }
    mlflow.validate()?;
    Ok(Some(mlflow))
}

/// A table names its type, whose fields are its other keys, or a file.
fn from_table(table: &Map<String, Value>) -> Result<Arc<dyn Callback>> {
    match (table.get(TYPE), table.get(FILE)) {
        (None, Some(Value::String(file))) if table.len() == 1 => {
            Ok(<dyn Callback>::load_from_file_blocking(file)?)
        }
        (Some(Value::String(_)), _) => {
            let value = Value::Object(table.clone());
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
