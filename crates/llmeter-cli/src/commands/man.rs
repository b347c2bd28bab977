//! `llmeter man`.

use anyhow::Result;
use clap::CommandFactory;

use crate::args::{Arguments, ManArguments};
use crate::exit::{Exit, UsageError};
use crate::output;

pub(crate) fn man(arguments: &ManArguments) -> Result<Exit> {
    let mut command = Arguments::command();
    command.build();
    if let Some(name) = &arguments.command {
        let found = command.find_subcommand(name).cloned();
        command = found.ok_or_else(|| UsageError(format!("llmeter has no command {name:?}")))?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    output::raw(&String::from_utf8(page)?)?;
    Ok(Exit::Done)
}
