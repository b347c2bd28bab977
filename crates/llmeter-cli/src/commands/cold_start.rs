//! `llmeter cold-start`.

use anyhow::Result;
use llmeter::Interrupt;
use llmeter::experiment::ColdStart;

use super::run::{Switches, plan, tell};
use crate::args::ColdStartArguments;
use crate::exit::Exit;
use crate::{progress, settings, signals};

pub(crate) fn cold_start(arguments: &ColdStartArguments) -> Result<Exit> {
    let run = arguments.of_run();
    let given = settings::with_file(&run.flags, run.config.as_deref())?;
    let switches = Switches::of(&given.settings);
    let Some(config) = plan(&run, &given)? else {
        return Ok(Exit::CouldNotRun);
    };
    let interrupt = Interrupt::new();
    signals::stop_on_signals(interrupt.clone(), switches.quiet)?;
    let mut start = ColdStart::new(config)
        .responses(arguments.responses)
        .polling(arguments.poll, arguments.wait)
        .interrupted_by(interrupt.clone());
    if let Some(display) = progress::display(switches.quiet, "cold start") {
        start = start.observe(display);
    }
    let done = start.run_blocking();
    // Ends the display.
    drop(start);
    tell(done, &switches, &interrupt)
}
