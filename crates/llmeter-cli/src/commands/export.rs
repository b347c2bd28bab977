//! `llmeter export`.

use anyhow::{Context, Result};
use llmeter::export;
use llmeter::storage::Location;

use super::show;
use crate::args::ExportArguments;
use crate::exit::Exit;
use crate::output;

pub(crate) fn export(arguments: &ExportArguments) -> Result<Exit> {
    let format = arguments.format.parse()?;
    let result = show::load(&arguments.folder)?;
    output::warnings(&result);
    let text = export::export(&result, format)?;
    match &arguments.output {
        None => output::raw(&text)?,
        Some(file) => Location::from(file.as_path())
            .write_blocking(text)
            .context("--output")?,
    }
    Ok(Exit::Done)
}
