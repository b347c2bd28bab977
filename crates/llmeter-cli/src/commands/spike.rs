//! `llmeter spike`.

use anyhow::Result;
use llmeter::experiment::Spike;
use llmeter::load::StageLevel;
use llmeter::{Interrupt, Setting};

use super::run::{Switches, plan, tell};
use crate::args::SpikeArguments;
use crate::exit::{Exit, UsageError, flag};
use crate::{progress, settings, signals};

pub(crate) fn spike(arguments: &SpikeArguments) -> Result<Exit> {
    let run = arguments.of_run();
    let given = settings::with_file(&run.flags, run.config.as_deref())?;
    let switches = Switches::of(&given.settings);
    let usual = match (given.settings.rate, given.settings.clients) {
        (Some(rate), _) => StageLevel::Rate(rate),
        (None, Some(clients)) => StageLevel::Clients(u32::try_from(clients).unwrap_or(u32::MAX)),
        (None, None) => {
            let [rate, clients] = [Setting::Rate, Setting::Clients].map(flag);
            let reason = format!("the usual load is missing: {rate} 10/s, or {clients} 4");
            return Err(UsageError(reason).into());
        }
    };
    let Some(config) = plan(&run, &given)? else {
        return Ok(Exit::CouldNotRun);
    };
    let interrupt = Interrupt::new();
    signals::stop_on_signals(interrupt.clone(), switches.quiet)?;
    let mut spike = Spike::new(config, usual, arguments.spike)
        .around(arguments.before, arguments.after)
        .interrupted_by(interrupt.clone());
    if let Some(window) = arguments.recovery_window {
        spike = spike.window(window);
    }
    if let Some(display) = progress::display(switches.quiet, "spike") {
        spike = spike.observe(display);
    }
    let done = spike.run_blocking();
    // Ends the display.
    drop(spike);
    tell(done, &switches, &interrupt)
}
