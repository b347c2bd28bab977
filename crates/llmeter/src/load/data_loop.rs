//! Closed loop over data: clients work off one sequence of requests together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::live::{Adjustable, Lever};
use super::{RequestClass, Schedule, Session, Shard, Turn, WorkerShare};

/// Clients begin within this time, so that they do not march in step.
const START_SPREAD: Duration = Duration::from_millis(10);
/// Where the requests of the warm-up begin, so that the run proper sends the same with a warm-up and without.
pub(super) const WARMUP_START: u64 = 1 << 31;

/// A fixed number of clients that take the next request of the data whenever one is free. For one run.
#[derive(Debug, Clone)]
pub(crate) struct DataLoop {
    pub(crate) clients: usize,
    /// Where in the data the run begins.
    pub(crate) start: u64,
    /// Requests over all clients, if the load is bound by count.
    pub(crate) requests: Option<u64>,
    /// How long clients send, if the load is bound by time.
    pub(crate) duration: Option<Duration>,
    /// Requests before the run, over all clients.
    pub(crate) warmup: u64,
    /// How long such requests are sent, in the place of a number of them.
    pub(crate) warmup_time: Option<Duration>,
    /// The part of the load that this run plays: it takes every so-manieth request.
    pub(crate) shard: Option<Shard>,
    /// Requests taken so far, of the warm-up and of the run.
    pub(crate) taken: Arc<[AtomicU64; 2]>,
}

impl Schedule for DataLoop {
    fn sessions(&self, share: WorkerShare) -> Box<dyn Iterator<Item = Session> + Send> {
        let mine = (share.worker..self.clients).step_by(share.workers);
        let (before, measured): (Vec<_>, Vec<_>) = mine.map(|client| self.client(client)).unzip();
        Box::new(before.into_iter().flatten().chain(measured))
    }

    fn planned(&self) -> Option<u64> {
        self.requests
    }

    fn planned_in(&self, shard: Shard) -> Option<u64> {
        Some(count(shard, self.requests?))
    }

    fn duration(&self) -> Option<Duration> {
        self.duration
    }

    fn adjustable(&self) -> Option<Adjustable> {
        let is_adjustable = self.shard.is_none();
        is_adjustable.then(|| (Lever::Clients(self.clients), Arc::new(self.clone()) as _))
    }

    fn joining(&self, client: u64, _: u64) -> Option<Session> {
        Some(self.client(client as usize).1)
    }
}

/// How many of so many requests are a shard's.
fn count(shard: Shard, all: u64) -> u64 {
    shard.count(usize::try_from(all).unwrap_or(usize::MAX)) as u64
}

impl DataLoop {
    /// A client's share of the warm-up, and what it sends then.
    fn client(&self, client: usize) -> (Option<Session>, Session) {
        let (first, step) = self
            .shard
            .map_or((0, 1), |shard| (shard.index as u64 - 1, shard.of as u64));
        let session = |class, until, start: u64, limit: Option<u64>, pause| Session {
            client: client as u32,
            class,
            arrival: Duration::ZERO,
            until,
            place: None,
            turns: Box::new(Turns {
                taken: self.taken.clone(),
                class,
                start: start.wrapping_add(first),
                step,
                limit: match self.shard {
                    Some(shard) => limit.map(|limit| count(shard, limit)),
                    None => limit,
                },
                pause,
            }),
        };
        let has_warmup = self.warmup > 0 || self.warmup_time.is_some();
        let before = has_warmup.then(|| {
            let limit = self.warmup_time.is_none().then_some(self.warmup);
            let start = self.start.wrapping_add(WARMUP_START);
            session(
                RequestClass::Warmup,
                self.warmup_time,
                start,
                limit,
                Duration::ZERO,
            )
        });
        let pause = START_SPREAD.mul_f64((client % self.clients) as f64 / self.clients as f64);
        let measured = session(
            RequestClass::Measured,
            self.duration,
            self.start,
            self.requests,
            pause,
        );
        (before, measured)
    }
}

/// What one client takes.
struct Turns {
    taken: Arc<[AtomicU64; 2]>,
    class: RequestClass,
    start: u64,
    /// From one request to the next one of this shard.
    step: u64,
    /// Most requests over all clients.
    limit: Option<u64>,
    /// Before the first turn.
    pause: Duration,
}

impl Iterator for Turns {
    type Item = Turn;

    fn next(&mut self) -> Option<Turn> {
        let place = usize::from(self.class == RequestClass::Measured);
        let number = self.taken[place].fetch_add(1, Ordering::Relaxed);
        if self.limit.is_some_and(|limit| number >= limit) {
            return None;
        }
        Some(Turn {
            payload: self.start.wrapping_add(number * self.step) as usize,
            pause: std::mem::take(&mut self.pause),
            conversation: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data_loop(requests: Option<u64>, warmup: u64) -> DataLoop {
        DataLoop {
            clients: 3,
            start: 100,
            requests,
            duration: None,
            warmup,
            warmup_time: None,
            shard: None,
            taken: Arc::default(),
        }
    }

    fn sessions(schedule: &DataLoop) -> (Vec<Session>, Vec<Session>) {
        let all = |worker| WorkerShare { worker, workers: 2 };
        let sessions = (0..2).flat_map(|worker| schedule.sessions(all(worker)));
        sessions.partition(|session| session.class == RequestClass::Warmup)
    }

    #[test]
    fn clients_take_each_request_once_and_the_next_one_when_they_are_free() {
        let schedule = data_loop(Some(10), 0);
        assert_eq!(schedule.planned(), Some(10));
        let (warmup, mut measured) = sessions(&schedule);
        assert_eq!((warmup.len(), measured.len()), (0, 3));
        // The first client is slow.
        let mut taken = vec![measured[0].turns.next().unwrap().payload];
        for session in &mut measured[1..] {
            taken.extend(session.turns.by_ref().take(4).map(|turn| turn.payload));
        }
        taken.extend(measured[0].turns.by_ref().map(|turn| turn.payload));
        assert_eq!(taken, (100..110).collect::<Vec<_>>());
        assert!(
            measured
                .iter_mut()
                .all(|session| session.turns.next().is_none())
        );
    }

    #[test]
    fn shards_together_take_what_one_run_takes() {
        let taken = |shard| {
            let schedule = DataLoop {
                shard,
                ..data_loop(Some(11), 4)
            };
            let (warmup, measured) = sessions(&schedule);
            let turns = warmup.into_iter().chain(measured);
            let turns = turns.flat_map(|session| session.turns);
            turns.map(|turn| turn.payload).collect::<Vec<_>>()
        };
        let mut whole = taken(None);
        let shards = (1..=3).map(|index| Shard { index, of: 3 });
        let mut parts: Vec<_> = shards.flat_map(|shard| taken(Some(shard))).collect();
        whole.sort_unstable();
        parts.sort_unstable();
        assert_eq!(parts, whole);
        let schedule = data_loop(Some(11), 0);
        assert_eq!(schedule.planned_in(Shard { index: 3, of: 3 }), Some(3));
    }

    #[test]
    fn a_warm_up_has_requests_of_its_own() {
        let schedule = data_loop(None, 5);
        let (warmup, measured) = sessions(&schedule);
        let warmup: Vec<_> = warmup
            .into_iter()
            .flat_map(|session| session.turns)
            .map(|turn| turn.payload as u64)
            .collect();
        assert_eq!(
            warmup,
            (WARMUP_START + 100..WARMUP_START + 105).collect::<Vec<_>>()
        );
        let first = measured
            .into_iter()
            .next()
            .and_then(|mut session| session.turns.next());
        assert_eq!(first.unwrap().payload, 100);
    }
}
