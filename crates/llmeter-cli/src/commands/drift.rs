//! `llmeter drift`.

use anyhow::Result;
use llmeter::Interrupt;
use llmeter::experiment::Drift;

use super::run::{exit_of, plan};
use super::{gate, measured};
use crate::args::DriftArguments;
use crate::exit::Exit;
use crate::{output, progress, settings, signals};

/// Clients under load by default.
const CLIENTS: usize = 16;

pub(crate) fn drift(arguments: &DriftArguments) -> Result<Exit> {
    let run = arguments.of_run();
    let given = settings::with_file(&run.flags, run.config.as_deref())?;
    let is_on = |switch| switch == Some(true);
    let quiet = is_on(given.settings.quiet);
    let json = is_on(given.settings.json);
    let strict = is_on(given.settings.strict);
    let fail_if = given.settings.fail_if.clone().unwrap_or_default();
    let clients = given.settings.clients.unwrap_or(CLIENTS);
    let Some(config) = plan(&run, &given)? else {
        return Ok(Exit::CouldNotRun);
    };
    let interrupt = Interrupt::new();
    signals::stop_on_signals(interrupt.clone(), quiet)?;
    let drift = Drift::new(config, clients)
        .interrupted_by(interrupt.clone())
        .observe(move |what| progress::display(quiet, what));
    let Some(result) = measured(drift.run_blocking(), &interrupt)? else {
        return Ok(Exit::Interrupted);
    };
    output::result(&result, json)?;
    let exit = match result.unwritten.is_empty() {
        true => exit_of(&result, strict),
        false => Exit::NotSaved,
    };
    Ok(gate::over(exit, gate::of_run(&fail_if, &result)))
}
