//! Second stage of a run: its folder is made, and its threads start.

use std::sync::Arc;
use std::thread::JoinHandle;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::mpsc::{Receiver, channel};

use crate::base::error::{Error, Result};
use crate::base::file::{self, FileProblem};
use crate::base::host::HostTimes;
use crate::callback::CallbackChain;
use crate::load::{Schedule, WorkerShare};
use crate::result::RunFolder;
use crate::run::gate::{BarrierPass, StartBarrier};
use crate::run::plan::Plan;
use crate::run::recorder::Recorder;
use crate::run::shared::Shared;
use crate::run::worker::{self, WorkerReport};
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
}

/// Its threads.
pub(super) struct Threads {
    pub(super) recorder: Recorder,
    pub(super) workers: Vec<JoinHandle<Result<WorkerReport>>>,
    /// Closes when every worker is done.
    pub(super) workers_done: Receiver<()>,
}

impl Plan {
    /// # Errors
    /// When the run's folder cannot be written or a thread cannot start.
    pub(super) fn start(
        self,
        observer: Option<Arc<dyn Observer>>,
        interrupt: &Interrupt,
    ) -> Result<(Started, Threads)> {
        let Self {
            config,
            hooked,
            schedule,
            guard,
            requests,
            routes,
            dialers,
        } = self;
        let start_time = clock::wall();
        let (run_name, folder) = open_folder(&config)?;
        let (gate, passes) = StartBarrier::new(config.worker_count());
        let mut shared = Shared::new(
            &config,
            routes,
            dialers,
            requests,
            interrupt.clone(),
            gate,
            guard,
        );
        shared.stage_ends = schedule.stage_ends();
        if let Some(offered) = &mut shared.offered {
            offered.stages(shared.stage_ends.len());
        }
        let shared = Arc::new(shared);
        let host_before = HostTimes::read();
        let launched = launch(
            &config,
            &schedule,
            &shared,
            &hooked,
            passes,
            folder.as_ref(),
            observer,
        );
        let threads = match launched {
            Ok(threads) => threads,
            Err(reason) => {
                // The workers that did start must not go on without this function.
                interrupt.abort();
                if let Some(folder) = folder {
                    folder.release();
                }
                return Err(reason);
            }
        };
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
        };
        Ok((started, threads))
    }
}

/// Starts the threads.
fn launch(
    config: &RunConfig,
    schedule: &Arc<dyn Schedule>,
    shared: &Arc<Shared>,
    hooked: &Arc<CallbackChain>,
    passes: Vec<BarrierPass>,
    folder: Option<&RunFolder>,
    observer: Option<Arc<dyn Observer>>,
) -> Result<Threads> {
    let writer = folder.map(RunFolder::responses).transpose()?;
    let interrupt = shared.interrupt.clone();
    let (queues, recorder) = Recorder::start(
        config,
        &**schedule,
        shared,
        writer,
        observer,
        interrupt,
        hooked,
    )?;
    let workers = passes.len();
    // Every worker holds a sender until it is done, so that the channel closes when all are.
    let (alive, workers_done) = channel(1);
    let start = |(worker, pass): (usize, BarrierPass)| {
        let queue = queues[worker % queues.len()].clone();
        let share = WorkerShare { worker, workers };
        let (shared, schedule) = (shared.clone(), schedule.clone());
        worker::spawn(shared, schedule, share, queue, pass, alive.clone())
    };
    let workers = passes
        .into_iter()
        .enumerate()
        .map(start)
        .collect::<Result<Vec<_>>>()?;
    Ok(Threads {
        recorder,
        workers,
        workers_done,
    })
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
