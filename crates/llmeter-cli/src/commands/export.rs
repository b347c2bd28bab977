//! `llmeter export`.

use anyhow::{Context, Result};
use llmeter::Error;
use llmeter::experiment::LoadTestResult;
use llmeter::export::{self, ExportFormat};

use super::show;
use crate::args::ExportArguments;
use crate::exit::{Exit, UsageError};
use crate::output;

pub(crate) fn export(arguments: &ExportArguments) -> Result<Exit> {
    let format: ExportFormat = arguments.format.parse()?;
    let folder = &arguments.folder;
    let result = match show::load(folder) {
        Err(_) if LoadTestResult::is_in(folder) => return load_test(arguments, format),
        result => result?,
    };
    output::warnings(&result);
    let text = export::export(&result, format)?;
    match &arguments.output {
        None => output::raw(&text)?,
        Some(file) => file.write_blocking(text).context("--output")?,
    }
    Ok(Exit::Done)
}

/// A file for each level.
fn load_test(arguments: &ExportArguments, format: ExportFormat) -> Result<Exit> {
    let Some(output) = &arguments.output else {
        let reason = "a load test has a file for each level: give a folder for them with --output";
        return Err(UsageError(reason.to_owned()).into());
    };
    if output.local_path().is_some_and(|path| path.is_file()) {
        let expected = "a folder, for a file for each level of the load test";
        return Err(Error::field("--output", output, expected).into());
    }
    let test = LoadTestResult::load(arguments.folder.clone())?;
    for warning in &test.warnings {
        output::note(&format!("warning: {warning}"));
    }
    let files = export::export_load_test(&test, format, output).context("--output")?;
    for file in files {
        output::note(&format!("written: {file}"));
    }
    Ok(Exit::Done)
}
