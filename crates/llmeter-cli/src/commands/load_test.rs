//! `llmeter load-test`.

use anyhow::Result;
use llmeter::experiment::{LoadTest, LoadTestResult, Repeat, TestEnd};
use llmeter::{Interrupt, Setting, Verdict, report};
use serde_json::{Map, Value, json};

use super::run::plan;
use super::{failure, gate, measured, repeat};
use crate::args::{LoadTestArguments, each_once};
use crate::exit::{Exit, flag};
use crate::{output, progress, settings, signals};

pub(crate) fn load_test(arguments: &LoadTestArguments) -> Result<Exit> {
    each_once("--clients", &arguments.levels)?;
    let run = arguments.of_run();
    let given = settings::with_file(&run.flags, run.config.as_deref())?;
    let settings = &given.settings;
    let is_on = |switch| switch == Some(true);
    let (quiet, json) = (is_on(settings.quiet), is_on(settings.json));
    let strict = is_on(settings.strict);
    let key_variable = settings.api_key_env.clone();
    let fail_if = settings.fail_if.clone().unwrap_or_default();
    let (requests, duration) = (settings.requests, settings.duration);
    let Some(config) = plan(&run, &given)? else {
        return Ok(Exit::CouldNotRun);
    };
    let key = settings::key_variable(&*config.endpoint, key_variable.as_deref());
    let interrupt = Interrupt::new();
    signals::stop_on_signals(interrupt.clone(), quiet)?;

    let mut test = LoadTest::new(config, arguments.levels.iter().copied())
        .min_requests(requests.unwrap_or(1), arguments.min_requests_per_level)
        .interrupted_by(interrupt.clone())
        .observe(move |clients| progress::display(quiet, &format!("{clients} clients")));
    if let Some(duration) = duration {
        test = test.duration(duration);
    }
    if arguments.resume {
        test = test.resume();
    }
    if let Some(times) = arguments.repeat {
        let repeat = Repeat::of_load_test(test, times as usize).interrupted_by(interrupt.clone());
        return repeat::carry_out(&repeat, &interrupt, json, strict, &fail_if);
    }
    let Some(result) = measured(test.run_blocking(), &interrupt)? else {
        return Ok(Exit::Interrupted);
    };
    for (clients, level) in &result.results {
        for warning in &level.warnings {
            output::note(&format!("warning: {clients} clients: {warning}"));
        }
    }
    for warning in &result.warnings {
        let warning = Setting::rename_all(warning, &flag);
        output::note(&format!("warning: {warning}"));
    }
    print(&result, json)?;
    super::say_saved(result.output_path.as_ref(), json)?;
    let exit = exit_of(&result, strict);
    if exit == Exit::AllFailed
        && let Some(last) = result.results.values().next_back()
    {
        let reason = failure::all_failed(last, key.as_ref());
        output::note(&format!("error: {reason}"));
    }
    Ok(gate::over(exit, gate::of_load_test(&fail_if, &result)))
}

/// The test as text, or the statistics of each level as JSON.
pub(super) fn print(test: &LoadTestResult, is_json: bool) -> Result<()> {
    if is_json {
        let levels = test.results.iter();
        let levels: Map<String, Value> = levels
            .map(|(clients, result)| (clients.to_string(), Value::Object(result.stats_map())))
            .collect();
        let object = json!({
            "test_name": test.test_name,
            "knee": match test.knee() {
                llmeter::experiment::Knee::At(clients) => Some(clients),
                _ => None,
            },
            "levels": levels,
            "missing": test.missing,
        });
        return output::json_text(&serde_json::to_string_pretty(&object)?);
    }
    let text = report::load_test_within(test, output::width());
    output::text(&Setting::rename_all(&text, &flag))?;
    Ok(())
}

fn exit_of(test: &LoadTestResult, strict: bool) -> Exit {
    let levels = || test.results.values();
    let is_all_failed =
        |stats: llmeter::stats::Stats| stats.total_requests.unwrap_or(0) == stats.failed_requests;
    let is_clean = |result: &llmeter::RunResult| {
        let verdict = result.quality.as_ref().map(|quality| quality.verdict);
        let saved = result.stats().measurement_verdict;
        verdict == Some(Verdict::Clean) || saved.as_deref() == Some("clean")
    };
    match &test.ended_by {
        Some(TestEnd::Interrupted) => Exit::Interrupted,
        Some(TestEnd::Unwritten(_)) => Exit::NotSaved,
        _ if levels().all(|result| is_all_failed(result.stats())) => Exit::AllFailed,
        Some(TestEnd::Failures(..)) => Exit::Stopped,
        None if !test.missing.is_empty() => Exit::CouldNotRun,
        _ if strict && !levels().all(is_clean) => Exit::NotClean,
        _ => Exit::Done,
    }
}
