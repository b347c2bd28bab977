//! Replay: requests at the times at which a trace had them.

use super::{Conversations, Schedule, Session, Shard, WorkerShare};

/// The conversations of a trace, each arriving at its own time. Sub-agents are part of those that start them.
#[derive(Debug)]
pub(crate) struct Replay {
    conversations: Conversations,
}

impl Replay {
    pub(crate) fn new(conversations: Conversations) -> Self {
        Self { conversations }
    }

    fn count(&self) -> usize {
        self.conversations.count().unwrap_or(0) as usize
    }
}

impl Schedule for Replay {
    fn sessions(&self, share: WorkerShare) -> Box<dyn Iterator<Item = Session> + Send> {
        let conversations = self.conversations.clone();
        let mine = (share.worker..self.count()).step_by(share.workers);
        Box::new(mine.map(move |number| {
            let turns = conversations.turns(number as u64).into_iter();
            let (place, arrival) = conversations.arrival(number);
            Session::new(place, arrival, turns)
        }))
    }

    fn planned(&self) -> Option<u64> {
        self.conversations.requests(0..self.count() as u64)
    }

    fn planned_in(&self, shard: Shard) -> Option<u64> {
        let mine = (shard.index - 1..self.count()).step_by(shard.of);
        self.conversations
            .requests(mine.map(|number| number as u64))
    }

    fn is_open_loop(&self) -> bool {
        true
    }

    fn has_conversations(&self) -> bool {
        self.conversations.has_turns()
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
