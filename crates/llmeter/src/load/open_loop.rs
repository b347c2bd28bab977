//! Open loop: requests are sent by the clock, whether those before have ended or not.

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::data_loop::WARMUP_START;
use super::live::{Adjustable, Lever};
use super::profile::Profile;
use super::{Arrivals, Conversations, RequestClass, Schedule, Session, Shard, Turn, WorkerShare};

/// The stream of the generator that orders payloads; arrivals have the last, clients those from 0 on.
const ORDER_STREAM: u64 = u64::MAX - 1;

/// Arrivals by a rate over time.
///
/// There is one sequence of arrivals, which the seed decides, and each worker takes every so-manieth of
/// it: together they send what one worker would, at the same times.
#[derive(Debug, Clone)]
pub(crate) struct OpenLoop {
    /// Arrivals per second.
    pub(crate) rate: Profile,
    pub(crate) arrivals: Arrivals,
    pub(crate) payloads: usize,
    /// The first request of the data, if requests come from data: they are sent in its order.
    pub(crate) data: Option<u64>,
    pub(crate) seed: u64,
    /// Requests before the run.
    pub(crate) warmup: u64,
    /// How long such requests arrive, in the place of a number of them.
    pub(crate) warmup_time: Option<Duration>,
    /// Requests of the run, if it is bound by count.
    pub(crate) requests: Option<u64>,
    /// How long requests arrive, if that is bound.
    pub(crate) duration: Option<Duration>,
    /// When its stages end.
    pub(crate) stage_ends: Vec<Duration>,
    /// What arrives, if not single requests: [`requests`](Self::requests) are then so many conversations.
    pub(crate) conversations: Option<Conversations>,
    /// Most requests of all conversations.
    pub(crate) max_requests: Option<u64>,
    /// Whether the rate may be changed in mid-run: the arrivals of the run then go on beyond its duration, by
    /// the rate that it begins with.
    pub(crate) is_adjustable: bool,
}

impl Schedule for OpenLoop {
    fn sessions(&self, share: WorkerShare) -> Box<dyn Iterator<Item = Session> + Send> {
        let mut order: Vec<u32> = (0..self.payloads as u32).collect();
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(ORDER_STREAM);
        order.shuffle(&mut random);
        let order: Arc<[u32]> = order.into();
        let warmup = match self.warmup_time {
            Some(_) => None,
            None => Some(self.warmup),
        };
        // Another seed, so that the run does not repeat its warm-up.
        let before = self.part(
            !self.seed,
            RequestClass::Warmup,
            (warmup, self.warmup_time),
            (order.clone(), 0),
        );
        let measured = self.part(
            self.seed,
            RequestClass::Measured,
            (self.requests, self.duration),
            (order, warmup.unwrap_or(0)),
        );
        let mine = |part: Box<dyn Iterator<Item = Session> + Send>| {
            part.skip(share.worker).step_by(share.workers)
        };
        Box::new(mine(before).chain(mine(measured)))
    }

    fn planned(&self) -> Option<u64> {
        match &self.conversations {
            None => self.requests,
            Some(_) => self.planned_of_sessions(0, 1, self.max_requests),
        }
    }

    fn has_conversations(&self) -> bool {
        self.conversations.is_some()
    }

    fn planned_in(&self, shard: Shard) -> Option<u64> {
        if self.conversations.is_some() {
            let most = self.max_requests;
            let most = most.map(|most| shard.count(usize::try_from(most).unwrap_or(usize::MAX)));
            let most = most.map(|most| most as u64);
            return self.planned_of_sessions(shard.index as u64 - 1, shard.of, most);
        }
        let all = usize::try_from(self.requests?).unwrap_or(usize::MAX);
        Some(shard.count(all) as u64)
    }

    fn is_open_loop(&self) -> bool {
        true
    }

    fn duration(&self) -> Option<Duration> {
        self.duration
    }

    fn stage_ends(&self) -> Vec<Duration> {
        self.stage_ends.clone()
    }

    fn adjustable(&self) -> Option<Adjustable> {
        let rate = self.rate.level().filter(|_| self.stage_ends.is_empty())?;
        let schedule = Self {
            is_adjustable: true,
            ..self.clone()
        };
        Some((Lever::Rate(rate), Arc::new(schedule)))
    }
}

impl OpenLoop {
    /// The requests of every so-manieth conversation.
    fn planned_of_sessions(&self, first: u64, step: usize, most: Option<u64>) -> Option<u64> {
        // By time nobody knows how many arrive.
        let count = self.requests.filter(|_| self.duration.is_none());
        let start = self.data.unwrap_or(0);
        let all = self.conversations.as_ref().zip(count);
        let all = all.and_then(|(conversations, count)| {
            let numbers = (first..count).step_by(step);
            conversations.requests(numbers.map(|number| start.wrapping_add(number)))
        });
        all.into_iter().chain(most).min()
    }

    /// The arrivals of the warm-up or of the run, over all workers, up to so many or so long. Payloads are
    /// sent in an order, from a place in it on, again and again.
    fn part(
        &self,
        seed: u64,
        class: RequestClass,
        (count, length): (Option<u64>, Option<Duration>),
        (order, first): (Arc<[u32]>, u64),
    ) -> Box<dyn Iterator<Item = Session> + Send> {
        let rate = self.rate.clone();
        let data = self.data.map(|start| match class {
            RequestClass::Warmup => start.wrapping_add(WARMUP_START),
            RequestClass::Measured => start,
        });
        let conversations = self.conversations.clone();
        let arrivals = self.arrivals.times(seed);
        let is_adjustable = self.is_adjustable && class == RequestClass::Measured;
        let times = arrivals.map_while(move |amount| {
            let time = Duration::try_from_secs_f64(rate.time_of(amount)?).ok()?;
            let is_in_time = is_adjustable || length.is_none_or(|length| time < length);
            is_in_time.then_some((time, amount))
        });
        let count = usize::try_from(count.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let sessions = times
            .take(count)
            .zip(first..)
            .map(move |((arrival, amount), number)| {
                if let (Some(conversations), Some(start)) = (&conversations, data) {
                    let number = number - first;
                    let turns = match class {
                        RequestClass::Warmup => {
                            conversations.first_turn(start.wrapping_add(number))
                        }
                        RequestClass::Measured => conversations.turns(start.wrapping_add(number)),
                    };
                    return Session {
                        class,
                        until: length,
                        place: is_adjustable.then_some(amount),
                        ..Session::new(number as u32, arrival, turns.into_iter())
                    };
                }
                let place = (number % order.len().max(1) as u64) as usize;
                let payload = match data {
                    Some(start) => Some(start.wrapping_add(number - first) as usize),
                    None => order.get(place).map(|payload| *payload as usize),
                };
                Session {
                    class,
                    until: length,
                    place: is_adjustable.then_some(amount),
                    ..Session::new(
                        (number - first) as u32,
                        arrival,
                        payload.map(Turn::of_payload).into_iter(),
                    )
                }
            });
        Box::new(sessions)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn open_loop(rate: f64, arrivals: Arrivals) -> OpenLoop {
        OpenLoop {
            rate: Profile::constant(rate),
            arrivals,
            payloads: 3,
            data: None,
            seed: 0,
            warmup: 0,
            warmup_time: None,
            requests: None,
            duration: None,
            stage_ends: Vec::new(),
            conversations: None,
            max_requests: None,
            is_adjustable: false,
        }
    }

    /// Arrival, number and payload of each session of one worker.
    fn walk(schedule: &OpenLoop, worker: usize, workers: usize) -> Vec<(Duration, u32, usize)> {
        let sessions = schedule.sessions(WorkerShare { worker, workers });
        sessions
            .map(|mut session| {
                let turn = session.turns.next().unwrap();
                (session.arrival, session.client, turn.payload)
            })
            .collect()
    }

    #[test]
    fn even_arrivals_of_a_duration_are_its_length_times_the_rate() {
        let mut schedule = open_loop(20.0, Arrivals::Constant);
        schedule.duration = Some(Duration::from_millis(500));
        let arrivals = walk(&schedule, 0, 1);
        let times: Vec<_> = arrivals.iter().map(|(time, ..)| time.as_millis()).collect();
        assert_eq!(times, [0, 50, 100, 150, 200, 250, 300, 350, 400, 450]);
        let mut once: Vec<_> = arrivals[..3].iter().map(|(.., payload)| *payload).collect();
        once.sort_unstable();
        assert_eq!(once, [0, 1, 2]);
        assert_eq!(arrivals[3].2, arrivals[0].2);
        schedule.requests = Some(4);
        assert_eq!(walk(&schedule, 0, 1), arrivals[..4]);
        assert_eq!(schedule.planned(), Some(4));
    }

    #[test]
    fn a_warm_up_has_arrivals_of_its_own_and_the_first_payloads() {
        let mut schedule = open_loop(10.0, Arrivals::Poisson);
        (schedule.warmup, schedule.requests) = (4, Some(5));
        let all: Vec<_> = schedule
            .sessions(WorkerShare {
                worker: 0,
                workers: 1,
            })
            .collect();
        let (warmup, measured) = all.split_at(4);
        assert!(
            warmup
                .iter()
                .all(|session| session.class == RequestClass::Warmup)
        );
        assert!(
            measured
                .iter()
                .all(|session| session.class == RequestClass::Measured)
        );
        assert_eq!((measured.len(), measured[0].client), (5, 0));
        assert_ne!(warmup[0].arrival, measured[0].arrival);
        let payloads: Vec<_> = walk(&schedule, 0, 1)
            .iter()
            .map(|(.., payload)| *payload)
            .collect();
        assert_eq!(payloads[3..], payloads[..6]);
        schedule.warmup_time = Some(Duration::from_secs(1));
        let warmup = schedule.sessions(WorkerShare {
            worker: 0,
            workers: 1,
        });
        let warmup = warmup.take_while(|session| session.class == RequestClass::Warmup);
        let last = warmup.last().unwrap().arrival;
        assert!(
            last > Duration::from_millis(300) && last < Duration::from_secs(1),
            "{last:?}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn workers_together_send_what_one_would(
            seed in any::<u64>(),
            workers in 1_usize..6,
            kind in 0..4,
            rate in 0.5..500.0,
            requests in 0_u64..300,
        ) {
            let arrivals = [
                Arrivals::Poisson, Arrivals::Constant, Arrivals::Gamma(2.0), Arrivals::Burst(7),
            ][kind as usize];
            let mut schedule = open_loop(rate, arrivals);
            (schedule.seed, schedule.requests) = (seed, Some(requests));
            let one = walk(&schedule, 0, 1);
            prop_assert_eq!(one.len() as u64, requests);
            prop_assert!(one.is_sorted_by_key(|(time, number, _)| (*time, *number)));
            let mut all: Vec<_> = Vec::new();
            for worker in 0..workers {
                let mine = walk(&schedule, worker, workers);
                prop_assert!(mine.is_sorted());
                prop_assert!(mine.len() >= one.len() / workers, "shared evenly");
                all.extend(mine);
            }
            all.sort_by_key(|(_, number, _)| *number);
            prop_assert_eq!(&all, &one);
            schedule.seed ^= 1;
            if requests > 3 && kind != 1 && kind != 3 {
                prop_assert_ne!(walk(&schedule, 0, 1), one);
            }
        }
    }
}
