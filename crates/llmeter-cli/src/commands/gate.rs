//! What `--fail-if` makes of an exit code.

use llmeter::RunResult;
use llmeter::experiment::{AbResult, LoadTestResult, RepeatResult};
use llmeter::stats::Condition;

use crate::exit::Exit;
use crate::output;

/// Says which conditions a run fulfils.
pub(super) fn of_run(conditions: &[Condition], result: &RunResult) -> Exit {
    let stats = result.stats_map();
    let findings = conditions.iter().filter_map(|one| one.finding(&stats));
    say(findings)
}

/// Says which conditions any level fulfils.
pub(super) fn of_load_test(conditions: &[Condition], test: &LoadTestResult) -> Exit {
    let findings = test.results.iter().flat_map(|(clients, result)| {
        let stats = result.stats_map();
        let findings = conditions.iter().filter_map(move |one| one.finding(&stats));
        findings.map(move |finding| format!("{finding} with {clients} clients"))
    });
    say(findings)
}

/// Says which conditions repeats fulfil on average, at any number of clients.
pub(super) fn of_repeats(conditions: &[Condition], repeats: &RepeatResult) -> Exit {
    say(conditions.iter().flat_map(|one| repeats.findings(one)))
}

/// Says which conditions any variant of a test by blocks fulfils on average. Each has its own.
pub(super) fn of_ab(conditions: &[Vec<Condition>], test: &AbResult) -> Exit {
    let variants = conditions.iter().enumerate();
    say(variants.flat_map(|(variant, conditions)| {
        let findings = conditions.iter();
        findings.filter_map(move |one| test.finding(variant, one))
    }))
}

/// Prints why a gate fails, if it does.
pub(super) fn say(findings: impl Iterator<Item = String>) -> Exit {
    let mut exit = Exit::Done;
    for finding in findings {
        output::note(&format!("error: --fail-if {finding}"));
        exit = Exit::GateFailed;
    }
    exit
}

/// The exit code of what was measured and its gate: what ended a run, and a measurement that is not to be
/// trusted, go before.
pub(super) fn over(measured: Exit, gate: Exit) -> Exit {
    match measured {
        Exit::Done => gate,
        measured => measured,
    }
}
