//! Closed loop over conversations: when one ends, the next begins.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::data_loop::WARMUP_START;
use super::{Conversations, RequestClass, Schedule, Session, Shard, Stages, Turn, WorkerShare};

/// They begin within this time, so that they do not march in step.
const START_SPREAD: Duration = Duration::from_millis(10);

/// So many conversations at a time. For one run.
#[derive(Debug, Clone)]
pub(crate) struct SessionLoop {
    pub(crate) conversations: Conversations,
    /// Conversations at a time, or the most of all stages.
    pub(crate) concurrent: usize,
    /// How many there are at a time over time, if that changes. A place that has to stop takes no further turn.
    pub(crate) stages: Option<Stages>,
    /// The number of the first one.
    pub(crate) start: u64,
    /// How many there are in all, if that is bound.
    pub(crate) sessions: Option<u64>,
    /// Most requests of the whole load.
    pub(crate) max_requests: Option<u64>,
    /// How long requests are sent, if that is bound.
    pub(crate) duration: Option<Duration>,
    /// Requests before the run, each the first of a conversation of its own.
    pub(crate) warmup: u64,
    /// How long such requests are sent, in the place of a number of them.
    pub(crate) warmup_time: Option<Duration>,
    /// The part of the load that this run plays: it takes every so-manieth conversation.
    pub(crate) shard: Option<Shard>,
    /// Conversations taken so far, of the warm-up and of the run.
    pub(crate) taken: Arc<[AtomicU64; 2]>,
}

impl SessionLoop {
    /// Which conversations a shard takes, or all.
    fn numbers(&self, shard: Option<Shard>) -> Option<impl Iterator<Item = u64> + use<>> {
        let (first, step) = steps(shard);
        let start = self.start;
        let own = (first..self.sessions?).step_by(step as usize);
        Some(own.map(move |number| start.wrapping_add(number)))
    }

    fn planned_of(&self, shard: Option<Shard>) -> Option<u64> {
        let all = self
            .numbers(shard)
            .and_then(|own| self.conversations.requests(own));
        let most = self.max_requests.map(|most| match shard {
            Some(shard) => shard.count(usize::try_from(most).unwrap_or(usize::MAX)) as u64,
            None => most,
        });
        all.into_iter().chain(most).min()
    }

    /// A place for one conversation at a time: its warm-up, and the run, or the parts of it in which the stages
    /// have such a place.
    fn place(&self, place: usize) -> (Option<Session>, Vec<Session>) {
        let session = |class, (arrival, until), limit, pause| Session {
            client: place as u32,
            class,
            arrival,
            until,
            place: None,
            turns: Box::new(Turns {
                conversations: self.conversations.clone(),
                taken: self.taken.clone(),
                class,
                start: self.start,
                shard: self.shard,
                limit,
                pause,
                turns: Vec::new().into_iter(),
            }),
        };
        let has_warmup = self.warmup > 0 || self.warmup_time.is_some();
        let before = has_warmup.then(|| {
            let limit = self.warmup_time.is_none().then_some(self.warmup);
            session(
                RequestClass::Warmup,
                (Duration::ZERO, self.warmup_time),
                limit,
                Duration::ZERO,
            )
        });
        let pause = START_SPREAD.mul_f64(place as f64 / self.concurrent as f64);
        let spans = match &self.stages {
            None => vec![(Duration::ZERO, self.duration)],
            Some(stages) => {
                // Half a place is one, as of clients.
                let spans = stages.profile().at_least(place as f64 + 0.5).into_iter();
                let time = |seconds| Duration::try_from_secs_f64(seconds).ok();
                spans
                    .map(|(from, to)| (time(from).unwrap_or_default(), time(to)))
                    .collect()
            }
        };
        let measured = |span| session(RequestClass::Measured, span, self.sessions, pause);
        (before, spans.into_iter().map(measured).collect())
    }
}

/// The first number of a shard, and from one to the next.
fn steps(shard: Option<Shard>) -> (u64, u64) {
    shard.map_or((0, 1), |shard| (shard.index as u64 - 1, shard.of as u64))
}

impl Schedule for SessionLoop {
    fn sessions(&self, share: WorkerShare) -> Box<dyn Iterator<Item = Session> + Send> {
        let mine = (share.worker..self.concurrent).step_by(share.workers);
        let (before, measured): (Vec<_>, Vec<_>) = mine.map(|place| self.place(place)).unzip();
        let mut measured: Vec<_> = measured.into_iter().flatten().collect();
        measured.sort_by_key(|session| session.arrival);
        Box::new(before.into_iter().flatten().chain(measured))
    }

    fn planned(&self) -> Option<u64> {
        self.planned_of(None)
    }

    fn planned_in(&self, shard: Shard) -> Option<u64> {
        self.planned_of(Some(shard))
    }

    fn duration(&self) -> Option<Duration> {
        self.duration
    }

    fn has_conversations(&self) -> bool {
        true
    }

    fn stage_ends(&self) -> Vec<Duration> {
        self.stages.as_ref().map(Stages::ends).unwrap_or_default()
    }

    fn is_of_data(&self) -> bool {
        true
    }

    fn of_run(&self, shard: Option<Shard>) -> Option<Arc<dyn Schedule>> {
        Some(Arc::new(Self {
            shard,
            taken: Arc::default(),
            ..self.clone()
        }))
    }
}

/// Conversations one after the other.
struct Turns {
    conversations: Conversations,
    taken: Arc<[AtomicU64; 2]>,
    class: RequestClass,
    start: u64,
    shard: Option<Shard>,
    /// Most conversations over all places.
    limit: Option<u64>,
    /// Before the first turn.
    pause: Duration,
    /// What is left of the conversation under way.
    turns: std::vec::IntoIter<Turn>,
}

impl Iterator for Turns {
    type Item = Turn;

    fn next(&mut self) -> Option<Turn> {
        if self.turns.len() == 0 {
            let is_measured = self.class == RequestClass::Measured;
            let taken = self.taken[usize::from(is_measured)].fetch_add(1, Ordering::Relaxed);
            let (first, step) = steps(self.shard);
            let number = first + taken * step;
            if self.limit.is_some_and(|limit| number >= limit) {
                return None;
            }
            let mut turns = match is_measured {
                true => self.conversations.turns(self.start.wrapping_add(number)),
                false => self
                    .conversations
                    .first_turn(self.start.wrapping_add(WARMUP_START + number)),
            };
            if let Some(first) = turns.first_mut() {
                first.pause += std::mem::take(&mut self.pause);
            }
            self.turns = turns.into_iter();
        }
        self.turns.next()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::ApiMode;
    use crate::data::{DataSource, RequestForm, Synthetic, SyntheticSpec};
    use crate::load::{Arrivals, History, OpenLoop, Profile};
    use crate::payload::Whitespace;

    fn conversations(turns: &str, seed: u64) -> Conversations {
        let spec = format!("prompt_tokens=5,{turns}");
        let spec = SyntheticSpec::parse(&spec).unwrap();
        let form = RequestForm::new(ApiMode::default());
        let data: Arc<dyn DataSource> =
            Arc::new(Synthetic::new(spec, form, Arc::new(Whitespace), seed).unwrap());
        Conversations {
            data,
            trace: None,
            think_time: Some("exponential:2s".parse().unwrap()),
            history: History::Server,
            counts_single: true,
            seed,
        }
    }

    fn session_loop(conversations: Conversations, sessions: u64) -> SessionLoop {
        SessionLoop {
            conversations,
            concurrent: 6,
            stages: None,
            start: 0,
            sessions: Some(sessions),
            max_requests: None,
            duration: None,
            warmup: 0,
            warmup_time: None,
            shard: None,
            taken: Arc::default(),
        }
    }

    /// The turns of a worker's places, which take conversations in turn.
    fn taken(schedule: &dyn Schedule, workers: usize) -> Vec<Turn> {
        let mut turns = Vec::new();
        for worker in 0..workers {
            let share = WorkerShare { worker, workers };
            for session in schedule.sessions(share) {
                turns.extend(session.turns);
            }
        }
        turns
    }

    /// Turns in an order that does not depend on who takes them, without the spread of their beginning.
    fn sorted(mut turns: Vec<Turn>) -> Vec<Turn> {
        for turn in &mut turns {
            if turn
                .conversation
                .as_ref()
                .is_some_and(|turn| turn.turn == 0)
            {
                turn.pause = Duration::ZERO;
            }
        }
        turns.sort_by_key(|turn| turn.payload);
        turns
    }

    #[test]
    fn one_conversation_follows_another_and_only_the_first_turn_does_not_think() {
        let schedule = session_loop(conversations("turns_min=1,turns_max=4", 7), 5);
        let turns = taken(&schedule, 1);
        assert_eq!(schedule.planned(), Some(turns.len() as u64));
        let places: Vec<_> = turns
            .iter()
            .map(|turn| turn.conversation.as_deref().unwrap())
            .collect();
        for (pair, turn) in places.windows(2).zip(&turns[1..]) {
            match pair[0].is_last {
                true => assert_eq!((pair[1].session, pair[1].turn), (pair[0].session + 1, 0)),
                false => assert_eq!(
                    (pair[1].session, pair[1].turn),
                    (pair[0].session, pair[0].turn + 1)
                ),
            }
            assert_eq!(pair[1].turn > 0, turn.pause > START_SPREAD, "{turn:?}");
            assert_eq!(pair[1].continues, pair[1].turn > 0);
        }
        // The same again, and with another seed other think times.
        assert_eq!(taken(&*schedule.of_run(None).unwrap(), 1), turns);
        let other = session_loop(conversations("turns_min=1,turns_max=4", 8), 5);
        assert_ne!(taken(&other, 1), turns);
        let mut bound = session_loop(conversations("turns=2", 7), 5);
        bound.max_requests = Some(3);
        assert_eq!(bound.planned(), Some(3));
    }

    #[test]
    fn places_begin_and_stop_as_the_stages_say() {
        let mut schedule = session_loop(conversations("turns=3", 7), 1_000);
        let stages =
            "2 sessions for 1s, ramp to 4 sessions over 4s, 1 session for 1s, 3 sessions for 1s";
        schedule.stages = Some(stages.parse().unwrap());
        (schedule.concurrent, schedule.warmup) = (4, 2);
        let spans = |worker, workers| {
            let sessions = schedule.sessions(WorkerShare { worker, workers });
            let measured = sessions.filter(|session| session.class == RequestClass::Measured);
            let span = |session: Session| {
                let seconds = |time: Duration| time.as_secs_f64();
                let until = session.until.map(seconds);
                (session.client, seconds(session.arrival), until.unwrap())
            };
            measured.map(span).collect::<Vec<_>>()
        };
        let all = spans(0, 1);
        assert_eq!(
            all,
            [
                (0, 0.0, 7.0),
                (1, 0.0, 5.0),
                (2, 2.0, 5.0),
                (3, 4.0, 5.0),
                (1, 6.0, 7.0),
                (2, 6.0, 7.0)
            ]
        );
        let mut shared = [spans(0, 2), spans(1, 2)].concat();
        shared.sort_by(|one, other| one.1.total_cmp(&other.1).then(one.0.cmp(&other.0)));
        assert_eq!(shared, all);
        let ends: Vec<_> = schedule
            .stage_ends()
            .iter()
            .map(Duration::as_secs)
            .collect();
        assert_eq!(ends, [1, 5, 6, 7]);
    }

    #[test]
    fn a_warm_up_sends_first_turns_of_other_conversations() {
        let mut schedule = session_loop(conversations("turns=3", 7), 4);
        schedule.warmup = 5;
        let share = WorkerShare {
            worker: 0,
            workers: 1,
        };
        let (warmup, measured): (Vec<_>, Vec<_>) = schedule
            .sessions(share)
            .partition(|session| session.class == RequestClass::Warmup);
        let payloads = |sessions: Vec<Session>| -> Vec<usize> {
            let turns = sessions.into_iter().flat_map(|session| session.turns);
            turns.map(|turn| turn.payload).collect()
        };
        let (warmup, measured) = (payloads(warmup), payloads(measured));
        assert_eq!((warmup.len(), measured.len()), (5, 12));
        assert!(
            warmup
                .iter()
                .all(|payload| payload % 3 == 0 && *payload > 12)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn all_shards_are_the_whole(
            sessions in 1_u64..30,
            seed in 0_u64..5,
            workers in prop::collection::vec(1_usize..4, 1..6),
        ) {
            let conversations = conversations("turns_min=1,turns_max=4", seed);
            let arrivals = OpenLoop {
                rate: Profile::constant(3.0),
                arrivals: Arrivals::Poisson,
                payloads: 0,
                data: Some(0),
                seed,
                warmup: 0,
                warmup_time: None,
                requests: Some(sessions),
                duration: None,
                stage_ends: Vec::new(),
                is_adjustable: false,
                conversations: Some(conversations.clone()),
                max_requests: None,
            };
            let looped = session_loop(conversations, sessions);
            let stages = "6 sessions for 1s, 2 sessions for 1s, ramp to 5 sessions over 1s";
            let staged = SessionLoop {
                stages: Some(stages.parse().unwrap()),
                ..looped.clone()
            };
            let wholes: [Arc<dyn Schedule>; 3] =
                [Arc::new(looped), Arc::new(staged), Arc::new(arrivals)];
            for whole in wholes {
                let of_run = |shard| whole.of_run(shard).unwrap_or_else(|| whole.clone());
                let all = sorted(taken(&*of_run(None), 2));
                prop_assert_eq!(whole.planned(), Some(all.len() as u64));
                let (mut together, mut planned) = (Vec::new(), 0);
                let of = workers.len();
                for (index, workers) in workers.iter().enumerate() {
                    let shard = Shard { index: index + 1, of };
                    let part = crate::load::Sharded { whole: of_run(Some(shard)), shard };
                    planned += part.planned().unwrap();
                    let places = (0..*workers).map(|worker| WorkerShare { worker, workers: *workers });
                    let sessions = places.flat_map(|share| part.sessions(share));
                    together.extend(sessions.flat_map(|session| session.turns));
                }
                prop_assert_eq!(&sorted(together), &all);
                prop_assert_eq!(planned, all.len() as u64);
            }
        }
    }
}
