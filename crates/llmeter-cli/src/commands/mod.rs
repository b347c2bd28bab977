//! One file for each command.

mod ab;
mod baseline;
mod calibrate;
mod callbacks;
mod capacity;
mod cold_start;
mod compare;
mod completions;
mod control;
mod cost;
mod data;
mod demo;
mod drift;
mod dry_run;
mod export;
mod failure;
mod gate;
mod heatmap;
mod list;
mod load_test;
mod man;
mod merge;
mod payload;
mod probe;
mod repeat;
mod report;
mod run;
pub(crate) mod show;
mod simulate;
mod spike;
mod view;
mod workloads;

use anyhow::Result;
use llmeter::storage::Location;
use llmeter::{Interrupt, SavedRun, Setting};

use crate::args::{Arguments, Command};
use crate::exit::Exit;
use crate::output;

pub(crate) fn dispatch(arguments: Arguments) -> Result<Exit> {
    // As many connections as the system allows; a run says if they are too few for it.
    llmeter::raise_open_file_limit()?;
    match arguments.command {
        Command::Demo(arguments) => demo::demo(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::LoadTest(arguments) => load_test::load_test(&arguments),
        Command::Capacity(arguments) => capacity::capacity(&arguments),
        Command::Spike(arguments) => spike::spike(&arguments),
        Command::ColdStart(arguments) => cold_start::cold_start(&arguments),
        Command::Drift(arguments) => drift::drift(&arguments),
        Command::Heatmap(arguments) => heatmap::heatmap(&arguments),
        Command::Ab(arguments) => ab::ab(&arguments),
        Command::Export(arguments) => export::export(&arguments),
        Command::Probe(arguments) => probe::probe(&arguments),
        Command::Payload(arguments) => payload::payload(&arguments),
        Command::Data(arguments) => data::data(&arguments),
        Command::Control(arguments) => control::control(&arguments),
        Command::List(arguments) => list::list(&arguments),
        Command::Show(arguments) => show::show(&arguments),
        Command::Report(arguments) => report::report(&arguments),
        Command::View(arguments) => view::view(&arguments),
        Command::Merge(arguments) => merge::merge(&arguments),
        Command::Compare(arguments) => compare::compare(&arguments),
        Command::Baseline(arguments) => baseline::baseline(&arguments),
        Command::Cost(arguments) => cost::cost(&arguments),
        Command::Mlflow(arguments) => crate::mlflow::log_saved(&arguments),
        Command::Callbacks(arguments) => callbacks::callbacks(&arguments),
        Command::Calibrate(arguments) => calibrate::calibrate(&arguments),
        Command::Simulate(arguments) => simulate::simulate(*arguments),
        Command::Completions(arguments) => completions::completions(&arguments),
        Command::Man(arguments) => man::man(&arguments),
    }
}

/// What a run or an experiment measured; `None`, which is said, if it was interrupted before there was
/// anything.
fn measured<T>(done: llmeter::Result<T>, interrupt: &Interrupt) -> Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(_) if interrupt.is_stopped() => {
            output::note("interrupted before the first request; nothing was measured");
            Ok(None)
        }
        Err(reason) => Err(reason.into()),
    }
}

/// Says where an experiment that was carried out is.
fn say_saved(folder: Option<&Location>, is_json: bool) -> Result<()> {
    match folder {
        Some(folder) if !is_json => output::text(&format!(
            "Saved in {folder}; `llmeter show {folder}` prints this again.\n"
        )),
        _ => Ok(()),
    }
}

/// Which data or trace a run sent, if its folder tells.
fn say_data(folder: Option<&Location>, is_json: bool) -> Result<()> {
    let folder = folder.filter(|_| !is_json);
    let Some(Ok(saved)) = folder.map(|folder| SavedRun::load(folder.clone())) else {
        return Ok(());
    };
    for (setting, name) in [(Setting::Data, "data"), (Setting::Replay, "trace")] {
        let value = saved.settings.get(setting);
        let value = value.or_else(|| saved.named_elsewhere(setting));
        if let Some(value) = value.as_ref().and_then(|value| value.as_str()) {
            output::text(&format!("{name}: {value}\n"))?;
        }
    }
    Ok(())
}
