//! `llmeter run`.

use anyhow::Result;
use llmeter::api::output_limit;
use llmeter::experiment::{Repeat, SavedWorkloads};
use llmeter::payload::Payload;
use llmeter::result::Unwritten;
use llmeter::stats::Condition;
use llmeter::{Interrupt, RunConfig, RunResult, RunSettings, Runner, Setting, Verdict};
use llmeter_sim::calibration::{Calibration, LoadShape};

use super::view::Viewing;
use super::{calibrate, dry_run, failure, gate, measured, repeat, workloads};
use crate::args::RunArguments;
use crate::exit::{self, Exit};
use crate::settings::Given;
use crate::trust::{self, Consent};
use crate::{output, progress, settings, signals};

/// Tokens of a response up to which `--calibrate` follows the payload.
const MAX_CALIBRATION_TOKENS: u64 = 256;

pub(crate) fn run(arguments: &RunArguments) -> Result<Exit> {
    let interrupt = Interrupt::new();
    let mut viewing = None;
    let exit = carry_out(arguments, &interrupt, &mut viewing)?;
    if let Some(viewing) = &viewing
        && !interrupt.is_stopped()
    {
        let url = viewing.url();
        output::note(&format!("the run is over; {url} stays until Ctrl-C"));
        signals::wait_for_end(&interrupt);
    }
    Ok(exit)
}

/// Carries the run out; with `--view` the page is there when it begins.
fn carry_out(
    arguments: &RunArguments,
    interrupt: &Interrupt,
    viewing: &mut Option<Viewing>,
) -> Result<Exit> {
    let given = settings::with_file(&arguments.flags, arguments.config.as_deref())?;
    let settings = &given.settings;
    let Switches {
        quiet,
        json,
        strict,
        fail_if,
    } = Switches::of(settings);
    let calibrates = settings.calibrate == Some(true);
    let key_variable = settings.api_key_env.clone();
    if !given.workloads.is_empty() {
        return workloads::run(arguments, &given, interrupt);
    }
    if let Some(folder) = &arguments.from
        && let Some(saved) = SavedWorkloads::load(folder)?
    {
        return workloads::repeat(arguments, &given, saved, interrupt);
    }
    if arguments.alone {
        let reason =
            "--alone is for the [[workload]] tables of a --config file, or a folder of their run";
        return Err(exit::UsageError(reason.to_owned()).into());
    }
    if arguments.dry_run {
        return dry_run::dry_run(&settings::config(arguments, &given)?);
    }
    let Some(config) = plan(arguments, &given)? else {
        return Ok(Exit::CouldNotRun);
    };
    let key = settings::key_variable(&*config.endpoint, key_variable.as_deref());
    signals::stop_on_signals(interrupt.clone(), quiet)?;
    if arguments.view
        && let Some(output) = &config.output
    {
        let viewing = viewing.insert(Viewing::start(output, 0, arguments.open)?);
        output::note(&format!("view: {}", viewing.url()));
    }
    if let Some(times) = arguments.repeat {
        let repeat = Repeat::of_run(config, times as usize)
            .interrupted_by(interrupt.clone())
            .observe(move |number| progress::display(quiet, &format!("repeat {number}")));
        return repeat::carry_out(&repeat, interrupt, json, strict, &fail_if);
    }
    let mut calibration = None;
    if calibrates {
        calibration = measure_machine(&config, interrupt, quiet)?;
        if calibration.is_none() {
            output::note("interrupted while calibrating; nothing was measured");
            return Ok(Exit::Interrupted);
        }
    }
    let mut runner = Runner::new(config)
        .interrupted_by(interrupt.clone())
        .controllable();
    if let Some(display) = progress::display(quiet, "run") {
        runner = runner.observe(display);
    }
    let result = runner.run_blocking();
    // Ends the display.
    drop(runner);
    let Some(mut result) = measured(result, interrupt)? else {
        return Ok(Exit::Interrupted);
    };
    let mut is_saved = result.unwritten.is_empty();
    if let Some(calibration) = calibration {
        result.add_stats(calibration.stats());
        if result.summary.output_path.is_some()
            && let Err(reason) = result.save(None)
        {
            let warning = format!("the calibration is not in the run's files: {reason}");
            result.warnings.push(warning);
            is_saved = false;
        }
    }
    let shown = output::result(&result, json);
    let folder = result.summary.output_path.as_ref();
    if let Err(reason) = shown.and_then(|()| super::say_data(folder, json)) {
        if exit::is_broken_pipe(&reason) {
            return Err(reason);
        }
        // It is on standard error now, where the error follows it.
        exit::report(&reason);
        return Ok(Exit::NotSaved);
    }
    crate::mlflow::tell(&result);
    let exit = match is_saved {
        true => exit_of(&result, strict),
        false => Exit::NotSaved,
    };
    if exit == Exit::AllFailed {
        let reason = failure::all_failed(&result, key.as_ref());
        output::note(&format!("error: {reason}"));
    }
    if exit == Exit::Stopped {
        let by = match result.stats().stopped_by.as_deref() {
            Some("max_failures") => exit::flag(Setting::MaxFailures),
            Some("error_rate") => exit::flag(Setting::StopOnErrorRate),
            _ => "none of the first can pass by itself".to_owned(),
        };
        let all_failed = if is_all_failed(&result) {
            format!("; {}", failure::all_failed(&result, key.as_ref()))
        } else {
            String::new()
        };
        output::note(&format!(
            "error: the run was stopped, since too many requests failed ({by}){all_failed}"
        ));
    }
    let exit = gate::over(exit, gate::of_run(&fail_if, &result));
    if exit == Exit::NotClean {
        output::note(&format!("error: {}", not_clean(&result)));
    }
    if exit == Exit::NotSaved {
        output::note("error: not all files of the run could be written, as the warnings say");
        let mut unwritten = result.unwritten.iter();
        if result.interrupted && unwritten.any(|one| matches!(one, Unwritten::Responses { .. })) {
            output::note("hint: `--ignore-write-errors` goes on sending all the same");
        }
    }
    Ok(exit)
}

/// The run that arguments and files describe, once the user [agreed] to it.
pub(super) fn plan(arguments: &RunArguments, given: &Given) -> Result<Option<RunConfig>> {
    let config = settings::config(arguments, given)?;
    agreed(config, arguments, given)
}

/// The run, once the user agrees to where its secrets go; `None` if not. To be called before signals are
/// caught, so that one ends a question.
pub(super) fn agreed(
    mut config: RunConfig,
    arguments: &RunArguments,
    given: &Given,
) -> Result<Option<RunConfig>> {
    let consent = Consent {
        given,
        is_given: arguments.trust.trust_folder,
    };
    let Some(trust) = consent.to(&config.destinations())? else {
        output::note(trust::NOTHING);
        return Ok(None);
    };
    config.trust = trust;
    Ok(crate::mlflow::may_start(&config)?.then_some(config))
}

/// How a command tells what came of it.
pub(super) struct Switches {
    pub(super) quiet: bool,
    pub(super) json: bool,
    pub(super) strict: bool,
    pub(super) fail_if: Vec<Condition>,
}

impl Switches {
    pub(super) fn of(settings: &RunSettings) -> Self {
        let is_on = |switch| switch == Some(true);
        Self {
            quiet: is_on(settings.quiet),
            json: is_on(settings.json),
            strict: is_on(settings.strict),
            fail_if: settings.fail_if.clone().unwrap_or_default(),
        }
    }
}

/// Prints what an experiment of one run measured, and gives the exit code of it and its gate; `done` may have been
/// interrupted before there was anything.
pub(super) fn tell(
    done: llmeter::Result<RunResult>,
    switches: &Switches,
    interrupt: &Interrupt,
) -> Result<Exit> {
    let Some(result) = measured(done, interrupt)? else {
        return Ok(Exit::Interrupted);
    };
    output::result(&result, switches.json)?;
    let exit = match result.unwritten.is_empty() {
        true => exit_of(&result, switches.strict),
        false => Exit::NotSaved,
    };
    Ok(gate::over(exit, gate::of_run(&switches.fail_if, &result)))
}

/// The exit code that a result stands for.
pub(super) fn exit_of(result: &RunResult, strict: bool) -> Exit {
    let stats = result.stats();
    let requests = stats.total_requests.unwrap_or(0);
    let verdict = result.quality.as_ref().map(|quality| quality.verdict);
    // A limit that the user set says more than that nothing came before it.
    let is_at_failure_limit = matches!(
        stats.stopped_by.as_deref(),
        Some("max_failures" | "error_rate")
    );
    let is_limited = stats.cost_limit_reached == Some(true);
    if result.interrupted {
        Exit::Interrupted
    } else if is_limited && requests == 0 {
        Exit::CouldNotRun
    } else if is_at_failure_limit {
        Exit::Stopped
    } else if is_all_failed(result) {
        Exit::AllFailed
    } else if stats.stopped_by.is_some() {
        Exit::Stopped
    } else if strict && verdict != Some(Verdict::Clean) {
        Exit::NotClean
    } else {
        Exit::Done
    }
}

fn is_all_failed(result: &RunResult) -> bool {
    let stats = result.stats();
    stats.total_requests.unwrap_or(0) == stats.failed_requests
}

fn not_clean(result: &RunResult) -> String {
    let Some(quality) = &result.quality else {
        return "--strict: the run has no verdict".to_owned();
    };
    format!(
        "--strict: the measurement is {}: {}",
        quality.verdict,
        Setting::rename_all(&quality.reasons.join("; "), &exit::flag)
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
    let of_data = config
        .data
        .as_ref()
        .map(|data| data.request(config.data_start));
    let of_data = of_data.transpose()?.map(|request| request.payload);
    let payloads = config.payloads.iter().map(|payload| &**payload);
    if let Some(tokens) = output_tokens(payloads.chain(&of_data)) {
        shape.output_tokens = tokens;
    }
    calibrate::measure(&shape, interrupt, quiet)
}

/// Tokens of the calibration's responses: as many as these payloads allow, wherever their API has its
/// limit. `None` if they have none.
fn output_tokens<'a>(payloads: impl Iterator<Item = &'a Payload>) -> Option<u32> {
    let most = payloads.filter_map(output_limit).max()?;
    Some(most.clamp(2, MAX_CALIBRATION_TOKENS) as u32)
}

#[cfg(test)]
mod tests {
    use llmeter::api::ApiMode;

    use super::*;

    #[test]
    fn a_calibration_follows_the_output_limit_of_every_api() {
        for mode in ApiMode::all() {
            let payload = mode.create_payload("Hello", 17).unwrap();
            let expected = (mode.name != "openai-embeddings").then_some(17);
            assert_eq!(
                output_tokens([&payload].into_iter()),
                expected,
                "{}",
                mode.name
            );
        }
        let long = ApiMode::named("gemini-stream").unwrap();
        let long = long.create_payload("Hello", 100_000).unwrap();
        assert_eq!(output_tokens([&long].into_iter()), Some(256));
    }
}
