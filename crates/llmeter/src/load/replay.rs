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
    use crate::base::error::Result;
    use crate::data::{DataRequest, DataSource, ReplayParent, ReplaySession};
    use crate::load::{History, TraceSessions, Turn};

    #[derive(Debug)]
    struct Nothing;

    impl DataSource for Nothing {
        fn size(&self) -> Option<u64> {
            None
        }

        fn request(&self, _: u64) -> Result<DataRequest> {
            Ok(DataRequest::of_payload(Default::default()))
        }
    }

    fn replay(sessions: &[ReplaySession]) -> Replay {
        Replay::new(Conversations {
            data: std::sync::Arc::new(Nothing),
            trace: Some(TraceSessions::new(sessions)),
            think_time: None,
            history: History::Server,
            counts_single: false,
            seed: 0,
        })
    }

    fn session(arrival: u64, requests: std::ops::Range<u64>) -> ReplaySession {
        ReplaySession {
            arrival: Duration::from_millis(arrival),
            pauses: vec![Duration::from_secs(1); (requests.end - requests.start) as usize],
            requests,
            parent: None,
        }
    }

    #[test]
    fn sub_agents_hang_on_the_turn_that_starts_them() {
        let parent = |after, joined_by| {
            Some(ReplayParent {
                session: 0,
                after,
                pause: Duration::from_secs(7),
                joined_by,
            })
        };
        let agent = |requests, after, joined_by| ReplaySession {
            parent: parent(after, joined_by),
            ..session(9, requests)
        };
        let replay = replay(&[
            session(0, 0..3),
            agent(3..5, 1, Some(2)),
            session(5, 5..6),
            agent(6..7, 2, None),
            // One that nothing comes before begins by itself.
            agent(7..8, 0, Some(1)),
        ]);
        assert_eq!(replay.planned(), Some(8));
        let all = WorkerShare {
            worker: 0,
            workers: 1,
        };
        let sessions: Vec<_> = replay.sessions(all).collect();
        let clients: Vec<_> = sessions.iter().map(|session| session.client).collect();
        assert_eq!(clients, [0, 2, 4]);
        let turns: Vec<Turn> = sessions.into_iter().next().unwrap().turns.collect();
        let agents = |turn: usize| &turns[turn].conversation.as_ref().unwrap().agents;
        assert_eq!((turns.len(), agents(2).len()), (3, 0));
        let [first] = &agents(0)[..] else { panic!() };
        let payloads: Vec<_> = first.turns.iter().map(|turn| turn.payload).collect();
        assert_eq!((first.session, payloads), (1, vec![3, 4]));
        assert_eq!((first.joined_by, first.pause.as_secs()), (Some(2), 7));
        let [second] = &agents(1)[..] else { panic!() };
        assert_eq!((second.session, second.joined_by), (3, None));
        let shards = (1..=2).map(|index| replay.planned_in(Shard { index, of: 2 }));
        assert_eq!(shards.collect::<Vec<_>>(), [Some(7), Some(1)]);
    }

    #[test]
    fn workers_share_the_sessions_of_a_trace() {
        let replay = replay(&[session(0, 0..2), session(5, 2..3), session(5, 3..6)]);
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
