//! A run at each of several numbers of clients.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::load_test_result::{LoadTestResult, TestEnd, level_name, of_clients};
use crate::base::error::{Error, Result};
use crate::base::setting::{Setting, SettingProblem};
use crate::experiment::watched::watched_runs;
use crate::load::Load;
use crate::result::{RunFolder, RunResult, read_responses_of, take_folder};
use crate::run::{Interrupt, Observer, RunConfig, Runner, default_run_name, differences};
use crate::storage::Location;

/// Requests that a level has at least, over all clients.
const MIN_REQUESTS_PER_RUN: u64 = 10;

type ObserveLevel = dyn Fn(usize) -> Option<Arc<dyn Observer>> + Send + Sync;

/// A load test: one run at each of several numbers of clients, from few to many.
///
/// ```no_run
/// use std::sync::Arc;
/// use llmeter::experiment::{Knee, LoadTest};
/// use llmeter::{OpenAiChat, RunConfig};
///
/// # fn main() -> llmeter::Result<()> {
/// let endpoint = OpenAiChat::builder("http://localhost:8000/v1", "my-model").build()?;
/// let payload = OpenAiChat::create_payload("Tell me a story.", 128, Default::default())?;
/// let base = RunConfig::new(Arc::new(endpoint), [payload]).output("load-tests");
/// let test = LoadTest::new(base, [1, 2, 4, 8]).run_blocking()?;
/// for (clients, result) in &test.results {
///     println!("{clients} clients: {:?} output tokens/s", result.stats().output_tps);
/// }
/// if let Knee::At(clients) = test.knee() {
///     println!("beyond {clients} clients latency grows faster than throughput");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LoadTest {
    base: RunConfig,
    levels: Vec<usize>,
    amount: Amount,
    resumes: bool,
    observe: Option<Arc<ObserveLevel>>,
    interrupt: Interrupt,
}

/// How much each level sends.
#[derive(Debug, Clone, Copy)]
enum Amount {
    Requests { per_client: u64, per_run: u64 },
    Duration(Duration),
}

impl LoadTest {
    /// A load test at these numbers of clients. `base` is what its runs share: its output is the folder
    /// in which the test's own is made, its name the test's, its limit of cost that of the whole test.
    /// Its clients and load are not used. A number that is there twice is one level.
    pub fn new(base: RunConfig, levels: impl IntoIterator<Item = usize>) -> Self {
        let mut levels: Vec<usize> = levels.into_iter().collect();
        levels.sort_unstable();
        levels.dedup();
        Self {
            base,
            levels,
            amount: Amount::Requests {
                per_client: 1,
                per_run: MIN_REQUESTS_PER_RUN,
            },
            resumes: false,
            observe: None,
            interrupt: Interrupt::new(),
        }
    }

    /// Each client sends `per_client` requests, or as many as it takes for `per_run` of all clients.
    #[must_use]
    pub fn min_requests(mut self, per_client: u64, per_run: u64) -> Self {
        self.amount = Amount::Requests {
            per_client,
            per_run,
        };
        self
    }

    /// Each level sends for so long.
    #[must_use]
    pub fn duration(mut self, duration: Duration) -> Self {
        self.amount = Amount::Duration(duration);
        self
    }

    /// Keeps the levels that a test of the same name has completed, and repeats those that were broken
    /// off. Levels that were measured with other settings are refused before anything is sent, or, where
    /// `base` allows overwriting, measured again.
    #[must_use]
    pub fn resume(mut self) -> Self {
        self.resumes = true;
        self
    }

    watched_runs! {
        /// Asks `observe` at each level, given its clients, for whom to tell how its run goes on.
        usize;
        /// Makes `interrupt` end the test: the level under way is kept as far as it came.
    }

    /// What its runs share.
    pub(super) fn base(&self) -> &RunConfig {
        &self.base
    }

    pub(super) fn base_mut(&mut self) -> &mut RunConfig {
        &mut self.base
    }

    /// The load of a level.
    fn load(&self, clients: usize) -> Load {
        match self.amount {
            Amount::Duration(duration) => Load::Duration(duration),
            Amount::Requests {
                per_client,
                per_run,
            } => Load::Requests(per_client.max(per_run.div_ceil(clients.max(1) as u64))),
        }
    }

    /// Checks levels and settings.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn validate(&self) -> Result<()> {
        if self.levels.is_empty() {
            return Err(Error::missing(Setting::Clients));
        }
        let mut levels = self.levels.iter();
        levels.try_for_each(|clients| self.config(*clients).validate())
    }

    /// What the run of a level is, but for its folder and limit of cost.
    fn config(&self, clients: usize) -> RunConfig {
        let mut config = RunConfig {
            clients,
            load: self.load(clients),
            ..self.base.clone()
        };
        let level = self.levels.iter().position(|level| *level == clients);
        config.skip_data(level.unwrap_or_default());
        config
    }

    /// Carries the test out, blocking the calling thread. What was measured is kept whatever ends it.
    ///
    /// # Errors
    /// When a setting cannot be used, the test's folder cannot be made, or the first level cannot start.
    pub fn run_blocking(&self) -> Result<LoadTestResult> {
        self.validate()?;
        let folder = test_folder(&self.base)?;
        if let Some(folder) = folder.as_ref().filter(|_| !self.resumes) {
            take_folder(folder, self.base.overwrite)?;
        }
        let name = match &folder {
            Some(folder) => folder.file_name(),
            None => self.base.run_name.clone(),
        };
        let mut test = LoadTestResult {
            test_name: Some(name.unwrap_or_else(default_run_name)),
            output_path: folder.clone(),
            ..LoadTestResult::default()
        };
        let mut kept = match &folder {
            Some(folder) if self.resumes => self.kept(folder, &mut test.warnings)?,
            _ => BTreeMap::new(),
        };
        let mut left = self.base.max_cost;
        let mut levels = self.levels.iter().copied();
        for clients in levels.by_ref() {
            if let Some(result) = kept.remove(&clients) {
                test.resumed.push(clients);
                left = remaining(left, &result);
                test.results.insert(clients, result);
                continue;
            }
            if left == Some(0.0) {
                test.missing.push(clients);
                test.ended_by = Some(TestEnd::Cost);
                break;
            }
            let result = match self.level(clients, folder.as_ref(), left) {
                Ok(result) => result,
                Err(reason) if test.results.is_empty() => return Err(reason),
                Err(_) if self.interrupt.is_stopped() => {
                    test.missing.push(clients);
                    test.ended_by = Some(TestEnd::Interrupted);
                    break;
                }
                Err(reason) if is_spent(&reason) => {
                    test.missing.push(clients);
                    test.ended_by = Some(TestEnd::Cost);
                    break;
                }
                Err(reason) => {
                    test.missing.push(clients);
                    test.warnings
                        .push(format!("{}: {reason}", of_clients(clients)));
                    break;
                }
            };
            let stats = result.stats();
            left = remaining(left, &result);
            test.ended_by = if result.interrupted && self.interrupt.is_stopped() {
                Some(TestEnd::Interrupted)
            } else if !result.unwritten.is_empty() {
                Some(TestEnd::Unwritten(clients))
            } else if let Some(by) = stats.stopped_by {
                Some(TestEnd::Failures(clients, by))
            } else if stats.cost_limit_reached == Some(true) || left == Some(0.0) {
                Some(TestEnd::Cost)
            } else {
                None
            };
            test.results.insert(clients, result);
            if test.ended_by.is_some() {
                break;
            }
        }
        test.missing.extend(levels);
        if test.missing.is_empty() && test.ended_by == Some(TestEnd::Cost) {
            test.ended_by = None;
        }
        Ok(test)
    }

    /// As [`run_blocking`](Self::run_blocking), on a thread of its own: the returned future only waits.
    ///
    /// # Errors
    /// As [`run_blocking`](Self::run_blocking).
    pub async fn run(&self) -> Result<LoadTestResult> {
        let test = self.clone();
        let (done, result) = tokio::sync::oneshot::channel();
        crate::base::runtime::spawn("load-test", move || {
            // Nobody may be waiting any more.
            let _ = done.send(test.run_blocking());
        })?;
        result
            .await
            .map_err(|_| Error::Internal("the load test ended early"))?
    }

    /// The levels that were completed before and need not be measured.
    ///
    /// # Errors
    /// When some were measured with other settings and must not be overwritten.
    fn kept(
        &self,
        folder: &Location,
        warnings: &mut Vec<String>,
    ) -> Result<BTreeMap<usize, RunResult>> {
        let mut kept = BTreeMap::new();
        let mut refused = Vec::new();
        for &clients in &self.levels {
            let level = folder.join(level_name(clients));
            let Some(result) = completed(&level) else {
                continue;
            };
            let differences = differences(&self.config(clients), &level)?;
            if differences.is_empty() {
                kept.insert(clients, result);
                continue;
            }
            let differences = differences.join(", ");
            if self.base.overwrite {
                warnings.push(format!(
                    "{}: measured again, since {differences}",
                    of_clients(clients)
                ));
            } else {
                refused.push(format!("{} ({differences})", of_clients(clients)));
            }
        }
        match refused.is_empty() {
            true => Ok(kept),
            false => Err(Error::Invalid {
                setting: Setting::RunName,
                problem: SettingProblem::Refused {
                    reason: format!(
                        "{folder} has levels that were measured otherwise: {}",
                        refused.join("; ")
                    ),
                },
                hint: Some("`overwrite` measures them again; or choose another `run_name`".into()),
            }),
        }
    }

    fn level(
        &self,
        clients: usize,
        folder: Option<&Location>,
        max_cost: Option<f64>,
    ) -> Result<RunResult> {
        let mut runner = Runner::new(self.base.clone()).interrupted_by(self.interrupt.clone());
        if let Some(observer) = self.observe.as_ref().and_then(|observe| observe(clients)) {
            runner = runner.observe(observer);
        }
        runner.run_blocking_with(|run| {
            run.clients = clients;
            run.load = self.load(clients);
            run.output = folder.cloned();
            run.run_name = Some(level_name(clients));
            run.max_cost = max_cost;
            // What is left of a level that was broken off gives way.
            run.overwrite |= self.resumes;
        })
    }
}

/// The folder of a test of several runs, of which `base` has the name.
pub(super) fn test_folder(base: &RunConfig) -> Result<Option<Location>> {
    let Some(output) = &base.output else {
        return Ok(None);
    };
    output.check(Setting::Output)?;
    match &base.run_name {
        Some(name) => Ok(Some(output.join(name))),
        None => RunFolder::create_group(output, &default_run_name()).map(Some),
    }
}

/// The result of a level that was completed; `None` if it is to be measured.
pub(super) fn completed(folder: &Location) -> Option<RunResult> {
    let result = RunResult::load_without_responses(folder.clone()).ok()?;
    let stats = result.stats();
    let is_limited = stats.cost_limit_reached == Some(true);
    let is_whole = !result.interrupted && stats.stopped_by.is_none() && !is_limited;
    let mut responses = 0;
    let findings = read_responses_of(folder, |_| responses += 1).ok()?;
    let has_all = findings.is_empty() && result.summary.total_requests == Some(responses);
    (is_whole && has_all && responses > 0).then_some(result)
}

/// Whether what is left of a limit of cost buys no request any more: a run after the first was refused for
/// its limit alone.
pub(super) fn is_spent(reason: &Error) -> bool {
    let setting = Setting::MaxCost;
    matches!(reason, Error::Invalid { setting: refused, .. } if *refused == setting)
}

/// What is left of a limit of cost after a run.
pub(super) fn remaining(limit: Option<f64>, result: &RunResult) -> Option<f64> {
    let spent = result.stats().cost_total.unwrap_or(0.0);
    limit.map(|limit| (limit - spent).max(0.0))
}
