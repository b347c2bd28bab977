//! `llmeter calibrate`.

use anyhow::Result;
use llmeter::Interrupt;
use llmeter_sim::calibration::{self, Calibration, LoadShape};

use crate::args::CalibrateArguments;
use crate::exit::Exit;
use crate::{output, progress, signals};

/// Files that are open beside the two ends of each client's connection.
const OTHER_FILES: u64 = 64;

pub(crate) fn calibrate(arguments: &CalibrateArguments) -> Result<Exit> {
    let interrupt = Interrupt::new();
    signals::stop_on_signals(interrupt.clone(), arguments.quiet)?;
    let shape = LoadShape {
        clients: arguments.clients,
        duration: arguments.duration,
        ttft: arguments.ttft,
        itl: arguments.itl,
        output_tokens: arguments.output_tokens,
        stamps: arguments.stamps.into(),
    };
    let Some(calibration) = measure(&shape, &interrupt, arguments.quiet)? else {
        output::note("interrupted; a calibration must run to its end");
        return Ok(Exit::Interrupted);
    };
    if arguments.json {
        output::json(&calibration.stats())?;
    } else {
        output::text(&calibration.to_string())?;
    }
    Ok(Exit::Done)
}

/// Replays a load against the simulator; `None` if it was interrupted.
pub(crate) fn measure(
    shape: &LoadShape,
    interrupt: &Interrupt,
    quiet: bool,
) -> Result<Option<Calibration>> {
    // Both ends of every connection are in this process.
    let needed = (shape.clients as u64)
        .saturating_mul(2)
        .saturating_add(OTHER_FILES);
    let limit = llmeter::raise_open_file_limit()?;
    if limit < needed {
        return Err(llmeter::Error::OpenFiles {
            purpose: format!("calibrating with {} clients needs", shape.clients),
            needed,
            limit,
        }
        .into());
    }
    let display = progress::display(quiet, "calibrating");
    let calibration = calibration::calibrate(shape, interrupt, display);
    if interrupt.is_stopped() {
        return Ok(None);
    }
    Ok(Some(calibration?))
}
