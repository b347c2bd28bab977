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
    let format: ReportFormat = match &arguments.format {
        Some(format) => format.parse()?,
        None => format_of(arguments.output.as_ref())?,
    };
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

/// The form that a file's name ends with; HTML without a file, or for a name without an ending.
fn format_of(output: Option<&Location>) -> Result<ReportFormat> {
    let name = output.and_then(Location::file_name).unwrap_or_default();
    let Some((_, ending)) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) else {
        return Ok(ReportFormat::Html);
    };
    let ending = match ending.to_ascii_lowercase().as_str() {
        "htm" => "html".to_owned(),
        "markdown" => "md".to_owned(),
        ending => ending.to_owned(),
    };
    let is_file = |format: &ReportFormat| !matches!(format.rendering(), Rendering::Images(_));
    let files = || ReportFormat::all().filter(is_file);
    files()
        .find(|format| format.name() == ending)
        .ok_or_else(|| {
            let endings: Vec<_> = files()
                .map(|format| format!(".{}", format.name()))
                .collect();
            let expected = format!(
                "a name that ends with one of {}, or --format; svg and png need a folder",
                endings.join(", ")
            );
            Error::field("--output", name, expected).into()
        })
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
