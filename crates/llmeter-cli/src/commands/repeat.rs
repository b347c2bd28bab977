//! `--repeat` of a run or a load test.

use anyhow::Result;
use llmeter::experiment::{Repeat, RepeatResult, TestEnd};
use llmeter::stats::Condition;
use llmeter::{Interrupt, RunResult, report};
use serde_json::{Map, Value, json};

use super::{failure, gate, measured, run};
use crate::exit::Exit;
use crate::output;

pub(super) fn carry_out(
    repeat: &Repeat,
    interrupt: &Interrupt,
    json: bool,
    strict: bool,
    fail_if: &[Condition],
) -> Result<Exit> {
    let Some(done) = measured(repeat.run_blocking(), interrupt)? else {
        return Ok(Exit::Interrupted);
    };
    print(&done, json)?;
    super::say_saved(done.output_path.as_ref(), json)?;
    let exit = exit_of(&done, strict);
    if exit == Exit::AllFailed
        && let Some(last) = all(&done).last()
    {
        let reason = failure::all_failed(last, None);
        output::note(&format!("error: {reason}"));
    }
    Ok(gate::over(exit, gate::of_repeats(fail_if, &done)))
}

/// How figures differ, or the statistics of each repeat as JSON.
pub(super) fn print(done: &RepeatResult, is_json: bool) -> Result<()> {
    for warning in &done.warnings {
        output::note(&format!("warning: {warning}"));
    }
    for result in all(done) {
        output::warnings(result);
    }
    if is_json {
        let levels = done.results.iter().map(|(clients, results)| {
            let repeats: Vec<_> = results.iter().map(RunResult::stats_map).collect();
            (
                clients.to_string(),
                json!({ "repeats": repeats, "spreads": done.spreads(*clients) }),
            )
        });
        let object = json!({
            "name": done.name,
            "repeats": done.repeats,
            "missing": done.missing,
            "clients": levels.collect::<Map<String, Value>>(),
        });
        return output::json_text(&serde_json::to_string_pretty(&object)?);
    }
    output::text(&report::repeats_within(done, output::width()))?;
    Ok(())
}

fn all(done: &RepeatResult) -> impl Iterator<Item = &RunResult> {
    done.results.values().flatten()
}

/// The first reason for which something is wrong.
fn exit_of(done: &RepeatResult, strict: bool) -> Exit {
    match done.ended_by {
        Some(TestEnd::Interrupted) => return Exit::Interrupted,
        Some(TestEnd::Unwritten(_)) => return Exit::NotSaved,
        Some(TestEnd::Failures(..)) => return Exit::Stopped,
        _ => {}
    }
    let exits = || all(done).map(|result| run::exit_of(result, strict));
    if exits().all(|exit| exit == Exit::AllFailed) {
        return Exit::AllFailed;
    }
    let is_wrong = |exit: &Exit| !matches!(exit, Exit::Done | Exit::AllFailed);
    match exits().find(is_wrong) {
        Some(exit) => exit,
        None if done.missing > 0 && done.ended_by.is_none() => Exit::CouldNotRun,
        None => Exit::Done,
    }
}
