//! The seam between a load and the machinery that sends it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Shard;
use super::live::Adjustable;
use super::profile::Profile;

/// What is to be sent when.
///
/// A schedule consists of sessions. A session arrives at its time and sends its turns one after the
/// other: each is due some time after the one before has ended. Sessions do not wait for each other.
///
/// - A closed loop is a fixed number of sessions (clients) that arrive together and have many turns.
/// - An open loop is many sessions of one turn, whose arrivals the clock decides.
/// - Conversations are sessions whose turns pause for think time.
///
/// ```
/// use std::time::Duration;
/// use llmeter::load::{Schedule, Session, WorkerShare, Turn};
///
/// /// So many requests, evenly spaced, whether those before have ended or not.
/// #[derive(Debug)]
/// struct Metronome {
///     requests: u32,
///     every: Duration,
/// }
///
/// impl Schedule for Metronome {
///     fn sessions(&self, share: WorkerShare) -> Box<dyn Iterator<Item = Session> + Send> {
///         let every = self.every;
///         let mine = (share.worker as u32..self.requests).step_by(share.workers);
///         Box::new(mine.map(move |number| {
///             let turn = Turn::of_payload(number as usize);
///             Session::new(number, every * number, std::iter::once(turn))
///         }))
///     }
///
///     fn planned(&self) -> Option<u64> {
///         Some(self.requests.into())
///     }
/// }
/// ```
pub trait Schedule: fmt::Debug + Send + Sync {
    /// The sessions of one worker: first those of the warm-up, then the others, each in the order of
    /// their arrival. It is called once for each worker, before the run begins. The iterator is
    /// advanced a little ahead of the next arrival and may be endless: a run that is stopped asks no
    /// further.
    fn sessions(&self, share: WorkerShare) -> Box<dyn Iterator<Item = Session> + Send>;

    /// The number of requests over all workers, warm-up excluded, if it is known.
    fn planned(&self) -> Option<u64> {
        None
    }

    /// [`planned`](Self::planned) of a shard.
    fn planned_in(&self, shard: Shard) -> Option<u64> {
        let _ = shard;
        None
    }

    /// Whether the clock decides when sessions arrive. Their requests then have a due time: latencies are
    /// also told from it, and the run says which load was offered and which was achieved.
    fn is_open_loop(&self) -> bool {
        false
    }

    /// Whether its sessions are conversations, whose beginnings and ends are counted.
    fn has_conversations(&self) -> bool {
        false
    }

    /// When each stage of the load ends, after the start, if it has any.
    fn stage_ends(&self) -> Vec<Duration> {
        Vec::new()
    }

    /// Whether an experiment made it: the experiment is what repeats the run.
    #[doc(hidden)]
    fn is_of_experiment(&self) -> bool {
        false
    }

    /// The schedule of one run, if a run changes it.
    #[doc(hidden)]
    fn of_run(&self, shard: Option<Shard>) -> Option<Arc<dyn Schedule>> {
        let _ = shard;
        None
    }

    /// Whether it follows from the data, whose settings then repeat it.
    #[doc(hidden)]
    fn is_of_data(&self) -> bool {
        false
    }

    /// How long requests are sent, if that is known.
    fn duration(&self) -> Option<Duration> {
        None
    }

    /// The schedule in the form that can be changed while it is carried out, if there is one. Its sessions
    /// then have no end that follows from the level of the load, as the duration of arrivals.
    #[doc(hidden)]
    fn adjustable(&self) -> Option<Adjustable> {
        None
    }

    /// The session of a client that joins an [adjustable](Self::adjustable) closed loop, for the so-manieth
    /// time.
    #[doc(hidden)]
    fn joining(&self, client: u64, round: u64) -> Option<Session> {
        let _ = (client, round);
        None
    }
}

/// One worker's part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerShare {
    /// The worker, counted from 0.
    pub worker: usize,
    /// How many workers there are.
    pub workers: usize,
}

/// Turns one after the other, with one request in flight at most.
pub struct Session {
    /// The client or session number that responses are recorded with.
    pub client: u32,
    /// What its requests count for.
    pub class: RequestClass,
    /// When it arrives, after the run's start, or that of the warm-up; its first turn is due then.
    pub arrival: Duration,
    /// The time after the run's start, or that of the warm-up, from which on it sends no more,
    /// whatever turns are left.
    pub until: Option<Duration>,
    /// How many arrivals are expected up to its own, of a load whose rate can be changed: it arrives when the
    /// integral of the rate reaches that.
    #[doc(hidden)]
    pub place: Option<f64>,
    /// Its turns.
    pub turns: Box<dyn Iterator<Item = Turn> + Send>,
}

impl Session {
    /// A measured session without an end but that of its turns.
    pub fn new(
        client: u32,
        arrival: Duration,
        turns: impl Iterator<Item = Turn> + Send + 'static,
    ) -> Self {
        Self {
            client,
            class: RequestClass::Measured,
            arrival,
            until: None,
            place: None,
            turns: Box::new(turns),
        }
    }

    /// When it arrives if the arrival rate is this one over time; `None` if it never does.
    pub(crate) fn arrival_by(&self, rate: &Profile) -> Option<Duration> {
        match self.place {
            Some(place) => Duration::try_from_secs_f64(rate.time_of(place)?).ok(),
            None => Some(self.arrival),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Session")
            .field("client", &self.client)
            .field("class", &self.class)
            .field("arrival", &self.arrival)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// What requests count for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequestClass {
    /// Sent before the run starts, and kept out of every figure.
    Warmup,
    /// Part of the figures.
    #[default]
    Measured,
}

/// One request of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The index of its payload. Beyond the number of payloads it wraps around.
    pub payload: usize,
    /// How long after the end of the turn before, or after the session's arrival, it is due.
    pub pause: Duration,
    /// Its place in a conversation, if it is part of one. A session may have several conversations one
    /// after the other; a turn that fails ends its own.
    pub conversation: Option<Box<ConversationTurn>>,
}

/// A turn's place in a conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConversationTurn {
    /// The conversation's number in the whole load, counted from 0.
    pub session: u32,
    /// The turn in it, counted from 0.
    pub turn: u32,
    /// Whether it is the last one.
    pub is_last: bool,
    /// Whether it goes on with what was said before: the turns before it and the server's answers to them
    /// are put before its own message. Otherwise its payload is sent as it is.
    pub continues: bool,
    /// Sub-agents that begin after its end, beside the turns that follow.
    pub agents: Vec<SubAgent>,
}

/// A conversation that another one starts, and that runs beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubAgent {
    /// Its number among the conversations of the whole load.
    pub session: u32,
    /// How long after the end of the turn that starts it its first turn is due.
    pub pause: Duration,
    /// Its turns; those of a sub-agent start no further ones.
    pub turns: Arc<[Turn]>,
    /// The turn of the conversation that started it which waits for its end, counted from 0; the pause of
    /// that turn begins then. `None`: none waits.
    pub joined_by: Option<u32>,
}

impl Turn {
    /// A turn without a pause.
    pub fn of_payload(payload: usize) -> Self {
        Self {
            payload,
            pause: Duration::ZERO,
            conversation: None,
        }
    }
}
