//! Conversations by their numbers: what is said in them, and when.

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{ConversationTurn, SubAgent, ThinkTime, Turn};
use crate::data::{DataSource, ReplaySession};

/// The stream of the generator from which the think times of conversation 0 are drawn; each has its own.
const THINK_STREAM: u64 = 1 << 63;
/// Conversations whose requests are counted before a run, at most.
const MAX_COUNTED: u64 = 1_000_000;

/// Whose answers are in the history of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum History {
    /// Those that the server gave, where requests are messages; what a trace has whole is sent as it is.
    #[default]
    Server,
    /// Those of the data, so that every run sends the same.
    Data,
}

/// The conversations of some data or of a trace. That of a number is always the same.
#[derive(Debug, Clone)]
pub(crate) struct Conversations {
    pub(crate) data: Arc<dyn DataSource>,
    /// Those of a trace, with the pauses that it has.
    pub(crate) trace: Option<TraceSessions>,
    /// Before turns, in the place of the trace's pauses.
    pub(crate) think_time: Option<ThinkTime>,
    /// Whose answers turns go on with.
    pub(crate) history: History,
    /// Whether a single request is a conversation, too.
    pub(crate) counts_single: bool,
    /// Decides the think times.
    pub(crate) seed: u64,
}

/// The sessions of a trace.
#[derive(Debug, Clone)]
pub(crate) struct TraceSessions {
    sessions: Arc<[ReplaySession]>,
    /// Which of them no other one starts.
    roots: Arc<[u32]>,
    /// The sub-agents of each session, in the order of their beginning.
    agents: Arc<[Vec<u32>]>,
    /// Whether any session has more than one request.
    has_turns: bool,
}

impl TraceSessions {
    pub(crate) fn new(sessions: &[ReplaySession]) -> Self {
        let mut agents = vec![Vec::new(); sessions.len()];
        let mut roots = Vec::new();
        for (place, session) in (0_u32..).zip(sessions) {
            match session.parent.filter(|parent| parent.after > 0) {
                Some(parent) => agents[parent.session].push(place),
                None => roots.push(place),
            }
        }
        Self {
            has_turns: sessions.iter().any(|session| session.pauses.len() > 1)
                || roots.len() < sessions.len(),
            sessions: sessions.into(),
            roots: roots.into(),
            agents: agents.into(),
        }
    }

    /// The requests of a conversation and its sub-agents.
    fn requests(&self, number: usize) -> u64 {
        let place = self.roots[number] as usize;
        let agents = self.agents[place].iter().map(|agent| *agent as usize);
        let all = agents.chain([place]);
        all.map(|place| self.sessions[place].pauses.len() as u64)
            .sum()
    }
}

impl Conversations {
    /// How many there are; `None` without an end.
    pub(crate) fn count(&self) -> Option<u64> {
        match &self.trace {
            Some(trace) => Some(trace.roots.len() as u64),
            None => self.data.session_count(),
        }
    }

    /// The place of a conversation among all sessions of a trace, and when it arrives.
    pub(crate) fn arrival(&self, number: usize) -> (u32, Duration) {
        self.trace.as_ref().map_or((0, Duration::ZERO), |trace| {
            let place = trace.roots[number];
            (place, trace.sessions[place as usize].arrival)
        })
    }

    /// Whether there is any turn that waits for another one.
    pub(crate) fn has_turns(&self) -> bool {
        self.trace.as_ref().is_none_or(|trace| trace.has_turns)
    }

    /// The requests of these conversations, if that can be told before the run.
    pub(crate) fn requests(&self, mut numbers: impl Iterator<Item = u64>) -> Option<u64> {
        let mut sum = 0;
        for number in numbers.by_ref().take(MAX_COUNTED as usize) {
            sum += match &self.trace {
                Some(trace) => trace.requests(number as usize),
                None => {
                    let range = self.range(number);
                    range.end - range.start
                }
            };
        }
        numbers.next().is_none().then_some(sum)
    }

    fn range(&self, number: u64) -> std::ops::Range<u64> {
        // Without sessions, each request is one.
        self.data
            .session(number)
            .unwrap_or(number..number.saturating_add(1))
    }

    /// The turns of a conversation. Its number is that in the data, or among those of a trace that no other
    /// one starts.
    pub(crate) fn turns(&self, number: u64) -> Vec<Turn> {
        let Some(trace) = &self.trace else {
            let range = self.range(number);
            let mut pauses = self.think_times(number);
            let pauses = range.clone().map(|index| match index == range.start {
                true => Duration::ZERO,
                false => pauses(),
            });
            return self.listed(number as u32, range.clone().zip(pauses));
        };
        let place = trace.roots[number as usize] as usize;
        let session = &trace.sessions[place];
        if !self.counts_single && !trace.has_turns {
            let index = session.requests.start as usize;
            return vec![Turn {
                pause: session.pauses.first().copied().unwrap_or_default(),
                ..Turn::of_payload(index)
            }];
        }
        let mut think = self.think_time.as_ref().map(|_| self.think_times(number));
        let mut turns = self.of_trace(
            place as u32,
            session,
            think.as_mut().map(|think| think as _),
        );
        for agent in &trace.agents[place] {
            let session = &trace.sessions[*agent as usize];
            let Some(parent) = session.parent else {
                continue;
            };
            let own = self.of_trace(*agent, session, None);
            // A trace that was cut may have lost what the sub-agent waits for.
            let after = parent.after.min(turns.len()).max(1) - 1;
            if let Some(place) = turns
                .get_mut(after)
                .and_then(|turn| turn.conversation.as_mut())
            {
                place.agents.push(SubAgent {
                    session: *agent,
                    pause: parent.pause,
                    turns: own.into(),
                    joined_by: parent.joined_by.map(|turn| turn as u32),
                });
            }
        }
        turns
    }

    /// The first turn of a conversation alone, for warm-ups. Beyond their number they begin again.
    pub(crate) fn first_turn(&self, number: u64) -> Vec<Turn> {
        let number = match &self.trace {
            Some(trace) => number % trace.roots.len().max(1) as u64,
            None => number,
        };
        let first = self.turns(number).into_iter().take(1);
        first.map(|turn| Turn::of_payload(turn.payload)).collect()
    }

    /// The turns of one session of a trace, with other pauses than its own if there are some.
    fn of_trace(
        &self,
        number: u32,
        session: &ReplaySession,
        think: Option<&mut dyn FnMut() -> Duration>,
    ) -> Vec<Turn> {
        let own = session.pauses.iter().copied();
        let mut pauses: Vec<_> = own.collect();
        if let Some(think) = think {
            pauses.iter_mut().skip(1).for_each(|pause| *pause = think());
        }
        self.listed(number, session.requests.clone().zip(pauses))
    }

    fn listed(&self, session: u32, turns: impl Iterator<Item = (u64, Duration)>) -> Vec<Turn> {
        let place = |(turn, (index, pause)): (u32, (u64, Duration))| Turn {
            payload: index as usize,
            pause,
            conversation: Some(Box::new(ConversationTurn {
                session,
                turn,
                is_last: false,
                continues: turn > 0
                    && self.history == History::Server
                    && self.data.continues(index),
                agents: Vec::new(),
            })),
        };
        let mut turns: Vec<_> = (0..).zip(turns).map(place).collect();
        if let Some(last) = turns.last_mut().and_then(|turn| turn.conversation.as_mut()) {
            last.is_last = true;
        }
        turns
    }

    /// The think times of a conversation, one after the other.
    fn think_times(&self, number: u64) -> impl FnMut() -> Duration + use<> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(THINK_STREAM | number);
        let think_time = self.think_time.clone();
        move || {
            let think_time = think_time.as_ref();
            think_time.map_or(Duration::ZERO, |think_time| think_time.sample(&mut random))
        }
    }
}
