//! Workers: threads that send, read and stamp, each with a single-threaded runtime of its own.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::task::Poll;

use crate::base::error::{Error, Result};
use crate::base::foreign;
use crate::base::host::ThreadWaits;
use crate::base::runtime;
use crate::load::{Schedule, WorkerShare};
use crate::run::capture::{RequestId, SegmentQueue};
use crate::run::dispatch::dispatch;
use crate::run::gate::BarrierPass;
use crate::run::pool::Pool;
use crate::run::shared::Shared;
use llmeter_wire::WORKER;
use llmeter_wire::clock::{self, Stamp};

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
    pub(crate) share: WorkerShare,
    /// To the worker's decoder.
    pub(crate) queue: SegmentQueue,
    pub(crate) pool: Pool,
    /// Requests that were given an id.
    requests: AtomicU64,
}

impl Worker {
    pub(crate) fn new(share: WorkerShare, queue: SegmentQueue) -> Self {
        Self {
            share,
            queue,
            pool: Pool::default(),
            requests: AtomicU64::new(0),
        }
    }

    /// An id that no other request of the run has.
    pub(crate) fn next_id(&self) -> RequestId {
        let count = self.requests.fetch_add(1, Ordering::Relaxed);
        RequestId((self.share.worker as u64) << 48 | count)
    }
}

/// A worker's part of one run.
pub(crate) struct WorkerTask {
    pub(crate) shared: Arc<Shared>,
    pub(crate) schedule: Arc<dyn Schedule>,
    pub(crate) share: WorkerShare,
    pub(crate) queue: SegmentQueue,
    pub(crate) pass: BarrierPass,
    /// Takes what the worker says of itself. It is dropped without that if the worker dies.
    pub(crate) report: Sender<Result<WorkerReport>>,
    /// Dropped when the part is done.
    pub(crate) alive: tokio::sync::mpsc::Sender<()>,
}

/// Starts a worker, which carries out its parts of one run or of several side by side.
pub(crate) fn spawn(number: usize, tasks: Vec<WorkerTask>) -> Result<()> {
    let is_open_loop = tasks.iter().any(|task| task.shared.offered.is_some());
    let runtime = runtime(is_open_loop)?;
    runtime::spawn(format!("worker-{number}"), move || {
        let begun = Begun {
            at: clock::now(),
            waits: ThreadWaits::read(),
        };
        WORKER.with(|worker| worker.woke());
        runtime.block_on(async move {
            match <[WorkerTask; 1]>::try_from(tasks) {
                Ok([task]) => task.carry_out(begun).await,
                Err(tasks) => side_by_side(tasks, begun).await,
            }
        });
    })?;
    Ok(())
}

/// Carries out several parts. None of them waits behind the sessions of others, as a task would.
async fn side_by_side(tasks: Vec<WorkerTask>, begun: Begun) {
    let work = tasks
        .into_iter()
        .map(|task| Some(Box::pin(task.carry_out(begun))));
    let mut work: Vec<_> = work.collect();
    poll_fn(|context| {
        for part in &mut work {
            let is_over = part.as_mut().is_some_and(|part| {
                // One that dies leaves the others alone.
                let polled = foreign::catch_panic(|| part.as_mut().poll(context).is_ready());
                polled.unwrap_or(true)
            });
            if is_over {
                *part = None;
            }
        }
        match work.iter().all(Option::is_none) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

/// When a worker's thread began.
#[derive(Clone, Copy)]
struct Begun {
    at: Stamp,
    waits: Option<ThreadWaits>,
}

impl Begun {
    /// What the worker says of itself now.
    fn report(self) -> WorkerReport {
        let elapsed = clock::now().seconds_since(self.at).max(1e-9);
        let waited = ThreadWaits::read().zip(self.waits);
        let (waited, mean_wait) = waited.map_or((0.0, 0.0), |(after, before)| after.since(before));
        WORKER.with(|worker| WorkerReport {
            busy_share: (worker.busy_ns() as f64 * 1e-9 / elapsed).min(1.0),
            wait_share: waited / elapsed,
            mean_wait,
            clock_steps: worker.clock_steps(),
        })
    }
}

impl WorkerTask {
    async fn carry_out(self, begun: Begun) {
        let Self {
            shared,
            schedule,
            share,
            queue,
            pass,
            report,
            alive,
        } = self;
        let worker = Arc::new(Worker::new(share, queue));
        let sessions = schedule.sessions(share);
        let is_whole = dispatch(shared, worker, sessions, pass).await;
        let stopped = Error::Internal("a client stopped; what was measured before is kept");
        // Nobody waits for it if the run could not start.
        let _ = report.send(is_whole.then(|| begun.report()).ok_or(stopped));
        drop(alive);
    }
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
