//! Closed loop: a client sends its next request when the last one has ended.

use std::sync::Arc;
use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::live::{Adjustable, Lever};
use super::{RequestClass, Schedule, Session, Shard, Turn, WorkerShare};

/// Clients begin at random within this time, so that they do not march in step.
const START_SPREAD: Duration = Duration::from_millis(10);

/// A fixed number of clients, each with one request in flight.
#[derive(Debug, Clone)]
pub(crate) struct ClosedLoop {
    pub(crate) clients: usize,
    pub(crate) payloads: usize,
    /// Decides the order of payloads and when clients begin.
    pub(crate) seed: u64,
    /// Requests before the run, over all clients.
    pub(crate) warmup: u64,
    /// How long such requests are sent, in the place of a number of them.
    pub(crate) warmup_time: Option<Duration>,
    /// Requests of each client, if the load is bound by count.
    pub(crate) requests: Option<u64>,
    /// Most requests of the run over all clients.
    pub(crate) max_requests: Option<u64>,
    /// How long clients send, if the load is bound by time.
    pub(crate) duration: Option<Duration>,
}

impl Schedule for ClosedLoop {
    fn sessions(&self, share: WorkerShare) -> Box<dyn Iterator<Item = Session> + Send> {
        let mine = (share.worker..self.clients).step_by(share.workers);
        // All of it before the run: ordering many payloads takes time.
        let (warmup, measured): (Vec<_>, Vec<_>) =
            mine.map(|client| self.client(client as u64, 0)).unzip();
        Box::new(warmup.into_iter().flatten().chain(measured))
    }

    fn planned(&self) -> Option<u64> {
        let of_each = self.requests;
        let of_each = of_each.map(|requests| requests.saturating_mul(self.clients as u64));
        of_each.into_iter().chain(self.max_requests).min()
    }

    fn planned_in(&self, shard: Shard) -> Option<u64> {
        self.planned()?;
        let mine = (shard.index - 1..self.clients).step_by(shard.of);
        mine.map(|client| self.requests_of(client as u64)).sum()
    }

    fn duration(&self) -> Option<Duration> {
        self.duration
    }

    fn adjustable(&self) -> Option<Adjustable> {
        // A limit for all clients is shared out among those that there are at first.
        let is_adjustable = self.max_requests.is_none();
        is_adjustable.then(|| (Lever::Clients(self.clients), Arc::new(self.clone()) as _))
    }

    fn joining(&self, client: u64, round: u64) -> Option<Session> {
        Some(self.client(client, round).1)
    }
}

impl ClosedLoop {
    /// A client's part of something that all clients share.
    fn share(&self, all: u64, client: u64) -> u64 {
        let clients = self.clients as u64;
        all / clients + u64::from(client < all % clients)
    }

    /// How many requests a client sends, if that is bound.
    fn requests_of(&self, client: u64) -> Option<u64> {
        let most = self.max_requests.map(|all| self.share(all, client));
        self.requests.into_iter().chain(most).min()
    }

    /// A client's share of the warm-up, and what it sends then. The same seed gives the same for
    /// each client, whatever the number of clients; clients differ. `round`: how often the client has come
    /// before.
    pub(super) fn client(&self, client: u64, round: u64) -> (Option<Session>, Session) {
        // One stream of the generator for each client.
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(round << 32 | client);
        let mut order: Vec<u32> = (0..self.payloads as u32).collect();
        order.shuffle(&mut random);
        let order: Arc<[u32]> = order.into();
        let warmup = self.share(self.warmup, client);
        let requests = self.requests_of(client);
        let turns = |from: u64, left, pause| Turns {
            position: (from % order.len().max(1) as u64) as usize,
            order: order.clone(),
            left,
            pause,
        };
        let session = |class, turns, until| Session {
            client: client as u32,
            class,
            arrival: Duration::ZERO,
            until,
            place: None,
            turns: Box::new(turns),
        };
        let spread = START_SPREAD.mul_f64(random.random());
        let measured = turns(warmup, requests, spread);
        let before = match self.warmup_time {
            Some(_) => Some(turns(0, None, Duration::ZERO)),
            None => (warmup > 0).then(|| turns(0, Some(warmup), Duration::ZERO)),
        };
        (
            before.map(|turns| session(RequestClass::Warmup, turns, self.warmup_time)),
            session(RequestClass::Measured, measured, self.duration),
        )
    }
}

/// Payloads in a client's own order, walked in a circle.
struct Turns {
    order: Arc<[u32]>,
    position: usize,
    /// `None`: without an end.
    left: Option<u64>,
    /// Before the next turn.
    pause: Duration,
}

impl Iterator for Turns {
    type Item = Turn;

    fn next(&mut self) -> Option<Turn> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1)?;
        }
        let payload = *self.order.get(self.position)? as usize;
        self.position = (self.position + 1) % self.order.len();
        Some(Turn {
            payload,
            pause: std::mem::take(&mut self.pause),
            conversation: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed_loop(clients: usize, payloads: usize) -> ClosedLoop {
        ClosedLoop {
            clients,
            payloads,
            seed: 0,
            warmup: 0,
            warmup_time: None,
            requests: Some(payloads as u64),
            max_requests: None,
            duration: None,
        }
    }

    /// What each session of a run on one worker sends.
    fn walk(schedule: &ClosedLoop) -> Vec<(RequestClass, Vec<Turn>)> {
        let all = WorkerShare {
            worker: 0,
            workers: 1,
        };
        let sessions = schedule.sessions(all);
        sessions
            .map(|session| (session.class, session.turns.collect()))
            .collect()
    }

    fn payloads(turns: &[Turn]) -> Vec<usize> {
        turns.iter().map(|turn| turn.payload).collect()
    }

    #[test]
    fn a_client_walks_its_own_order_in_a_circle() {
        let mut schedule = closed_loop(2, 6);
        schedule.requests = Some(15);
        assert_eq!(schedule.planned(), Some(30));
        let sessions = walk(&schedule);
        let orders: Vec<_> = sessions.iter().map(|(_, turns)| payloads(turns)).collect();
        for order in &orders {
            assert_eq!(order.len(), 15);
            assert_eq!(order[6..12], order[..6]);
            assert_eq!(order[12..], order[..3]);
            let mut once = order[..6].to_vec();
            once.sort_unstable();
            assert_eq!(once, [0, 1, 2, 3, 4, 5]);
        }
        assert_ne!(orders[0], orders[1]);
    }

    #[test]
    fn what_a_client_sends_depends_on_the_seed_and_the_client_only() {
        let turns = |clients, seed| {
            let mut schedule = closed_loop(clients, 30);
            schedule.seed = seed;
            walk(&schedule)
        };
        let few = turns(3, 7);
        assert_eq!(
            turns(5, 7)[..3],
            few,
            "more clients leave the first ones alone"
        );
        assert_ne!(turns(3, 8), few);
        let spread: Vec<_> = few.iter().map(|(_, turns)| turns[0].pause).collect();
        assert!(spread.iter().all(|pause| *pause < START_SPREAD));
        assert!(spread[0] != spread[1] && spread[1] != spread[2]);
        let later = few.iter().flat_map(|(_, turns)| &turns[1..]);
        assert!(later.clone().all(|turn| turn.pause.is_zero()));
    }

    #[test]
    fn time_bounds_every_client() {
        let mut schedule = closed_loop(2, 1);
        schedule.requests = None;
        schedule.duration = Some(Duration::from_secs(1));
        let all = WorkerShare {
            worker: 0,
            workers: 1,
        };
        for session in schedule.sessions(all) {
            assert_eq!(session.until, schedule.duration);
            assert_eq!(session.turns.take(100).count(), 100);
        }
    }

    #[test]
    fn workers_share_the_clients() {
        let schedule = closed_loop(5, 1);
        let clients = |worker| {
            let share = WorkerShare { worker, workers: 2 };
            let sessions = schedule.sessions(share);
            sessions.map(|session| session.client).collect::<Vec<_>>()
        };
        assert_eq!(clients(0), [0, 2, 4]);
        assert_eq!(clients(1), [1, 3]);
    }

    #[test]
    fn a_warm_up_by_time_has_every_client_send_until_then() {
        let mut schedule = closed_loop(3, 4);
        schedule.warmup_time = Some(Duration::from_secs(10));
        let all = WorkerShare {
            worker: 0,
            workers: 1,
        };
        let (warmup, measured): (Vec<_>, Vec<_>) = schedule
            .sessions(all)
            .partition(|session| session.class == RequestClass::Warmup);
        assert_eq!((warmup.len(), measured.len()), (3, 3));
        for session in warmup {
            assert_eq!(session.until, schedule.warmup_time);
            assert_eq!(session.turns.take(100).count(), 100);
        }
    }

    #[test]
    fn warm_up_is_shared_out_and_comes_before_the_rest() {
        let mut schedule = closed_loop(3, 4);
        schedule.warmup = 5;
        let sessions = walk(&schedule);
        let (warmup, measured) = sessions.split_at(3);
        let shares: Vec<_> = warmup.iter().map(|(_, turns)| turns.len()).collect();
        assert_eq!(shares, [2, 2, 1]);
        assert!(
            warmup
                .iter()
                .all(|(class, _)| *class == RequestClass::Warmup)
        );
        for ((_, before), (class, turns)) in warmup.iter().zip(measured) {
            assert_eq!(*class, RequestClass::Measured);
            let mut walked = payloads(before);
            walked.extend(payloads(turns));
            assert_eq!(walked[4..], walked[..walked.len() - 4], "one order");
            let mut rest = payloads(turns);
            rest.sort_unstable();
            assert_eq!(rest, [0, 1, 2, 3], "every payload once");
        }
    }
}
