//! `llmeter show`.

use anyhow::{Result, anyhow};
use llmeter::experiment::{AbResult, CapacityResult, HeatmapResult, LoadTestResult, RepeatResult};
use llmeter::result::{RunFolder, RunSummary};
use llmeter::stats::Metric;
use llmeter::storage::Location;
use llmeter::{Error, RunResult, report};

use super::{ab, capacity, gate, heatmap, load_test, repeat, say_data};
use crate::args::ShowArguments;
use crate::exit::Exit;
use crate::output;

/// Run folders that an error names.
const MAX_NAMED: usize = 5;

pub(crate) fn show(arguments: &ShowArguments) -> Result<Exit> {
    let folder = &arguments.folder;
    output::set_ascii(arguments.ascii);
    if let Some(metric) = arguments.metric {
        return show_metric(folder, metric);
    }
    if CapacityResult::is_in(folder) {
        let found = CapacityResult::load_without_responses(folder.clone())?;
        capacity::print(&found, arguments.json)?;
        return Ok(Exit::Done);
    }
    let settings = &arguments.flags.settings;
    let fail_if = settings.fail_if.clone().unwrap_or_default();
    if HeatmapResult::is_in(folder) {
        let mut done = HeatmapResult::load(folder.clone())?;
        if let Some(slos) = &settings.slo {
            done.result.judge_by(slos.clone());
        }
        heatmap::print(&done, arguments.json)?;
        return Ok(gate::of_run(&fail_if, &done.result));
    }
    if AbResult::is_in(folder) {
        let test = match &settings.slo {
            None => AbResult::load_without_responses(folder.clone())?,
            Some(slos) => {
                let mut test = AbResult::load(folder.clone())?;
                test.judge_by(slos);
                test
            }
        };
        ab::print(&test, arguments.json)?;
        let of_each = vec![fail_if; test.plan.variants.len()];
        return Ok(gate::of_ab(&of_each, &test));
    }
    match RunResult::load(folder.clone()) {
        Err(Error::NotARun { .. }) if LoadTestResult::is_in(folder) => {
            let test = match &settings.slo {
                None => LoadTestResult::load(folder.clone())?,
                Some(slos) => {
                    let mut test = LoadTestResult::load(folder.clone())?;
                    let levels = test.results.values_mut();
                    levels.for_each(|level| level.judge_by(slos.clone()));
                    test
                }
            };
            for warning in &test.warnings {
                output::note(&format!("warning: {warning}"));
            }
            load_test::print(&test, arguments.json)?;
            Ok(gate::of_load_test(&fail_if, &test))
        }
        Err(Error::NotARun { .. }) if RepeatResult::is_in(folder) => {
            let mut repeats = RepeatResult::load(folder.clone())?;
            if let Some(slos) = &settings.slo {
                repeats.judge_by(slos);
            }
            repeat::print(&repeats, arguments.json)?;
            Ok(gate::of_repeats(&fail_if, &repeats))
        }
        Err(reason @ Error::NotARun { .. }) => Err(with_hint(reason, folder)),
        result => {
            let mut result = result?;
            if let Some(slos) = &settings.slo {
                result.judge_by(slos.clone());
            }
            output::result(&result, arguments.json)?;
            say_data(Some(folder), arguments.json)?;
            Ok(gate::of_run(&fail_if, &result))
        }
    }
}

/// One metric of a run, or of each level of a load test.
fn show_metric(folder: &Location, metric: &Metric) -> Result<Exit> {
    let width = output::width();
    match RunResult::load(folder.clone()) {
        Err(Error::NotARun { .. }) if LoadTestResult::is_in(folder) => {
            let test = LoadTestResult::load(folder.clone())?;
            for (clients, level) in &test.results {
                let detail = report::metric_within(level, metric, width);
                let clients = match clients {
                    1 => "1 client".to_owned(),
                    clients => format!("{clients} clients"),
                };
                output::text(&format!("{clients}\n{detail}\n"))?;
            }
        }
        Err(Error::NotARun { .. }) if AbResult::is_in(folder) => {
            let test = AbResult::load(folder.clone())?;
            for (at, variant) in test.plan.variants.iter().enumerate() {
                let responses = test.blocks_of(at).flat_map(|block| block.responses.clone());
                let all = RunResult::from_responses(RunSummary::default(), responses.collect());
                let detail = report::metric_within(&all, metric, width);
                output::text(&format!("{}, all blocks\n{detail}\n", variant.name))?;
            }
        }
        Err(reason @ Error::NotARun { .. }) => return Err(with_hint(reason, folder)),
        result => {
            let result = result?;
            output::warnings(&result);
            output::text(&report::metric_within(&result, metric, width))?;
        }
    }
    Ok(Exit::Done)
}

/// Loads a run folder with its responses.
pub(crate) fn load(folder: &Location) -> Result<RunResult> {
    match RunResult::load(folder.clone()) {
        Err(reason @ Error::NotARun { .. }) => Err(with_hint(reason, folder)),
        result => Ok(result?),
    }
}

/// Adds which run folders there are in a folder that is none itself.
pub(super) fn with_hint(reason: Error, folder: &Location) -> anyhow::Error {
    let Some(folder) = folder.local_path() else {
        return reason.into();
    };
    let mut runs: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir() && RunFolder::holds_run(path))
        .collect();
    runs.sort();
    if runs.is_empty() {
        return reason.into();
    }
    let left_out = runs.len().saturating_sub(MAX_NAMED);
    let named = runs[left_out..]
        .iter()
        .map(|path| path.display().to_string());
    let named = named.collect::<Vec<_>>().join(", ");
    let (count, more) = match left_out {
        0 => ("some".to_owned(), ""),
        _ => (runs.len().to_string(), ", …"),
    };
    let folder = folder.display();
    anyhow!("{folder} is not a run folder, but holds {count}: {named}{more}")
}
