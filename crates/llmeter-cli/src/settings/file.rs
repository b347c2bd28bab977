//! Settings from a configuration file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use llmeter::endpoint::own_configuration;
use llmeter::stats::Condition;
use llmeter::storage::{Location, files};
use llmeter::{RunSettings, Setting};
use serde_json::Value;
use toml::Spanned;

use crate::args::{Flags, Subset};
use crate::exit::{self, UsageError};

/// The settings of a command, and what of them a file says that may be somebody else's.
pub(crate) struct Given {
    pub(crate) settings: RunSettings,
    from_file: Vec<Setting>,
    /// The folder of that file.
    folder: PathBuf,
    /// Whether it is the user's own.
    is_own: bool,
    /// Its classes of workload.
    pub(crate) workloads: Vec<GivenWorkload>,
}

/// A table `[[workload]]`.
pub(crate) struct GivenWorkload {
    pub(crate) name: String,
    /// Its part of the load of the whole.
    pub(crate) share: Option<f64>,
    /// What it has of its own.
    pub(crate) settings: RunSettings,
}

impl GivenWorkload {
    /// The conditions of its own gate.
    pub(crate) fn fail_if(&self) -> &[Condition] {
        self.settings.fail_if.as_deref().unwrap_or_default()
    }
}

/// The key of the tables of workloads, and what they have beside settings.
const WORKLOAD: &str = "workload";
const NAME: &str = "name";
const SHARE: &str = "share";
/// What is about the whole, and in no table of a workload.
const OF_WHOLE: [Setting; 7] = [
    Setting::Output,
    Setting::RunName,
    Setting::Overwrite,
    Setting::Quiet,
    Setting::Json,
    Setting::Strict,
    Setting::Calibrate,
];
/// What makes a load.
const LOADS: [Setting; 6] = [
    Setting::Rate,
    Setting::Clients,
    Setting::Stages,
    Setting::Replay,
    Setting::Sessions,
    Setting::SessionRate,
];

impl Given {
    /// Settings that flags alone give.
    pub(crate) fn of_flags(settings: RunSettings) -> Self {
        Self {
            settings,
            from_file: Vec::new(),
            folder: PathBuf::new(),
            is_own: false,
            workloads: Vec::new(),
        }
    }

    /// The same file with other settings, of which it gives these.
    pub(crate) fn with(&self, settings: RunSettings, from_file: Vec<Setting>) -> Self {
        Self {
            settings,
            from_file,
            folder: self.folder.clone(),
            is_own: self.is_own,
            workloads: Vec::new(),
        }
    }

    /// Whether there is a file that may be somebody else's.
    pub(crate) fn has_file(&self) -> bool {
        !self.is_own && !self.folder.as_os_str().is_empty()
    }

    /// Whether only the file says it.
    pub(crate) fn is_from_file(&self, setting: Setting) -> bool {
        self.from_file.contains(&setting)
    }

    /// Whether the file says where secrets go, which one, or how they get there.
    pub(crate) fn is_address_from_file(&self) -> bool {
        [
            Setting::BaseUrl,
            Setting::ApiKeyEnv,
            Setting::Insecure,
            Setting::CaFile,
            Setting::Proxy,
        ]
        .into_iter()
        .any(|setting| self.is_from_file(setting))
    }

    /// The files whose content the file has sent and that are not in its folder, nor below it.
    pub(crate) fn files_elsewhere(&self) -> Vec<String> {
        let folder = self.folder.canonicalize().unwrap_or_default();
        let texts = [Setting::Prompt, Setting::System, Setting::Body];
        let files = [
            Setting::Payload,
            Setting::Image,
            Setting::Document,
            Setting::Audio,
            Setting::Video,
        ];
        let names = texts
            .into_iter()
            .chain(files)
            .filter(|setting| self.is_from_file(*setting));
        let mut found = Vec::new();
        for setting in names {
            let values = match self.settings.get(setting) {
                Some(Value::Array(values)) => values,
                value => value.into_iter().collect(),
            };
            for name in values.iter().filter_map(Value::as_str) {
                let name = match texts.contains(&setting) {
                    false => name,
                    true => match name.strip_prefix('@') {
                        Some(name) if !name.starts_with('@') => name,
                        _ => continue,
                    },
                };
                // One that is not there is refused where it is read.
                let path = Location::from(name);
                let path = path.local_path().and_then(|path| path.canonicalize().ok());
                if path.is_some_and(|path| !path.starts_with(&folder)) {
                    found.push(name.to_owned());
                }
            }
        }
        found
    }
}

/// Whether a file is in the folder of the user's own configuration.
fn is_own(path: &Path) -> bool {
    let folder = |path: &Path| path.canonicalize().ok()?.parent().map(Path::to_path_buf);
    let own = own_configuration();
    let own = own.and_then(|own| own.parent()?.canonicalize().ok());
    own.is_some_and(|own| folder(path).is_some_and(|folder| folder.starts_with(own)))
}

/// Flags over the configuration file, if one is named; of it what the command has flags for.
pub(crate) fn with_file<S: Subset>(flags: &Flags<S>, path: Option<&Path>) -> Result<Given> {
    let Some(path) = path else {
        return Ok(Given::of_flags(flags.settings.clone()));
    };
    let text = files::read_text(path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    let at_place = |(span, reason): Mistake| {
        let place = span.map_or_else(String::new, |span| position(&text, span.start));
        UsageError(format!("{}{place}: {reason}", path.display()))
    };
    let (mut file, workloads) = read_all(&text).map_err(at_place)?;
    if !workloads.is_empty() && !S::takes_workloads() {
        let reason = "only `llmeter run` takes workloads".to_owned();
        return Err(at_place((None, reason)).into());
    }
    for setting in Setting::ALL.iter().filter(|setting| !S::has(**setting)) {
        file.clear(*setting);
    }
    let settings = flags.settings.clone().over(file);
    let from_file: Vec<Setting> = settings
        .given()
        .filter(|setting| flags.settings.get(*setting).is_none())
        .collect();
    exit::note_file(path, from_file.clone());
    let is_own = is_own(path);
    let from_file = if is_own { Vec::new() } else { from_file };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Ok(Given {
        settings,
        from_file,
        folder: folder.to_path_buf(),
        is_own,
        workloads,
    })
}

/// A mistake, and where it is.
type Mistake = (Option<Range<usize>>, String);

/// The settings of a file that has no workloads.
#[cfg(test)]
pub(super) fn read(text: &str) -> Result<RunSettings, Mistake> {
    Ok(read_all(text)?.0)
}

/// The settings of a file, and its workloads.
fn read_all(text: &str) -> Result<(RunSettings, Vec<GivenWorkload>), Mistake> {
    let mut workloads = Vec::new();
    let entries: BTreeMap<Spanned<String>, Spanned<toml::Value>> =
        toml::from_str(text).map_err(|reason| {
            let message = reason.message().lines().collect::<Vec<_>>().join(" ");
            (reason.span(), message)
        })?;
    let mut settings = RunSettings::default();
    for (name, value) in entries {
        if name.get_ref() == WORKLOAD {
            let span = value.span();
            workloads =
                read_workloads(value.into_inner()).map_err(|reason| (Some(span), reason))?;
            continue;
        }
        let setting = Setting::named(name.get_ref()).ok_or_else(|| {
            let similar = Setting::nearest(name.get_ref()).map(key);
            let reason = format!(
                "unknown setting `{}`; the nearest is `{}`, and llmeter run --help has all of them",
                name.get_ref(),
                similar.unwrap_or_default()
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
    Ok((settings, workloads))
}

/// The tables of workloads.
fn read_workloads(value: toml::Value) -> Result<Vec<GivenWorkload>, String> {
    let toml::Value::Array(tables) = value else {
        return Err(format!("write a workload as a table [[{WORKLOAD}]]"));
    };
    let read = |(number, table): (usize, toml::Value)| {
        let called = table.get(NAME).and_then(toml::Value::as_str);
        let called = called.map_or_else(
            || format!("{WORKLOAD} {}", number + 1),
            |name| format!("{WORKLOAD} {name}"),
        );
        read_workload(table).map_err(|reason| format!("{called}: {reason}"))
    };
    tables.into_iter().enumerate().map(read).collect()
}

fn read_workload(table: toml::Value) -> Result<GivenWorkload, String> {
    let toml::Value::Table(table) = table else {
        return Err(format!("write it as a table [[{WORKLOAD}]]"));
    };
    let mut settings = RunSettings::default();
    let (mut name, mut share) = (None, None);
    for (entry, value) in table {
        match entry.as_str() {
            NAME => {
                let text = value.as_str().map(str::to_owned);
                name = Some(text.ok_or_else(|| format!("{NAME}: expected a text"))?);
            }
            SHARE => {
                let number = value
                    .as_float()
                    .or(value.as_integer().map(|share| share as f64));
                let percent = || value.as_str()?.strip_suffix('%')?.trim().parse().ok();
                let number = number.or_else(percent);
                let expected =
                    || format!("{SHARE}: expected a number like 70 or a text like \"70%\"");
                share = Some(number.ok_or_else(expected)?);
            }
            entry => {
                let setting = Setting::named(entry).ok_or_else(|| {
                    let similar = Setting::nearest(entry).map(key).unwrap_or_default();
                    format!("unknown setting `{entry}`; the nearest is `{similar}`")
                })?;
                if OF_WHOLE.contains(&setting) {
                    return Err(format!(
                        "`{entry}` is about all workloads: give it above them"
                    ));
                }
                settings
                    .set(setting, &json(value))
                    .map_err(|reason| reason.with_setting_names(&key))?;
            }
        }
    }
    settings
        .check()
        .map_err(|reason| reason.with_setting_names(&key))?;
    let name = name.ok_or_else(|| format!("{NAME} is required"))?;
    let own = LOADS.into_iter().find(|load| settings.get(*load).is_some());
    match (share, own) {
        (Some(_), Some(load)) => Err(format!("give {SHARE} or {}, not both", key(load))),
        (None, None) => Err(format!(
            "give its {SHARE} of the load above, or a load of its own: rate, clients, stages, replay, sessions or \
             session-rate"
        )),
        _ => Ok(GivenWorkload {
            name,
            share,
            settings,
        }),
    }
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
