//! Conversations under way: what is known of a turn when it is sent, and what its answer tells the next one.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use crate::base::failure::{Failure, FailureKind};
use crate::endpoint::InvocationResponse;
use crate::load::Turn;
use llmeter_wire::clock::Stamp;

/// A turn that is being sent. Who decodes its response tells the session what became of it.
#[derive(Debug)]
pub(crate) struct SentTurn {
    place: Place,
    /// Seconds between the answer before it and this turn.
    think_time: Option<f64>,
    so_far: SoFar,
    answer: oneshot::Sender<Answer>,
}

/// A turn's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) session: u32,
    pub(crate) turn: u32,
    pub(crate) is_last: bool,
    pub(crate) continues: bool,
}

/// What came of a conversation so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SoFar {
    /// When its first turn was sent.
    begun: Option<Stamp>,
    /// Seconds of think times, and in which an answer was waited for.
    think_time: f64,
    response_time: f64,
}

/// What became of a turn.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The answer's visible text.
    pub(crate) text: String,
    failure: Option<FailureKind>,
    sent: Option<Stamp>,
    seconds: f64,
}

/// How a conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With its last answer.
    Completed,
    /// With a turn that failed.
    Broken,
    /// With a turn that was closed on purpose.
    Cancelled,
    /// With the run.
    Unfinished,
}

impl Place {
    pub(crate) fn of(turn: &Turn) -> Option<Self> {
        let turn = turn.conversation.as_deref()?;
        Some(Self {
            session: turn.session,
            turn: turn.turn,
            is_last: turn.is_last,
            continues: turn.continues,
        })
    }
}

impl SentTurn {
    /// A turn after so many seconds of thinking, and where its answer comes.
    pub(crate) fn new(
        place: Place,
        think_time: f64,
        so_far: SoFar,
    ) -> (Box<Self>, oneshot::Receiver<Answer>) {
        let (answer, coming) = oneshot::channel();
        let turn = Self {
            place,
            think_time: (place.turn > 0).then_some(think_time),
            so_far,
            answer,
        };
        (Box::new(turn), coming)
    }

    /// Writes down what turn the response is of.
    pub(crate) fn note(&self, response: &mut InvocationResponse, sent: Option<Stamp>) {
        let Self {
            place,
            think_time,
            so_far,
            ..
        } = self;
        let (response_time, is_whole) = (response.time_to_last_token, response.error.is_none());
        let detail = &mut response.detail;
        detail.session = place.session.saturating_add(1);
        detail.turn = place.turn.saturating_add(1);
        if think_time.is_some() {
            detail.schedule.get_or_insert_default().think_time = *think_time;
        }
        if let Some(sent) = sent.filter(|_| place.is_last && is_whole) {
            let response_time = response_time.unwrap_or(0.0);
            let before = so_far.begun.map_or(0.0, |begun| sent.seconds_since(begun));
            let more = detail.schedule.get_or_insert_default();
            more.session_time = Some(before + response_time);
            more.session_think_time = Some(so_far.think_time + think_time.unwrap_or(0.0));
            more.session_response_time = Some(so_far.response_time + response_time);
        }
    }

    /// Tells the session.
    pub(crate) fn tell(self, response: &InvocationResponse, sent: Option<Stamp>) {
        // The session may have been stopped.
        let _ = self.answer.send(Answer {
            text: response.response_text.clone().unwrap_or_default(),
            failure: response.error.as_ref().map(Failure::kind),
            sent,
            seconds: response.time_in_flight().unwrap_or(0.0),
        });
    }
}

impl SoFar {
    /// With one more turn, after so many seconds of thinking.
    pub(crate) fn and(self, answer: &Answer, think_time: f64) -> Self {
        Self {
            begun: self.begun.or(answer.sent),
            think_time: self.think_time + think_time,
            response_time: self.response_time + answer.seconds,
        }
    }
}

impl Answer {
    /// How the conversation ends by it, if it does.
    pub(crate) fn ends(&self) -> Option<Outcome> {
        Some(match self.failure? {
            FailureKind::Interrupted => Outcome::Unfinished,
            FailureKind::Cancelled => Outcome::Cancelled,
            _ => Outcome::Broken,
        })
    }
}

/// Counts conversations.
#[derive(Debug, Default)]
pub(crate) struct SessionCounts {
    begun: AtomicU64,
    ended: [AtomicU64; 4],
    agents: AtomicU64,
}

impl SessionCounts {
    /// One begins.
    pub(crate) fn begin(&self, is_agent: bool) {
        match is_agent {
            true => self.agents.fetch_add(1, Relaxed),
            false => self.begun.fetch_add(1, Relaxed),
        };
    }

    /// One that is no sub-agent's ends.
    pub(crate) fn end(&self, outcome: Outcome) {
        self.ended[outcome as usize].fetch_add(1, Relaxed);
    }

    /// The statistics.
    pub(crate) fn stats(&self) -> Map<String, Value> {
        let ended = |outcome: Outcome| self.ended[outcome as usize].load(Relaxed);
        let agents = self.agents.load(Relaxed);
        let always = [
            ("sessions_begun", self.begun.load(Relaxed)),
            ("sessions_completed", ended(Outcome::Completed)),
        ];
        let seldom = [
            ("sessions_broken", ended(Outcome::Broken)),
            ("sessions_cancelled", ended(Outcome::Cancelled)),
            ("sessions_unfinished", ended(Outcome::Unfinished)),
            ("sub_agents", agents),
        ];
        let seldom = seldom.into_iter().filter(|(_, count)| *count > 0);
        let all = always.into_iter().chain(seldom);
        all.map(|(key, count)| (key.to_owned(), json!(count)))
            .collect()
    }
}
