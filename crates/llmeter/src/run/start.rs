//! Second stage of a run: its folder is made, and its threads start.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::base::error::{Error, Result};
use crate::base::file::{self, FileProblem};
use crate::base::host::HostTimes;
use crate::callback::CallbackChain;
use crate::load::{Schedule, WorkerShare};
use crate::result::RunFolder;
use crate::run::control::{ControlSocket, Controlled};
use crate::run::conversation::SessionCounts;
use crate::run::gate::{BarrierPass, StartBarrier};
use crate::run::plan::Plan;
use crate::run::prepare::Prepared;
use crate::run::recorder::Recorder;
use crate::run::shared::Shared;
use crate::run::worker::{self, WorkerReport, WorkerTask};
use crate::run::{Interrupt, Observer, RunConfig, saved};
use llmeter_wire::clock;

/// A run that has started.
pub(super) struct Started {
    pub(super) config: RunConfig,
    pub(super) hooked: Arc<CallbackChain>,
    pub(super) interrupt: Interrupt,
    pub(super) schedule: Arc<dyn Schedule>,
    pub(super) shared: Arc<Shared>,
    pub(super) run_name: String,
    pub(super) folder: Option<RunFolder>,
    pub(super) start_time: Timestamp,
    pub(super) host_before: Option<HostTimes>,
    /// For the calls before stages: each server, and a request that they are like.
    pub(super) stage_calls: Vec<(RunConfig, Arc<Prepared>)>,
    /// Such calls that failed, in words.
    pub(super) failed_calls: Mutex<Vec<String>>,
    /// Where it is told to change its load.
    pub(super) socket: Option<ControlSocket>,
}

/// Its threads.
pub(super) struct Threads {
    pub(super) recorder: Recorder,
    /// What its workers say of themselves when they are done.
    pub(super) workers: Vec<Receiver<Result<WorkerReport>>>,
    /// Closes when every worker is done.
    pub(super) workers_done: tokio::sync::mpsc::Receiver<()>,
}

/// A run that is planned, who is told how it goes on, and what stops it.
pub(super) type Planned = (Plan, Option<Arc<dyn Observer>>, Interrupt);

/// Starts runs, which begin together, on as many workers as the one that wants most.
///
/// # Errors
/// When a run's folder cannot be written or a thread cannot start. Nothing is left of any of them then.
pub(super) fn start(runs: Vec<Planned>) -> Result<Vec<(Started, Threads)>> {
    let counts: Vec<usize> = runs.iter().map(|(plan, ..)| plan.worker_count()).collect();
    let workers = counts.iter().copied().max().unwrap_or(0);
    let (gate, mut passes) = StartBarrier::new(counts.iter().sum());
    let mut of_workers: Vec<Vec<WorkerTask>> = (0..workers).map(|_| Vec::new()).collect();
    let mut started: Vec<(Started, Threads)> = Vec::with_capacity(runs.len());
    // Where the next part goes, so that every worker has as many.
    let mut next = 0;
    let begin = || -> Result<()> {
        for ((plan, observer, interrupt), count) in runs.into_iter().zip(counts) {
            let own = passes.split_off(passes.len() - count);
            let (run, threads, tasks) = plan.start(observer, &interrupt, gate.clone(), own)?;
            started.push((run, threads));
            for task in tasks {
                of_workers[next % workers].push(task);
                next += 1;
            }
        }
        let of_workers = std::mem::take(&mut of_workers);
        let mut of_workers = of_workers.into_iter().enumerate();
        of_workers.try_for_each(|(number, tasks)| worker::spawn(number, tasks))
    };
    match begin() {
        Ok(()) => Ok(started),
        Err(reason) => {
            for (run, _) in started {
                // The workers that did start must not go on without this function.
                run.interrupt.abort();
                if let Some(folder) = run.folder {
                    folder.release();
                }
            }
            Err(reason)
        }
    }
}

/// Workers that a load has which may grow in mid-run, if the machine has so many: each takes thousands of requests
/// in flight, and more of them would idle.
const GROWING: usize = 4;

impl Plan {
    /// Workers that the run uses. No worker joins a run later.
    fn worker_count(&self) -> usize {
        let needed = self.config.worker_count();
        let may_grow = self.is_controllable && self.schedule.adjustable().is_some();
        match may_grow {
            true => needed.max(self.config.most_workers().min(GROWING)),
            false => needed,
        }
    }

    /// All of it but its workers, whose parts are told.
    ///
    /// # Errors
    /// When the run's folder cannot be written or a thread cannot start.
    fn start(
        self,
        observer: Option<Arc<dyn Observer>>,
        interrupt: &Interrupt,
        gate: StartBarrier,
        passes: Vec<BarrierPass>,
    ) -> Result<(Started, Threads, Vec<WorkerTask>)> {
        let Self {
            config,
            hooked,
            schedule,
            guard,
            requests,
            routes,
            dialers,
            stage_calls,
            is_controllable,
        } = self;
        let start_time = clock::wall();
        let (run_name, folder) = open_folder(&config)?;
        let mut shared = Shared::new(
            &config,
            routes,
            dialers,
            requests,
            interrupt.clone(),
            gate,
            guard,
        );
        shared.sessions = schedule.has_conversations().then(SessionCounts::default);
        shared.stage_ends = schedule.stage_ends();
        let socket = folder
            .as_ref()
            .filter(|_| is_controllable)
            .and_then(control_socket);
        shared.controlled = socket.is_some().then(|| {
            let limit = shared.offered.as_ref().and(config.in_flight_bound());
            let fixed = || config.why_fixed();
            let rate = config.rate.or(config.session_rate);
            Arc::new(Controlled::new(schedule.clone(), rate, limit, fixed))
        });
        let schedule = match &shared.controlled {
            Some(controlled) => controlled.schedule(),
            None => schedule,
        };
        if let Some(offered) = &mut shared.offered {
            let intervals = shared
                .controlled
                .as_ref()
                .map(|_| Controlled::MAX_INTERVALS);
            offered.stages(shared.stage_ends.len().max(intervals.unwrap_or(0)));
            if shared.controlled.is_some() {
                offered.let_limit_change();
            }
        }
        let shared = Arc::new(shared);
        let host_before = HostTimes::read();
        let started = Started {
            config,
            hooked,
            interrupt: interrupt.clone(),
            schedule,
            shared,
            run_name,
            folder,
            start_time,
            host_before,
            stage_calls,
            failed_calls: Mutex::default(),
            socket,
        };
        match started.launch(passes, observer) {
            Ok((threads, tasks)) => Ok((started, threads, tasks)),
            Err(reason) => {
                interrupt.abort();
                if let Some(folder) = started.folder {
                    folder.release();
                }
                Err(reason)
            }
        }
    }
}

impl Started {
    /// Starts the recorder's threads.
    fn launch(
        &self,
        passes: Vec<BarrierPass>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<(Threads, Vec<WorkerTask>)> {
        let (shared, schedule) = (&self.shared, &self.schedule);
        let writer = self.folder.as_ref().map(RunFolder::responses).transpose()?;
        let workers = passes.len();
        let (queues, recorder) = Recorder::start(
            &self.config,
            workers,
            &**schedule,
            shared,
            writer,
            observer,
            &self.hooked,
        )?;
        // Every worker holds a sender until it is done, so that the channel closes when all are.
        let (alive, workers_done) = tokio::sync::mpsc::channel(1);
        let task = |(worker, pass): (usize, BarrierPass)| {
            let (report, reported) = channel();
            let task = WorkerTask {
                shared: shared.clone(),
                schedule: schedule.clone(),
                share: WorkerShare { worker, workers },
                queue: queues[worker % queues.len()].clone(),
                pass,
                report,
                alive: alive.clone(),
            };
            (task, reported)
        };
        let (tasks, workers) = passes.into_iter().enumerate().map(task).unzip();
        let threads = Threads {
            recorder,
            workers,
            workers_done,
        };
        Ok((threads, tasks))
    }
}

/// Where a run is told to change its load: in a folder of this machine.
fn control_socket(folder: &RunFolder) -> Option<ControlSocket> {
    let opened = ControlSocket::open(folder.location().local_path()?);
    let opened =
        opened.inspect_err(|reason| tracing::info!(%reason, "the run cannot be controlled"));
    opened.ok()
}

/// The name that a run gets when the user gives none: the local time, to the minute.
pub fn default_run_name() -> String {
    clock::wall()
        .to_zoned(TimeZone::system())
        .strftime("%Y%m%d-%H%M")
        .to_string()
}

/// The run's name, and its folder with the files that are there from the start.
fn open_folder(config: &RunConfig) -> Result<(String, Option<RunFolder>)> {
    let folder = match (&config.folder, &config.output, &config.run_name) {
        (None, None, name) => {
            let name = name.clone().unwrap_or_else(default_run_name);
            return Ok((name, None));
        }
        (Some(folder), _, _) => RunFolder::create(folder.clone(), config.overwrite)?,
        (None, Some(output), Some(name)) => {
            let folder = output.join(name);
            // Whoever prepared the output folder must not choose where the run is written.
            if let Some(path) = folder.local_path().filter(|path| file::is_link(path)) {
                return Err(Error::io("creating", path)(FileProblem::Link.into()));
            }
            RunFolder::create(folder, config.overwrite)?
        }
        (None, Some(output), None) => RunFolder::create_free(output, &default_run_name())?,
    };
    let location = folder.location();
    let name = match &config.run_name {
        Some(name) => name.clone(),
        None => location.file_name().unwrap_or_else(default_run_name),
    };
    match write_first_files(&folder, config, &name) {
        Ok(()) => Ok((name, Some(folder))),
        Err(reason) => {
            folder.release();
            Err(reason)
        }
    }
}

fn write_first_files(folder: &RunFolder, config: &RunConfig, name: &str) -> Result<()> {
    // Data is named in `llmeter.json`: it may be far more than the run ever sends.
    if config.data.is_none() {
        folder.write_payloads(config.payloads.iter().map(|payload| &**payload))?;
    }
    folder.write_config(&saved::run_config(config, folder.location(), name)?)?;
    folder.write_own_config(&saved::own_config(config)?)?;
    folder.reserve();
    Ok(())
}
