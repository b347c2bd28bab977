//! Workers: threads that send, read and stamp, each with a single-threaded runtime of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::error::{Error, Result};
use crate::base::host::ThreadWaits;
use crate::base::runtime;
use crate::load::{Schedule, Session, WorkerShare};
use crate::run::capture::{RequestId, SegmentQueue};
use crate::run::dispatch::dispatch;
use crate::run::gate::BarrierPass;
use crate::run::pool::Pool;
use crate::run::shared::Shared;
use llmeter_wire::{WORKER, clock};

/// What a worker says of itself when it is done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WorkerReport {
    /// Share of its time that the worker was at work.
    pub(crate) busy_share: f64,
    /// Share of its time that the worker could have worked but had no core.
    pub(crate) wait_share: f64,
    /// Seconds that it waited on average each time before it got one.
    pub(crate) mean_wait: f64,
    /// How often the realtime clock jumped.
    pub(crate) clock_steps: u32,
}

/// What the sessions of one worker share, and no other worker touches.
pub(crate) struct Worker {
    number: usize,
    /// To the worker's decoder.
    pub(crate) queue: SegmentQueue,
    pub(crate) pool: Pool,
    /// Requests that were given an id.
    requests: AtomicU64,
}

impl Worker {
    pub(crate) fn new(number: usize, queue: SegmentQueue) -> Self {
        Self {
            number,
            queue,
            pool: Pool::default(),
            requests: AtomicU64::new(0),
        }
    }

    /// An id that no other request of the run has.
    pub(crate) fn next_id(&self) -> RequestId {
        let count = self.requests.fetch_add(1, Ordering::Relaxed);
        RequestId((self.number as u64) << 48 | count)
    }
}

/// Starts a worker. It drops `alive` when it is done.
pub(crate) fn spawn(
    shared: Arc<Shared>,
    schedule: Arc<dyn Schedule>,
    share: WorkerShare,
    queue: SegmentQueue,
    pass: BarrierPass,
    alive: tokio::sync::mpsc::Sender<()>,
) -> Result<std::thread::JoinHandle<Result<WorkerReport>>> {
    runtime::spawn(format!("worker-{}", share.worker), move || {
        let worker = Arc::new(Worker::new(share.worker, queue));
        let report = run(shared, worker, schedule.sessions(share), pass);
        drop(alive);
        report
    })
}

/// Tasks that a worker of an open loop carries on with before it looks whether something is due: a
/// fraction of a millisecond.
const TASKS_BETWEEN_LOOKS: u32 = 16;

/// A worker's runtime, for the thread that calls this. `is_open_loop`: it must be punctual.
pub(crate) fn runtime(is_open_loop: bool) -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    if is_open_loop {
        builder.event_interval(TASKS_BETWEEN_LOOKS);
    }
    builder
        .enable_io()
        .enable_time()
        .on_thread_park(|| WORKER.with(|worker| worker.parks()))
        .on_thread_unpark(|| WORKER.with(|worker| worker.woke()))
        .build()
        .map_err(Error::system("start a worker"))
}

fn run(
    shared: Arc<Shared>,
    worker: Arc<Worker>,
    sessions: impl Iterator<Item = Session>,
    pass: BarrierPass,
) -> Result<WorkerReport> {
    let runtime = runtime(shared.offered.is_some())?;
    let start = clock::now();
    let waited_before = ThreadWaits::read();
    WORKER.with(|worker| worker.woke());
    let is_whole = runtime.block_on(dispatch(shared, worker, sessions, pass));
    let elapsed = clock::now().seconds_since(start).max(1e-9);
    let waited = ThreadWaits::read().zip(waited_before);
    let (waited, mean_wait) = waited.map_or((0.0, 0.0), |(after, before)| after.since(before));
    let report = WORKER.with(|worker| WorkerReport {
        busy_share: (worker.busy_ns() as f64 * 1e-9 / elapsed).min(1.0),
        wait_share: waited / elapsed,
        mean_wait,
        clock_steps: worker.clock_steps(),
    });
    let stopped = Error::Internal("a client stopped; what was measured before is kept");
    is_whole.then_some(report).ok_or(stopped)
}
