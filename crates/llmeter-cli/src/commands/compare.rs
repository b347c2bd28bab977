//! `llmeter compare`.

use anyhow::Result;
use llmeter::experiment::{Baselines, Comparison, Measured, WorkloadsResult};
use llmeter::report::{self, Rows};
use llmeter::stats::Condition;
use llmeter::storage::Location;
use serde_json::json;

use super::gate;
use crate::args::{CompareArguments, Format};
use crate::exit::{Exit, UsageError};
use crate::output;

pub(crate) fn compare(arguments: &CompareArguments) -> Result<Exit> {
    let mut folders = arguments.folders.clone();
    let base = match &arguments.baseline {
        Some(name) => Baselines::of_project("").find(name)?,
        None => folders.remove(0),
    };
    if folders.is_empty() {
        let reason = "there is nothing to compare: give two folders, or one and --baseline";
        return Err(UsageError(reason.to_owned()).into());
    }
    let places: Vec<_> = std::iter::once(&base).chain(&folders).cloned().collect();
    let mut base = Measured::load(base)?;
    if let Some(name) = &arguments.baseline {
        base.name = format!("baseline {name}");
    }
    let new = folders.into_iter().map(Measured::load);
    let new = new.collect::<llmeter::Result<Vec<_>>>()?;
    for warning in base
        .warnings
        .iter()
        .chain(new.iter().flat_map(|one| &one.warnings))
    {
        output::note(&format!("warning: {warning}"));
    }
    let comparison = Comparison::of(&base, &new)?;
    let fail_if = &arguments.fail_if;
    let rows = match arguments.all {
        true => Rows::All,
        false => Rows::Telling,
    };
    match (&arguments.output, arguments.format) {
        (None, Format::Text) => {
            output::text(&report::comparison_within(
                &comparison,
                rows,
                output::width(),
            ))?;
        }
        (None, Format::Json) => {
            output::json_text(&rendered(&comparison, rows, fail_if, Format::Json)?)?;
        }
        (None, format) => output::raw(&rendered(&comparison, rows, fail_if, format)?)?,
        (Some(file), format) => {
            file.write_blocking(rendered(&comparison, rows, fail_if, format)?)?;
        }
    }
    let mut findings = Vec::new();
    for condition in fail_if {
        let found = comparison.findings(condition);
        findings.extend(found.map_err(|reason| UsageError(reason.to_string()))?);
    }
    for (name, comparison) in of_workloads(&places)? {
        if matches!((&arguments.output, arguments.format), (None, Format::Text)) {
            let text = report::comparison_within(&comparison, rows, output::width());
            output::text(&format!("\nworkload {name}\n{text}"))?;
        }
        for condition in fail_if {
            let found = comparison.findings(condition);
            let found = found.map_err(|reason| UsageError(reason.to_string()))?;
            findings.extend(
                found
                    .into_iter()
                    .map(|one| format!("{one} in workload {name}")),
            );
        }
    }
    Ok(gate::say(findings.into_iter()))
}

/// The comparisons of the classes of workload that all of these folders have.
fn of_workloads(places: &[Location]) -> Result<Vec<(String, Comparison)>> {
    let names: Vec<_> = places.iter().map(WorkloadsResult::names).collect();
    let Some((first, others)) = names.split_first() else {
        return Ok(Vec::new());
    };
    let is_common = |name: &&String| others.iter().all(|names| names.contains(name));
    let mut compared = Vec::new();
    for name in first.iter().filter(is_common) {
        let all = places.iter().map(|place| Measured::load(place.join(name)));
        let mut all = all.collect::<llmeter::Result<Vec<_>>>()?;
        let new = all.split_off(1);
        compared.push((name.clone(), Comparison::of(&all[0], &new)?));
    }
    Ok(compared)
}

fn rendered(
    comparison: &Comparison,
    rows: Rows,
    fail_if: &[Condition],
    format: Format,
) -> Result<String> {
    Ok(match format {
        Format::Text => report::comparison_within(comparison, rows, usize::MAX),
        Format::Markdown => report::comparison_markdown(comparison, fail_if),
        Format::Junit => report::comparison_junit(comparison, fail_if),
        Format::Json => {
            let conditions = fail_if.iter().map(|condition| {
                let findings = comparison.findings(condition).unwrap_or_default();
                json!({"condition": condition, "failed": !findings.is_empty(), "findings": findings})
            });
            let conditions: Vec<_> = conditions.collect();
            let mut object = serde_json::to_value(comparison)?;
            object["fail_if"] = conditions.into();
            serde_json::to_string_pretty(&object)?
        }
    })
}
