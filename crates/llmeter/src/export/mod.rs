//! Results in the forms of other tools.
//!
//! Belongs here: one file for each form. What llmeter does not know is left out of it.
//! Does not belong here: llmeter's own files (`result`), what people look at (`report`).

mod aiperf;
mod benchmark_report;
mod yaml;

use std::fmt;
use std::str::FromStr;

use crate::base::error::{Error, Result};
use crate::experiment::{LoadTestResult, level_name};
use crate::result::RunResult;
use crate::storage::Location;

/// A form of another tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportFormat {
    /// The Benchmark Report of llm-d, version 0.2.1: one YAML document.
    BenchmarkReport021,
    /// The records of requests of AIPerf (`profile_export.jsonl`): a JSON object a line.
    AiperfJsonl,
}

impl ExportFormat {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::BenchmarkReport021, Self::AiperfJsonl];

    /// Its name, as users write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BenchmarkReport021 => "benchmark-report-0.2.1",
            Self::AiperfJsonl => "aiperf-jsonl",
        }
    }

    /// How names of its files end.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::BenchmarkReport021 => "yaml",
            Self::AiperfJsonl => "jsonl",
        }
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for ExportFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let named = Self::ALL.into_iter().find(|format| format.name() == name);
        named.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::field("format", name, format!("one of {names}"))
        })
    }
}

/// A result, loaded with its responses, in another form.
///
/// ```no_run
/// use llmeter::RunResult;
/// use llmeter::export::{ExportFormat, export};
///
/// let result = RunResult::load("runs/20260102-0304")?;
/// std::fs::write("report.yaml", export(&result, ExportFormat::BenchmarkReport021)?).unwrap();
/// # Ok::<(), llmeter::Error>(())
/// ```
///
/// # Errors
/// If the result has responses that are not loaded, or lacks what the form cannot do without.
pub fn export(result: &RunResult, format: ExportFormat) -> Result<String> {
    let total = result.summary.total_requests.unwrap_or(0);
    if result.responses.is_empty() && total > 0 {
        return Err(Error::refused(
            "result",
            "its responses are not there, and the form needs them",
        ));
    }
    match format {
        ExportFormat::BenchmarkReport021 => benchmark_report::report(result),
        ExportFormat::AiperfJsonl => Ok(aiperf::records(result)),
    }
}

/// A load test, loaded with its responses, in another form: a file for each level in `folder`, under the
/// name that the level's own folder has (`00008-clients.yaml`). Gives the files.
///
/// # Errors
/// As [`export`], and if a file cannot be written.
pub fn export_load_test(
    test: &LoadTestResult,
    format: ExportFormat,
    folder: &Location,
) -> Result<Vec<Location>> {
    let mut files = Vec::new();
    for (clients, level) in &test.results {
        let name = format!("{}.{}", level_name(*clients), format.extension());
        let file = folder.join(name);
        file.write_blocking(export(level, format)?)?;
        files.push(file);
    }
    Ok(files)
}
