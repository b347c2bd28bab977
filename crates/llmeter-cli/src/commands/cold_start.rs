//! `llmeter cold-start`.

use anyhow::Result;
use llmeter::Interrupt;
use llmeter::experiment::ColdStart;

use super::run::{exit_of, plan};
use super::{gate, measured};
use crate::args::ColdStartArguments;
use crate::exit::Exit;
use crate::{output, progress, settings, signals};

pub(crate) fn cold_start(arguments: &ColdStartArguments) -> Result<Exit> {
    let run = arguments.of_run();
    let given = settings::with_file(&run.flags, run.config.as_deref())?;
    let is_on = |switch| switch == Some(true);
    let quiet = is_on(given.settings.quiet);
    let json = is_on(given.settings.json);
    let strict = is_on(given.settings.strict);
    let fail_if = given.settings.fail_if.clone().unwrap_or_default();
    let Some(config) = plan(&run, &given)? else {
        return Ok(Exit::CouldNotRun);
    };
    let interrupt = Interrupt::new();
    signals::stop_on_signals(interrupt.clone(), quiet)?;
    let mut start = ColdStart::new(config)
        .responses(arguments.responses)
        .polling(arguments.poll, arguments.wait)
        .interrupted_by(interrupt.clone());
    if let Some(display) = progress::display(quiet, "cold start") {
        start = start.observe(display);
    }
    let done = start.run_blocking();
    // Ends the display.
    drop(start);
    let Some(result) = measured(done, &interrupt)? else {
        return Ok(Exit::Interrupted);
    };
    output::result(&result, json)?;
    let exit = match result.unwritten.is_empty() {
        true => exit_of(&result, strict),
        false => Exit::NotSaved,
    };
    Ok(gate::over(exit, gate::of_run(&fail_if, &result)))
}
