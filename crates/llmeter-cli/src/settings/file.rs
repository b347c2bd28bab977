//! Settings from a configuration file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use llmeter::{RunSettings, Setting};
use serde_json::Value;
use toml::Spanned;

use crate::args::{Flags, Subset};
use crate::exit::UsageError;

/// Flags over the configuration file, if one is named; of it what the command has flags for.
pub(crate) fn with_file<S: Subset>(flags: &Flags<S>, path: Option<&Path>) -> Result<RunSettings> {
    let Some(path) = path else {
        return Ok(flags.settings.clone());
    };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    let mut file = read(&text).map_err(|(span, reason)| {
        let place = span.map_or_else(String::new, |span| position(&text, span.start));
        UsageError(format!("{}{place}: {reason}", path.display()))
    })?;
    for setting in Setting::ALL.iter().filter(|setting| !S::has(**setting)) {
        file.clear(*setting);
    }
    Ok(flags.settings.clone().over(file))
}

/// A mistake, and where it is.
type Mistake = (Option<Range<usize>>, String);

pub(super) fn read(text: &str) -> Result<RunSettings, Mistake> {
    let entries: BTreeMap<Spanned<String>, Spanned<toml::Value>> =
        toml::from_str(text).map_err(|reason| {
            let message = reason.message().lines().collect::<Vec<_>>().join(" ");
            (reason.span(), message)
        })?;
    let mut settings = RunSettings::default();
    for (name, value) in entries {
        let setting = Setting::named(name.get_ref()).ok_or_else(|| {
            let names: Vec<_> = Setting::ALL
                .iter()
                .map(|known| format!("`{}`", key(*known)))
                .collect();
            let reason = format!(
                "unknown setting `{}`; the settings are {}",
                name.get_ref(),
                names.join(", ")
            );
            (Some(name.span()), reason)
        })?;
        let span = value.span();
        let set = settings.set(setting, &json(value.into_inner()));
        set.map_err(|reason| (Some(span), reason.with_setting_names(&key)))?;
    }
    settings
        .check()
        .map_err(|reason| (None, reason.with_setting_names(&key)))?;
    Ok(settings)
}

/// A value as settings take it: dates and times, which JSON does not have, are texts.
fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => {
            let entries = table.into_iter().map(|(name, value)| (name, json(value)));
            Value::Object(entries.collect())
        }
    }
}

/// How a file calls a setting.
fn key(setting: Setting) -> String {
    setting.name().replace('_', "-")
}

/// `, line 2, column 5`.
fn position(text: &str, start: usize) -> String {
    let before = text.get(..start).unwrap_or(text);
    let line = 1 + before.matches('\n').count();
    let column = 1 + before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count();
    format!(", line {line}, column {column}")
}
