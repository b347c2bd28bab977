//! The same run or load test, several times.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::load_test::{is_spent, remaining, test_folder};
use super::{LoadTest, LoadTestResult, TestEnd, of_clients};
use crate::api::InvocationResponse;
use crate::base::error::{Error, Result};
use crate::experiment::watched::watched_runs;
use crate::result::{RunResult, take_folder};
use crate::run::{Interrupt, Observer, RunConfig, Runner};
use crate::stats::{
    Condition, Interval, Metric, RepeatSpread, Source, least_support, pooled_deviation,
};
use crate::storage::Location;

/// How the name of a repeat's folder ends.
const REPEAT: &str = "-repeat";

type ObserveRepeat = dyn Fn(usize) -> Option<Arc<dyn Observer>> + Send + Sync;

/// The same run or load test, several times, so that what changes from time to time is seen.
///
/// ```no_run
/// use std::sync::Arc;
/// use llmeter::experiment::Repeat;
/// use llmeter::{Load, OpenAiChat, RunConfig};
///
/// # fn main() -> llmeter::Result<()> {
/// let endpoint = OpenAiChat::builder("http://localhost:8000/v1", "my-model").build()?;
/// let payload = OpenAiChat::create_payload("Tell me a story.", 128, Default::default())?;
/// let base = RunConfig::new(Arc::new(endpoint), [payload]).clients(8).load(Load::Requests(20));
/// let repeats = Repeat::of_run(base, 5).run_blocking()?;
/// if let Some(spread) = repeats.spread(8, "time_to_first_token-p90") {
///     println!("{:.3} s, {:?} s between repeats", spread.mean, spread.between);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Repeat {
    what: Repeated,
    times: usize,
    observe: Option<Arc<ObserveRepeat>>,
    interrupt: Interrupt,
}

#[derive(Clone)]
enum Repeated {
    Run(Box<RunConfig>),
    LoadTest(Box<LoadTest>),
}

/// The outcome of repeats.
#[derive(Debug, Clone, Default)]
pub struct RepeatResult {
    /// The results by their number of clients, each in the order of the repeats. A repeated run has one
    /// number.
    pub results: BTreeMap<usize, Vec<RunResult>>,
    /// The name, which is also the folder's.
    pub name: Option<String>,
    /// The folder in which each repeat has its own; `None` if nothing was written.
    pub output_path: Option<Location>,
    /// Why it ended before the last repeat, if so.
    pub ended_by: Option<TestEnd>,
    /// Repeats that were carried out, to their end or not.
    pub repeats: usize,
    /// Repeats that were to be carried out and were not.
    pub missing: usize,
    /// What was found wrong.
    pub warnings: Vec<String>,
}

impl Repeat {
    /// Repeats a run. `base` is the run: its output is the folder in which that of the repeats is made, its
    /// name theirs, its limit of cost that of all.
    pub fn of_run(base: RunConfig, times: usize) -> Self {
        Self::new(Repeated::Run(Box::new(base)), times)
    }

    /// Repeats a load test: all its levels, and then again.
    pub fn of_load_test(test: LoadTest, times: usize) -> Self {
        Self::new(Repeated::LoadTest(Box::new(test)), times)
    }

    fn new(what: Repeated, times: usize) -> Self {
        Self {
            what,
            times,
            observe: None,
            interrupt: Interrupt::new(),
        }
    }

    watched_runs! {
        /// Asks `observe` at each repeat of a run, counted from 1, for whom to tell how it goes on. A load test
        /// has its own observers.
        usize;
        /// Makes `interrupt` end the repeats: what was measured is kept.
    }

    /// Carries the repeats out, blocking the calling thread. What was measured is kept whatever ends it.
    ///
    /// # Errors
    /// When a setting cannot be used, a folder cannot be made, or the first repeat cannot start.
    pub fn run_blocking(&self) -> Result<RepeatResult> {
        if self.times == 0 {
            return Err(Error::field("repeats", 0, "1 or more"));
        }
        let base = match &self.what {
            Repeated::Run(base) => base,
            Repeated::LoadTest(test) => test.base(),
        };
        let folder = test_folder(base)?;
        if let Some(folder) = &folder {
            take_folder(folder, base.overwrite)?;
        }
        let name = folder.as_ref().and_then(Location::file_name);
        let mut done = RepeatResult {
            name: name.or_else(|| base.run_name.clone()),
            output_path: folder.clone(),
            ..RepeatResult::default()
        };
        let mut left = base.max_cost;
        for repeat in 1..=self.times {
            if left == Some(0.0) {
                done.ended_by = Some(TestEnd::Cost);
                break;
            }
            let (results, ended_by) = match self.once(repeat, folder.as_ref(), left) {
                Ok(measured) => measured,
                Err(reason) if done.results.is_empty() => return Err(reason),
                Err(_) if self.interrupt.is_stopped() => {
                    done.ended_by = Some(TestEnd::Interrupted);
                    break;
                }
                Err(reason) if is_spent(&reason) => {
                    done.ended_by = Some(TestEnd::Cost);
                    break;
                }
                Err(reason) => {
                    done.warnings.push(format!("repeat {repeat}: {reason}"));
                    break;
                }
            };
            done.repeats = repeat;
            for (clients, result) in results {
                left = remaining(left, &result);
                done.results.entry(clients).or_default().push(result);
            }
            done.ended_by = ended_by;
            if done.ended_by.is_some() {
                break;
            }
        }
        done.missing = self.times - done.repeats;
        Ok(done)
    }

    /// One repeat: its results by clients, and what ends all repeats.
    fn once(
        &self,
        repeat: usize,
        folder: Option<&Location>,
        max_cost: Option<f64>,
    ) -> Result<(BTreeMap<usize, RunResult>, Option<TestEnd>)> {
        let name = format!("{repeat:05}{REPEAT}");
        let base = match &self.what {
            Repeated::LoadTest(test) => {
                let mut test = (**test).clone().interrupted_by(self.interrupt.clone());
                let base = test.base_mut();
                base.output = folder.cloned();
                base.run_name = Some(name);
                base.max_cost = max_cost;
                base.skip_data((repeat - 1) * LEVELS);
                let test = test.run_blocking()?;
                return Ok((test.results, test.ended_by));
            }
            Repeated::Run(base) => base,
        };
        let mut runner = Runner::new((**base).clone()).interrupted_by(self.interrupt.clone());
        if let Some(observer) = self.observe.as_ref().and_then(|observe| observe(repeat)) {
            runner = runner.observe(observer);
        }
        let result = runner.run_blocking_with(|run| {
            run.output = folder.cloned();
            run.run_name = Some(name);
            run.max_cost = max_cost;
            run.skip_data(repeat - 1);
        })?;
        let clients = base.clients;
        let stats = result.stats();
        let ended_by = if result.interrupted && self.interrupt.is_stopped() {
            Some(TestEnd::Interrupted)
        } else if !result.unwritten.is_empty() {
            Some(TestEnd::Unwritten(clients))
        } else if let Some(by) = stats.stopped_by {
            Some(TestEnd::Failures(clients, by))
        } else if stats.cost_limit_reached == Some(true) {
            Some(TestEnd::Cost)
        } else {
            None
        };
        Ok((BTreeMap::from([(clients, result)]), ended_by))
    }
}

/// Levels of a load test whose data differs from that of its repeats.
const LEVELS: usize = 64;

impl RepeatResult {
    /// Loads repeats, with their responses: every folder `NNNNN-repeat` within `path`, each that of a run or
    /// of a load test.
    ///
    /// # Errors
    /// When the folder cannot be read or holds no repeat.
    pub fn load(path: impl Into<Location>) -> Result<Self> {
        let path = path.into();
        let mut done = Self {
            name: path.file_name(),
            output_path: Some(path.clone()),
            ..Self::default()
        };
        for folder in repeat_folders(&path)? {
            let loaded = match LoadTestResult::load(folder) {
                Ok(loaded) => loaded,
                Err(reason) => {
                    done.warnings.push(reason.to_string());
                    continue;
                }
            };
            done.warnings.extend(loaded.warnings);
            done.repeats += 1;
            for (clients, result) in loaded.results {
                done.results.entry(clients).or_default().push(result);
            }
        }
        match done.results.is_empty() {
            true => Err(Error::NotARun {
                path: path.to_string(),
                reason: "no folder in it holds a repeat".to_owned(),
            }),
            false => Ok(done),
        }
    }

    /// Whether a folder has repeats in it, by their names.
    pub fn is_in(path: &Location) -> bool {
        let names = path.list_blocking().unwrap_or_default();
        names.iter().any(|name| is_repeat_name(name))
    }

    /// How a statistic with this key of `stats.json`, like `time_to_first_token-p90`, differs between the
    /// repeats at a number of clients. `None` if no repeat has it. Broken off repeats are left out where
    /// there are whole ones.
    pub fn spread(&self, clients: usize, key: &str) -> Option<RepeatSpread> {
        let counted = self.counted(clients)?;
        let maps = counted.iter().map(|result| result.stats_map());
        let figures: Vec<_> = maps
            .filter_map(|stats| Some((stats.get(key)?.as_f64()?, Interval::read(&stats, key))))
            .collect();
        let values = figures.iter().map(|(value, _)| *value).collect();
        let intervals: Vec<_> = figures.into_iter().filter_map(|one| one.1).collect();
        let within = latency_of(key).and_then(|latency| {
            pooled_deviation(counted.iter().map(|result| {
                let responses = result.responses.iter();
                responses
                    .filter(|one| one.error.is_none())
                    .filter_map(latency)
            }))
        });
        Some(RepeatSpread::new(values, within)?.with_intervals(&intervals))
    }

    /// The spread of every statistic that the repeats have as a number, by its key: an object with `mean`,
    /// `sd_between` and `sd_within` (standard deviations between and within repeats), `interval_95` and
    /// `interval_from` (`repeats`, or `requests` of the one repeat that there is).
    pub fn spreads(&self, clients: usize) -> Map<String, Value> {
        let first = self.results.get(&clients).and_then(|all| all.first());
        let keys = first.map(RunResult::stats_map).unwrap_or_default();
        let keys = keys
            .into_iter()
            .filter(|(_, value)| value.is_f64() || value.is_i64());
        let spreads = keys.filter_map(|(key, _)| {
            let spread = self.spread(clients, &key)?;
            let object = json!({
                "mean": spread.mean,
                "sd_between": spread.between,
                "sd_within": spread.within,
                "interval_95": spread.interval().map(|interval| [interval.low, interval.high]),
                "interval_from": if spread.is_within() { "requests" } else { "repeats" },
            });
            Some((key, object))
        });
        spreads.collect()
    }
}

impl RepeatResult {
    /// The repeats that count at a number of clients: whole ones, where there are some.
    fn counted(&self, clients: usize) -> Option<Vec<&RunResult>> {
        let all = self.results.get(&clients)?;
        let whole: Vec<_> = all.iter().filter(|result| !result.interrupted).collect();
        Some(match whole.is_empty() {
            true => all.iter().collect(),
            false => whole,
        })
    }

    /// Judges every repeat by these SLOs in the place of its own
    /// ([`RunResult::judge_by`](crate::RunResult::judge_by)).
    pub fn judge_by(&mut self, slos: &[Condition]) {
        let all = self.results.values_mut().flatten();
        all.for_each(|result| result.judge_by(slos.to_vec()));
    }

    /// What to say of the numbers of clients at which the mean over the repeats fulfils a condition that must
    /// not hold, or at which no repeat has its figure.
    pub fn findings(&self, condition: &Condition) -> Vec<String> {
        let finding = |clients: &usize| {
            let counted = self.counted(*clients)?;
            let finding = finding_on_average(condition, &counted)?;
            let repeats = match counted.len() {
                1 => "1 repeat".to_owned(),
                count => format!("{count} repeats"),
            };
            let clients = of_clients(*clients);
            Some(format!(
                "{finding} on average over {repeats} with {clients}"
            ))
        };
        self.results.keys().filter_map(finding).collect()
    }
}

/// What to say of the mean of a figure over several runs, if it fulfils a condition that must not hold, or
/// if none has it. It is carried as far as the run with the smallest sample carries it.
pub(super) fn finding_on_average(condition: &Condition, runs: &[&RunResult]) -> Option<String> {
    let figure = condition.figure();
    let maps = runs.iter().map(|run| run.stats_map());
    let known =
        maps.filter_map(|stats| Some((figure.value_in(&stats)?, figure.support_in(&stats))));
    let known: Vec<_> = known.collect();
    let mean = known.iter().map(|(value, _)| value).sum::<f64>() / known.len() as f64;
    let support = least_support(known.iter().map(|(_, support)| *support));
    condition.finding_of((!known.is_empty()).then_some(mean), support)
}

/// The value of a request that a statistic is about.
fn latency_of(key: &str) -> Option<fn(&InvocationResponse) -> Option<f64>> {
    match Metric::of(key)?.0.source {
        Source::Seconds(latency) => Some(latency),
        _ => None,
    }
}

/// The folders of the repeats in `path`, in their order.
pub(crate) fn repeat_folders(path: &Location) -> Result<Vec<Location>> {
    let mut names = path.list_blocking()?;
    names.retain(|name| is_repeat_name(name));
    names.sort_by_key(|name| (name.len(), name.clone()));
    Ok(names.iter().map(|name| path.join(name)).collect())
}

pub(crate) fn is_repeat_name(name: &str) -> bool {
    let number = name.strip_suffix(REPEAT).unwrap_or_default();
    number.len() >= 5 && number.bytes().all(|byte| byte.is_ascii_digit())
}
