//! `llmeter completions`.

use anyhow::Result;
use clap::CommandFactory;

use crate::args::{Arguments, CompletionsArguments};
use crate::exit::Exit;
use crate::output;

pub(crate) fn completions(arguments: &CompletionsArguments) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        "llmeter",
        &mut script,
    );
    output::raw(&String::from_utf8(script)?)?;
    Ok(Exit::Done)
}
