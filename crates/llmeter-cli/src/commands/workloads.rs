//! `llmeter run` with `[[workload]]` tables: several classes side by side.

use anyhow::{Context, Result};
use llmeter::experiment::{SavedWorkloads, Workload, Workloads, WorkloadsResult};
use llmeter::stats::Condition;
use llmeter::storage::Location;
use llmeter::{Interrupt, RunConfig, RunResult, RunSettings, Setting};

use super::run::Switches;
use super::{dry_run, gate, measured, run};
use crate::args::RunArguments;
use crate::exit::{Exit, UsageError, flag};
use crate::settings::{Given, GivenWorkload};
use crate::{output, progress, settings, signals};

/// What each class of a mix has of its own: flags cannot say it of all classes of a folder.
const OF_CLASSES: [Setting; 16] = [
    Setting::Rate,
    Setting::Clients,
    Setting::Stages,
    Setting::Replay,
    Setting::Sessions,
    Setting::SessionRate,
    Setting::MaxSessions,
    Setting::Requests,
    Setting::MaxRequests,
    Setting::MaxInFlight,
    Setting::Warmup,
    Setting::MaxCost,
    Setting::Data,
    Setting::Prompt,
    Setting::Payload,
    Setting::Shard,
];

/// Carries the classes out, each with its own settings over those of the whole.
pub(super) fn run(arguments: &RunArguments, given: &Given, interrupt: &Interrupt) -> Result<Exit> {
    if arguments.from.is_some() {
        return Err(unsupported("--from", "with [[workload]] tables"));
    }
    let mut classes = Vec::new();
    for class in &given.workloads {
        let of_class = given.of_workload(class);
        let config = settings::config(arguments, &of_class);
        let Some(config) = agreed(&class.name, config, arguments, &of_class)? else {
            return Ok(Exit::CouldNotRun);
        };
        classes.push(Workload {
            name: class.name.clone(),
            share: class.share,
            config,
        });
    }
    let whole = &given.settings;
    let slos = whole.slo.clone().unwrap_or_default();
    let mix = Workloads::new(classes, output_of(whole))
        .description(whole.description.clone())
        .slos(slos);
    let of_classes = given.workloads.iter();
    let of_classes: Vec<_> = of_classes.map(|class| class.fail_if().to_vec()).collect();
    carry_out(mix, &of_classes, arguments, given, interrupt)
}

/// Carries the classes of a folder out once more, with what flags say of all of them.
pub(super) fn repeat(
    arguments: &RunArguments,
    given: &Given,
    saved: SavedWorkloads,
    interrupt: &Interrupt,
) -> Result<Exit> {
    let whole = &given.settings;
    if let Some(setting) = OF_CLASSES.iter().find(|one| whole.get(**one).is_some()) {
        let what = "with --from a folder of several workloads, each of which has its own";
        return Err(unsupported(&flag(*setting), what));
    }
    let mut of_class = whole.clone();
    (of_class.slo, of_class.fail_if) = (None, None);
    (of_class.run_name, of_class.description) = (None, None);
    let from_file = of_class.given().filter(|one| given.is_from_file(*one));
    let from_file = from_file.collect();
    let of_class = given.with(of_class, from_file);
    let mut classes = Vec::new();
    for (name, share) in &saved.classes {
        let folder = saved.folder_of(name);
        let config = settings::config_from(arguments, &of_class, Some(&folder));
        let Some(config) = agreed(name, config, arguments, &of_class)? else {
            return Ok(Exit::CouldNotRun);
        };
        classes.push(Workload {
            name: name.clone(),
            share: *share,
            config,
        });
    }
    let description = whole.description.clone();
    let mix = Workloads::new(classes, output_of(whole))
        .divided(true)
        .description(description.or(saved.description))
        .slos(whole.slo.clone().unwrap_or(saved.slos));
    carry_out(mix, &[], arguments, given, interrupt)
}

fn unsupported(flag: &str, with: &str) -> anyhow::Error {
    UsageError(format!("{flag} is not supported {with}")).into()
}

fn output_of(settings: &RunSettings) -> Location {
    settings.output.clone().unwrap_or_else(|| "runs".into())
}

/// The run of a class, once the user agrees to where its secrets go, which a dry run does not ask; `None` if not.
fn agreed(
    name: &str,
    config: Result<RunConfig>,
    arguments: &RunArguments,
    given: &Given,
) -> Result<Option<RunConfig>> {
    let config = config.with_context(|| format!("workload {name}"))?;
    match arguments.dry_run {
        true => Ok(Some(config)),
        false => run::agreed(config, arguments, given),
    }
}

/// `of_classes`: what the gate of each class is.
fn carry_out(
    mix: Workloads,
    of_classes: &[Vec<Condition>],
    arguments: &RunArguments,
    given: &Given,
    interrupt: &Interrupt,
) -> Result<Exit> {
    let whole = &given.settings;
    let switches = Switches::of(whole);
    let not_of_workloads = [
        ("--repeat", arguments.repeat.is_some()),
        ("--view", arguments.view),
        ("--calibrate", whole.calibrate == Some(true)),
    ];
    if let Some((flag, _)) = not_of_workloads.iter().find(|(_, is_given)| *is_given) {
        return Err(unsupported(flag, "with workloads"));
    }
    let mix = mix
        .run_name(whole.run_name.clone())
        .overwrite(whole.overwrite == Some(true))
        .alone(arguments.alone)
        .interrupted_by(interrupt.clone());
    if arguments.dry_run {
        return dry_run_of_each(&mix);
    }
    let classes = mix.planned()?.len();
    let display = progress::together(switches.quiet, "workloads", classes);
    let mix = mix.observe(move |name| display.as_ref().map(|display| display.of_part(name)));
    signals::stop_on_signals(interrupt.clone(), switches.quiet)?;
    let done = mix.run_blocking();
    // Ends the display.
    drop(mix);
    let Some(done) = measured(done, interrupt)? else {
        return Ok(Exit::Interrupted);
    };
    output::result(&done.whole, switches.json)?;
    for (_, class) in &done.classes {
        crate::mlflow::tell(class);
    }
    let exit = match done.whole.unwritten.is_empty() {
        true => exit_of(&done, switches.strict),
        false => Exit::NotSaved,
    };
    Ok(gate::over(
        exit,
        gate_of(&switches.fail_if, of_classes, &done),
    ))
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
