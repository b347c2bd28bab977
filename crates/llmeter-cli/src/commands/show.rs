//! `llmeter show`.

use anyhow::Result;
use llmeter::{RunResult, report};

use crate::args::ShowArguments;
use crate::exit::Exit;
use crate::output;

pub(crate) fn show(arguments: &ShowArguments) -> Result<Exit> {
    let result = RunResult::load(&arguments.folder)?;
    if arguments.json {
        for warning in &result.warnings {
            output::note(&format!("warning: {warning}"));
        }
        output::json(&result.stats())?;
    } else {
        output::text(&report::summary(&result))?;
    }
    Ok(Exit::Done)
}
