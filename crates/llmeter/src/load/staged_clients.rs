//! A closed loop whose number of clients changes over time.

use std::time::Duration;

use super::closed_loop::ClosedLoop;
use super::{RequestClass, Schedule, Session, Stages, WorkerShare};

/// Clients that begin and stop as the stages say. A client that stops ends its request first.
#[derive(Debug, Clone)]
pub(crate) struct StagedClients {
    pub(crate) stages: Stages,
    /// The most of them, with all that they have in common.
    pub(crate) clients: ClosedLoop,
}

impl Schedule for StagedClients {
    fn sessions(&self, share: WorkerShare) -> Box<dyn Iterator<Item = Session> + Send> {
        let profile = self.stages.profile();
        let mine = (share.worker..self.clients.clients).step_by(share.workers);
        let (mut warmup, mut measured) = (Vec::new(), Vec::new());
        for client in mine {
            // Half a client is one, so that ramps begin and end in the middle of a step.
            for (number, (from, to)) in profile
                .at_least(client as f64 + 0.5)
                .into_iter()
                .enumerate()
            {
                let (before, mut session) = self.clients.client(client as u64, number as u64);
                if number == 0 {
                    warmup.extend(before);
                }
                session.arrival = Duration::try_from_secs_f64(from).unwrap_or_default();
                session.until = Duration::try_from_secs_f64(to).ok();
                measured.push(session);
            }
        }
        measured.sort_by_key(|session| session.arrival);
        debug_assert!(
            warmup
                .iter()
                .all(|session| session.class == RequestClass::Warmup)
        );
        Box::new(warmup.into_iter().chain(measured))
    }

    fn duration(&self) -> Option<Duration> {
        Some(self.stages.duration())
    }

    fn stage_ends(&self) -> Vec<Duration> {
        self.stages.ends()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_begin_and_stop_as_the_stages_say() {
        let schedule = StagedClients {
            stages:
                "2 clients for 1s, ramp to 4 clients over 4s, 1 client for 1s, 3 clients for 1s"
                    .parse()
                    .unwrap(),
            clients: ClosedLoop {
                clients: 4,
                payloads: 3,
                seed: 0,
                warmup: 4,
                warmup_time: None,
                requests: None,
                max_requests: None,
                duration: None,
            },
        };
        let sessions = |worker, workers| {
            let sessions = schedule.sessions(WorkerShare { worker, workers });
            let known = sessions.map(|session| {
                let seconds = |time: Duration| time.as_secs_f64();
                let until = session.until.map(seconds);
                (
                    session.class,
                    session.client,
                    seconds(session.arrival),
                    until,
                )
            });
            known.collect::<Vec<_>>()
        };
        let all = sessions(0, 1);
        let (warmup, measured) = all.split_at(4);
        assert!(
            warmup
                .iter()
                .all(|(class, ..)| *class == RequestClass::Warmup)
        );
        let spans: Vec<_> = measured
            .iter()
            .map(|(_, client, from, until)| (*client, *from, until.unwrap()))
            .collect();
        assert_eq!(
            spans,
            [
                (0, 0.0, 7.0),
                (1, 0.0, 5.0),
                (2, 2.0, 5.0),
                (3, 4.0, 5.0),
                (1, 6.0, 7.0),
                (2, 6.0, 7.0)
            ]
        );
        // The ramp is the area below it: 2 clients for 4 s, and a triangle of 2 times 4 s.
        let in_ramp = spans
            .iter()
            .map(|(_, from, to)| to.min(5.0) - from.clamp(1.0, 5.0));
        assert_eq!(in_ramp.filter(|part| *part > 0.0).sum::<f64>(), 12.0);
        let shared = [sessions(0, 2), sessions(1, 2)].concat();
        assert_eq!(shared.len(), all.len());
        assert!(all.iter().all(|session| shared.contains(session)));
        assert_eq!(schedule.duration(), Some(Duration::from_secs(7)));
    }
}
