//! A run's configuration as files: the Python system's `run_config.json`, and our own
//! `llmeter.json` for what that has no place for.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::settings::{Kept, RunSettings, kept, seconds};
use crate::base::error::Result;
use crate::base::host;
use crate::base::setting::Setting;
use crate::load::Load;
use crate::result::{CONFIG_FILE, OWN_CONFIG_FILE, PAYLOAD_FILE, payload_lines};
use crate::run::RunConfig;
use crate::saved::json as saved_json;
use crate::storage::Location;
use llmeter_wire::Proxies;

/// Where `llmeter.json` has what no other run has.
pub(crate) const RUN_ID: &str = "run_id";
/// Where `llmeter.json` has the first request of the data.
pub(super) const DATA_START: &str = "data_start";
/// Where it has the servers beside the first.
pub(super) const REPLICAS: &str = "replicas";

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
    /// Whether the data is a source of the user's own.
    pub data: bool,
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
            schedule: matches!(&config.load, Load::Schedule(schedule) if !schedule.is_of_data()),
            data: config
                .data
                .as_ref()
                .is_some_and(|data| data.settings().is_none()),
        })
    }

    /// Whether everything has a saved form.
    pub fn is_empty(&self) -> bool {
        self.callbacks.is_empty() && !self.schedule && !self.data
    }
}

impl fmt::Display for Unsaved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let callbacks = self.callbacks.iter();
        let callbacks = callbacks.map(|name| format!("callback {name}"));
        let schedule = self.schedule.then(|| "the schedule".to_owned());
        let data = self.data.then(|| "the data".to_owned());
        let all: Vec<_> = callbacks.chain(schedule).chain(data).collect();
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
        // Knows the run again wherever its folder lies, so that a merge counts it once.
        (RUN_ID): format!("{:032x}", rand::random::<u128>()),
        "llmeter_version": env!("CARGO_PKG_VERSION"),
        // Without the credentials that the proxy's URL may have.
        "proxy": config.proxy().ok().flatten().map(|proxy| proxy.shown().to_owned()),
        "proxy_from": match config.proxies {
            Proxies::None => "none",
            Proxies::All(_) => "flag",
            Proxies::Environment(_) => "environment",
        },
        "grace": seconds(config.grace),
        // What relative paths of this file and of `run_config.json` are relative to.
        "working_folder": std::env::current_dir().ok().map(|folder| folder.to_string_lossy().into_owned()),
        "endpoint": config.endpoint.extra_state(),
        "machine": host::machine(),
    });
    own.extend(more.as_object().cloned().unwrap_or_default());
    if config.data_start > 0 {
        own.insert(DATA_START.to_owned(), config.data_start.into());
    }
    if !config.replicas.is_empty() {
        let replicas = config.replicas.iter().map(|replica| {
            let mut saved = replica.saved();
            saved.state.extend(replica.extra_state());
            saved.to_json()
        });
        own.insert(REPLICAS.to_owned(), replicas.collect());
    }
    let unsaved = Unsaved::of(config)?;
    if !unsaved.is_empty() {
        own.insert("unsaved".to_owned(), json!(unsaved));
    }
    Ok(own.into())
}

/// What the run in a folder was measured with and a run of this configuration would not be, each in a few
/// words; settings are named in backquotes. What a folder does not tell, as one of the Python system,
/// is taken for equal, and what has no part in the figures is left out.
///
/// # Errors
/// If a file of the folder cannot be read, or a callback cannot be saved.
pub(crate) fn differences(config: &RunConfig, folder: &Location) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut read = |name: &str| -> Result<Value> {
        let text = folder.join(name).read_if_there()?;
        let is_there = text.is_some();
        let object = text.and_then(|text| saved_json::read(&text).ok());
        // The Python package makes one of the two files alone.
        if object.is_none() && (is_there || name == CONFIG_FILE) {
            found.push(format!("its {name} is missing or cannot be read"));
        }
        Ok(object.map_or(Value::Null, Value::Object))
    };
    let was = [read(CONFIG_FILE)?, read(OWN_CONFIG_FILE)?];
    let name = folder.file_name().unwrap_or_default();
    let is = [run_config(config, folder, &name)?, own_config(config)?];
    for setting in Setting::ALL.iter().copied() {
        let (file, key) = match kept(setting) {
            Kept::Shared(key) => (0, key),
            Kept::Own => (1, setting.name()),
            Kept::Object | Kept::Never => continue,
        };
        if is_without_effect(setting) {
            continue;
        }
        if let Some(was) = was[file].get(key)
            && !is_equal(was, &is[file][key])
        {
            let (was, is) = (shown(was), shown(&is[file][key]));
            found.push(format!("`{setting}` was {was} and is {is}"));
        }
    }
    for (file, key) in [
        (0, "endpoint"),
        (1, "endpoint"),
        (1, REPLICAS),
        (0, "tokenizer"),
        (0, "callbacks"),
    ] {
        if let Some(was) = was[file].get(key)
            && !is_equal(was, &is[file][key])
        {
            found.push(format!(
                "the {key} is another{}",
                parts(was, &is[file][key])
            ));
        }
    }
    let payloads = config.payloads.iter().map(|payload| &**payload);
    let sent = folder.join(PAYLOAD_FILE).read_if_there()?;
    if config.data.is_none() && sent.is_some_and(|sent| sent != payload_lines(payloads)) {
        found.push("the payloads are others".to_owned());
    }
    Ok(found)
}

/// The files of a run's folder that say how it was made.
pub(crate) struct SavedFiles<'r> {
    /// What sentences call the run.
    pub(crate) name: String,
    /// `run_config.json`.
    pub(crate) shared: Map<String, Value>,
    /// `llmeter.json`.
    pub(crate) own: &'r Map<String, Value>,
}

/// What of their settings several runs do not have in common, each in a few words; settings are named in
/// backquotes. `is_own`: settings that each run may have as it likes. What a folder does not tell is taken
/// for equal.
pub(crate) fn differences_among(
    runs: &[SavedFiles<'_>],
    is_own: impl Fn(Setting) -> bool,
) -> Vec<String> {
    let mut found = Vec::new();
    for setting in Setting::ALL.iter().copied() {
        let value: &dyn Fn(&SavedFiles<'_>) -> Option<Value> = match kept(setting) {
            Kept::Shared(key) => &move |run| run.shared.get(key).cloned(),
            Kept::Own => &move |run| run.own.get(setting.name()).cloned(),
            Kept::Object | Kept::Never => continue,
        };
        if is_without_effect(setting) || is_own(setting) {
            continue;
        }
        let groups = groups(runs, value);
        if groups.len() > 1 {
            let each = groups
                .iter()
                .map(|(value, names)| format!("{} in {}", shown(value), some_of(names)));
            let each: Vec<_> = each.collect();
            found.push(format!("`{setting}` is {}", each.join(", ")));
        }
    }
    for key in ["endpoint", "tokenizer", "callbacks"] {
        let groups = groups(runs, &|run| run.shared.get(key).cloned());
        let [(first, of_first), others @ ..] = groups.as_slice() else {
            continue;
        };
        for (other, names) in others {
            found.push(format!(
                "the {key} of {} is another than that of {}{}",
                some_of(names),
                some_of(of_first),
                parts(first, other)
            ));
        }
    }
    found
}

/// A saved value as people write it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "not set".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(shown).collect::<Vec<_>>().join(", "),
        value => value.to_string(),
    }
}

/// Runs by a value, in order of the first that has it.
fn groups<'r>(
    runs: &'r [SavedFiles<'_>],
    value: &dyn Fn(&SavedFiles<'_>) -> Option<Value>,
) -> Vec<(Value, Vec<&'r str>)> {
    let mut groups: Vec<(Value, Vec<&str>)> = Vec::new();
    for run in runs {
        let Some(value) = value(run) else {
            continue;
        };
        match groups.iter_mut().find(|(known, _)| is_equal(known, &value)) {
            Some((_, names)) => names.push(&run.name),
            None => groups.push((value, vec![&run.name])),
        }
    }
    groups
}

/// The first of some names, and how many more there are.
fn some_of(names: &[&str]) -> String {
    const NAMED: usize = 3;
    let shown = names.iter().take(NAMED).copied().collect::<Vec<_>>();
    match names.len().saturating_sub(NAMED) {
        0 => shown.join(" and "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Whether a setting says what is kept and when a run ends early, not what is measured.
fn is_without_effect(setting: Setting) -> bool {
    matches!(
        setting,
        Setting::Description
            | Setting::LowMemory
            | Setting::MaxCost
            | Setting::WaitUntilReady
            | Setting::MaxFailures
            | Setting::StopOnErrorRate
            | Setting::IgnoreWriteErrors
    )
}

/// Which entries of a saved object differ: ` (model_id)`.
fn parts(was: &Value, is: &Value) -> String {
    let state = |value: &Value| value.get("__llmeter_state__").cloned();
    let (Some(Value::Object(was)), Some(Value::Object(is))) = (state(was), state(is)) else {
        return String::new();
    };
    let keys = was
        .keys()
        .chain(is.keys().filter(|key| !was.contains_key(*key)));
    let differ = keys.filter(|key| was.get(*key) != is.get(*key));
    let differ: Vec<_> = differ.map(String::as_str).collect();
    match differ.as_slice() {
        [] => String::new(),
        differ => format!(" ({})", differ.join(", ")),
    }
}

/// Whether two saved values are the same, however their numbers are written.
fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}
