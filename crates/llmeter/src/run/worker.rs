//! Workers: threads that send, read and stamp, each with a single-threaded runtime of its own.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use crate::base::error::{Error, Result};
use crate::base::host;
use crate::load::ClientPlan;
use crate::run::capture::Segment;
use crate::run::client;
use crate::run::gate::Pass;
use crate::run::session::Session;
use llmeter_wire::{WORKER, clock};

/// What a worker says of itself when it is done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WorkerReport {
    /// Share of its time that the worker was at work.
    pub(crate) busy_share: f64,
    /// Share of its time that the worker could have worked but had no core.
    pub(crate) wait_share: f64,
    /// How often the realtime clock jumped.
    pub(crate) clock_steps: u32,
}

/// Starts a worker with these clients. It drops `alive` when it is done.
pub(crate) fn spawn(
    number: usize,
    session: Arc<Session>,
    clients: Vec<(ClientPlan, Pass)>,
    queues: Vec<Sender<Segment>>,
    alive: tokio::sync::mpsc::Sender<()>,
) -> Result<std::thread::JoinHandle<Result<WorkerReport>>> {
    std::thread::Builder::new()
        .name(format!("worker-{number}"))
        .spawn(move || {
            let report = run(&session, clients, &queues);
            drop(alive);
            report
        })
        .map_err(Error::system("start a thread"))
}

/// A worker's runtime, for the thread that calls this.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .on_thread_park(|| WORKER.with(|worker| worker.parks()))
        .on_thread_unpark(|| WORKER.with(|worker| worker.woke()))
        .build()
        .map_err(Error::system("start a worker"))
}

fn run(
    session: &Arc<Session>,
    clients: Vec<(ClientPlan, Pass)>,
    queues: &[Sender<Segment>],
) -> Result<WorkerReport> {
    let runtime = runtime()?;
    let start = clock::now();
    let waited_before = host::thread_wait_seconds();
    WORKER.with(|worker| worker.woke());
    let is_whole = runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for (plan, pass) in clients {
            let queue = queues[plan.client as usize % queues.len()].clone();
            tasks.spawn(client::run(session.clone(), plan, pass, queue));
        }
        let mut is_whole = true;
        while let Some(ended) = tasks.join_next().await {
            is_whole &= ended.is_ok();
        }
        is_whole
    });
    let elapsed = clock::now().seconds_since(start).max(1e-9);
    let waited = host::thread_wait_seconds().zip(waited_before);
    let report = WORKER.with(|worker| WorkerReport {
        busy_share: (worker.busy_ns() as f64 * 1e-9 / elapsed).min(1.0),
        wait_share: waited.map_or(0.0, |(after, before)| (after - before) / elapsed),
        clock_steps: worker.clock_steps(),
    });
    if is_whole {
        Ok(report)
    } else {
        Err(Error::Internal(
            "a client stopped; what was measured before is kept",
        ))
    }
}
