//! The highest load at which the SLOs hold.
//!
//! Belongs here: which loads are tried, when a probe is over, what of an earlier search is kept. Whether a
//! load keeps the SLOs is `judge`'s to say, which load is next `search`'s.

mod judge;
mod ramp;
mod result;
mod search;

use std::sync::Arc;
use std::time::Duration;

use super::load_test::{completed, remaining, test_folder};
use super::load_test_result::{TestEnd, level_name};
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::experiment::watched::watched_runs;
use crate::load::{Load, Rate};
use crate::result::{RunResult, take_folder};
use crate::run::{Interrupt, Observer, RunConfig, Runner, default_run_name, differences};
use crate::stats::Condition;
use crate::storage::Location;

pub use judge::ProbeVerdict;
pub use result::{CapacityPlan, CapacityResult, Over, Probe};

use judge::ProbeJudge;
use search::{Search, Tried};

/// In an open loop the arrivals of so many seconds, but no more than so many, are left out at first: they
/// find an idle server.
const LEFT_OUT_SECONDS: f64 = 2.0;
const MAX_LEFT_OUT: f64 = 100.0;
/// How long a probe lasts at most by default.
const PROBE_TIME: Duration = Duration::from_secs(60);
/// The most probes by default.
const MAX_PROBES: usize = 12;
/// The largest ratio between the lowest load that breaks an SLO and the highest that keeps all.
const PRECISION: f64 = 1.05;

type ObserveProbe = dyn Fn(&str) -> Option<Arc<dyn Observer>> + Send + Sync;

/// Finds the highest load at which all SLOs of a configuration hold.
///
/// Clients or the arrival rate are doubled (quadrupled while every figure is far from its limit) until an SLO breaks; then the
/// range between is halved, on a scale of ratios, until it is 5 % wide. Each probe is a run of its own and
/// lasts as long as its verdict needs: until the interval of every figure is on one side of its limit, by
/// two looks in a row, or until the load is plainly too much. A failed request meets no SLO. An SLO of
/// single requests (`ttft < 500ms`) has to be met by 99 % of them.
///
/// ```no_run
/// use std::sync::Arc;
/// use llmeter::experiment::Capacity;
/// use llmeter::{OpenAiChat, RunConfig};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = OpenAiChat::builder("http://localhost:8000/v1", "my-model").build()?;
/// let payload = OpenAiChat::create_payload("Tell me a story.", 128, Default::default())?;
/// let mut base = RunConfig::new(Arc::new(endpoint), [payload]).output("capacity");
/// base.slos = vec!["ttft-p90 < 500ms".parse()?];
/// let found = Capacity::new(base).run_blocking()?;
/// println!("{:?} clients, {:?} good requests/s", found.level(), found.goodput());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Capacity {
    base: RunConfig,
    over: Over,
    min: f64,
    max: f64,
    probe_time: Duration,
    max_probes: usize,
    resumes: bool,
    /// How long a step of a search in one run takes.
    step: Option<Duration>,
    observe: Option<Arc<ObserveProbe>>,
    interrupt: Interrupt,
}

/// Requests of a probe at a rate, at least.
const MIN_REQUESTS: f64 = 20.0;

impl Capacity {
    /// A search over numbers of clients, unless [`over`](Self::over) says otherwise. `base` is what its probes share, its SLOs above all: its output is
    /// the folder in which the search's own is made, its name the search's, its limit of cost that of the
    /// whole search. Its clients, rate and load are not used.
    pub fn new(base: RunConfig) -> Self {
        Self {
            base,
            over: Over::Clients,
            min: 1.0,
            max: Over::Clients.max_by_default(),
            probe_time: PROBE_TIME,
            max_probes: MAX_PROBES,
            resumes: false,
            step: None,
            observe: None,
            interrupt: Interrupt::new(),
        }
    }

    /// What is raised, from 1 client or 1 request a second on.
    #[must_use]
    pub fn over(mut self, over: Over) -> Self {
        self.over = over;
        self.max = over.max_by_default();
        self
    }

    /// The lowest and the highest load that are tried: clients, or requests a second.
    #[must_use]
    pub fn between(mut self, min: f64, max: f64) -> Self {
        (self.min, self.max) = (min, max);
        self
    }

    /// How long a probe lasts at most.
    #[must_use]
    pub fn probe_time(mut self, time: Duration) -> Self {
        self.probe_time = time;
        self
    }

    /// The most probes.
    #[must_use]
    pub fn max_probes(mut self, probes: usize) -> Self {
        self.max_probes = probes;
        self
    }

    /// Searches in one run, in the place of several: the load rises by a tenth in steps that take so long, until one
    /// of them breaks an SLO. That is faster, and less exact: to a tenth, and where steps are short, by few requests.
    #[must_use]
    pub fn adaptive(mut self, step: Duration) -> Self {
        self.step = Some(step);
        self
    }

    /// Keeps the probes that a search of the same name has completed with the same settings.
    #[must_use]
    pub fn resume(mut self) -> Self {
        self.resumes = true;
        self
    }

    watched_runs! {
        /// Asks `observe` at each probe, given its load in words, for whom to tell how its run goes on.
        &str;
        /// Makes `interrupt` end the search: what was measured is kept.
    }

    /// Checks bounds and settings.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub fn validate(&self) -> Result<()> {
        if self.base.slos.is_empty() {
            return Err(Error::missing_like(Setting::Slo, "ttft-p99 < 500ms"));
        }
        if !(self.min > 0.0 && self.min.is_finite()) {
            return Err(Error::field("min", self.min, "more than 0"));
        }
        for (name, bound) in [("min", self.min), ("max", self.max)] {
            if self.over.is_whole() && bound.fract() != 0.0 {
                let expected = match self.over {
                    Over::Sessions => "a whole number of sessions",
                    _ => "a whole number of clients",
                };
                return Err(Error::field(name, bound, expected));
            }
        }
        if self.max < self.min {
            return Err(Error::field(
                "max",
                self.max,
                format!("{} or more, as min is", self.min),
            ));
        }
        if self.probe_time.is_zero() {
            return Err(Error::field("probe_duration", "0s", "more than 0s"));
        }
        if self.step.is_some_and(|step| step.is_zero()) {
            return Err(Error::field("adaptive", "0s", "more than 0s"));
        }
        if self.max_probes == 0 {
            return Err(Error::field("max_probes", 0, "1 or more"));
        }
        self.config(self.min)?.validate()
    }

    /// What the run of a probe is, but for its folder and limit of cost.
    fn config(&self, level: f64) -> Result<RunConfig> {
        // A low rate has to bring enough requests to judge by.
        let needed = match self.over {
            Over::Clients | Over::Sessions => Duration::ZERO,
            Over::Rate => Duration::try_from_secs_f64(MIN_REQUESTS / level).unwrap_or_default(),
        };
        let mut config = RunConfig {
            clients: 1,
            rate: None,
            sessions: None,
            session_rate: None,
            load: Load::Duration(self.probe_time.max(needed)),
            slos: all_slos(&self.base.slos),
            ..self.base.clone()
        };
        match self.over {
            Over::Clients => config.clients = level as usize,
            Over::Sessions => config.sessions = Some(level as usize),
            Over::Rate => {
                let rate = Rate::of_seconds(level);
                let wrong = |reason: String| Error::field("rate", level, reason);
                config.rate = Some(rate.map_err(wrong)?);
            }
        }
        Ok(config)
    }

    /// Carries the search out, blocking the calling thread. What was measured is kept whatever ends it.
    ///
    /// # Errors
    /// When a setting cannot be used, the search's folder cannot be made, or the first probe cannot start.
    pub fn run_blocking(&self) -> Result<CapacityResult> {
        self.validate()?;
        if let Some(step) = self.step {
            return self.run_ramp(step);
        }
        let folder = test_folder(&self.base)?;
        let mut earlier = None;
        if let Some(folder) = &folder {
            match self.resumes {
                true => earlier = CapacityResult::load_without_responses(folder.clone()).ok(),
                false => take_folder(folder, self.base.overwrite)?,
            }
        }
        let name = match &folder {
            Some(folder) => folder.file_name(),
            None => self.base.run_name.clone(),
        };
        let name = name.unwrap_or_else(default_run_name);
        let mut found = CapacityResult::new(self.plan(), name, folder.clone());
        let search = Search {
            min: self.min,
            max: self.max,
            precision: PRECISION,
            is_whole: self.over.is_whole(),
        };
        let mut left = self.base.max_cost;
        let mut tried: Vec<Tried> = Vec::new();
        while let Some(level) = search.next(&tried) {
            if found.plan.probes.len() >= self.max_probes {
                found.warnings.push(format!(
                    "{} probes are not enough: capacity is known less precisely",
                    self.max_probes
                ));
                break;
            }
            if left == Some(0.0) {
                found.ended_by = Some(TestEnd::Cost);
                break;
            }
            let (probe, result) = match self.kept(earlier.as_ref(), level)? {
                Some(kept) => kept,
                None => match self.probe(level, found.plan.probes.len(), folder.as_ref(), left) {
                    Ok(probed) => probed,
                    Err(reason) if found.plan.probes.is_empty() => return Err(reason),
                    Err(_) if self.interrupt.is_stopped() => {
                        found.ended_by = Some(TestEnd::Interrupted);
                        break;
                    }
                    Err(reason) => {
                        let warning = format!("{}: {reason}", self.over.in_words(level));
                        found.warnings.push(warning);
                        break;
                    }
                },
            };
            left = remaining(left, &result);
            let is_cut = result.interrupted && self.interrupt.is_stopped();
            found.ended_by = if is_cut {
                Some(TestEnd::Interrupted)
            } else if !result.unwritten.is_empty() {
                Some(TestEnd::Unwritten(level as usize))
            } else {
                None
            };
            if !is_cut {
                tried.push(Tried {
                    level,
                    holds: probe.verdict.holds(),
                    nearness: probe.nearness,
                });
                found.plan.probes.push(probe);
            }
            found.results.push((level, result));
            found.save()?;
            if found.ended_by.is_some() {
                break;
            }
        }
        found.plan.is_complete = search.next(&tried).is_none();
        found.save()?;
        Ok(found)
    }

    fn plan(&self) -> CapacityPlan {
        CapacityPlan {
            format: 1,
            over: self.over,
            slos: self.base.slos.clone(),
            min: self.min,
            max: self.max,
            probe_time: self.probe_time.as_secs_f64(),
            precision: PRECISION,
            is_complete: false,
            is_one_run: false,
            probes: Vec::new(),
        }
    }

    /// A probe that an earlier search of this name completed.
    ///
    /// # Errors
    /// When it was measured with other settings and must not be overwritten.
    fn kept(
        &self,
        earlier: Option<&CapacityResult>,
        level: f64,
    ) -> Result<Option<(Probe, RunResult)>> {
        let Some(earlier) = earlier else {
            return Ok(None);
        };
        let probe = earlier
            .plan
            .probes
            .iter()
            .find(|probe| probe.level == level);
        let folder = earlier.output_path.as_ref();
        let (Some(probe), Some(folder)) = (probe, folder) else {
            return Ok(None);
        };
        let at = folder.join(&probe.folder);
        let Some(result) = completed(&at) else {
            return Ok(None);
        };
        let mut differences = differences(&self.config(level)?, &at)?;
        // Those of single requests, for goodput, follow from the search's own.
        differences.retain(|difference| !difference.starts_with("`slo` "));
        if earlier.plan.slos != self.base.slos {
            let listed = |slos: &[Condition]| {
                let slos = slos.iter().map(ToString::to_string);
                slos.collect::<Vec<_>>().join(", ")
            };
            let (was, is) = (listed(&earlier.plan.slos), listed(&self.base.slos));
            differences.push(format!("`slo` was {was} and is {is}"));
        }
        if differences.is_empty() {
            return Ok(Some((
                Probe {
                    is_resumed: true,
                    ..probe.clone()
                },
                result,
            )));
        }
        if self.base.overwrite {
            return Ok(None);
        }
        let reason = format!(
            "{folder} has probes that were measured otherwise: {} ({})",
            self.over.in_words(level),
            differences.join(", ")
        );
        Err(Error::Invalid {
            setting: Setting::RunName,
            problem: crate::base::setting::SettingProblem::Refused { reason },
            hint: Some("`overwrite` measures them again; or choose another `run_name`".into()),
        })
    }

    fn probe(
        &self,
        level: f64,
        number: usize,
        folder: Option<&Location>,
        max_cost: Option<f64>,
    ) -> Result<(Probe, RunResult)> {
        let mut runner = Runner::new(self.base.clone()).interrupted_by(self.interrupt.clone());
        if let Some(observer) = self
            .observe
            .as_ref()
            .and_then(|observe| observe(&self.over.in_words(level)))
        {
            runner = runner.observe(observer);
        }
        // The first request of each client finds a server that is less busy.
        let (name, left_out) = match self.over {
            Over::Clients => (level_name(level as usize), level),
            Over::Sessions => (format!("{level:05}-sessions"), level),
            Over::Rate => {
                let left_out = (level * LEFT_OUT_SECONDS).min(MAX_LEFT_OUT);
                (format!("{:05}-rate-{level}", number + 1), left_out)
            }
        };
        let is_open = self.over == Over::Rate;
        let judge = ProbeJudge::new(&self.base.slos, left_out as u64, is_open);
        let judge = Arc::new(judge);
        let config = self.config(level)?;
        let result = runner.run_blocking_with(|run| {
            *run = config;
            run.output = folder.cloned();
            run.run_name = Some(name.clone());
            run.max_cost = max_cost;
            run.watch = Some(judge.clone());
            // A server that has seen a probe's prompts would be faster in the next one.
            run.skip_data(number);
            // What is left of a probe that was broken off gives way.
            run.overwrite |= self.resumes;
        })?;
        let stats = result.stats_map();
        let (verdict, nearness) = judge.verdict(&stats);
        let probe = Probe {
            level,
            folder: name,
            verdict,
            nearness,
            requests: result.summary.total_requests.unwrap_or(0),
            is_resumed: false,
        };
        Ok((probe, result))
    }
}

/// The SLOs of a search and, for goodput, those of single requests that go with its percentiles.
fn all_slos(slos: &[Condition]) -> Vec<Condition> {
    let mut all = slos.to_vec();
    for slo in slos {
        let each = slo.of_each_request();
        all.extend(each.filter(|each| !slos.contains(each)));
    }
    all
}
