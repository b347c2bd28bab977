//! What all sessions of a run share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::cost::SpendGuard;
use crate::endpoint::Endpoint;
use crate::load::{Balancer, Cancellation, SlowReaders};
use crate::run::alarm::Alarm;
use crate::run::backlog::Backlog;
use crate::run::control::Controlled;
use crate::run::conversation::SessionCounts;
use crate::run::failure_limit::StopSignal;
use crate::run::gate::StartBarrier;
use crate::run::offered::Offered;
use crate::run::prefetch::Requests;
use crate::run::rate_limits::RateLimits;
use crate::run::route::Route;
use crate::run::{Connections, Interrupt, RunConfig};
use llmeter_wire::clock::{self, Stamp};
use llmeter_wire::packet::PacketCapture;
use llmeter_wire::{Connection, Dialer, Phase};

/// Connections that one run opens at the same time: more would overflow the accept queues of typical
/// servers, whose dropped packets look like slow connects.
const MAX_CONCURRENT_CONNECTS: usize = 128;

/// By how much a timer of the runtime may be late: they tick in milliseconds.
const RUNTIME_TICK: Duration = Duration::from_millis(3);

/// Observes connections being opened.
pub(crate) trait ConnectionWatch: Send + Sync {
    /// A phase begins.
    fn enter(&self, phase: Phase);

    /// The connection is there.
    fn connected(&self, connection: &Connection);
}

/// What all sessions of a run share.
pub(crate) struct Shared {
    pub(super) routes: Arc<[Route]>,
    /// What opens connections to each server; none for an endpoint that sends its requests itself.
    pub(super) dialers: Vec<Dialer>,
    pub(super) balancer: Balancer,
    pub(super) requests: Requests,
    pub(super) timeout: Duration,
    pub(super) connections_kept: Connections,
    pub(super) is_http2: bool,
    pub(super) max_retries: u32,
    /// Whether clients wait after failures.
    pub(super) pauses_after_failures: bool,
    /// Ends the sending when too much fails.
    pub(crate) stop: StopSignal,
    pub(crate) rate_limits: RateLimits,
    /// Observes connections being opened.
    pub(crate) watch: Option<Arc<dyn ConnectionWatch>>,
    pub(crate) interrupt: Interrupt,
    /// Stops the sending before it costs too much.
    pub(crate) guard: Option<Arc<SpendGuard>>,
    pub(crate) backlog: Arc<Backlog>,
    cancel: Option<Cancellation>,
    slow_readers: Option<SlowReaders>,
    seed: u64,
    /// When the stages of the load end, after the start.
    pub(crate) stage_ends: Vec<Duration>,
    /// The load, if it can be changed in mid-run.
    pub(crate) controlled: Option<Arc<Controlled>>,
    /// The load of an open loop.
    pub(crate) offered: Option<Offered>,
    /// Of a load of conversations.
    pub(crate) sessions: Option<SessionCounts>,
    /// Requests that may still be sent, where the schedule does not bound them.
    budget: Option<AtomicU64>,
    pub(super) connecting: Semaphore,
    /// Where workers wait until every warm-up request has ended.
    pub(super) gate: StartBarrier,
    started: AtomicI64,
    ended: AtomicI64,
    connections: AtomicU64,
    has_succeeded: AtomicBool,
}

impl Shared {
    pub(crate) fn new(
        config: &RunConfig,
        routes: Arc<[Route]>,
        dialers: Vec<Dialer>,
        requests: Requests,
        interrupt: Interrupt,
        gate: StartBarrier,
        guard: Option<Arc<SpendGuard>>,
    ) -> Self {
        Self {
            balancer: Balancer::new(config.balance, routes.len()),
            routes,
            dialers,
            requests,
            timeout: config.timeout,
            connections_kept: config.connections,
            is_http2: config.http2,
            max_retries: config.max_retries,
            pauses_after_failures: config.failure_pause,
            stop: StopSignal::default(),
            rate_limits: RateLimits::default(),
            watch: None,
            interrupt,
            guard,
            backlog: Arc::new(Backlog::new(
                config.in_flight_bound().unwrap_or(usize::MAX),
                config.low_memory,
            )),
            cancel: config.cancel,
            slow_readers: config.read_rate,
            seed: config.seed,
            stage_ends: Vec::new(),
            controlled: None,
            offered: config
                .is_open_loop()
                .then(|| Offered::new(config.in_flight_bound())),
            sessions: None,
            budget: config.own_max_requests().map(AtomicU64::new),
            connecting: Semaphore::new(MAX_CONCURRENT_CONNECTS),
            gate,
            started: AtomicI64::new(i64::MAX),
            ended: AtomicI64::new(i64::MIN),
            connections: AtomicU64::new(0),
            has_succeeded: AtomicBool::new(false),
        }
    }

    /// One of the servers.
    pub(super) fn endpoint(&self, server: u16) -> &dyn Endpoint {
        &*self.routes[usize::from(server)].endpoint
    }

    /// The capture of packets, if the run has one.
    pub(super) fn capture(&self) -> Option<&Arc<PacketCapture>> {
        self.dialers.iter().find_map(Dialer::capture)
    }

    /// Begins the run proper, if it has not begun. Returns when it did.
    pub(super) fn begin(&self) -> Stamp {
        let now = clock::now().0;
        Stamp(self.started.fetch_min(now, Ordering::Relaxed).min(now))
    }

    /// A session is done.
    pub(super) fn note_end(&self) {
        self.ended.fetch_max(clock::now().0, Ordering::Relaxed);
    }

    /// A connection was opened.
    pub(super) fn note_connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A request has succeeded.
    pub(super) fn note_success(&self) {
        if !self.has_succeeded() {
            self.has_succeeded.store(true, Ordering::Relaxed);
        }
    }

    /// Whether any request has succeeded, as far as is known.
    pub(super) fn has_succeeded(&self) -> bool {
        self.has_succeeded.load(Ordering::Relaxed)
    }

    /// When the run proper began, warm-up excluded; `None` before that.
    pub(crate) fn started(&self) -> Option<Stamp> {
        Some(Stamp(self.started.load(Ordering::Relaxed))).filter(|stamp| stamp.0 != i64::MAX)
    }

    /// When the last session so far was done; `None` if none is.
    pub(crate) fn ended(&self) -> Option<Stamp> {
        Some(Stamp(self.ended.load(Ordering::Relaxed))).filter(|stamp| stamp.0 != i64::MIN)
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Whether nothing more is to be sent.
    pub(super) fn is_stopping(&self) -> bool {
        self.interrupt.is_stopped() || self.stop.is_stopped()
    }

    /// Waits for that.
    pub(super) async fn stopping(&self) {
        tokio::select! {
            () = self.interrupt.stopped() => {}
            () = self.stop.stopped() => {}
        }
    }

    /// When the so-manieth request of a client is closed, and how many bytes of its response are read in a
    /// second, if that is to be so.
    pub(super) fn fate(&self, client: u32, sequence: u64) -> (Option<Duration>, Option<u32>) {
        let cancel = self
            .cancel
            .and_then(|cancel| cancel.of(self.seed, client, sequence));
        let slow = self
            .slow_readers
            .and_then(|slow| slow.of(self.seed, client, sequence));
        (cancel, slow)
    }

    /// The stage, from 1 on, in which a moment of a run is that began at `start`. What comes after the last
    /// belongs to it. Of a load that was changed in mid-run, the interval between changes.
    pub(super) fn stage(&self, at: Stamp, start: Stamp) -> Option<u32> {
        let Some(last) = self.stage_ends.len().checked_sub(1) else {
            let controlled = self.controlled.as_ref()?;
            return controlled.interval(Duration::from_secs_f64(at.seconds_since(start).max(0.0)));
        };
        let passed = self
            .stage_ends
            .partition_point(|end| start.after(*end) <= at);
        Some(passed.min(last) as u32 + 1)
    }

    /// Takes one of the requests that may still be sent.
    pub(super) fn take_request(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        self.budget.as_ref().is_none_or(|budget| {
            budget
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
                .is_ok()
        })
    }

    /// Waits until then, unless the run is stopped.
    pub(super) async fn sleep_until(&self, due: Stamp) {
        let left = due.seconds_since(clock::now());
        if left > 0.0 {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs_f64(left)) => {}
                () = self.stopping() => {}
            }
        }
    }

    /// Waits until then as punctually as the kernel can, unless the run is stopped. An alarm holds a file
    /// descriptor, so that one is made only for the last moments.
    pub(super) async fn sleep_until_exactly(&self, due: Stamp) {
        self.sleep_until(Stamp(due.0 - RUNTIME_TICK.as_nanos() as i64))
            .await;
        let alarm = Alarm::new();
        tokio::select! {
            () = alarm.sleep_until(due) => {}
            () = self.stopping() => {}
        }
    }

    pub(super) async fn wait_for_recorder(&self) {
        if !self.backlog.is_full() {
            return;
        }
        let start = clock::now();
        tokio::select! {
            () = self.backlog.room() => {}
            () = self.stopping() => {}
        }
        self.backlog.note_wait(start);
    }
}
