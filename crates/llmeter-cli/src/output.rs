//! Writing to standard output and the log.

use std::io::{self, Write};

use anyhow::Result;
use llmeter::{RunResult, report};
use serde_json::{Map, Value};

use crate::progress;

/// Prints text as it is. A reader that went away is an error, which ends the program quietly.
pub(crate) fn text(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Prints an object as indented JSON.
pub(crate) fn json(object: &Map<String, Value>) -> Result<()> {
    text(&format!("{}\n", serde_json::to_string_pretty(object)?))
}

/// Prints a result: its summary, or its statistics as JSON.
pub(crate) fn result(result: &RunResult, is_json: bool) -> Result<()> {
    if !is_json {
        return text(&report::summary(result));
    }
    for said in report::notes(result) {
        note(&format!("note: {said}"));
    }
    warnings(result);
    json(&result.stats_map())
}

/// Prints a result's warnings, which its summary has as well.
pub(crate) fn warnings(result: &RunResult) {
    for warning in &result.warnings {
        note(&format!("warning: {warning}"));
    }
}

/// Prints a line to standard error. Nobody may be listening there: that must not end a run.
pub(crate) fn note(line: &str) {
    progress::above(|| {
        let _ = writeln!(io::stderr(), "{line}");
    });
}

/// Sends the library's log to standard error; `LLMETER_LOG` chooses what (default: errors).
pub(crate) fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("LLMETER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .log_internal_errors(false)
        .init();
}
