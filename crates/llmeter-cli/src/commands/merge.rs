//! `llmeter merge`.

use anyhow::Result;
use llmeter::experiment::Merge;
use llmeter::{Error, Interrupt};

use crate::args::MergeArguments;
use crate::exit::Exit;
use crate::{output, signals};

pub(crate) fn merge(arguments: &MergeArguments) -> Result<Exit> {
    let interrupt = Interrupt::new();
    signals::stop_on_signals(interrupt.clone(), arguments.quiet)?;
    let merge = Merge::new(arguments.parts.iter().cloned(), arguments.output.clone())
        .overwrite(arguments.overwrite)
        .allow_missing(arguments.allow_missing)
        .low_memory(arguments.low_memory);
    let mut told = 0;
    let merged = merge.run_with(|responses| {
        if !arguments.quiet && responses >= told + TELL_EVERY {
            told = responses;
            output::note(&format!("{responses} responses merged"));
        }
        !interrupt.is_stopped()
    });
    let merged = match merged {
        Err(Error::Interrupted) => {
            output::note("interrupted; nothing was written");
            return Ok(Exit::Interrupted);
        }
        merged => merged?,
    };
    output::result(&merged.result, arguments.json)?;
    super::say_saved(Some(&arguments.output), arguments.json)?;
    Ok(Exit::Done)
}

/// Responses between two lines of progress.
const TELL_EVERY: u64 = 1_000_000;
