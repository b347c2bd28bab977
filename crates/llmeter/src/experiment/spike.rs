//! A spike of the load, and how long latencies take to be as before.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::recovery::recoveries;
use crate::base::error::{Error, Result};
use crate::experiment::watched::watched_run;
use crate::load::{Load, Stage, StageLevel, Stages};
use crate::result::RunResult;
use crate::run::{Interrupt, Observer, RunConfig, Runner};

pub use super::recovery::Recovery;

/// How long the load is as usual before and after the spike by default.
const AROUND: Duration = Duration::from_secs(60);
/// Windows before the spike at least, the first of which is left out.
const MIN_WINDOWS: f64 = 6.0;
/// Windows before the spike by default, and requests of each at least.
const WINDOWS: f64 = 20.0;
const REQUESTS_PER_WINDOW: f64 = 20.0;

/// A load with a spike: as usual, then higher for a while, then as usual again. It tells how long after the spike
/// latencies are what they were before.
///
/// It is one run, in stages, and its figures by stage are those of any run. `recovery` of its statistics has a
/// [`Recovery`] for each figure.
///
/// ```no_run
/// use std::sync::Arc;
/// use llmeter::experiment::{Recovery, Spike};
/// use llmeter::load::StageLevel;
/// use llmeter::{OpenAiChat, RunConfig};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = OpenAiChat::builder("http://localhost:8000/v1", "my-model").build()?;
/// let payload = OpenAiChat::create_payload("Tell me a story.", 128, Default::default())?;
/// let base = RunConfig::new(Arc::new(endpoint), [payload]).output("runs");
/// let result = Spike::new(base, StageLevel::Rate("10/s".parse()?), "100/s for 10s".parse()?).run_blocking()?;
/// for figure in Recovery::of(&result) {
///     println!("{}: {:?} s", figure.figure, figure.recovered_after);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Spike {
    base: RunConfig,
    usual: StageLevel,
    spike: Stage,
    before: Duration,
    after: Duration,
    window: Option<Duration>,
    observer: Option<Arc<dyn Observer>>,
    interrupt: Interrupt,
}

impl Recovery {
    /// What a run's statistics say of it; nothing if there was no spike.
    pub fn of(result: &RunResult) -> Vec<Self> {
        let found = result.stats().recovery.into_iter();
        found
            .filter_map(|one| serde_json::from_value(one).ok())
            .collect()
    }
}

impl Spike {
    /// A load that is `usual` but for a spike. `base` is what the run is otherwise; its clients, rate and load are
    /// not used.
    pub fn new(base: RunConfig, usual: StageLevel, spike: Stage) -> Self {
        Self {
            base,
            usual,
            spike,
            before: AROUND,
            after: AROUND,
            window: None,
            observer: None,
            interrupt: Interrupt::new(),
        }
    }

    /// How long the load is as usual before the spike, and how long after it.
    #[must_use]
    pub fn around(mut self, before: Duration, after: Duration) -> Self {
        (self.before, self.after) = (before, after);
        self
    }

    /// How long the windows are in which latencies are looked at. By default a twentieth of the time before the
    /// spike, or as long as 20 requests take to arrive.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = Some(window);
        self
    }

    watched_run! {
        /// Makes `interrupt` stop the run.
    }

    /// The load.
    ///
    /// # Errors
    /// When a stage takes no time, or one is a rate and another clients.
    pub fn stages(&self) -> Result<Stages> {
        let usual = |length| Stage {
            level: self.usual,
            is_ramp: false,
            length,
        };
        let stages = vec![usual(self.before), self.spike, usual(self.after)];
        Stages::new(stages).map_err(|reason| Error::refused("spike", reason))
    }

    /// How long windows are, in seconds.
    fn window_length(&self) -> f64 {
        let share = self.before.as_secs_f64() / WINDOWS;
        match (self.window, self.usual) {
            (Some(window), _) => window.as_secs_f64(),
            (None, StageLevel::Rate(rate) | StageLevel::SessionRate(rate)) => {
                share.max(REQUESTS_PER_WINDOW / rate.per_second())
            }
            (None, StageLevel::Clients(_) | StageLevel::Sessions(_)) => share,
        }
    }

    /// Checks all settings.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub fn validate(&self) -> Result<()> {
        let config = self.config()?;
        if self.usual.value() == 0.0 {
            return Err(Error::field("usual load", self.usual, "more than nothing"));
        }
        let window = self.window_length();
        let needed = MIN_WINDOWS * window;
        let shown = humantime::format_duration(self.before);
        if window <= 0.0 {
            return Err(Error::field("window", "0s", "more than 0s"));
        }
        // Products of such numbers are not exact.
        if self.before.as_secs_f64() < needed * (1.0 - 1e-9) {
            return Err(Error::field(
                "before",
                shown,
                format!("{needed:.1}s or more, which is six windows of {window:.1}s"),
            ));
        }
        if self.base.low_memory {
            return Err(Error::refused(
                "low_memory",
                "low_memory keeps no latencies over time",
            ));
        }
        config.validate()
    }

    fn config(&self) -> Result<RunConfig> {
        Ok(RunConfig {
            clients: 1,
            rate: None,
            load: Load::default(),
            stages: Some(self.stages()?),
            ..self.base.clone()
        })
    }

    /// Carries the run out, blocking the calling thread.
    ///
    /// # Errors
    /// When a setting cannot be used, or as [`Runner::run`].
    pub fn run_blocking(&self) -> Result<RunResult> {
        self.validate()?;
        let mut runner = Runner::new(self.config()?).interrupted_by(self.interrupt.clone());
        if let Some(observer) = &self.observer {
            runner = runner.observe(observer.clone());
        }
        let mut result = runner.run_blocking()?;
        let begin = self.before.as_secs_f64();
        let over = begin + self.spike.length.as_secs_f64();
        let end = over + self.after.as_secs_f64();
        // A run that was stopped tells as far as it came.
        let end = match result.summary.total_test_time {
            Some(total) if result.interrupted => end.min(total),
            _ => end,
        };
        if end > over {
            let found = recoveries(&result, [begin, over, end], self.window_length());
            result.add_stats(
                [("recovery".to_owned(), json!(found))]
                    .into_iter()
                    .collect(),
            );
            if result.summary.output_path.is_some() {
                result.save(None)?;
            }
        }
        Ok(result)
    }
}
