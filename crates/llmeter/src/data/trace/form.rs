//! What a trace is, by its content.

use std::io::{BufRead, Read};

use serde_json::{Map, Value};

use super::{Recorded, agentic, rows, run_folder};
use crate::base::error::{Error, Result};
use crate::base::file::MAX_LINE;
use crate::base::setting::{Setting, SettingProblem};
use crate::data::file::{Opened, csv, open, parse};
use crate::storage::Location;

/// The forms that are known, for messages.
const KNOWN: &str = "Mooncake and AIPerf, Bailian, BurstGPT, Azure, Weka's agentic sessions, recorded bodies, run \
                     folders";

/// Reads a trace.
pub(super) fn read(location: &Location) -> Result<Recorded> {
    let is_folder = match location.local_path() {
        Some(path) => path.is_dir(),
        None => !location.list_blocking()?.is_empty(),
    };
    if is_folder {
        return match agentic::files(location)? {
            Some(files) => agentic::read_files(&files),
            None => run_folder::read(location),
        };
    }
    let opened = open(location)?;
    match opened.beginning.trim_ascii_start().first() {
        Some(b'{') => read_json(location, opened),
        Some(b'[') => Err(unknown(location, "it is a JSON list")),
        Some(_) => read_csv(location, opened),
        None => Err(unknown(location, "it is empty")),
    }
}

/// Whether a file or folder is a trace, by its first row.
pub(in crate::data) fn is_trace(location: &Location) -> Result<bool> {
    if location.local_path().is_some_and(|path| path.is_dir()) {
        return Ok(true);
    }
    let Opened {
        mut reader,
        beginning,
        ..
    } = open(location)?;
    match beginning.trim_ascii_start().first() {
        Some(b'{') => {
            let mut text = Vec::new();
            let whole = (&mut reader).take(MAX_LINE).read_until(b'\n', &mut text);
            whole.map_err(|source| io(location, source))?;
            let mut first = parse(&text);
            if first.is_err() {
                let rest = reader.take(MAX_LINE).read_to_end(&mut text);
                rest.map_err(|source| io(location, source))?;
                first = parse(&text);
            }
            Ok(matches!(first, Ok(Value::Object(fields))
                if agentic::is_session(&fields) || rows::RowForm::of(&fields).is_some()))
        }
        Some(b'[') | None => Ok(false),
        Some(_) => {
            let line = beginning
                .split(|byte| *byte == b'\n')
                .next()
                .unwrap_or_default();
            let names = String::from_utf8_lossy(line);
            let names = names
                .split(',')
                .map(|name| (name.trim().to_owned(), Value::Null));
            Ok(rows::RowForm::of_table(&names.collect()).is_some())
        }
    }
}

fn io(location: &Location, source: std::io::Error) -> Error {
    Error::Io {
        action: "reading",
        path: location.to_string().into(),
        source,
    }
}

/// That a file is no trace, and what it is.
fn unknown(location: &Location, what: &str) -> Error {
    let reason = format!("{location} is no trace that is known ({KNOWN}): {what}");
    let problem = SettingProblem::Refused { reason };
    Error::Invalid {
        setting: Setting::Replay,
        problem,
        hint: Some("`data` sends the rows of a file without times".to_owned()),
    }
}

/// JSON lines, or one agentic session in a file.
fn read_json(location: &Location, opened: Opened) -> Result<Recorded> {
    let Opened {
        path, mut reader, ..
    } = opened;
    let mut line = Vec::new();
    let mut number = 0;
    let mut form: Option<rows::RowForm> = None;
    let mut rows = rows::Rows::default();
    let mut agents = agentic::Sessions::default();
    loop {
        line.clear();
        let read = (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line);
        if read.map_err(Error::io("reading", &path))? == 0 {
            break;
        }
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let fields = match parse(&line) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => {
                rows.unusable(number, "it is no JSON object");
                continue;
            }
            // Perhaps one object over many lines.
            Err(_) if number == 1 => {
                reader
                    .read_to_end(&mut line)
                    .map_err(Error::io("reading", &path))?;
                match parse(&line) {
                    Ok(Value::Object(fields)) => fields,
                    _ => return Err(unknown(location, "it is not valid JSON")),
                }
            }
            Err(reason) => {
                rows.unusable(number, format!("not valid JSON: {reason}"));
                continue;
            }
        };
        if agentic::is_session(&fields) {
            agents.add(&fields, number)?;
            continue;
        }
        let known = match form {
            Some(form) => form,
            None => *form.insert(
                rows::RowForm::of(&fields).ok_or_else(|| unknown(location, &described(&fields)))?,
            ),
        };
        rows.add(known, &fields, number);
    }
    match agents.is_empty() {
        true => Ok(rows.recorded(form)),
        false => Ok(agents.recorded()),
    }
}

fn read_csv(location: &Location, opened: Opened) -> Result<Recorded> {
    let mut form: Option<rows::RowForm> = None;
    let mut rows = rows::Rows::default();
    csv(&opened.path, opened.reader, &mut |fields, number, _| {
        let known = match form {
            Some(form) => form,
            None => *form.insert(
                rows::RowForm::of_table(&fields)
                    .ok_or_else(|| unknown(location, &described(&fields)))?,
            ),
        };
        rows.add(known, &fields, number);
        Ok(())
    })?;
    Ok(rows.recorded(form))
}

fn described(fields: &Map<String, Value>) -> String {
    let keys: Vec<_> = fields.keys().take(12).map(String::as_str).collect();
    format!("its first row has the fields {}", keys.join(", "))
}
