//! The outcome of a load test.

use std::collections::BTreeMap;

use super::{Knee, knee};
use crate::base::error::{Error, Result};
use crate::result::RunResult;
use crate::storage::Location;

/// How the name of a level ends.
const LEVEL: &str = "-clients";

/// Why a load test ended before its last level.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TestEnd {
    /// It was interrupted.
    Interrupted,
    /// Too much failed at this level; the name of the limit, as in the statistic `stopped_by`.
    Failures(usize, String),
    /// The limit of cost was reached.
    Cost,
    /// The files of this level could not be written.
    Unwritten(usize),
}

/// The outcome of a load test: a run for each number of clients.
#[derive(Debug, Clone, Default)]
pub struct LoadTestResult {
    /// The results by their number of clients.
    pub results: BTreeMap<usize, RunResult>,
    /// The test's name, which is also its folder's.
    pub test_name: Option<String>,
    /// The folder in which each level has its own; `None` if nothing was written.
    pub output_path: Option<Location>,
    /// Why it ended before its last level, if so.
    pub ended_by: Option<TestEnd>,
    /// Levels that were to be measured and were not, in clients.
    pub missing: Vec<usize>,
    /// Levels that were there already and were not measured again, in clients.
    pub resumed: Vec<usize>,
    /// What was found wrong while loading.
    pub warnings: Vec<String>,
}

/// The name of a level's run and of its folder.
pub(crate) fn level_name(clients: usize) -> String {
    format!("{clients:05}{LEVEL}")
}

/// `1 client`, `2 clients`.
pub(crate) fn of_clients(clients: usize) -> String {
    match clients {
        1 => "1 client".to_owned(),
        clients => format!("{clients} clients"),
    }
}

pub(crate) fn is_level_name(name: &str) -> bool {
    let clients = name.strip_suffix(LEVEL).unwrap_or_default();
    clients.len() >= 5 && clients.bytes().all(|byte| byte.is_ascii_digit())
}

impl LoadTestResult {
    /// Loads a load test: every folder within `path` that holds a run.
    ///
    /// # Errors
    /// When the folder cannot be read or holds no run.
    pub fn load(path: impl Into<Location>) -> Result<Self> {
        Self::load_by(path.into(), RunResult::load)
    }

    /// As [`load`](Self::load), without the responses.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_without_responses(path: impl Into<Location>) -> Result<Self> {
        Self::load_by(path.into(), RunResult::load_without_responses)
    }

    /// Whether a folder has levels of a load test in it, by their names.
    pub fn is_in(path: &Location) -> bool {
        let names = path.list_blocking().unwrap_or_default();
        names.iter().any(|name| is_level_name(name))
    }

    /// Where the curve of throughput against latency bends.
    pub fn knee(&self) -> Knee {
        knee(&self.results)
    }

    fn load_by(path: Location, load: impl Fn(Location) -> Result<RunResult>) -> Result<Self> {
        const SUMMARY: &str = "summary.json";
        let names = path.list_blocking()?;
        let mut test = Self {
            test_name: path.file_name(),
            output_path: Some(path.clone()),
            ..Self::default()
        };
        // Earlier versions of the Python package wrote all levels into one folder, where the last
        // one is left.
        let folders = match names.iter().any(|name| name == SUMMARY) {
            true => vec![path.clone()],
            false => names.iter().map(|name| path.join(name)).collect(),
        };
        let mut failure = None;
        for folder in folders {
            let is_level = folder.file_name().is_some_and(|name| is_level_name(&name));
            match load(folder.clone()) {
                Ok(result) => {
                    let clients = usize::try_from(result.summary.clients).unwrap_or(usize::MAX);
                    if let Some(other) = test.results.insert(clients, result) {
                        let other = other.summary.output_path;
                        test.warnings.push(format!(
                            "{folder}: another run with {clients} clients; that in {} is left out",
                            other.map_or_else(String::new, |path| path.to_string())
                        ));
                    }
                }
                // Whatever else lies there, such as a report.
                Err(Error::NotARun { .. }) if !is_level => {}
                Err(reason) => {
                    test.warnings.push(format!("{folder}: {reason}"));
                    failure.get_or_insert(reason);
                }
            }
        }
        match (test.results.is_empty(), failure) {
            (true, Some(failure)) => Err(failure),
            (true, None) => Err(Error::NotARun {
                path: path.to_string(),
                reason: "neither it nor a folder in it holds a run".to_owned(),
            }),
            (false, _) => Ok(test),
        }
    }
}
