//! `llmeter calibrate`.

use anyhow::Result;
use llmeter::Interrupt;
use llmeter_sim::calibration::{self, LoadShape};

use crate::args::CalibrateArguments;
use crate::exit::Exit;
use crate::{output, progress, signals};

pub(crate) fn calibrate(arguments: &CalibrateArguments) -> Result<Exit> {
    let interrupt = Interrupt::new();
    signals::stop_on_signals(interrupt.clone())?;
    let shape = LoadShape {
        clients: arguments.clients,
        duration: arguments.duration,
        ttft: arguments.ttft,
        itl: arguments.itl,
        output_tokens: arguments.output_tokens,
        stamps: arguments.stamps.into(),
    };
    let display = progress::display(arguments.quiet, "calibrating");
    let calibration = calibration::calibrate(&shape, &interrupt, display)?;
    if arguments.json {
        output::json(&calibration.stats())?;
    } else {
        output::text(&calibration.to_string())?;
    }
    Ok(if interrupt.is_stopped() {
        Exit::Interrupted
    } else {
        Exit::Done
    })
}
