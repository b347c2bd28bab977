//! The requests of runs as a table: a row each, a column for each field.
//!
//! Belongs here: CSV, Parquet and columns in memory, for programs that analyse data. A file is written
//! while lines are read, so that a run of any length fits in memory.
//! Does not belong here: what a field means (`api`), how lines are read (`result`), the forms of other
//! tools (`export`).

mod columns;
mod csv;
#[cfg(feature = "parquet")]
mod parquet;
mod sent;

use std::io::{self, Write};

pub use columns::{Bits, ColumnCells, ListCells, RequestColumn, RequestColumns, TextCells};
use serde_json::{Value, json};

use crate::base::file::Access;
use crate::result::{RunResult, each_whole_response, find_runs};
use crate::storage::{Location, Usable, replace_with};
use crate::{Error, InvocationResponse, Result};

/// The column that says which run a request belongs to. All others are fields.
const RUN: &str = "run";

/// The form of a table of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableFormat {
    /// Comma-separated values (RFC 4180).
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// Writes the requests of some runs as one table; gives what is wrong with their files, in words. A folder is
/// that of a run, or holds some: a load test's, for example.
///
/// The first column, `run`, is the name of the run's folder, and where it lies in the given one. Then comes each field of
/// [`InvocationResponse::FIELDS`] under its name. Durations are seconds. Payloads and annotations are
/// JSON; so is a prompt that is no text. What is unset is empty (CSV) or null (Parquet).
///
/// - CSV has lists as JSON. A text that a spreadsheet might take for a formula, because it begins with
///   `=`, `+`, `-`, `@`, their full-width forms, a tab or a line break, has a `'` before it; so has one
///   that begins with `'`. Who removes one `'` from the start of a text has what it was.
/// - Parquet has lists of numbers, times with microseconds, and in the file's key-values
///   `llmeter.runs`: a JSON list with `run`, `summary` and `stats` of each run. It needs the feature
///   `parquet`.
///
/// ```
/// use llmeter::report::{TableFormat, write_requests};
/// # let folder = tempfile::tempdir()?;
/// # let run = folder.path().join("nightly");
/// # std::fs::create_dir(&run)?;
/// # std::fs::write(run.join("responses.jsonl"), "{\"id\": \"a\", \"time_to_first_token\": 0.25}\n")?;
/// let mut table = Vec::new();
/// write_requests(&[run.into()], TableFormat::Csv, &mut table)?;
/// let table = String::from_utf8(table)?;
/// assert!(table.starts_with("run,response_text,"));
/// assert!(table.lines().any(|row| row.starts_with("nightly,,,a,,0.25,")));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If a folder is none of a run or cannot be read, or the table cannot be written.
pub fn write_requests(
    folders: &[Location],
    format: TableFormat,
    out: impl Write + Send,
) -> Result<Vec<String>> {
    let runs = named_runs(folders)?;
    match format {
        TableFormat::Csv => write(&runs, csv::Rows::new(out)),
        #[cfg(feature = "parquet")]
        TableFormat::Parquet => write(&runs, parquet::Rows::new(out).map_err(unwritten)?),
        #[cfg(not(feature = "parquet"))]
        TableFormat::Parquet => Err(Error::MissingFeature {
            what: "Parquet".into(),
            feature: "parquet",
        }),
    }
}

/// What a run is, for the table's key-values.
fn about_run(name: &str, result: &RunResult) -> Value {
    json!({
        "run": name,
        "summary": result.summary.to_map(),
        "stats": result.stats_map(),
    })
}

/// Takes in the rows of a table.
trait Rows {
    fn row(&mut self, run: &str, response: &InvocationResponse) -> io::Result<()>;

    /// Ends the table. `runs` says what the runs are.
    fn finish(self, runs: &Value) -> io::Result<()>;
}

/// [`write_requests`] to a file.
pub(super) fn save(
    folders: &[Location],
    format: TableFormat,
    file: &Location,
) -> Result<Vec<String>> {
    if let Usable::Local(path) = file.usable()? {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(Error::io("creating", parent))?;
        }
        let mut warnings = Vec::new();
        replace_with(path, Access::Umask, |file| {
            warnings = write_requests(folders, format, file)?;
            Ok(())
        })?;
        return Ok(warnings);
    }
    let mut table = Vec::new();
    let warnings = write_requests(folders, format, &mut table)?;
    file.write_blocking(table)?;
    Ok(warnings)
}

/// The runs in some folders, each with a name of its own.
fn named_runs(folders: &[Location]) -> Result<Vec<(String, Location)>> {
    let mut runs: Vec<(String, Location)> = Vec::new();
    for folder in folders {
        let found = find_runs(folder)?;
        // Loading it says what it lacks.
        let found = if found.is_empty() {
            vec![folder.clone()]
        } else {
            found
        };
        let name = folder.file_name().unwrap_or_else(|| folder.to_string());
        let above = folder.to_string();
        for run in found {
            let path = run.to_string();
            let within = path.strip_prefix(&above).unwrap_or_default();
            runs.push((format!("{name}{within}"), run));
        }
    }
    let names: Vec<String> = runs.iter().map(|(name, _)| name.clone()).collect();
    for (name, run) in &mut runs {
        if names.iter().filter(|other| *other == name).count() > 1 {
            *name = run.to_string();
        }
    }
    Ok(runs)
}

fn write(runs: &[(String, Location)], mut rows: impl Rows) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let mut about = Vec::new();
    for (name, folder) in runs {
        let result = RunResult::load_without_responses(folder.clone())?;
        let found = each_whole_response(folder, |response| {
            rows.row(name, &response).map_err(unwritten)
        })?;
        for warning in found
            .iter()
            .filter(|found| !result.warnings.contains(found))
        {
            tracing::warn!("{warning}");
        }
        warnings.extend(found);
        about.push(about_run(name, &result));
    }
    rows.finish(&Value::Array(about)).map_err(unwritten)?;
    Ok(warnings)
}

fn unwritten(source: io::Error) -> Error {
    Error::System {
        action: "write the table of requests",
        source,
    }
}

#[cfg(test)]
mod tests;
