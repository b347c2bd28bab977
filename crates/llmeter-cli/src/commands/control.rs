//! `llmeter control`.

use anyhow::Result;
use llmeter::report;
use llmeter::run::RunControl;

use crate::args::{ControlAction, ControlArguments};
use crate::exit::Exit;
use crate::output;

pub(crate) fn control(arguments: &ControlArguments) -> Result<Exit> {
    let run = RunControl::of(arguments.folder.clone())?;
    let load = arguments.load();
    let mut status = match load.is_empty() {
        true => None,
        false => Some(run.change(&load)?),
    };
    if arguments.action == Some(ControlAction::Stop) {
        status = Some(run.stop()?);
    }
    let status = match status {
        Some(status) => status,
        None => run.status()?,
    };
    match arguments.json {
        true => output::json_text(&serde_json::to_string_pretty(&status)?)?,
        false => output::text(&report::control(&status))?,
    }
    Ok(Exit::Done)
}
