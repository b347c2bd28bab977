//! One of several parts of a load, each played by a process of its own.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Schedule, Session, WorkerShare};

/// The I-th of N parts of a load.
///
/// Sessions (clients, arrivals, conversations) are counted through from 0 in the order of the whole
/// load; the session of number k is in shard k mod N + 1. Each is in one shard and is there what it is
/// in the whole: number, arrival, payloads and pauses are the same, so that all shards, with the same
/// settings and seed and started together, are the load that one machine would make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    /// Which part, from 1.
    pub index: usize,
    /// How many parts there are.
    pub of: usize,
}

/// A text is no shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected I/N, the I-th of N parts, like 1/4, of {MAX_SHARDS} at most")]
pub struct NotAShard;

/// Parts of one load, at most.
const MAX_SHARDS: usize = 10_000;

impl Shard {
    /// How many of `all` sessions are in this part.
    pub fn count(self, all: usize) -> usize {
        let before = self.index.saturating_sub(1);
        all.saturating_sub(before).div_ceil(self.of.max(1))
    }

    /// A worker's share of this part, as its share of the whole.
    pub fn share(self, share: WorkerShare) -> WorkerShare {
        WorkerShare {
            worker: self.index.saturating_sub(1) + share.worker * self.of,
            workers: share.workers * self.of,
        }
    }
}

impl FromStr for Shard {
    type Err = NotAShard;

    fn from_str(text: &str) -> Result<Self, NotAShard> {
        let (index, of) = text.split_once('/').ok_or(NotAShard)?;
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| NotAShard);
        let (index, of) = (number(index)? as usize, number(of)? as usize);
        match index {
            0 => Err(NotAShard),
            index if index > of || of > MAX_SHARDS => Err(NotAShard),
            index => Ok(Self { index, of }),
        }
    }
}

impl TryFrom<String> for Shard {
    type Error = NotAShard;

    fn try_from(text: String) -> Result<Self, NotAShard> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.index, self.of)
    }
}

/// A part of a schedule.
#[derive(Debug)]
pub(crate) struct Sharded {
    pub(crate) whole: Arc<dyn Schedule>,
    pub(crate) shard: Shard,
}

impl Schedule for Sharded {
    fn sessions(&self, share: WorkerShare) -> Box<dyn Iterator<Item = Session> + Send> {
        self.whole.sessions(self.shard.share(share))
    }

    fn planned(&self) -> Option<u64> {
        self.whole.planned_in(self.shard)
    }

    fn is_open_loop(&self) -> bool {
        self.whole.is_open_loop()
    }

    fn has_conversations(&self) -> bool {
        self.whole.has_conversations()
    }

    fn stage_ends(&self) -> Vec<Duration> {
        self.whole.stage_ends()
    }

    fn is_of_experiment(&self) -> bool {
        self.whole.is_of_experiment()
    }

    fn duration(&self) -> Option<Duration> {
        self.whole.duration()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::load::{Arrivals, ClosedLoop, OpenLoop, Profile, RequestClass, StagedClients};

    #[test]
    fn a_shard_is_written_as_a_fraction() {
        assert_eq!("2/4".parse(), Ok(Shard { index: 2, of: 4 }));
        assert_eq!(Shard { index: 2, of: 4 }.to_string(), "2/4");
        for wrong in [
            "", "2", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1/10001",
        ] {
            assert_eq!(wrong.parse::<Shard>(), Err(NotAShard), "{wrong}");
        }
    }

    /// A session in full: who, for what, from when to when, and each turn.
    type Sent = (
        u32,
        bool,
        Duration,
        Option<Duration>,
        Vec<(usize, Duration)>,
    );

    fn sent(schedule: &dyn Schedule, workers: usize) -> Vec<Sent> {
        let mut all = Vec::new();
        for worker in 0..workers {
            for session in schedule.sessions(WorkerShare { worker, workers }) {
                let turns = session.turns.take(50);
                let turns = turns.map(|turn| (turn.payload, turn.pause)).collect();
                let is_warmup = session.class == RequestClass::Warmup;
                let (arrival, until) = (session.arrival, session.until);
                all.push((session.client, is_warmup, arrival, until, turns));
            }
        }
        all.sort_unstable();
        all
    }

    /// What a schedule sends as a whole, and what its shards send together, whatever their numbers
    /// of workers.
    pub(crate) fn check(whole: &Arc<dyn Schedule>, workers: &[usize]) -> Result<(), TestCaseError> {
        let mut together = Vec::new();
        let mut planned = Some(0);
        let of = workers.len();
        for (index, workers) in workers.iter().enumerate() {
            let shard = Shard {
                index: index + 1,
                of,
            };
            let part = Sharded {
                whole: whole.clone(),
                shard,
            };
            together.extend(sent(&part, *workers));
            planned = planned.zip(part.planned()).map(|(one, other)| one + other);
        }
        together.sort_unstable();
        prop_assert_eq!(together, sent(&**whole, 3));
        prop_assert_eq!(planned, whole.planned());
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn all_shards_are_the_whole(
            clients in 1_usize..20,
            payloads in 1_usize..6,
            seed in 0_u64..5,
            warmup in 0_u64..9,
            requests in prop::option::of(1_u64..9),
            max_requests in prop::option::of(1_u64..40),
            duration in prop::option::of(1_u64..9),
            workers in prop::collection::vec(1_usize..4, 1..6),
        ) {
            let whole: Arc<dyn Schedule> = Arc::new(ClosedLoop {
                clients,
                payloads,
                seed,
                warmup,
                warmup_time: None,
                requests,
                max_requests,
                duration: duration.map(Duration::from_secs),
            });
            check(&whole, &workers)?;
        }

        #[test]
        fn arrivals_are_dealt_out(
            rate in 1_f64..200.0,
            seed in 0_u64..5,
            warmup in 0_u64..9,
            requests in prop::option::of(1_u64..90),
            workers in prop::collection::vec(1_usize..4, 1..6),
        ) {
            for arrivals in [Arrivals::Poisson, Arrivals::Constant] {
                let whole: Arc<dyn Schedule> = Arc::new(OpenLoop {
                    rate: Profile::constant(rate),
                    arrivals,
                    payloads: 3,
                    seed,
                    warmup,
                    warmup_time: None,
                    requests,
                    duration: Some(Duration::from_secs(1)),
                    stage_ends: Vec::new(),
                    is_adjustable: false,
                    data: None,
                    conversations: None,
                    max_requests: None,
                });
                check(&whole, &workers)?;
            }
        }

        #[test]
        fn clients_of_stages_are_dealt_out(
            seed in 0_u64..5,
            workers in prop::collection::vec(1_usize..4, 1..6),
        ) {
            let stages = "2 clients for 1s, ramp to 6 clients over 4s, 1 client for 1s";
            let whole: Arc<dyn Schedule> = Arc::new(StagedClients {
                stages: stages.parse().unwrap(),
                clients: ClosedLoop {
                    clients: 6,
                    payloads: 3,
                    seed,
                    warmup: 4,
                    warmup_time: None,
                    requests: None,
                    max_requests: None,
                    duration: None,
                },
            });
            check(&whole, &workers)?;
        }
    }
}
