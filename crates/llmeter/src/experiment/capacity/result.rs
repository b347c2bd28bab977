//! The outcome of a search for capacity.

use serde::{Deserialize, Serialize};

use super::ProbeVerdict;
use super::ramp::{RAMP_FOLDER, split};
use super::search::{Search, Tried};
use crate::base::error::Result;
use crate::experiment::load_test_result::{LoadTestResult, TestEnd, of_clients};
use crate::experiment::{Knee, knee, plan_file};
use crate::result::{CAPACITY_FILE, RunResult};
use crate::stats::Condition;
use crate::storage::Location;

/// What a search was to do and what it found, as `capacity.json` has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapacityPlan {
    /// The version of the file's format.
    pub(super) format: u32,
    /// What is raised.
    pub over: Over,
    /// The SLOs that have to hold.
    pub slos: Vec<Condition>,
    /// The lowest load: clients, or requests a second.
    pub min: f64,
    /// The highest load.
    pub max: f64,
    /// The longest that a probe lasts, in seconds.
    pub probe_time: f64,
    /// The largest ratio between the lowest load that breaks and the highest that holds.
    pub precision: f64,
    /// Whether the search came to its end.
    pub is_complete: bool,
    /// Whether all probes are steps of one run.
    #[serde(default)]
    pub is_one_run: bool,
    /// The probes, in the order in which they were made.
    pub probes: Vec<Probe>,
}

/// What a search raises until an SLO breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Over {
    /// Clients, each with one request in flight.
    #[default]
    Clients,
    /// The arrival rate, in requests a second.
    Rate,
    /// Conversations of the data at a time.
    Sessions,
}

impl Over {
    /// The highest load that is tried unless another is given.
    pub fn max_by_default(self) -> f64 {
        match self {
            Self::Clients | Self::Sessions => 4096.0,
            Self::Rate => 100_000.0,
        }
    }

    /// Whether loads are whole numbers.
    pub(super) fn is_whole(self) -> bool {
        self != Self::Rate
    }

    /// A load in words: `8 clients`, `20.5/s`.
    pub fn in_words(self, level: f64) -> String {
        match self {
            Self::Clients => of_clients(level as usize),
            Self::Rate => format!("{level}/s"),
            Self::Sessions => match level {
                1.0 => "1 session".to_owned(),
                level => format!("{level} sessions"),
            },
        }
    }
}

/// A load that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Its clients, or requests a second.
    pub level: f64,
    /// The name of its run and of its folder.
    pub folder: String,
    /// Whether the SLOs hold.
    pub verdict: ProbeVerdict,
    /// How near the worst figure is to its limit, 1 at the limit.
    pub nearness: f64,
    /// Requests that it took.
    pub requests: u64,
    /// Whether it was kept from an earlier search.
    #[serde(skip)]
    pub is_resumed: bool,
}

/// The outcome of a search for capacity.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CapacityResult {
    /// What was to be done, and each probe.
    pub plan: CapacityPlan,
    /// The run of each probe that has one, with its load.
    pub results: Vec<(f64, RunResult)>,
    /// The search's name, which is also its folder's.
    pub name: String,
    /// The folder in which each probe has its own; `None` if nothing was written.
    pub output_path: Option<Location>,
    /// Why it ended early, if so.
    pub ended_by: Option<TestEnd>,
    /// What was found wrong.
    pub warnings: Vec<String>,
}

impl CapacityResult {
    pub(super) fn new(plan: CapacityPlan, name: String, output_path: Option<Location>) -> Self {
        Self {
            plan,
            results: Vec::new(),
            name,
            output_path,
            ended_by: None,
            warnings: Vec::new(),
        }
    }

    fn bracket(&self) -> (Option<f64>, Option<f64>) {
        let tried = self.plan.probes.iter().map(|probe| Tried {
            level: probe.level,
            holds: probe.verdict.holds(),
            nearness: probe.nearness,
        });
        Search::bracket(&tried.collect::<Vec<_>>())
    }

    /// The highest load at which the SLOs hold, clients or requests a second; `None` if they hold at none
    /// that was tried.
    pub fn level(&self) -> Option<f64> {
        self.bracket().0
    }

    /// The lowest load at which an SLO breaks; `None` if none does up to the maximum.
    pub fn breaks_at(&self) -> Option<f64> {
        self.bracket().1
    }

    /// Between which loads capacity lies for certain: the highest that keeps all SLOs by its intervals, and the
    /// lowest that does not. An end that no interval tells is not known.
    pub fn interval(&self) -> (Option<f64>, Option<f64>) {
        let resolved = self
            .plan
            .probes
            .iter()
            .filter(|probe| probe.verdict.is_resolved());
        let levels = |holds: bool| {
            let such = resolved
                .clone()
                .filter(move |probe| probe.verdict.holds() == holds);
            such.map(|probe| probe.level)
        };
        let broken = levels(false).reduce(f64::min);
        let held = levels(true).filter(|level| broken.is_none_or(|broken| *level < broken));
        (held.reduce(f64::max), broken)
    }

    /// The run at a load that was tried.
    pub fn at(&self, level: f64) -> Option<&RunResult> {
        let mut results = self.results.iter();
        results
            .find(|(own, _)| *own == level)
            .map(|(_, result)| result)
    }

    /// The run at capacity.
    pub fn at_capacity(&self) -> Option<&RunResult> {
        self.at(self.level()?)
    }

    /// Good requests a second at capacity, those that meet the limit of every latency SLO; without such
    /// SLOs, successful ones.
    pub fn goodput(&self) -> Option<f64> {
        let stats = self.at_capacity()?.stats();
        let successful = stats.successful_requests_per_minute.map(|rate| rate / 60.0);
        stats.goodput.or(successful)
    }

    /// The interval of [`goodput`](Self::goodput) in which it lies with a probability of 95 %.
    pub fn goodput_interval(&self) -> Option<(f64, f64)> {
        let stats = self.at_capacity()?.stats_map();
        let end = |key: &str| stats.get(key)?.as_f64();
        end("goodput-ci_low").zip(end("goodput-ci_high"))
    }

    /// Where the curve of throughput against latency bends, in clients.
    pub fn knee(&self) -> Knee {
        knee(&self.as_load_test().results)
    }

    /// The probes of a search over clients as the levels of a load test, which charts draw.
    pub fn as_load_test(&self) -> LoadTestResult {
        let levels = self
            .results
            .iter()
            .filter(|_| self.plan.over == Over::Clients);
        LoadTestResult {
            results: levels
                .map(|(level, result)| (*level as usize, result.clone()))
                .collect(),
            test_name: Some(self.name.clone()),
            output_path: self.output_path.clone(),
            ended_by: self.ended_by.clone(),
            ..LoadTestResult::default()
        }
    }

    /// Writes `capacity.json`, if there is a folder.
    pub(super) fn save(&self) -> Result<()> {
        plan_file::write(self.output_path.as_ref(), CAPACITY_FILE, &self.plan)
    }

    /// Whether a folder is that of a search.
    pub fn is_in(path: &Location) -> bool {
        plan_file::is_in(path, CAPACITY_FILE)
    }

    /// Loads a search, with the responses of its probes.
    ///
    /// # Errors
    /// When the folder is not that of a search.
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

    fn load_by(path: Location, load: fn(Location) -> Result<RunResult>) -> Result<Self> {
        let plan: CapacityPlan = plan_file::read(&path, CAPACITY_FILE)?;
        let name = path.file_name().unwrap_or_default();
        let mut found = Self::new(plan, name, Some(path.clone()));
        if found.plan.is_one_run {
            match RunResult::load(path.join(RAMP_FOLDER)) {
                Ok(result) => found.results = split(&result, &found.plan.probes),
                Err(reason) => found.warnings.push(reason.to_string()),
            }
            return Ok(found);
        }
        for probe in &found.plan.probes {
            match load(path.join(&probe.folder)) {
                Ok(result) => found.results.push((probe.level, result)),
                Err(reason) => found.warnings.push(reason.to_string()),
            }
        }
        Ok(found)
    }
}
