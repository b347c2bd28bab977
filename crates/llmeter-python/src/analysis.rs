//! What is made of results: comparisons, conditions, reports, tables.

use llmeter::experiment::{self, Comparison, Knee, Measured};
use llmeter::report::{
    Rendering, Report, ReportFormat, comparison_conclusion, comparison_markdown, comparison_tables,
    comparison_within, summary_within,
};
use llmeter::stats::Condition;
use llmeter::storage::Location;
use llmeter::{Error, RunResult};
use pyo3::prelude::*;
use serde_json::json;

use crate::WIDTH;
use crate::data::RunData;
use crate::error::{failed, invalid, raised, refused};

/// Compares runs with a base.
#[pyfunction]
pub(crate) fn compare(
    py: Python<'_>,
    base: PyRef<'_, RunData>,
    new: Vec<PyRef<'_, RunData>>,
    names: Vec<String>,
) -> PyResult<String> {
    let mut names = names.into_iter();
    let mut measured = |data: &RunData| {
        let name = names.next().unwrap_or_default();
        data.with(py, move |result| Measured::of(name, result))
    };
    let base = measured(&base);
    let new: Vec<_> = new.iter().map(|data| measured(data)).collect();
    let compared = py.detach(|| Comparison::of(&base, &new));
    let compared = compared.map_err(|error| raised(&error))?;
    let object = json!({
        "comparison": serde_json::to_value(&compared).map_err(refused("comparison"))?,
        "is_worse": compared.is_worse(),
        "text": comparison_within(&compared, WIDTH),
        "markdown": comparison_markdown(&compared, &[]),
        "tables": comparison_tables(&compared),
        "conclusion": comparison_conclusion(&compared),
    });
    Ok(object.to_string())
}

/// Why a result does not meet a condition; nothing if it does.
#[pyfunction]
pub(crate) fn check(
    py: Python<'_>,
    result: PyRef<'_, RunData>,
    condition: &str,
) -> PyResult<Option<String>> {
    let wanted: Condition = condition
        .parse()
        .map_err(|reason| invalid(format!("{condition:?}: {reason}")))?;
    wanted
        .check_slo()
        .map_err(|reason| invalid(format!("{condition:?}: {reason}")))?;
    Ok(result.with(py, |result| missed(&wanted, result)))
}

fn missed(wanted: &Condition, result: &RunResult) -> Option<String> {
    if wanted.is_per_request() {
        let values = result.responses.iter();
        let values = values.map(|response| wanted.figure().value_of(response));
        let (mut requests, mut met) = (0_u64, 0_u64);
        for value in values {
            requests += 1;
            met += u64::from(value.is_some_and(|value| wanted.holds(value)));
        }
        return (met < requests || requests == 0)
            .then(|| format!("{wanted}: {met} of {requests} requests meet it"));
    }
    let stats = result.stats_map();
    match wanted.figure().value_in(&stats) {
        None => Some(format!("{wanted}: the run has no such figure")),
        Some(value) if wanted.holds(value) => None,
        Some(value) => Some(format!("{wanted}: it is {}", wanted.shown(value))),
    }
}

/// The summary that the command line prints of a run.
#[pyfunction]
pub(crate) fn summary_text(py: Python<'_>, result: PyRef<'_, RunData>) -> String {
    result.with(py, |result| summary_within(result, WIDTH))
}

/// Makes a report of run folders: its text, or the files that were written.
#[pyfunction]
pub(crate) fn report(
    py: Python<'_>,
    folders: Vec<String>,
    format: &str,
    path: Option<String>,
) -> PyResult<String> {
    let made = py.detach(|| -> Result<String, Error> {
        let format: ReportFormat = format.parse()?;
        let folders: Vec<Location> = folders.into_iter().map(Location::from).collect();
        if let Some(path) = path {
            let written = format.save(&folders, &Location::from(path))?;
            let written: Vec<_> = written.iter().map(Location::to_string).collect();
            return Ok(written.join("\n"));
        }
        match format.rendering() {
            Rendering::Text(render) => render(&Report::load(&folders)?),
            _ => Err(Error::field("path", "None", "a path, for this format")),
        }
    });
    made.map_err(|error| raised(&error))
}

/// The bins of a heatmap's axis.
#[pyfunction]
pub(crate) fn heatmap_bins(values: Vec<f64>, bins: usize) -> PyResult<Vec<(f64, f64)>> {
    if bins == 0 {
        return Err(failed("bins: 1 or more"));
    }
    let bins = experiment::heatmap_bins(&values, bins).into_iter();
    Ok(bins.map(|bin| (bin.start, bin.end)).collect())
}

/// Where the curve of throughput against latency bends: a number of clients, or nothing.
#[pyfunction]
pub(crate) fn knee(py: Python<'_>, results: Vec<PyRef<'_, RunData>>) -> Option<usize> {
    let levels = results.iter().map(|data| {
        data.with(py, |result| {
            (result.summary.clients as usize, result.clone())
        })
    });
    match experiment::knee(&levels.collect()) {
        Knee::At(clients) => Some(clients),
        _ => None,
    }
}
