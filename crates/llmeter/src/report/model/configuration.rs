//! With what a run was made: settings, endpoint, machine.

use serde_json::{Map, Value};

use super::{Block, line};
use crate::base::setting::{Setting, SettingKind};
use crate::base::shown::duration;
use crate::result::OWN_CONFIG_FILE;
use crate::run::SavedRun;
use crate::saved::json;
use crate::storage::Location;

/// Tables of what a run's folder says of it; what cannot be read is left out.
pub(super) fn tables(folder: Option<&Location>) -> Vec<Block> {
    let Some(folder) = folder else {
        return Vec::new();
    };
    let settings = Block::pairs("Settings", ["setting", "value"], settings(folder));
    settings.into_iter().chain(machine(folder)).collect()
}

/// The same of several runs with names, a column each, and the first one's machine. Settings that differ
/// come first.
pub(super) fn side_by_side(all: &[(String, &Location)]) -> Vec<Block> {
    let Some((_, first)) = all.first() else {
        return Vec::new();
    };
    let of_each: Vec<_> = all.iter().map(|(_, folder)| settings(folder)).collect();
    let mut keys: Vec<&String> = Vec::new();
    for [key, _] in of_each.iter().flatten() {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let row = |key: &String| -> Vec<String> {
        let value = |rows: &Vec<[String; 2]>| {
            let found = rows.iter().find(|[name, _]| name == key);
            found.map_or_else(|| "—".to_owned(), |[_, value]| value.clone())
        };
        std::iter::once(key.clone())
            .chain(of_each.iter().map(value))
            .collect()
    };
    let mut rows: Vec<Vec<String>> = keys.into_iter().map(row).collect();
    rows.sort_by_key(|row| row[1..].windows(2).all(|two| two[0] == two[1]));
    let titles = all.iter().map(|(name, _)| name.clone());
    rows.insert(
        0,
        std::iter::once("setting".to_owned())
            .chain(titles)
            .collect(),
    );
    let settings = Block::table("Settings, those that differ first", rows, &[""; 0]);
    settings.into_iter().chain(machine(first)).collect()
}

fn settings(folder: &Location) -> Vec<[String; 2]> {
    let mut rows = Vec::new();
    let Ok(saved) = SavedRun::load(folder.clone()) else {
        return rows;
    };
    let class = saved.endpoint.class.rsplit('.').next().unwrap_or_default();
    rows.push(["endpoint".to_owned(), line(class)]);
    for (key, value) in &saved.endpoint.state {
        rows.extend(shown(value).map(|value| [format!("endpoint: {}", words(key)), value]));
    }
    for setting in Setting::ALL {
        let value = saved.settings.get(*setting);
        let value = value
            .or_else(|| saved.named_elsewhere(*setting))
            .filter(|value| !is_default(value));
        let value = value.as_ref().and_then(|value| match value.as_f64() {
            // Saved times are in seconds.
            Some(seconds) if setting.kind() == SettingKind::Time => Some(duration(seconds)),
            _ => shown(value),
        });
        rows.extend(value.map(|value| [words(setting.name()), value]));
    }
    rows
}

fn machine(folder: &Location) -> Option<Block> {
    let own = folder.join(OWN_CONFIG_FILE).read_if_there().ok().flatten();
    let own: Map<String, Value> = own
        .and_then(|text| json::read(&text).ok())
        .unwrap_or_default();
    let mut rows = Vec::new();
    if let Some(version) = own.get("llmeter_version").and_then(shown) {
        rows.push(["llmeter".to_owned(), version]);
    }
    let machine = own.get("machine").and_then(Value::as_object);
    for (key, value) in machine.into_iter().flatten() {
        rows.extend(shown(value).map(|value| [words(key), value]));
    }
    Block::pairs("Machine", ["what", "value"], rows)
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
