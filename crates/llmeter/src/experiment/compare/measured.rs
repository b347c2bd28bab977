//! A run or a load test as a comparison needs it: statistics, and numbers of its responses.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::sample::Sample;
use super::setup::Setup;
use crate::base::error::{Error, Result};
use crate::experiment::LoadTestResult;
use crate::result::{RunResult, read_responses_of};
use crate::storage::Location;

/// The runs of one side of a comparison: one, or the levels of a load test.
///
/// Of each response it keeps about a hundred bytes, whatever its texts are.
#[derive(Debug)]
pub struct Measured {
    /// Where it was loaded from, or what it is called.
    pub name: String,
    pub(super) levels: BTreeMap<usize, Level>,
    pub(super) is_load_test: bool,
    /// What was found wrong while loading.
    pub warnings: Vec<String>,
}

/// One run.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) stats: Map<String, Value>,
    pub(super) sample: Sample,
    pub(super) setup: Setup,
    /// Seconds that the run took.
    pub(super) window: Option<f64>,
}

impl Level {
    fn of(result: &RunResult, setup: Setup) -> Self {
        let stats = result.stats_map();
        let gaps = result.stats().itl.count.unwrap_or(0.0) as u64;
        Self {
            sample: Sample::new(result.slos(), gaps),
            window: result.summary.total_test_time,
            stats,
            setup,
        }
    }

    /// From a folder, response by response.
    fn load(result: &RunResult, folder: &Location, warnings: &mut Vec<String>) -> Result<Self> {
        let mut level = Self::of(result, Setup::load(folder));
        let found = read_responses_of(folder, |response| level.sample.push(response))?;
        warnings.extend(found);
        level.sample.sort();
        level.follow_responses(folder, warnings)?;
        let has_requests = level.stats.get("total_requests").and_then(Value::as_u64) > Some(0);
        if level.sample.is_empty() && !has_requests {
            return Err(Error::NotARun {
                path: folder.to_string(),
                reason: "no request of it is recorded".to_owned(),
            });
        }
        Ok(level)
    }
}

impl Level {
    /// Has the statistics computed anew if they cannot be those of the responses that are there.
    fn follow_responses(&mut self, folder: &Location, warnings: &mut Vec<String>) -> Result<()> {
        let count = |key: &str| self.stats.get(key).and_then(Value::as_u64);
        let (all, failed) = self.sample.counts();
        let saved = count("total_requests").zip(count("failed_requests"));
        // Fewer than all are there when the disk was full: then the statistics know more.
        let is_contrary = |(requests, failures): &(u64, u64)| {
            all > *requests || (all == *requests && failed != *failures)
        };
        if let Some((requests, failures)) = saved.filter(is_contrary) {
            self.stats = RunResult::load(folder.clone())?.stats_map();
            warnings.push(format!(
                "{folder}: the statistics are of {requests} requests, {failures} failed, and there are {all} \
                 responses, {failed} failed: figures are those of the responses"
            ));
        }
        Ok(())
    }
}

impl Measured {
    /// Loads a run folder or that of a load test, here or in the cloud, also of the Python system.
    ///
    /// # Errors
    /// If it is neither, or cannot be read.
    pub fn load(folder: impl Into<Location>) -> Result<Self> {
        let folder = folder.into();
        let mut warnings = Vec::new();
        let mut levels = BTreeMap::new();
        let is_load_test = match RunResult::load_without_responses(folder.clone()) {
            Ok(result) => {
                warnings.extend(result.warnings.iter().cloned());
                let level = Level::load(&result, &folder, &mut warnings)?;
                levels.insert(result.summary.clients as usize, level);
                false
            }
            Err(Error::NotARun { .. }) if LoadTestResult::is_in(&folder) => {
                let test = LoadTestResult::load_without_responses(folder.clone())?;
                warnings.extend(test.warnings);
                for (clients, result) in test.results {
                    let path = result.summary.output_path.clone();
                    let path = path.ok_or_else(|| Error::missing_field("output_path"))?;
                    levels.insert(clients, Level::load(&result, &path, &mut warnings)?);
                }
                true
            }
            Err(reason) => return Err(reason),
        };
        Ok(Self {
            name: folder.to_string(),
            levels,
            is_load_test,
            warnings,
        })
    }

    /// A run that has its responses in memory.
    pub fn of(name: impl Into<String>, result: &RunResult) -> Self {
        let folder = result.summary.output_path.as_ref();
        let setup = folder.map(Setup::load).unwrap_or_default();
        let mut level = Level::of(result, setup);
        result
            .responses
            .iter()
            .for_each(|response| level.sample.push(response));
        level.sample.sort();
        Self {
            name: name.into(),
            levels: BTreeMap::from([(result.summary.clients as usize, level)]),
            is_load_test: false,
            warnings: Vec::new(),
        }
    }

    pub(super) fn only(&self) -> Option<&Level> {
        self.levels.values().next()
    }
}
