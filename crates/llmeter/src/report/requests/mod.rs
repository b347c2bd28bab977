//! The requests of runs as a table: a row each, a column for each field.
//!
//! Belongs here: CSV and Parquet, for programs that analyse data. A file is written while lines are
//! read, so that a run of any length fits in memory.
//! Does not belong here: what a field means (`api`), how lines are read (`result`), the forms of other
//! tools (`export`).

mod csv;
#[cfg(feature = "parquet")]
mod parquet;
mod sent;

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use serde_json::{Value, json};

use crate::result::{RunResult, each_whole_response};
use crate::storage::Location;
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

impl TableFormat {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Csv, Self::Parquet];

    /// Its name, as users write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

impl fmt::Display for TableFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for TableFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let named = Self::ALL.into_iter().find(|format| format.name() == name);
        named.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::field("format", name, format!("one of {names}"))
        })
    }
}

/// Writes the requests of some runs as one table; gives what is wrong with their files, in words.
///
/// The first column, `run`, is the name of the run's folder. Then comes each field of
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
    runs: &[Location],
    format: TableFormat,
    out: impl Write + Send,
) -> Result<Vec<String>> {
    match format {
        TableFormat::Csv => write(runs, csv::Rows::new(out)),
        #[cfg(feature = "parquet")]
        TableFormat::Parquet => write(runs, parquet::Rows::new(out).map_err(unwritten)?),
        #[cfg(not(feature = "parquet"))]
        TableFormat::Parquet => Err(Error::MissingFeature {
            what: "Parquet".into(),
            feature: "parquet",
        }),
    }
}

/// Takes in the rows of a table.
trait Rows {
    fn row(&mut self, run: &str, response: &InvocationResponse) -> io::Result<()>;

    /// Ends the table. `runs` says what the runs are.
    fn finish(self, runs: &Value) -> io::Result<()>;
}

fn write(runs: &[Location], mut rows: impl Rows) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let mut about = Vec::new();
    for folder in runs {
        let result = RunResult::load_without_responses(folder.clone())?;
        let name = folder.file_name().unwrap_or_else(|| folder.to_string());
        warnings.extend(each_whole_response(folder, |response| {
            rows.row(&name, &response).map_err(unwritten)
        })?);
        about.push(json!({
            "run": name,
            "summary": result.summary.to_map(),
            "stats": result.stats_map(),
        }));
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
