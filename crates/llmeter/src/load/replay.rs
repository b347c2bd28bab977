//! Replay: requests at the times at which a trace had them.

use super::{Schedule, Session, Shard, Turn, WorkerShare};
use crate::data::ReplaySession;
use std::sync::Arc;

/// The sessions of a trace, each arriving at its own time.
#[derive(Debug)]
pub(crate) struct Replay {
    sessions: Arc<[ReplaySession]>,
}

impl Replay {
    pub(crate) fn new(sessions: &[ReplaySession]) -> Self {
        Self {
            sessions: sessions.into(),
        }
    }
}

impl Schedule for Replay {
    fn sessions(&self, share: WorkerShare) -> Box<dyn Iterator<Item = Session> + Send> {
        let all = self.sessions.clone();
        let mine = (share.worker..all.len()).step_by(share.workers);
        Box::new(mine.map(move |number| {
            let session = &all[number];
            let pauses = session.pauses.clone();
            let turns = session
                .requests
                .clone()
                .zip(pauses)
                .map(|(index, pause)| Turn {
                    payload: index as usize,
                    pause,
                });
            Session::new(number as u32, session.arrival, turns)
        }))
    }

    fn planned(&self) -> Option<u64> {
        let requests = self
            .sessions
            .iter()
            .map(|session| session.pauses.len() as u64);
        Some(requests.sum())
    }

    fn planned_in(&self, shard: Shard) -> Option<u64> {
        let mine = self.sessions.iter().skip(shard.index - 1).step_by(shard.of);
        Some(mine.map(|session| session.pauses.len() as u64).sum())
    }

    fn is_open_loop(&self) -> bool {
        true
    }

    fn is_of_data(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn workers_share_the_sessions_of_a_trace() {
        let session = |arrival, requests: std::ops::Range<u64>| ReplaySession {
            arrival: Duration::from_millis(arrival),
            pauses: vec![Duration::from_secs(1); (requests.end - requests.start) as usize],
            requests,
            parent: None,
        };
        let replay = Replay::new(&[session(0, 0..2), session(5, 2..3), session(5, 3..6)]);
        assert_eq!(replay.planned(), Some(6));
        let of_worker = |worker| {
            let sessions = replay.sessions(WorkerShare { worker, workers: 2 });
            let sessions = sessions.map(|session| {
                let turns: Vec<_> = session.turns.map(|turn| turn.payload).collect();
                (session.client, session.arrival, turns)
            });
            sessions.collect::<Vec<_>>()
        };
        let at = Duration::from_millis;
        assert_eq!(
            of_worker(0),
            [(0, at(0), vec![0, 1]), (2, at(5), vec![3, 4, 5])]
        );
        assert_eq!(of_worker(1), [(1, at(5), vec![2])]);
    }
}
