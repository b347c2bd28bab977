//! The load that an open loop asks for, and what comes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::base::failure::{Failure, FailureKind};
use crate::endpoint::InvocationResponse;
use crate::run::capture::Due;
use crate::run::shared::Shared;
use llmeter_wire::clock::{self, Stamp};

/// What the sessions of an open loop share.
pub(crate) struct Offered {
    /// `usize::MAX`: none.
    limit: AtomicUsize,
    /// Requests that may be in flight.
    room: Option<Arc<Semaphore>>,
    /// Requests in flight beyond a limit that was lowered.
    beyond: Arc<AtomicUsize>,
    /// Until when a request waited for that last.
    full_until: AtomicI64,
    due: AtomicU64,
    first_due: AtomicI64,
    last_due: AtomicI64,
    /// Requests that waited, and the time that they did.
    waited: AtomicU64,
    waited_ns: AtomicU64,
    /// Requests whose time was over before they could be sent, and how long they had been due then.
    unsent: AtomicU64,
    unsent_ns: AtomicU64,
    /// Those of them that were not sent because the run was stopped.
    stopped: AtomicU64,
    /// Requests due in each stage.
    due_by_stage: Vec<AtomicU64>,
    in_flight: Arc<InFlight>,
}

/// Requests in flight.
#[derive(Debug, Default)]
struct InFlight {
    now: AtomicU64,
    peak: AtomicU64,
}

/// Lets one request be sent; it is no longer in flight when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    permit: Option<OwnedSemaphorePermit>,
    /// Where the limit was lowered since, the place is not given back.
    beyond: Option<Arc<AtomicUsize>>,
    in_flight: Option<Arc<InFlight>>,
    /// Seconds that the request waited for others to end.
    pub(crate) waited: f64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(in_flight) = &self.in_flight {
            in_flight.now.fetch_sub(1, Relaxed);
        }
        if let (Some(permit), Some(beyond)) = (self.permit.take(), &self.beyond)
            && beyond.load(Relaxed) > 0
            && beyond
                .fetch_update(Relaxed, Relaxed, |count| count.checked_sub(1))
                .is_ok()
        {
            permit.forget();
        }
    }
}

impl Offered {
    /// A load with so many requests in flight at most.
    pub(crate) fn new(limit: Option<usize>) -> Self {
        let room = limit.map(|limit| Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))));
        Self {
            limit: AtomicUsize::new(limit.unwrap_or(usize::MAX)),
            room,
            beyond: Arc::default(),
            full_until: AtomicI64::new(i64::MIN),
            due: AtomicU64::new(0),
            first_due: AtomicI64::new(i64::MAX),
            last_due: AtomicI64::new(i64::MIN),
            waited: AtomicU64::new(0),
            waited_ns: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
            unsent_ns: AtomicU64::new(0),
            stopped: AtomicU64::new(0),
            due_by_stage: Vec::new(),
            in_flight: Arc::default(),
        }
    }

    /// Makes [`set_limit`](Self::set_limit) possible.
    pub(crate) fn let_limit_change(&mut self) {
        self.room
            .get_or_insert_with(|| Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)));
    }

    /// Requests that may be in flight, if that is bound.
    fn limit(&self) -> Option<usize> {
        Some(self.limit.load(Relaxed)).filter(|limit| *limit != usize::MAX)
    }

    /// Sets how many requests may be in flight from now on. What is in flight beyond it ends as it would.
    pub(crate) fn set_limit(&self, limit: Option<usize>) {
        let Some(room) = &self.room else {
            return;
        };
        let new = limit.unwrap_or(usize::MAX);
        let old = self.limit.swap(new, Relaxed);
        let [old, new] = [old, new].map(|limit| limit.min(Semaphore::MAX_PERMITS));
        if new >= old {
            let mut more = new - old;
            // Those who were to leave their place may keep it.
            let settle = |beyond: usize| Some(beyond.saturating_sub(more));
            if let Ok(beyond) = self.beyond.fetch_update(Relaxed, Relaxed, settle) {
                more -= beyond.min(more);
            }
            room.add_permits(more);
        } else {
            let free = room.forget_permits(old - new);
            self.beyond.fetch_add(old - new - free, Relaxed);
        }
    }

    /// Requests in flight.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.now.load(Relaxed)
    }

    /// A load of so many stages.
    pub(crate) fn stages(&mut self, stages: usize) {
        self.due_by_stage = (0..stages).map(|_| AtomicU64::new(0)).collect();
    }

    /// Requests that became due in a stage, counted from 0.
    pub(crate) fn due_in(&self, stage: usize) -> Option<u64> {
        Some(self.due_by_stage.get(stage)?.load(Relaxed))
    }

    /// Requests that became due in no stage.
    pub(crate) fn due_in_none(&self) -> u64 {
        let in_stages = self.due_by_stage.iter().map(|due| due.load(Relaxed));
        self.due().saturating_sub(in_stages.sum())
    }

    /// A request has become due, in a stage counted from 1.
    pub(crate) fn note_due(&self, at: Stamp, stage: Option<u32>) {
        let stage = stage.and_then(|stage| self.due_by_stage.get(stage as usize - 1));
        if let Some(due) = stage {
            due.fetch_add(1, Relaxed);
        }
        self.due.fetch_add(1, Relaxed);
        self.first_due.fetch_min(at.0, Relaxed);
        self.last_due.fetch_max(at.0, Relaxed);
    }

    /// A request that was noted as due is one more than are to be sent.
    pub(crate) fn forget_due(&self, stage: Option<u32>) {
        let stage = stage.and_then(|stage| self.due_by_stage.get(stage as usize - 1));
        for due in stage.into_iter().chain([&self.due]) {
            due.fetch_sub(1, Relaxed);
        }
    }

    /// Requests that became due.
    pub(crate) fn due(&self) -> u64 {
        self.due.load(Relaxed)
    }

    /// A request that was due is not sent, which is settled at `end`.
    pub(crate) fn note_unsent(&self, due: Stamp, end: Stamp) {
        self.unsent.fetch_add(1, Relaxed);
        let waited = end.0.saturating_sub(due.0).max(0).unsigned_abs();
        self.unsent_ns.fetch_add(waited, Relaxed);
    }

    /// A request that was due is not sent because the run is stopped.
    pub(crate) fn note_stopped(&self, due: Stamp) {
        self.note_unsent(due, clock::now());
        self.stopped.fetch_add(1, Relaxed);
    }

    /// The time that a request waited which was due then and may be sent now.
    fn waited_since(&self, due: Stamp, has_waited: bool) -> f64 {
        if self.room.is_none() {
            return 0.0;
        }
        let until = match has_waited {
            true => {
                let now = clock::now().0;
                self.full_until.fetch_max(now, Relaxed).max(now)
            }
            // Those before it in line may have waited while it was due.
            false => self.full_until.load(Relaxed),
        };
        let waited = until.saturating_sub(due.0).max(0);
        if waited > 0 {
            self.waited.fetch_add(1, Relaxed);
            self.waited_ns.fetch_add(waited.unsigned_abs(), Relaxed);
        }
        waited as f64 * 1e-9
    }

    fn count(&self) -> Arc<InFlight> {
        let now = self.in_flight.now.fetch_add(1, Relaxed) + 1;
        self.in_flight.peak.fetch_max(now, Relaxed);
        self.in_flight.clone()
    }

    /// The load of a run whose requests were to arrive for `duration` seconds, if that was settled and it
    /// came to that, and that began at `start` and took `window` seconds.
    pub(crate) fn conclude(
        &self,
        achieved: &Achieved,
        start: Option<Stamp>,
        duration: Option<f64>,
        window: Option<f64>,
    ) -> LoadFigures {
        let due = self.due();
        let span = |count: u64, first: i64, last: i64| {
            let seconds = last.saturating_sub(first) as f64 * 1e-9;
            (count > 1 && seconds > 0.0).then(|| (count - 1) as f64 / seconds)
        };
        let sent = achieved.sent;
        let [first, last] = [achieved.first, achieved.last].map(|stamp| stamp.map_or(0, |at| at.0));
        let (offered, reached) = match (duration, start) {
            (Some(duration), Some(start)) if duration > 0.0 => {
                let sending = Stamp(last).seconds_since(start).max(duration);
                (Some(due as f64 / duration), Some(sent as f64 / sending))
            }
            _ => (
                span(
                    due,
                    self.first_due.load(Relaxed),
                    self.last_due.load(Relaxed),
                ),
                span(sent, first, last),
            ),
        };
        let never_sent = self.unsent_ns.load(Relaxed) as f64 * 1e-9;
        let mean = |sum: f64| {
            window
                .filter(|window| *window > 0.0)
                .map(|window| sum / window)
        };
        LoadFigures {
            due,
            sent,
            unsent: self.unsent.load(Relaxed),
            stopped: self.stopped.load(Relaxed),
            cancelled: achieved.cancelled,
            refused: achieved.refused,
            offered_rate: offered,
            achieved_rate: reached,
            offered_in_flight: mean(
                achieved.in_flight + achieved.lateness + achieved.never_sent + never_sent,
            ),
            achieved_in_flight: mean(achieved.in_flight),
            peak_in_flight: self.in_flight.peak.load(Relaxed),
            limit: self.limit(),
            waited: self.waited.load(Relaxed),
            wait: self.waited_ns.load(Relaxed) as f64 * 1e-9,
            connection_wait: achieved.connection_wait,
            own_lateness: achieved.own_lateness_p99(),
        }
    }
}

impl Shared {
    /// Waits until a request that is due then may be in flight. `None` if the run is stopped meanwhile. A
    /// closed loop is bound by its clients.
    pub(crate) async fn enter(&self, due: Stamp, is_warmup: bool) -> Option<Entry> {
        let Some(offered) = &self.offered else {
            return Some(Entry::default());
        };
        let mut has_waited = false;
        let permit = match &offered.room {
            None => None,
            Some(room) => Some(match room.clone().try_acquire_owned() {
                Ok(permit) => permit,
                Err(_) => {
                    has_waited = true;
                    tokio::select! {
                        permit = room.clone().acquire_owned() => permit.ok()?,
                        () = self.stopping() => return None,
                    }
                }
            }),
        };
        let (in_flight, waited) = match is_warmup {
            true => (None, 0.0),
            false => (Some(offered.count()), offered.waited_since(due, has_waited)),
        };
        Some(Entry {
            beyond: permit.as_ref().map(|_| offered.beyond.clone()),
            permit,
            in_flight,
            waited,
        })
    }

    /// When a request is due, if the clock decides that.
    pub(crate) fn due(&self, at: Stamp, start: Stamp, entry: &Entry) -> Option<Due> {
        self.offered.as_ref().map(|_| Due {
            at,
            start,
            in_flight_wait: entry.waited,
        })
    }
}

/// What the responses of an open loop say of its load.
pub(crate) struct Achieved {
    sent: u64,
    first: Option<Stamp>,
    last: Option<Stamp>,
    /// Seconds that requests were in flight, and that they were late, summed.
    in_flight: f64,
    lateness: f64,
    /// Seconds from when requests were due that were never sent to when that was settled, summed.
    never_sent: f64,
    /// Those of them that were cancelled before, and that a callback refused.
    cancelled: u64,
    refused: u64,
    connection_wait: f64,
    /// Lateness without what is waited for by intention, in nanoseconds.
    own_lateness: Histogram<u64>,
}

impl Achieved {
    pub(crate) fn new(own_lateness: Histogram<u64>) -> Self {
        Self {
            sent: 0,
            first: None,
            last: None,
            in_flight: 0.0,
            lateness: 0.0,
            never_sent: 0.0,
            cancelled: 0,
            refused: 0,
            connection_wait: 0.0,
            own_lateness,
        }
    }

    /// Takes in a response that was in flight between two moments; one that was never sent has none, and has been
    /// due for `given_up` seconds when that was settled.
    pub(crate) fn record(
        &mut self,
        response: &InvocationResponse,
        exchange: Option<[Stamp; 2]>,
        given_up: Option<f64>,
    ) {
        let (detail, schedule) = (&response.detail, response.schedule());
        let waits = schedule.connection_wait.unwrap_or(0.0);
        self.connection_wait += waits;
        let (Some([sent, end]), Some(late)) = (exchange, detail.send_lateness) else {
            let kind = response.error.as_ref().map(Failure::kind);
            self.never_sent += given_up.unwrap_or(0.0);
            self.cancelled += u64::from(kind == Some(FailureKind::Cancelled));
            self.refused += u64::from(kind == Some(FailureKind::Callback));
            return;
        };
        self.sent += 1;
        self.first = Some(self.first.map_or(sent, |first| first.min(sent)));
        self.last = Some(self.last.map_or(sent, |last| last.max(sent)));
        self.in_flight += end.seconds_since(sent).max(0.0);
        self.lateness += late;
        let own = late - waits - schedule.in_flight_wait.unwrap_or(0.0);
        let own = (own * 1e9).max(1.0) as u64;
        self.own_lateness.saturating_record(own);
    }

    /// Seconds that requests took from when they were due, summed.
    pub(crate) fn time_of_requests(&self) -> f64 {
        self.in_flight + self.lateness
    }

    fn own_lateness_p99(&self) -> Option<f64> {
        (!self.own_lateness.is_empty())
            .then(|| self.own_lateness.value_at_quantile(0.99) as f64 * 1e-9)
    }
}

/// The load of an open loop: what was asked for and what came of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoadFigures {
    pub(crate) due: u64,
    pub(crate) sent: u64,
    pub(crate) unsent: u64,
    /// Those of them that were not sent because the run was stopped.
    pub(crate) stopped: u64,
    /// Requests that were cancelled before they were sent, and that callbacks refused.
    pub(crate) cancelled: u64,
    pub(crate) refused: u64,
    pub(crate) offered_rate: Option<f64>,
    pub(crate) achieved_rate: Option<f64>,
    pub(crate) offered_in_flight: Option<f64>,
    pub(crate) achieved_in_flight: Option<f64>,
    pub(crate) peak_in_flight: u64,
    pub(crate) limit: Option<usize>,
    pub(crate) waited: u64,
    /// Seconds, summed.
    pub(crate) wait: f64,
    pub(crate) connection_wait: f64,
    /// The 99th percentile, in seconds.
    pub(crate) own_lateness: Option<f64>,
}

impl LoadFigures {
    /// The statistics.
    pub(crate) fn stats(&self) -> Map<String, Value> {
        // A limit may have been lifted in mid-run.
        let has_limit = self.limit.is_some() || self.waited > 0;
        let with_limit = |value: Value| has_limit.then_some(value);
        let stats = [
            ("due_requests", Some(json!(self.due))),
            (
                "unsent_requests",
                (self.unsent > 0).then(|| json!(self.unsent)),
            ),
            ("offered_rate", self.offered_rate.map(Value::from)),
            ("achieved_rate", self.achieved_rate.map(Value::from)),
            ("offered_in_flight", self.offered_in_flight.map(Value::from)),
            (
                "achieved_in_flight",
                self.achieved_in_flight.map(Value::from),
            ),
            ("peak_in_flight", Some(json!(self.peak_in_flight))),
            ("in_flight_limit", self.limit.map(|limit| json!(limit))),
            ("in_flight_waits", with_limit(json!(self.waited))),
            ("in_flight_wait", with_limit(json!(self.wait))),
        ];
        stats
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::ScheduleDetail;
    use crate::run::quality::nanosecond_histogram;

    fn achieved(sent: &[f64]) -> Achieved {
        let mut achieved = Achieved::new(nanosecond_histogram());
        for at in sent {
            let at = Stamp((at * 1e9) as i64);
            let mut response = InvocationResponse::default();
            response.detail.send_lateness = Some(0.25);
            response.detail.schedule = Some(Box::new(ScheduleDetail {
                connection_wait: Some(0.125),
                ..ScheduleDetail::default()
            }));
            let end = Stamp(at.0 + 500_000_000);
            achieved.record(&response, Some([at, end]), None);
        }
        achieved
    }

    #[test]
    fn rates_are_of_the_time_that_was_settled_or_of_the_spans() {
        let offered = Offered::new(None);
        for due in 0..10 {
            offered.note_due(Stamp(due * 1_000_000_000), None);
        }
        let sent: Vec<_> = (0..10).map(f64::from).collect();
        let start = Some(Stamp(0));
        let by_count = offered.conclude(&achieved(&sent), start, None, Some(10.0));
        assert_eq!(
            (by_count.offered_rate, by_count.achieved_rate),
            (Some(1.0), Some(1.0))
        );
        assert_eq!(by_count.achieved_in_flight, Some(0.5));
        assert_eq!(by_count.offered_in_flight, Some(0.75));
        assert!((by_count.own_lateness.unwrap() - 0.125).abs() < 1e-3);
        let by_time = offered.conclude(&achieved(&sent), start, Some(20.0), Some(20.0));
        assert_eq!(
            (by_time.offered_rate, by_time.achieved_rate),
            (Some(0.5), Some(0.5))
        );
        // Two were never sent, and the last one late.
        let late = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 40.0];
        let late = offered.conclude(&achieved(&late), start, Some(20.0), Some(40.0));
        assert_eq!(late.achieved_rate, Some(0.2));
        // Each was offered all the same, until the time was over.
        for due in [8, 9] {
            offered.note_unsent(Stamp(due * 1_000_000_000), Stamp(20_000_000_000));
        }
        let unsent = offered.conclude(&achieved(&sent[..8]), start, Some(20.0), Some(20.0));
        assert_eq!(
            (unsent.unsent, unsent.offered_in_flight),
            (2, Some((8.0 * 0.75 + 12.0 + 11.0) / 20.0))
        );
        // One was refused while it was connected, one by a callback, and one was cancelled before: of none of
        // them anything was in flight, and all were offered until then.
        let mut unreachable = achieved(&sent[..8]);
        for kind in [
            FailureKind::ConnectionRefused,
            FailureKind::Callback,
            FailureKind::Cancelled,
        ] {
            let response = InvocationResponse {
                error: Some(Failure::new(kind, "no")),
                ..InvocationResponse::default()
            };
            unreachable.record(&response, None, Some(2.0));
        }
        let figures = offered.conclude(&unreachable, start, Some(20.0), Some(20.0));
        assert_eq!(
            (figures.sent, figures.refused, figures.cancelled),
            (8, 1, 1)
        );
        assert_eq!(figures.achieved_in_flight, Some(8.0 * 0.5 / 20.0));
        assert_eq!(
            figures.offered_in_flight,
            Some((8.0 * 0.75 + 12.0 + 11.0 + 6.0) / 20.0)
        );
        let none = Offered::new(Some(3)).conclude(&achieved(&[]), None, None, None);
        assert_eq!((none.offered_rate, none.achieved_rate), (None, None));
        assert_eq!(none.stats()["in_flight_waits"], json!(0));
    }

    #[test]
    fn who_is_due_while_the_line_stands_waits_as_well() {
        let offered = Offered::new(Some(1));
        let now = clock::now();
        let due = |before: i64| Stamp(now.0 - before);
        assert_eq!(offered.waited_since(due(5), false), 0.0);
        assert!(offered.waited_since(due(1_000_000_000), true) >= 1.0);
        assert!(offered.waited_since(due(500_000_000), false) >= 0.5);
        assert_eq!(offered.waited_since(Stamp(clock::now().0 + 1), false), 0.0);
        assert_eq!(offered.waited.load(Relaxed), 2);
    }
}
