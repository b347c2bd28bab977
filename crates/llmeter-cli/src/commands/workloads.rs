//! `llmeter run` with `[[workload]]` tables: several classes side by side.

use anyhow::{Context, Result};
use llmeter::experiment::{Workload, Workloads, WorkloadsResult};
use llmeter::stats::Condition;
use llmeter::{Interrupt, RunResult};

use super::{dry_run, gate, measured, run};
use crate::args::RunArguments;
use crate::exit::{Exit, UsageError};
use crate::settings::{Given, GivenWorkload};
use crate::{output, progress, settings, signals};

/// Carries the classes out, each with its own settings over those of the whole.
pub(super) fn run(arguments: &RunArguments, given: &Given, interrupt: &Interrupt) -> Result<Exit> {
    let is_on = |switch| switch == Some(true);
    let whole = &given.settings;
    let (quiet, json) = (is_on(whole.quiet), is_on(whole.json));
    let unsupported = [
        ("--repeat", arguments.repeat.is_some()),
        ("--from", arguments.from.is_some()),
        ("--view", arguments.view),
        ("--calibrate", is_on(whole.calibrate)),
    ];
    if let Some((flag, _)) = unsupported.into_iter().find(|(_, is_given)| *is_given) {
        let reason = format!("{flag} is not supported with workloads");
        return Err(UsageError(reason).into());
    }
    let mut classes = Vec::new();
    for class in &given.workloads {
        let name = &class.name;
        let of_class = given.of_workload(class);
        let config = settings::config(arguments, &of_class);
        let config = config.with_context(|| format!("workload {name}"))?;
        let config = match arguments.dry_run {
            true => Some(config),
            false => run::agreed(config, arguments, &of_class)?,
        };
        let Some(config) = config else {
            return Ok(Exit::CouldNotRun);
        };
        classes.push(Workload {
            name: name.clone(),
            share: class.share,
            config,
        });
    }
    let display = progress::together(quiet, "workloads", classes.len());
    let mix = Workloads::new(
        classes,
        whole.output.clone().unwrap_or_else(|| "runs".into()),
    )
    .run_name(whole.run_name.clone())
    .description(whole.description.clone())
    .overwrite(is_on(whole.overwrite))
    .slos(whole.slo.clone().unwrap_or_default())
    .alone(arguments.alone)
    .interrupted_by(interrupt.clone());
    if arguments.dry_run {
        return dry_run_of_each(&mix);
    }
    let mix = mix.observe(move |name| display.as_ref().map(|display| display.of_part(name)));
    mix.planned()?;
    signals::stop_on_signals(interrupt.clone(), quiet)?;
    let done = mix.run_blocking();
    // Ends the display.
    drop(mix);
    let Some(done) = measured(done, interrupt)? else {
        return Ok(Exit::Interrupted);
    };
    output::result(&done.whole, json)?;
    for (_, class) in &done.classes {
        crate::mlflow::tell(class);
    }
    let exit = match done.whole.unwritten.is_empty() {
        true => exit_of(&done, is_on(whole.strict)),
        false => Exit::NotSaved,
    };
    let of_whole = whole.fail_if.clone().unwrap_or_default();
    let of_classes = given.workloads.iter();
    let of_classes: Vec<_> = of_classes.map(|class| class.fail_if().to_vec()).collect();
    Ok(gate::over(exit, gate_of(&of_whole, &of_classes, &done)))
}

fn dry_run_of_each(mix: &Workloads) -> Result<Exit> {
    for class in mix.planned()? {
        let share = class
            .share
            .map(|share| format!(", {:.4} % of the load", share * 100.0));
        let share = share.unwrap_or_default();
        let trimmed = share.replace(".0000 %", " %");
        output::text(&format!("workload {}{trimmed}\n", class.name))?;
        dry_run::dry_run(&class.config)?;
    }
    Ok(Exit::Done)
}

/// The exit code of the whole, or else that of the first class that did not go well, which is named.
fn exit_of(done: &WorkloadsResult, strict: bool) -> Exit {
    let whole = run::exit_of(&done.whole, strict);
    if matches!(whole, Exit::Interrupted | Exit::AllFailed) {
        return whole;
    }
    let mut exit = Exit::Done;
    for (name, class) in &done.classes {
        let own = run::exit_of(class, strict);
        let what = match own {
            Exit::Done => continue,
            Exit::AllFailed => "every request failed",
            Exit::Stopped => "it was stopped, since too many requests failed",
            Exit::NotClean => "--strict: its measurement is not clean",
            _ => "it did not come to its end",
        };
        output::note(&format!("error: workload {name}: {what}"));
        if exit == Exit::Done {
            exit = own;
        }
    }
    exit
}

/// Says which conditions the whole fulfils, and which of its own a class.
pub(super) fn gate_of(
    of_whole: &[Condition],
    of_classes: &[Vec<Condition>],
    done: &WorkloadsResult,
) -> Exit {
    let found = |conditions: &[Condition], result: &RunResult| -> Vec<String> {
        let stats = result.stats_map();
        let conditions = conditions.iter();
        conditions.filter_map(|one| one.finding(&stats)).collect()
    };
    let mut findings = found(of_whole, &done.whole);
    for ((name, class), own) in done.classes.iter().zip(of_classes) {
        let own = found(own, class).into_iter();
        findings.extend(own.map(|finding| format!("{finding} in workload {name}")));
    }
    gate::say(findings.into_iter())
}

impl Given {
    /// The settings of a class: its own over those of the whole.
    fn of_workload(&self, class: &GivenWorkload) -> Self {
        let mut whole = self.settings.clone();
        // Those of the whole are about the whole.
        (whole.fail_if, whole.run_name) = (None, None);
        let own = class.settings.clone();
        let settings = own.clone().over(whole);
        let is_from_file =
            |setting| self.is_from_file(setting) || own.get(setting).is_some() && self.has_file();
        let from_file = settings.given().filter(|one| is_from_file(*one)).collect();
        self.with(settings, from_file)
    }
}
