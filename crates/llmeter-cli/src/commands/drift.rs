//! `llmeter drift`.

use anyhow::Result;
use llmeter::Interrupt;
use llmeter::experiment::Drift;

use super::run::{Switches, plan, tell};
use crate::args::DriftArguments;
use crate::exit::Exit;
use crate::{progress, settings, signals};

/// Clients under load by default.
const CLIENTS: usize = 16;

pub(crate) fn drift(arguments: &DriftArguments) -> Result<Exit> {
    let run = arguments.of_run();
    let given = settings::with_file(&run.flags, run.config.as_deref())?;
    let switches = Switches::of(&given.settings);
    let clients = given.settings.clients.unwrap_or(CLIENTS);
    let Some(config) = plan(&run, &given)? else {
        return Ok(Exit::CouldNotRun);
    };
    let interrupt = Interrupt::new();
    signals::stop_on_signals(interrupt.clone(), switches.quiet)?;
    let quiet = switches.quiet;
    let drift = Drift::new(config, clients)
        .interrupted_by(interrupt.clone())
        .observe(move |what| progress::display(quiet, what));
    tell(drift.run_blocking(), &switches, &interrupt)
}
