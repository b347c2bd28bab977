//! Settings from a configuration file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use llmeter::endpoint::own_configuration;
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
}

impl Given {
    /// Settings that flags alone give.
    pub(crate) fn of_flags(settings: RunSettings) -> Self {
        Self {
            settings,
            from_file: Vec::new(),
            folder: PathBuf::new(),
        }
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
    let mut file = read(&text).map_err(|(span, reason)| {
        let place = span.map_or_else(String::new, |span| position(&text, span.start));
        UsageError(format!("{}{place}: {reason}", path.display()))
    })?;
    for setting in Setting::ALL.iter().filter(|setting| !S::has(**setting)) {
        file.clear(*setting);
    }
    let settings = flags.settings.clone().over(file);
    let from_file: Vec<Setting> = settings
        .given()
        .filter(|setting| flags.settings.get(*setting).is_none())
        .collect();
    exit::note_file(path, from_file.clone());
    let from_file = if is_own(path) { Vec::new() } else { from_file };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Ok(Given {
        settings,
        from_file,
        folder: folder.to_path_buf(),
    })
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
