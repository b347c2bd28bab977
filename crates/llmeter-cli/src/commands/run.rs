//! `llmeter run`.

use anyhow::Result;
use llmeter::api::output_limit;
use llmeter::{Interrupt, RunConfig, RunResult, Runner, Verdict};
use llmeter_sim::calibration::{Calibration, LoadShape};

use super::{calibrate, failure};
use crate::args::RunArguments;
use crate::exit::Exit;
use crate::{output, progress, settings, signals};

/// Tokens of a response up to which `--calibrate` follows the payload.
const MAX_CALIBRATION_TOKENS: u64 = 256;

pub(crate) fn run(arguments: &RunArguments) -> Result<Exit> {
    let settings = settings::with_file(&arguments.flags, arguments.config.as_deref())?;
    let is_on = |switch| switch == Some(true);
    let (quiet, json) = (is_on(settings.quiet), is_on(settings.json));
    let (strict, calibrates) = (is_on(settings.strict), is_on(settings.calibrate));
    let key_variable = settings.api_key_env.clone();
    let config = settings::config(arguments, settings)?;
    let key = settings::key_variable(&*config.endpoint, key_variable.as_deref());
    let interrupt = Interrupt::new();
    signals::stop_on_signals(interrupt.clone(), quiet)?;
    let mut calibration = None;
    if calibrates {
        calibration = measure_machine(&config, &interrupt, quiet)?;
        if calibration.is_none() {
            output::note("interrupted while calibrating; nothing was measured");
            return Ok(Exit::Interrupted);
        }
    }
    let mut runner = Runner::new(config).interrupted_by(interrupt.clone());
    if let Some(display) = progress::display(quiet, "run") {
        runner = runner.observe(display);
    }
    let result = runner.run_blocking();
    // Ends the display.
    drop(runner);
    let mut result = match result {
        Ok(result) => result,
        Err(_) if interrupt.is_stopped() => {
            output::note("interrupted before the first request; nothing was measured");
            return Ok(Exit::Interrupted);
        }
        Err(reason) => return Err(reason.into()),
    };
    if let Some(calibration) = calibration {
        result.add_stats(calibration.stats());
        if result.summary.output_path.is_some()
            && let Err(reason) = result.save(None)
        {
            let warning = format!("the calibration is not in the run's files: {reason}");
            result.warnings.push(warning);
        }
    }
    output::result(&result, json)?;
    let exit = exit_of(&result, strict);
    if exit == Exit::AllFailed {
        let reason = failure::all_failed(&result, key.as_ref());
        output::note(&format!("error: {reason}"));
    }
    if exit == Exit::Stopped {
        let by = result.stats().stopped_by.unwrap_or_default();
        output::note(&format!(
            "error: the run was stopped, since too many requests failed ({by})"
        ));
    }
    if exit == Exit::NotClean {
        output::note(&format!("error: {}", not_clean(&result)));
    }
    Ok(exit)
}

/// The exit code that a result stands for.
fn exit_of(result: &RunResult, strict: bool) -> Exit {
    let stats = result.stats();
    let requests = stats.total_requests.unwrap_or(0);
    let verdict = result.quality.as_ref().map(|quality| quality.verdict);
    let is_limited = stats.cost_limit_reached == Some(true);
    if result.interrupted {
        Exit::Interrupted
    } else if is_limited && requests == 0 {
        Exit::CouldNotRun
    } else if requests == stats.failed_requests {
        Exit::AllFailed
    } else if stats.stopped_by.is_some() {
        Exit::Stopped
    } else if strict && verdict != Some(Verdict::Clean) {
        Exit::NotClean
    } else {
        Exit::Done
    }
}

fn not_clean(result: &RunResult) -> String {
    let Some(quality) = &result.quality else {
        return "--strict: the run has no verdict".to_owned();
    };
    format!(
        "--strict: the measurement is {}: {}",
        quality.verdict,
        quality.reasons.join("; ")
    )
}

/// Replays the run's load shape against the simulator; `None` if it was interrupted.
fn measure_machine(
    config: &RunConfig,
    interrupt: &Interrupt,
    quiet: bool,
) -> Result<Option<Calibration>> {
    let mut shape = LoadShape {
        clients: config.clients,
        stamps: config.stamps,
        ..LoadShape::default()
    };
    let payloads = config.payloads.iter();
    let limits = payloads.filter_map(|payload| output_limit(payload));
    if let Some(tokens) = limits.max() {
        shape.output_tokens = tokens.clamp(2, MAX_CALIBRATION_TOKENS) as u32;
    }
    calibrate::measure(&shape, interrupt, quiet)
}
