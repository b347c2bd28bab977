//! `llmeter report`.

use std::io;

use anyhow::{Result, bail};
use llmeter::Error;
use llmeter::report::{self, Rendering, Report, ReportFormat};
use llmeter::storage::Location;

use super::show;
use crate::args::ReportArguments;
use crate::exit::Exit;
use crate::output;

/// The name of a report's file, without what it ends with, and of a folder of images.
const FILE: &str = "llmeter-report";
const IMAGES: &str = "llmeter-charts";

pub(crate) fn report(arguments: &ReportArguments) -> Result<Exit> {
    let format: ReportFormat = arguments.format.parse()?;
    let folders = &arguments.folders;
    let to = match &arguments.output {
        Some(file) if file.to_string() == "-" => None,
        Some(file) => Some(file.clone()),
        None if format.is_printed() => None,
        None => Some(default_place(folders, format)),
    };
    match to {
        None => explained(print(folders, format), folders)?,
        Some(to) => {
            let written = explained(format.save(folders, &to).map_err(Into::into), folders)?;
            if written.is_empty() {
                output::note("note: the report has no chart");
            }
            let lines: Vec<String> = written.iter().map(|file| format!("{file}\n")).collect();
            output::text(&lines.concat())?;
        }
    }
    Ok(Exit::Done)
}

/// Prints a report that is no folder of files.
fn print(folders: &[Location], format: ReportFormat) -> Result<()> {
    match format.rendering() {
        Rendering::Text(render) => output::raw(&render(&Report::load(folders)?)?),
        Rendering::Requests(table) => {
            report::write_requests(folders, table, io::stdout())?;
            Ok(())
        }
        _ => bail!(
            "--output -: {} makes several files, which need a folder",
            format.name()
        ),
    }
}

/// Says of a folder that is none of a run what it may be.
fn explained<T>(outcome: Result<T>, folders: &[Location]) -> Result<T> {
    outcome.map_err(|error| match (error.downcast::<Error>(), folders) {
        (Ok(reason @ Error::NotARun { .. }), [folder]) => show::with_hint(reason, folder),
        (Ok(reason), _) => reason.into(),
        (Err(error), _) => error,
    })
}

fn default_place(folders: &[Location], format: ReportFormat) -> Location {
    let name = match format.rendering() {
        Rendering::Images(_) => IMAGES.to_owned(),
        _ => format!("{FILE}.{}", format.name()),
    };
    match folders {
        [folder] => folder.join(name),
        _ => Location::from(std::path::Path::new(&name)),
    }
}
