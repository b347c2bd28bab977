//! `llmeter run`.

use anyhow::Result;
use llmeter::{Interrupt, RunConfig, RunResult, Runner, Verdict, report};
use llmeter_sim::calibration::{self, Calibration, LoadShape};

use crate::args::RunArguments;
use crate::exit::Exit;
use crate::{output, progress, settings, signals};

pub(crate) fn run(arguments: RunArguments) -> Result<Exit> {
    let arguments = settings::with_file(arguments)?;
    let (quiet, json, strict) = (arguments.quiet, arguments.json, arguments.strict);
    let calibrates = arguments.calibrate;
    let config = arguments.into_config()?;
    let interrupt = Interrupt::new();
    signals::stop_on_signals(interrupt.clone())?;
    let calibration = if calibrates {
        calibrate(&config, &interrupt, quiet)?
    } else {
        None
    };
    let mut runner = Runner::new(config).interrupted_by(interrupt);
    if let Some(display) = progress::display(quiet, "run") {
        runner = runner.observe(display);
    }
    let mut result = runner.run_blocking()?;
    drop(runner);
    if let Some(calibration) = calibration {
        result.add_stats(calibration.stats());
        if result.summary.output_path.is_some() {
            result.save(None)?;
        }
    }
    if json {
        for warning in &result.warnings {
            eprintln!("warning: {warning}");
        }
        output::json(&result.stats())?;
    } else {
        output::text(&report::summary(&result))?;
    }
    Ok(exit_of(&result, strict))
}

/// The exit code that a result stands for.
fn exit_of(result: &RunResult, strict: bool) -> Exit {
    let stats = result.stats();
    let count = |key: &str| {
        stats
            .get(key)
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0)
    };
    let verdict = result.quality.as_ref().map(|quality| quality.verdict);
    if result.interrupted {
        Exit::Interrupted
    } else if count("total_requests") == count("failed_requests") {
        Exit::AllFailed
    } else if strict && verdict != Some(Verdict::Clean) {
        Exit::NotClean
    } else {
        Exit::Done
    }
}

/// Replays the run's load shape against the simulator; `None` if it was interrupted.
fn calibrate(
    config: &RunConfig,
    interrupt: &Interrupt,
    quiet: bool,
) -> Result<Option<Calibration>> {
    let shape = LoadShape {
        clients: config.clients,
        stamps: config.stamps,
        ..LoadShape::default()
    };
    let display = progress::display(quiet, "calibrating");
    let calibration = calibration::calibrate(&shape, interrupt, display)?;
    Ok((!interrupt.is_stopped()).then_some(calibration))
}
