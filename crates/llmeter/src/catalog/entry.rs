//! A run or an experiment in a catalog.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::figures::RunFigures;
use crate::storage::Location;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EntryKind {
    /// One run.
    Run,
    /// Runs with several numbers of clients.
    LoadTest,
    /// Probes of a search for capacity.
    Capacity,
    /// One run over several lengths.
    Heatmap,
    /// Blocks of several variants.
    Ab,
    /// The same run or load test, several times.
    Repeats,
    /// Classes of workload side by side.
    Workloads,
}

impl EntryKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Run,
        Self::LoadTest,
        Self::Capacity,
        Self::Heatmap,
        Self::Ab,
        Self::Repeats,
    ];

    /// Its name, in tables and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::LoadTest => "load test",
            Self::Capacity => "capacity",
            Self::Heatmap => "heatmap",
            Self::Ab => "A/B",
            Self::Repeats => "repeats",
            Self::Workloads => "workloads",
        }
    }
}

impl fmt::Display for EntryKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// How far an entry came. Of an experiment it is the state of the run that is furthest from an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EntryState {
    /// It came to its end.
    Complete,
    /// It was ended before its end, and says so.
    Interrupted,
    /// It was ended before its end, and could not say so: killed, or its disk was full.
    Broken,
    /// Its files cannot be read.
    Unreadable,
    /// It has not come to an end, and whether it still runs cannot be told: in the cloud, where nothing was written
    /// of late.
    Unfinished,
    /// It is in progress.
    Running,
}

impl EntryState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Complete,
        Self::Interrupted,
        Self::Broken,
        Self::Unreadable,
        Self::Unfinished,
        Self::Running,
    ];

    /// Its name, in tables and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Interrupted => "interrupted",
            Self::Broken => "broken",
            Self::Unreadable => "unreadable",
            Self::Unfinished => "unfinished",
            Self::Running => "running",
        }
    }
}

impl fmt::Display for EntryState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A run or an experiment, as the small files of its folders tell of it. Of an experiment, `runs` has its
/// runs, and the texts are those of the first.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its folder.
    pub location: Location,
    /// Its path below the folder that was looked through, with slashes; the folder's own name for that one.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// How far it came.
    pub state: EntryState,
    /// When it began, or, while it is in progress, when its first file was written.
    pub started: Option<Timestamp>,
    /// The run's own name.
    pub run_name: Option<String>,
    /// What it is for, in the user's words.
    pub description: Option<String>,
    /// The model, as the API calls it.
    pub model: Option<String>,
    /// A name for the endpoint.
    pub endpoint: Option<String>,
    /// How many clients sent at the same time.
    pub clients: Option<u64>,
    /// Requests that each client was to send.
    pub requests_per_client: Option<u64>,
    /// Seconds for which clients were to send.
    pub duration: Option<f64>,
    /// The verdict on the measurement; of an experiment the worst.
    pub verdict: Option<String>,
    /// The numbers of its statistics; none of an experiment but of workloads, whose whole is a run.
    pub figures: RunFigures,
    /// The runs of an experiment, in the order of their names; classes of workload in their own.
    pub runs: Vec<Entry>,
}

impl Entry {
    /// Its runs, or itself if it is one.
    pub fn each_run(&self) -> impl Iterator<Item = &Self> {
        let own = self.runs.is_empty().then_some(self);
        own.into_iter().chain(&self.runs)
    }

    /// The smallest and the largest value of a figure among its runs, by its key in `stats.json`.
    pub fn range(&self, key: &str) -> Option<(f64, f64)> {
        let values = self.each_run().filter_map(|run| run.figures.get(key));
        values.fold(None, |range, value| match range {
            None => Some((value, value)),
            Some((low, high)) => Some((value.min(low), value.max(high))),
        })
    }

    /// The sum of a figure over its runs.
    pub fn sum(&self, key: &str) -> Option<f64> {
        let values = self.each_run().filter_map(|run| run.figures.get(key));
        values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
    }

    /// The entry as an object: what it is, and its figures by their keys in `stats.json`. Of those only the
    /// ones that `is_wanted` are in it.
    pub fn to_json(&self, is_wanted: &dyn Fn(&str) -> bool) -> Map<String, Value> {
        let figures = self.figures.iter().filter(|(key, _)| is_wanted(key));
        let figures: Map<String, Value> = figures
            .map(|(key, value)| (key.to_owned(), number(value)))
            .collect();
        let mut object = json!({
            "name": self.name,
            "path": self.location,
            "kind": self.kind.as_str(),
            "state": self.state.as_str(),
            "started": self.started.map(|time| format!("{time:.6}")),
            "run_name": self.run_name,
            "description": self.description,
            "model": self.model,
            "endpoint": self.endpoint,
            "clients": self.clients,
            "requests_per_client": self.requests_per_client,
            "duration": self.duration,
            "verdict": self.verdict,
            "figures": figures,
        });
        if !self.runs.is_empty() {
            let runs = self.runs.iter().map(|run| run.to_json(is_wanted));
            object["runs"] = runs.collect();
        }
        match object {
            Value::Object(object) => object,
            // It was made as one.
            _ => Map::new(),
        }
    }
}

/// A number that is whole without a point.
fn number(value: f64) -> Value {
    match value.fract() == 0.0 && value.abs() < 9e15 {
        true => (value as i64).into(),
        false => value.into(),
    }
}
