//! `llmeter capacity`.

use anyhow::Result;
use llmeter::experiment::{Capacity, CapacityResult, Knee, Over, TestEnd};
use llmeter::load::Rate;
use llmeter::{Interrupt, Setting, report};
use serde_json::{Map, Value, json};

use super::measured;
use super::run::plan;
use crate::args::{CapacityArguments, SearchedLoad};
use crate::exit::{Exit, UsageError, flag};
use crate::{output, progress, settings, signals};

pub(crate) fn capacity(arguments: &CapacityArguments) -> Result<Exit> {
    let run = arguments.of_run();
    let mut given = settings::with_file(&run.flags, run.config.as_deref())?;
    if matches!(arguments.over, SearchedLoad::Clients) && given.settings.arrivals.is_some() {
        return Err(UsageError("--arrivals requires --over rate".to_owned()).into());
    }
    if matches!(arguments.over, SearchedLoad::Rate) {
        // So that settings of open loops are taken; each probe has a rate of its own.
        given.settings.rate = Rate::of_seconds(arguments.min).ok();
    }
    if matches!(arguments.over, SearchedLoad::Sessions) {
        given.settings.sessions = Some(arguments.min as usize);
    }
    let is_on = |switch| switch == Some(true);
    let quiet = is_on(given.settings.quiet);
    let json = is_on(given.settings.json);
    let strict = is_on(given.settings.strict);
    let Some(config) = plan(&run, &given)? else {
        return Ok(Exit::CouldNotRun);
    };
    let interrupt = Interrupt::new();
    signals::stop_on_signals(interrupt.clone(), quiet)?;
    let over = match arguments.over {
        SearchedLoad::Clients => Over::Clients,
        SearchedLoad::Rate => Over::Rate,
        SearchedLoad::Sessions => Over::Sessions,
    };
    let max = arguments.max.unwrap_or(over.max_by_default());
    let mut search = Capacity::new(config)
        .over(over)
        .between(arguments.min, max)
        .probe_time(arguments.probe_duration)
        .max_probes(arguments.max_probes)
        .interrupted_by(interrupt.clone())
        .observe(move |load| progress::display(quiet, load));
    if let Some(step) = arguments.adaptive {
        search = search.adaptive(step);
    }
    if arguments.resume {
        search = search.resume();
    }
    let Some(found) = measured(search.run_blocking(), &interrupt)? else {
        return Ok(Exit::Interrupted);
    };
    for warning in &found.warnings {
        let warning = Setting::rename_all(warning, &flag);
        output::note(&format!("warning: {warning}"));
    }
    print(&found, json)?;
    super::say_saved(found.output_path.as_ref(), json)?;
    Ok(exit_of(&found, strict))
}

/// The search as text, or as JSON with the statistics of each probe.
pub(super) fn print(found: &CapacityResult, is_json: bool) -> Result<()> {
    if !is_json {
        output::text(&report::capacity_within(found, output::width()))?;
        return Ok(());
    }
    let probes = found.plan.probes.iter();
    let probes = probes.map(|probe| Ok((probe, serde_json::to_value(probe)?)));
    let probes = probes.collect::<Result<Vec<_>>>()?;
    let probes: Vec<Value> = probes
        .into_iter()
        .map(|(probe, mut value)| {
            let stats = found.at(probe.level);
            value["stats"] = Value::Object(stats.map_or_else(Map::new, |it| it.stats_map()));
            value
        })
        .collect();
    let object = json!({
        "name": found.name,
        "over": found.plan.over,
        "slos": found.plan.slos,
        "capacity": found.level(),
        "breaks_at": found.breaks_at(),
        "interval": [found.interval().0, found.interval().1],
        "is_one_run": found.plan.is_one_run,
        "goodput": found.goodput(),
        "goodput_interval": found.goodput_interval(),
        "knee": match found.knee() {
            Knee::At(clients) => Some(clients),
            _ => None,
        },
        "is_complete": found.plan.is_complete,
        "probes": probes,
    });
    output::json_text(&serde_json::to_string_pretty(&object)?)
}

fn exit_of(found: &CapacityResult, strict: bool) -> Exit {
    let is_clean = |result: &llmeter::RunResult| {
        result.stats().measurement_verdict.as_deref() == Some("clean")
    };
    let stats = || found.results.iter().map(|(_, result)| result.stats());
    let are_all_failed =
        stats().all(|stats| stats.total_requests.unwrap_or(0) == stats.failed_requests);
    match &found.ended_by {
        Some(TestEnd::Interrupted) => Exit::Interrupted,
        Some(TestEnd::Unwritten(_)) => Exit::NotSaved,
        _ if are_all_failed => Exit::AllFailed,
        Some(TestEnd::Failures(..)) => Exit::Stopped,
        _ if strict && !found.results.iter().all(|(_, result)| is_clean(result)) => Exit::NotClean,
        _ => Exit::Done,
    }
}
