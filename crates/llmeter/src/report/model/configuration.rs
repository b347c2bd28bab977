//! With what a run was made: settings, endpoint, machine.

use serde_json::{Map, Value};

use super::{Block, line};
use crate::base::setting::Setting;
use crate::result::OWN_CONFIG_FILE;
use crate::run::SavedRun;
use crate::saved::json;
use crate::storage::Location;

/// Tables of what a run's folder says of it; what cannot be read is left out.
pub(super) fn tables(folder: Option<&Location>) -> Vec<Block> {
    let Some(folder) = folder else {
        return Vec::new();
    };
    let own = folder.join(OWN_CONFIG_FILE).read_if_there().ok().flatten();
    let own: Map<String, Value> = own
        .and_then(|text| json::read(&text).ok())
        .unwrap_or_default();
    let mut rows = Vec::new();
    if let Ok(saved) = SavedRun::load(folder.clone()) {
        let class = saved.endpoint.class.rsplit('.').next().unwrap_or_default();
        rows.push(["endpoint".to_owned(), line(class)]);
        for (key, value) in &saved.endpoint.state {
            rows.extend(shown(value).map(|value| [format!("endpoint: {}", words(key)), value]));
        }
        for setting in Setting::ALL {
            let value = saved
                .settings
                .get(*setting)
                .filter(|value| !is_default(value));
            let value = value.as_ref().and_then(shown);
            rows.extend(value.map(|value| [words(setting.name()), value]));
        }
    }
    let settings = Block::pairs("Settings", ["setting", "value"], rows);
    let mut rows = Vec::new();
    if let Some(version) = own.get("llmeter_version").and_then(shown) {
        rows.push(["llmeter".to_owned(), version]);
    }
    let machine = own.get("machine").and_then(Value::as_object);
    for (key, value) in machine.into_iter().flatten() {
        rows.extend(shown(value).map(|value| [words(key), value]));
    }
    let machine = Block::pairs("Machine", ["what", "value"], rows);
    settings.into_iter().chain(machine).collect()
}

fn words(key: &str) -> String {
    line(&key.replace('_', " "))
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

/// A value as text; `None` for nothing.
fn shown(value: &Value) -> Option<String> {
    match value {
        value if is_default(value) => None,
        Value::String(text) => Some(line(text)),
        Value::Array(list) => {
            let list: Vec<_> = list.iter().filter_map(shown).collect();
            Some(line(&list.join(", ")))
        }
        Value::Object(object) => {
            let pairs = object
                .iter()
                .filter_map(|(key, value)| Some(format!("{} {}", words(key), shown(value)?)));
            Some(line(&pairs.collect::<Vec<_>>().join(", ")))
        }
        value => Some(line(&value.to_string())),
    }
}
