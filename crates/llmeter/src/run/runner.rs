//! Starting runs: a run is planned, started, waited for and concluded.

use std::sync::Arc;

use crate::base::error::{Error, Result};
use crate::base::runtime::{off_runtime, runtime, spawn};
use crate::result::RunResult;
use crate::run::plan::Plan;
use crate::run::start::{Started, Threads, start};
use crate::run::{Interrupt, Observer, RunConfig};

/// A base configuration from which any number of runs start.
///
/// ```no_run
/// use std::sync::Arc;
/// use llmeter::{Load, OpenAiChat, RunConfig, Runner};
///
/// # fn main() -> llmeter::Result<()> {
/// let endpoint = OpenAiChat::builder("http://localhost:8000/v1", "my-model").build()?;
/// let payload = OpenAiChat::create_payload("Tell me a story.", 128, Default::default())?;
/// let runner = Runner::new(RunConfig::new(Arc::new(endpoint), [payload]).output("runs"));
/// for clients in [1, 8, 64] {
///     let result = runner.run_blocking_with(|run| {
///         run.clients = clients;
///         run.load = Load::Requests(10);
///     })?;
///     match result.stats().ttft.p50 {
///         Some(seconds) => println!("{clients} clients: p50 TTFT {seconds:.3} s"),
///         None => println!("{clients} clients: no request succeeded"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Runner {
    base: RunConfig,
    observer: Option<Arc<dyn Observer>>,
    interrupt: Interrupt,
    is_controllable: bool,
}

impl Runner {
    /// A runner whose runs start from `base`.
    pub fn new(base: RunConfig) -> Self {
        Self {
            base,
            observer: None,
            interrupt: Interrupt::new(),
            is_controllable: false,
        }
    }

    /// Tells `observer` how its runs go on.
    #[must_use]
    pub fn observe(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Makes `interrupt` stop this runner's runs.
    #[must_use]
    pub fn interrupted_by(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// Lets the load of its runs be changed while they are in progress, by [`RunControl`](super::RunControl):
    /// each listens at a socket in its folder.
    #[must_use]
    pub fn controllable(mut self) -> Self {
        self.is_controllable = true;
        self
    }

    /// The base configuration.
    pub fn base(&self) -> &RunConfig {
        &self.base
    }

    /// Carries out a run of the base configuration. The work is done on threads of its own; the
    /// returned future only waits. Dropping it stops the run, which saves what it has.
    ///
    /// # Errors
    /// When the configuration cannot be used, the endpoint cannot be reached, or the run's folder
    /// cannot be made. Failed requests are no error, and neither is what cannot be written once
    /// requests were sent: that is in the result ([`RunResult::unwritten`]).
    pub async fn run(&self) -> Result<RunResult> {
        self.run_with(|_| {}).await
    }

    /// Carries out a run of the base configuration with changes.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_with(&self, change: impl FnOnce(&mut RunConfig)) -> Result<RunResult> {
        struct StopOnDrop(Option<Interrupt>);
        impl Drop for StopOnDrop {
            fn drop(&mut self) {
                if let Some(interrupt) = self.0.take() {
                    interrupt.abort();
                }
            }
        }
        let mut runner = self.clone();
        change(&mut runner.base);
        // Only this run's own: the runner's may stop others, too.
        let own = self.interrupt.for_one_run();
        let mut guard = StopOnDrop(Some(own.clone()));
        let (done, result) = tokio::sync::oneshot::channel();
        spawn("run", move || {
            // Nobody may be waiting any more; the run's files are written all the same.
            let _ = done.send(runner.execute(&runner.base, &own));
        })?;
        let result = result
            .await
            .map_err(|_| Error::Internal("the run ended early"))?;
        guard.0 = None;
        result
    }

    /// As [`run`](Self::run), blocking the calling thread. In an async runtime that holds up whatever
    /// else the thread has to do: [`run`](Self::run) does not.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_blocking(&self) -> Result<RunResult> {
        self.run_blocking_with(|_| {})
    }

    /// As [`run_with`](Self::run_with), blocking the calling thread.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_blocking_with(&self, change: impl FnOnce(&mut RunConfig)) -> Result<RunResult> {
        let mut config = self.base.clone();
        change(&mut config);
        let interrupt = self.interrupt.for_one_run();
        off_runtime(|| self.execute(&config, &interrupt))?
    }

    /// Carries out a run that `interrupt` stops and no other.
    fn execute(&self, config: &RunConfig, interrupt: &Interrupt) -> Result<RunResult> {
        let runtime = runtime()?;
        let mut plan = Plan::new(config, &runtime, interrupt)?;
        plan.is_controllable = self.is_controllable;
        let started = start(vec![(plan, self.observer.clone(), interrupt.clone())])?;
        let (run, threads) = started
            .into_iter()
            .next()
            .ok_or(Error::Internal("the run did not start"))?;
        let ended = threads.wait(&run, &runtime)?;
        Ok(run.conclude(ended, &runtime))
    }
}

/// Carries out several runs side by side: all are prepared before any begins, they begin at the same moment,
/// and their workers share threads. What one of them gives does not depend on the end of another.
///
/// # Errors
/// When one of them cannot begin: then none does.
pub(crate) fn run_together(
    runs: Vec<(RunConfig, Option<Arc<dyn Observer>>)>,
    interrupt: &Interrupt,
) -> Result<Vec<Result<RunResult>>> {
    off_runtime(|| {
        let own_runtime = runtime()?;
        let mut planned = Vec::with_capacity(runs.len());
        for (config, observer) in runs {
            let own = interrupt.for_one_run();
            let plan = Plan::new(&config, &own_runtime, &own)?;
            planned.push((plan, observer, own));
        }
        let started = start(planned)?;
        let follow = |(run, threads): (Started, Threads)| -> Result<RunResult> {
            let own_runtime = runtime()?;
            let ended = threads.wait(&run, &own_runtime)?;
            Ok(run.conclude(ended, &own_runtime))
        };
        let died = |_| Err(Error::Internal("the run ended early"));
        Ok(std::thread::scope(|scope| {
            let runs = started.into_iter();
            let under_way: Vec<_> = runs.map(|run| scope.spawn(move || follow(run))).collect();
            let ended = under_way.into_iter();
            ended.map(|run| run.join().unwrap_or_else(died)).collect()
        }))
    })?
}
