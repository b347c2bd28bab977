//! Responses that fall silent: an answer is complete when the API says so, however its connection
//! ends.
//!
//! A worker parses nothing. It asks the decoder whether what has come is complete, once nothing has
//! come for a while.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use llmeter_wire::clock::{self, Stamp};

/// How often a response under way is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// How soon after a question its reply is looked for. Decoders look every 10 ms.
const REPLY_INTERVAL: Duration = Duration::from_millis(50);
/// Silence after which the decoder is asked, and after which an answer with its end mark is over.
const GRACE: Duration = Duration::from_millis(450);
/// The same of an answer that has a finish reason only, after which usage and other choices may come.
const LONG_GRACE: Duration = Duration::from_secs(5);

/// A timeout that is longer than the clock can tell.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// How the connection ended a response, if not as the protocol has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransportEnd {
    /// The server kept the connection open and sent no end.
    LeftOpen,
    /// The server closed the connection before the end.
    Closed,
    /// The connection, or the HTTP/2 stream, was reset.
    Reset,
    /// What came after the answer is not what the protocol has.
    Garbled,
}

impl TransportEnd {
    /// The name that files have.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::LeftOpen => "left_open",
            Self::Closed => "closed_early",
            Self::Reset => "reset",
            Self::Garbled => "garbled",
        }
    }
}

/// How far a response is by what its API says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub(crate) enum Completeness {
    /// More must come.
    #[default]
    Open = 1,
    /// Generation has ended; usage, or another choice, may follow.
    Finished = 2,
    /// Nothing follows.
    Ended = 3,
}

/// A worker's question whether a response is complete.
#[derive(Debug, Default)]
pub(crate) struct Question(AtomicU8);

impl Question {
    /// The decoder's reply.
    pub(crate) fn reply(&self, completeness: Completeness) {
        self.0.store(completeness as u8, Ordering::Relaxed);
    }

    fn completeness(&self) -> Option<Completeness> {
        let known = [
            Completeness::Open,
            Completeness::Finished,
            Completeness::Ended,
        ];
        let reply = self.0.load(Ordering::Relaxed);
        known.into_iter().find(|known| *known as u8 == reply)
    }
}

/// What is known of a response's silence.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    look: Arc<Look>,
    /// Reads when it was last looked.
    reads: u32,
    /// When these were first seen.
    since: Stamp,
    question: Option<Arc<Question>>,
    is_question_new: bool,
}

/// What the timer and the reading of a request share.
#[derive(Debug, Default)]
struct Look {
    is_due: AtomicBool,
    awaits_reply: AtomicBool,
}

impl Silence {
    pub(crate) fn begin(&mut self) {
        self.reads = 0;
        self.question = None;
        self.is_question_new = false;
        self.look.is_due.store(false, Ordering::Relaxed);
        self.look.awaits_reply.store(false, Ordering::Relaxed);
    }

    /// What looks for silence from time to time, beside the reading.
    pub(crate) fn timer(&self) -> SilenceTimer {
        SilenceTimer(self.look.clone())
    }

    pub(crate) fn is_looked_for(&self) -> bool {
        self.look.is_due.load(Ordering::Relaxed)
    }

    /// Looks. Whether the response is over; so many reads have brought something.
    pub(crate) fn look(&mut self, reads: u32) -> bool {
        self.look.is_due.store(false, Ordering::Relaxed);
        if reads == 0 {
            return false;
        }
        if reads != self.reads {
            self.reads = reads;
            self.since = clock::now();
            self.question = None;
            return false;
        }
        let silence = clock::now().seconds_since(self.since);
        if silence < GRACE.as_secs_f64() {
            return false;
        }
        let reply = match &self.question {
            Some(question) => question.completeness(),
            None => {
                self.question = Some(Arc::default());
                self.is_question_new = true;
                None
            }
        };
        let awaits_reply = reply.is_none();
        self.look
            .awaits_reply
            .store(awaits_reply, Ordering::Relaxed);
        match reply {
            Some(Completeness::Ended) => true,
            Some(Completeness::Finished) => silence >= LONG_GRACE.as_secs_f64(),
            Some(Completeness::Open) | None => false,
        }
    }

    /// The question that [`look`](Self::look) raised, to be put once.
    pub(crate) fn new_question(&mut self) -> Option<Arc<Question>> {
        let question = self.question.clone();
        question.filter(|_| std::mem::take(&mut self.is_question_new))
    }
}

/// Makes a request look for silence.
pub(crate) struct SilenceTimer(Arc<Look>);

impl SilenceTimer {
    /// Waits for so long, and has silence looked for meanwhile. One timer does for both.
    pub(crate) async fn run_for(&self, timeout: Duration) {
        let begin = Instant::now();
        let deadline = begin.checked_add(timeout).unwrap_or(begin + FOREVER);
        let mut interval = LOOK_INTERVAL;
        let mut next = (begin + interval).min(deadline);
        let mut wait = pin!(tokio::time::sleep_until(next));
        loop {
            wait.as_mut().await;
            if next == deadline {
                return;
            }
            self.0.is_due.store(true, Ordering::Relaxed);
            // Whoever reads is polled before this goes on.
            tokio::task::yield_now().await;
            interval = match self.0.awaits_reply.load(Ordering::Relaxed) {
                true => REPLY_INTERVAL,
                false => LOOK_INTERVAL,
            };
            next = (Instant::now() + interval).min(deadline);
            wait.as_mut().reset(next);
        }
    }
}
