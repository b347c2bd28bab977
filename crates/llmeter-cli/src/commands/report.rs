//! `llmeter report`.

use anyhow::{Context, Result};
use llmeter::Error;
use llmeter::report::{Report, ReportFormat};
use llmeter::storage::Location;

use super::show;
use crate::args::ReportArguments;
use crate::exit::Exit;
use crate::output;

/// The name of a report's file, without what it ends with.
const FILE: &str = "llmeter-report";

pub(crate) fn report(arguments: &ReportArguments) -> Result<Exit> {
    let format: ReportFormat = arguments.format.parse()?;
    let report = match (Report::load(&arguments.folders), &arguments.folders[..]) {
        (Err(reason @ Error::NotARun { .. }), [folder]) => {
            return Err(show::with_hint(reason, folder));
        }
        (report, _) => report?,
    };
    let text = format.render(&report)?;
    let file = match &arguments.output {
        Some(file) if file.to_string() == "-" => None,
        Some(file) => Some(file.clone()),
        None if format.is_printed() => None,
        None => Some(default_file(&arguments.folders, format)),
    };
    match file {
        None => output::raw(&text)?,
        Some(file) => {
            file.write_blocking(text).context("--output")?;
            output::text(&format!("{file}\n"))?;
        }
    }
    Ok(Exit::Done)
}

fn default_file(folders: &[Location], format: ReportFormat) -> Location {
    let name = format!("{FILE}.{}", format.extension());
    match folders {
        [folder] => folder.join(name),
        _ => Location::from(std::path::Path::new(&name)),
    }
}
