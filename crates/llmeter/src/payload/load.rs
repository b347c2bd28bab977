//! Payloads from files and folders.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Payload, read_json};
use crate::base::error::{Error, Result};
use crate::base::setting::SettingProblem;
use crate::storage::Location;

/// Reads payloads from a file or a folder, here or in the cloud.
///
/// - A `.jsonl`, `.ndjson` or `.manifest` file holds one JSON object a line; blank lines are skipped.
/// - Any other file holds one JSON value: an object, or a list of objects.
/// - Of a folder, all files with `.json` in their name or `.ndjson` at its end are read, in the order
///   of their names.
///
/// Upper and lower case make no difference.
///
/// # Errors
/// When the path cannot be read, when anything in it is not valid (the message names file, line and
/// column), or when there is no payload at all.
pub fn load_payloads(path: impl Into<Location>) -> Result<Vec<Payload>> {
    let read = load_payloads_with_sources(path)?;
    Ok(read.into_iter().map(|(payload, _)| payload).collect())
}

/// Where a payload was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadSource {
    path: PathBuf,
    line: Option<usize>,
    /// Its place in a list, counted from 1.
    item: Option<usize>,
}

impl PayloadSource {
    /// An error about a payload, as one about the place where it was read.
    #[must_use]
    pub fn of(&self, error: Error) -> Error {
        let Error::Field {
            problem: SettingProblem::Refused { reason },
            ..
        } = &error
        else {
            return error;
        };
        let item = self.item.map(|item| format!("item {item} of the list: "));
        Error::Content {
            path: self.path.clone(),
            line: self.line,
            column: None,
            reason: format!("{}{reason}", item.unwrap_or_default()),
            source: Some(Box::new(error)),
        }
    }
}

/// As [`load_payloads`], each payload with where it was read, so that a run that cannot send it
/// says so ([`RunConfig::payload_sources`](crate::RunConfig::payload_sources)).
///
/// # Errors
/// As [`load_payloads`].
pub fn load_payloads_with_sources(
    path: impl Into<Location>,
) -> Result<Vec<(Payload, PayloadSource)>> {
    let location = path.into();
    let refuse = |reason: &str| Err(content(&shown(&location), None, reason));
    let (files, missing) = match payload_files(&location)? {
        None => (vec![location.clone()], "the file holds no payload"),
        Some(files) if files.is_empty() => {
            return refuse("the folder holds no file with .json in its name, and no .ndjson file");
        }
        Some(files) => (files, "the folder's files hold no payload"),
    };
    let mut payloads = Vec::new();
    for file in &files {
        load_file(file, &mut payloads)?;
    }
    match payloads.is_empty() {
        true => refuse(missing),
        false => Ok(payloads),
    }
}

/// The files of a folder, in the order of their names; `None` if it is no folder.
fn payload_files(location: &Location) -> Result<Option<Vec<Location>>> {
    match location.local_path() {
        Some(path) => {
            let metadata = fs::metadata(path).map_err(Error::io("reading", path))?;
            if !metadata.is_dir() {
                return Ok(None);
            }
        }
        // An object has nothing below it.
        None if location.list_blocking()?.is_empty() => return Ok(None),
        None => {}
    }
    let is_folder = |file: &Location| file.local_path().is_some_and(Path::is_dir);
    let files = location
        .list_blocking()?
        .into_iter()
        .filter(|name| {
            let name = name.to_ascii_lowercase();
            name.contains(".json") || name.ends_with(".ndjson")
        })
        .map(|name| location.join(name))
        .filter(|file| !is_folder(file));
    Ok(Some(files.collect()))
}

/// A location as a path, for messages.
fn shown(location: &Location) -> PathBuf {
    match location.local_path() {
        Some(path) => path.to_path_buf(),
        None => location.to_string().into(),
    }
}

fn load_file(file: &Location, payloads: &mut Vec<(Payload, PayloadSource)>) -> Result<()> {
    let path = &*shown(file);
    let source = |line, item| PayloadSource {
        path: path.to_path_buf(),
        line,
        item,
    };
    let bytes = file.read_blocking()?;
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    let is_by_line = path.extension().is_some_and(|extension| {
        let is = |name| extension.eq_ignore_ascii_case(name);
        is("jsonl") || is("ndjson") || is("manifest")
    });
    if is_by_line {
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if !line.trim_ascii().is_empty() {
                let payload = parse_line(path, index + 1, line)?;
                payloads.push((payload, source(Some(index + 1), None)));
            }
        }
        return Ok(());
    }
    if bytes.trim_ascii().is_empty() {
        return Err(content(path, None, "the file is empty"));
    }
    match parse(path, 1, bytes, "")? {
        Value::Object(payload) => payloads.push((payload, source(None, None))),
        Value::Array(items) => {
            for (index, item) in items.into_iter().enumerate() {
                let Value::Object(payload) = item else {
                    let reason = format!(
                        "item {} of the list is {}, but a payload is a JSON object",
                        index + 1,
                        kind(&item)
                    );
                    return Err(content(path, None, reason));
                };
                payloads.push((payload, source(None, Some(index + 1))));
            }
        }
        other => {
            let reason = format!(
                "the file holds {}, but a payload is a JSON object",
                kind(&other)
            );
            return Err(content(path, None, reason));
        }
    }
    Ok(())
}

fn parse_line(path: &Path, number: usize, line: &[u8]) -> Result<Payload> {
    let hint = "; each line must hold one whole JSON object";
    match parse(path, number, line, hint)? {
        Value::Object(payload) => Ok(payload),
        other => {
            let column = 1 + line.len() - line.trim_ascii_start().len();
            let reason = format!("{} is no payload: a payload is a JSON object", kind(&other));
            Err(content(path, Some((number, column)), reason))
        }
    }
}

/// Whether each line that is not blank, of several, is a JSON object.
fn is_lines(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let is_object = |line| matches!(read_json(line), Ok(Value::Object(_)));
    text.lines().count() > 1 && lines.all(is_object)
}

/// Parses bytes that begin in line `first` of the file.
fn parse(path: &Path, first: usize, bytes: &[u8], hint: &str) -> Result<Value> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let line = before.matches('\n').count();
        let column = before
            .rsplit('\n')
            .next()
            .map_or(0, |last| last.chars().count());
        let reason = "not UTF-8; save the file in that encoding";
        content(path, Some((first + line, 1 + column)), reason).caused_by(error)
    })?;
    read_json(text).map_err(|error| {
        let line = text
            .split('\n')
            .nth(error.line().saturating_sub(1))
            .unwrap_or_default();
        // The parser counts bytes, and puts what is wrong before the first one into column 0.
        let at = error.column().saturating_sub(1);
        let column = 1 + line.get(..at).unwrap_or(line).chars().count();
        let reason = error.to_string();
        let reason = reason
            .rsplit_once(" at line ")
            .map_or(&*reason, |(what, _)| what);
        let reason = match non_finite_at(line, at) {
            Some(word) => format!("not valid JSON: {word} is a number that JSON cannot hold"),
            None if error.is_eof() => format!("not valid JSON: {reason}{hint}"),
            None if is_lines(text) => format!(
                "not valid JSON: {reason}; a file with one payload a line must be named .jsonl"
            ),
            None => format!("not valid JSON: {reason}"),
        };
        let line = first + error.line().saturating_sub(1);
        content(path, Some((line, column)), reason).caused_by(error)
    })
}

/// The non-finite number, as Python writes it, at which the parser stopped: at its first character,
/// or at the one after a sign.
fn non_finite_at(line: &str, at: usize) -> Option<&'static str> {
    [at.saturating_sub(1), at].into_iter().find_map(|at| {
        let rest = line.get(at..)?;
        ["NaN", "-Infinity", "Infinity"]
            .into_iter()
            .find(|word| rest.starts_with(word))
    })
}

/// What a value is, for people.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// What is wrong with a file, with line and column if it is so in one place.
fn content(path: &Path, at: Option<(usize, usize)>, reason: impl Into<String>) -> Error {
    Error::Content {
        path: path.to_path_buf(),
        line: at.map(|(line, _)| line),
        column: at.map(|(_, column)| column),
        reason: reason.into(),
        source: None,
    }
}
