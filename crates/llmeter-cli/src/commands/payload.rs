//! `llmeter payload`.

use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result};
use llmeter::RunSettings;
use llmeter::payload::{Payload, plain_numbers};
use llmeter::storage::files::{self, Access};
use serde_json::Value;

use crate::args::PayloadCommandArguments;
use crate::exit::{Exit, UsageError};
use crate::{output, settings};

/// The longest text that is not shortened in a terminal.
const MAX_SHOWN: usize = 400;

/// Characters that a longer one keeps.
const BEGINNING: usize = 60;

pub(crate) fn payload(arguments: &PayloadCommandArguments) -> Result<Exit> {
    let settings = settings::with_file(&arguments.flags, arguments.config.as_deref())?.settings;
    let api = settings::api(&settings)?;
    let payloads = settings::payloads(&settings, api)?.ok_or_else(settings::nothing_to_send)?;
    let model = settings.model.as_deref();
    let is_one = payloads.len() == 1;
    let payloads = payloads.into_iter().enumerate();
    let payloads: Vec<Payload> = payloads
        .map(
            |(index, (payload, source))| match (api.prepared(payload, model), source) {
                (Err(reason), Some(source)) => Err(source.of(reason).into()),
                (Err(reason), None) if !is_one => {
                    Err(reason).context(format!("payload {}", index + 1))
                }
                (prepared, _) => Ok(prepared?),
            },
        )
        .collect::<Result<_>>()?;
    match &arguments.append {
        Some(path) => append(path, &payloads)?,
        None => print(sent(&settings, payloads)?)?,
    }
    Ok(Exit::Done)
}

/// What is sent of the payloads: the bodies that a template makes of them, or they themselves.
fn sent(settings: &RunSettings, payloads: Vec<Payload>) -> Result<Vec<Value>> {
    if settings.body.is_none() {
        return Ok(payloads.into_iter().map(Value::Object).collect());
    }
    let endpoint = settings::endpoint_of_bodies(settings)?;
    let bodies = payloads.iter();
    let bodies = bodies.map(|payload| Ok(settings::body(&*endpoint, payload)?.unwrap_or_default()));
    bodies.collect()
}

/// One payload as an object, several as a list: `--payload` takes either.
fn print(mut payloads: Vec<Value>) -> Result<()> {
    let mut is_shortened = false;
    if io::stdout().is_terminal() {
        for value in &mut payloads {
            is_shortened |= shorten(value);
        }
    }
    let text = match payloads.as_slice() {
        [payload] => serde_json::to_string_pretty(payload)?,
        payloads => serde_json::to_string_pretty(payloads)?,
    };
    output::json_text(&plain_numbers(text))?;
    if is_shortened {
        output::note("long texts are shown in part; redirect the output to have all of it");
    }
    Ok(())
}

/// Cuts long texts, which are mostly media in base64, and tells whether there was one.
pub(super) fn shorten(value: &mut Value) -> bool {
    match value {
        Value::String(text) => {
            let length = text.chars().count();
            if length <= MAX_SHOWN {
                return false;
            }
            let beginning: String = text.chars().take(BEGINNING).collect();
            *text = format!("{beginning}… ({length} characters)");
            true
        }
        // Every item is to be looked at.
        Value::Array(items) => items
            .iter_mut()
            .fold(false, |any, item| shorten(item) | any),
        Value::Object(fields) => fields
            .values_mut()
            .fold(false, |any, field| shorten(field) | any),
        _ => false,
    }
}

/// Adds a line for each payload to a file, which need not be there.
fn append(path: &Path, payloads: &[Payload]) -> Result<()> {
    let ending = path.extension().and_then(|ending| ending.to_str());
    if !matches!(ending, Some("jsonl" | "manifest")) {
        let reason = format!(
            "--append: {} must end in .jsonl, which --payload reads line by line",
            path.display()
        );
        return Err(UsageError(reason).into());
    }
    let mut lines = String::new();
    for payload in payloads {
        lines.push_str(&plain_numbers(serde_json::to_string(payload)?));
        lines.push('\n');
    }
    let failed = || format!("cannot write {}", path.display());
    // A line that somebody left without its end must not swallow the next one.
    if !is_line_ended(path).with_context(failed)? {
        lines.insert(0, '\n');
    }
    let file = files::append(path, Access::Umask);
    file.and_then(|mut file| file.write_all(lines.as_bytes()))
        .with_context(failed)
}

/// Whether a file ends with a line, as one that is empty or not there does.
fn is_line_ended(path: &Path) -> io::Result<bool> {
    let mut file = match files::open_unlinked(path) {
        Ok(file) => file,
        Err(reason) if reason.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(reason) => return Err(reason),
    };
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_long_texts_are_shortened_at_any_depth() {
        let long = "é".repeat(MAX_SHOWN + 1);
        let short = "é".repeat(MAX_SHOWN);
        let mut value = json!({"a": [{"b": long}, long, short], "c": 1});
        assert!(shorten(&mut value));
        let shown = format!("{}… (401 characters)", "é".repeat(BEGINNING));
        assert_eq!(value, json!({"a": [{"b": shown}, shown, short], "c": 1}));
        assert!(!shorten(&mut value));
    }
}
