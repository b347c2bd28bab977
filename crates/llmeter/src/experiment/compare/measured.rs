//! Runs, load tests and repeats as a comparison needs them: statistics, and numbers of responses.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::blocks::{Series, Statistic};
use super::figures::Compared;
use super::sample::Sample;
use super::setup::Setup;
use crate::base::error::{Error, Result};
use crate::experiment::{LoadTestResult, RepeatResult, repeat_folders};
use crate::result::{RunResult, read_responses_of};
use crate::stats::{Figure, Interval, RepeatSpread};
use crate::storage::Location;

/// The runs of one side of a comparison: one, the levels of a load test, or the repeats of either.
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

/// What was measured with one number of clients: a run, or its repeats.
#[derive(Debug, Default)]
pub(super) struct Level {
    runs: Vec<Run>,
}

/// One run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) stats: Map<String, Value>,
    pub(super) setup: Setup,
    sample: Sample,
    /// Seconds that the run took.
    window: Option<f64>,
    is_broken_off: bool,
}

impl Level {
    /// At least one.
    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The statistics that any of the runs has, those of the first one that has them.
    pub(super) fn all_stats(&self) -> Map<String, Value> {
        let mut all = Map::new();
        for run in self.runs.iter().rev() {
            all.extend(run.stats.clone());
        }
        all
    }

    /// A figure of each run.
    pub(super) fn spread(&self, figure: &Figure) -> Option<RepeatSpread> {
        let values = self.runs.iter();
        let values = values.filter_map(|run| figure.value_in(&run.stats));
        let spread = RepeatSpread::new(values.collect(), None)?;
        let intervals = self.runs.iter();
        let intervals = intervals.filter_map(|run| Interval::read(&run.stats, &figure.key()));
        Some(spread.with_intervals(&intervals.collect::<Vec<_>>()))
    }

    /// What there is to draw anew of each run, with its statistic.
    pub(super) fn series(&self, compared: &Compared) -> Option<(Statistic, Vec<Series>)> {
        let runs = self.runs.iter();
        let all: Option<Vec<_>> = runs
            .map(|run| compared.series(&run.sample, run.window))
            .collect();
        let (statistics, series): (Vec<_>, Vec<_>) = all?.into_iter().unzip();
        Some((*statistics.first()?, series))
    }

    /// Leaves out runs that were broken off where there are whole ones.
    fn leave_out_broken(&mut self) {
        if self.runs.iter().any(|run| !run.is_broken_off) {
            self.runs.retain(|run| !run.is_broken_off);
        }
    }
}

impl Run {
    fn of(result: &RunResult, setup: Setup) -> Self {
        let stats = result.stats_map();
        let gaps = result.stats().itl.count.unwrap_or(0.0) as u64;
        Self {
            sample: Sample::new(result.slos(), gaps),
            window: result.summary.total_test_time,
            is_broken_off: result.interrupted,
            stats,
            setup,
        }
    }

    /// From a folder, response by response.
    fn load(result: &RunResult, folder: &Location, warnings: &mut Vec<String>) -> Result<Self> {
        let mut run = Self::of(result, Setup::load(folder));
        let found = read_responses_of(folder, |response| run.sample.push(response))?;
        warnings.extend(found);
        run.sample.sort();
        run.follow_responses(folder, warnings)?;
        let has_requests = run.stats.get("total_requests").and_then(Value::as_u64) > Some(0);
        if run.sample.is_empty() && !has_requests {
            return Err(Error::NotARun {
                path: folder.to_string(),
                reason: "no request of it is recorded".to_owned(),
            });
        }
        Ok(run)
    }

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
    /// Loads a folder of a run, of a load test, or of repeats of either, here or in the cloud, also of the
    /// Python system.
    ///
    /// # Errors
    /// If it is none of them, or cannot be read.
    pub fn load(folder: impl Into<Location>) -> Result<Self> {
        let folder = folder.into();
        let mut measured = Self {
            name: folder.to_string(),
            levels: BTreeMap::new(),
            is_load_test: false,
            warnings: Vec::new(),
        };
        match measured.add(&folder) {
            Err(Error::NotARun { .. }) if RepeatResult::is_in(&folder) => {
                measured.add_repeats(&folder)?;
            }
            added => added?,
        }
        Ok(measured)
    }

    /// Adds a run, or the levels of a load test.
    fn add(&mut self, folder: &Location) -> Result<()> {
        match RunResult::load_without_responses(folder.clone()) {
            Ok(result) => {
                self.warnings.extend(result.warnings.iter().cloned());
                let run = Run::load(&result, folder, &mut self.warnings)?;
                self.push(result.summary.clients as usize, run);
            }
            Err(Error::NotARun { .. }) if LoadTestResult::is_in(folder) => {
                let test = LoadTestResult::load_without_responses(folder.clone())?;
                self.warnings.extend(test.warnings);
                for (clients, result) in test.results {
                    let path = result.summary.output_path.clone();
                    let path = path.ok_or_else(|| Error::missing_field("output_path"))?;
                    let run = Run::load(&result, &path, &mut self.warnings)?;
                    self.push(clients, run);
                }
                self.is_load_test = true;
            }
            Err(reason) => return Err(reason),
        }
        Ok(())
    }

    /// Adds the repeats in a folder, as far as they can be loaded.
    fn add_repeats(&mut self, folder: &Location) -> Result<()> {
        for repeat in repeat_folders(folder)? {
            if let Err(reason) = self.add(&repeat) {
                self.warnings.push(format!("{repeat}: {reason}"));
            }
        }
        if self.levels.is_empty() {
            return Err(Error::NotARun {
                path: folder.to_string(),
                reason: "no folder in it holds a repeat".to_owned(),
            });
        }
        self.levels.values_mut().for_each(Level::leave_out_broken);
        Ok(())
    }

    /// A run that has its responses in memory.
    pub fn of(name: impl Into<String>, result: &RunResult) -> Self {
        Self::of_repeats(name, std::slice::from_ref(result))
    }

    /// Repeats of a run that have their responses in memory. Of none there is nothing to compare.
    pub fn of_repeats(name: impl Into<String>, results: &[RunResult]) -> Self {
        let mut measured = Self {
            name: name.into(),
            levels: BTreeMap::new(),
            is_load_test: false,
            warnings: Vec::new(),
        };
        for result in results {
            let folder = result.summary.output_path.as_ref();
            let setup = folder.map(Setup::load).unwrap_or_default();
            let mut run = Run::of(result, setup);
            let responses = result.responses.iter();
            responses.for_each(|response| run.sample.push(response));
            run.sample.sort();
            measured.push(result.summary.clients as usize, run);
        }
        measured
            .levels
            .values_mut()
            .for_each(Level::leave_out_broken);
        measured
    }

    fn push(&mut self, clients: usize, run: Run) {
        self.levels.entry(clients).or_default().runs.push(run);
    }

    pub(super) fn only(&self) -> Option<&Level> {
        self.levels.values().next()
    }
}
