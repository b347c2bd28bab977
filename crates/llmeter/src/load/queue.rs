//! A list that clients work off together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{RequestClass, Schedule, Session, Turn, WorkerShare};

/// Clients begin within this time, so that they do not march in step.
const START_SPREAD: Duration = Duration::from_millis(10);

/// Payloads in an order, each sent once: a client that is free takes the next one. For one run.
#[derive(Debug)]
pub(crate) struct SharedQueue {
    clients: usize,
    order: Arc<[u32]>,
    next: Arc<AtomicUsize>,
    /// Requests before the run, over all clients.
    warmup: u64,
}

impl SharedQueue {
    pub(crate) fn new(clients: usize, order: Vec<u32>, warmup: u64) -> Self {
        Self {
            clients,
            order: order.into(),
            next: Arc::default(),
            warmup,
        }
    }

    fn client(&self, client: usize) -> [Option<Session>; 2] {
        let clients = self.clients as u64;
        let share = self.warmup / clients + u64::from((client as u64) < self.warmup % clients);
        let order = self.order.clone();
        let before = (0..share as usize)
            .map_while(move |turn| order.get((client + turn) % order.len()).copied());
        let pause = START_SPREAD.mul_f64(client as f64 / self.clients as f64);
        let session = |class, turns| Session {
            client: client as u32,
            class,
            arrival: Duration::ZERO,
            until: None,
            place: None,
            turns,
        };
        let before = Box::new(before.map(|payload| Turn::of_payload(payload as usize)));
        let measured = Box::new(Turns {
            order: self.order.clone(),
            next: self.next.clone(),
            pause,
        });
        [
            (share > 0).then(|| session(RequestClass::Warmup, before)),
            Some(Session {
                turns: measured,
                ..session(RequestClass::Measured, Box::new(std::iter::empty()))
            }),
        ]
    }
}

impl Schedule for SharedQueue {
    fn sessions(&self, share: WorkerShare) -> Box<dyn Iterator<Item = Session> + Send> {
        let mine = (share.worker..self.clients).step_by(share.workers);
        let (before, measured): (Vec<_>, Vec<_>) =
            mine.map(|client| self.client(client).into()).unzip();
        Box::new(before.into_iter().chain(measured).flatten())
    }

    fn is_of_experiment(&self) -> bool {
        true
    }

    fn planned(&self) -> Option<u64> {
        Some(self.order.len() as u64)
    }
}

/// What one client takes.
struct Turns {
    order: Arc<[u32]>,
    next: Arc<AtomicUsize>,
    /// Before the first turn.
    pause: Duration,
}

impl Iterator for Turns {
    type Item = Turn;

    fn next(&mut self) -> Option<Turn> {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        Some(Turn {
            payload: *self.order.get(at)? as usize,
            pause: std::mem::take(&mut self.pause),
            conversation: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_payload_is_sent_once_whoever_sends_it() {
        let queue = SharedQueue::new(3, vec![4, 0, 3, 1, 2], 4);
        let mut sessions: Vec<_> = (0..2)
            .flat_map(|worker| queue.sessions(WorkerShare { worker, workers: 2 }))
            .collect();
        let (mut before, mut sent) = (0, Vec::new());
        for session in &mut sessions {
            if session.class == RequestClass::Warmup {
                before += session.turns.by_ref().count();
            }
        }
        // In turn, as long as there is something.
        let mut measured: Vec<_> = sessions
            .iter_mut()
            .filter(|session| session.class == RequestClass::Measured)
            .collect();
        for _ in 0..4 {
            for session in &mut measured {
                sent.extend(session.turns.next().map(|turn| turn.payload));
            }
        }
        assert_eq!((before, measured.len()), (4, 3));
        assert_eq!(sent, [4, 0, 3, 1, 2]);
        assert_eq!(queue.planned(), Some(5));
    }
}
