//! Run folders: which there are, several merged to one, baselines.

use std::path::PathBuf;

use jiff::tz::TimeZone;
use llmeter::Error;
use llmeter::catalog::{Catalog, Filter, Order, SortKey, parse_since};
use llmeter::experiment::{Baselines as ProjectBaselines, Merge};
use llmeter::report;
use llmeter::stats::Condition;
use llmeter::storage::Location;
use llmeter::wire::clock;
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::WIDTH;
use crate::data::RunData;
use crate::error::{invalid, raised};

/// What there is below a folder: an object with `entries`, `unread` and `text`.
#[pyfunction]
pub(crate) fn list_runs(
    py: Python<'_>,
    folder: String,
    conditions: Vec<String>,
    model: Option<&str>,
    since: Option<&str>,
    sort: &str,
    reverse: bool,
) -> PyResult<String> {
    let mut filter = Filter::default();
    for text in conditions {
        let condition: Condition = text
            .parse()
            .map_err(|reason| invalid(format!("{text:?}: {reason}")))?;
        filter = filter.condition(condition);
    }
    if let Some(model) = model {
        filter = filter.model(model);
    }
    let listed = py.detach(|| -> Result<Value, Error> {
        let zone = TimeZone::system();
        if let Some(since) = since {
            filter = filter.since(parse_since(since, clock::wall(), &zone)?);
        }
        let order = Order::by(sort.parse::<SortKey>()?);
        let order = match reverse {
            true => order.reversed(),
            false => order,
        };
        let catalog = Catalog::scan(&Location::from(folder))?;
        let chosen = catalog.chosen(&filter, &order);
        let entries = chosen.iter().map(|entry| entry.to_json(&|_| true));
        Ok(json!({
            "entries": entries.collect::<Vec<_>>(),
            "unread": catalog.unread,
            "text": report::list_within(&chosen, WIDTH, &zone),
        }))
    });
    let listed = listed.map_err(|error| raised(&error))?;
    Ok(listed.to_string())
}

/// Merges runs that were parts of one load; gives the run and, as JSON, what is to be said of each part.
#[pyfunction]
pub(crate) fn merge(
    py: Python<'_>,
    parts: Vec<String>,
    output: String,
    overwrite: bool,
    allow_missing: bool,
    low_memory: bool,
) -> PyResult<(RunData, String)> {
    let merged = py.detach(|| {
        Merge::new(parts, Location::from(output))
            .overwrite(overwrite)
            .allow_missing(allow_missing)
            .low_memory(low_memory)
            .run()
    });
    let merged = merged.map_err(|error| raised(&error))?;
    let parts = merged.parts.iter().map(|part| {
        json!({
            "path": part.location,
            "requests": part.requests,
            "verdict": part.verdict,
            "problem": part.problem,
        })
    });
    let parts = Value::from_iter(parts).to_string();
    Ok((RunData::new(merged.result), parts))
}

/// The baselines of a project.
#[pyclass(frozen)]
pub(crate) struct Baselines(ProjectBaselines);

#[pymethods]
impl Baselines {
    #[new]
    fn new(project: PathBuf) -> Self {
        Self(ProjectBaselines::of_project(project))
    }

    /// Keeps the run or load test of a folder; gives the baseline's folder.
    fn save(
        &self,
        py: Python<'_>,
        name: &str,
        folder: String,
        overwrite: bool,
    ) -> PyResult<PathBuf> {
        py.detach(|| self.0.save(name, Location::from(folder), overwrite))
            .map_err(|error| raised(&error))
    }

    /// The names of all.
    fn names(&self) -> PyResult<Vec<String>> {
        self.0.list().map_err(|error| raised(&error))
    }

    /// The folder of one.
    fn find(&self, name: &str) -> PyResult<String> {
        let found = self.0.find(name).map_err(|error| raised(&error))?;
        Ok(found.to_string())
    }

    /// Removes one.
    fn remove(&self, name: &str) -> PyResult<()> {
        self.0.remove(name).map_err(|error| raised(&error))
    }
}
