//! The seam between data and whoever sends it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::base::error::Result;
use crate::payload::{Payload, Tokenizer};

/// Where requests come from.
///
/// The request of an index is always the same, whoever asks for it and in whatever order, so that workers,
/// parts of a run on several machines, and repeats agree.
///
/// ```
/// use llmeter::Result;
/// use llmeter::api::ApiMode;
/// use llmeter::data::{DataRequest, DataSource};
///
/// /// Every request asks for another square.
/// #[derive(Debug)]
/// struct Squares;
///
/// impl DataSource for Squares {
///     fn size(&self) -> Option<u64> {
///         None
///     }
///
///     fn request(&self, index: u64) -> Result<DataRequest> {
///         let prompt = format!("What is {index} squared?");
///         let payload = ApiMode::named("openai-chat-stream")?.create_payload(prompt, 16)?;
///         Ok(DataRequest::of_payload(payload))
///     }
/// }
/// # assert!(Squares.request(7).is_ok());
/// ```
pub trait DataSource: fmt::Debug + Send + Sync {
    /// How many requests it has; `None` if it never ends. Beyond them it begins again.
    fn size(&self) -> Option<u64>;

    /// The request of an index. It is asked for on several threads at the same time, ahead of the request's
    /// time.
    ///
    /// # Errors
    /// If the request cannot be made.
    fn request(&self, index: u64) -> Result<DataRequest>;

    /// The indices of a session's turns, in their order; `None` if every request is on its own.
    fn session(&self, number: u64) -> Option<Range<u64>> {
        let _ = number;
        None
    }

    /// How many sessions it has; `None` if they never end. Beyond them it begins again.
    fn session_count(&self) -> Option<u64> {
        self.size()
    }

    /// Whether the request of an index goes on with the session's requests before it, so that the
    /// server's answers to them can be its history. Otherwise it is sent as it is.
    fn continues(&self, index: u64) -> bool {
        let _ = index;
        false
    }

    /// The request of an index that [continues](Self::continues) without what was said before it.
    ///
    /// # Errors
    /// If the request cannot be made.
    fn turn(&self, index: u64) -> Result<DataRequest> {
        self.request(index)
    }

    /// What a user should know of it: what was left out, put into order or is only an estimate.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// What a request is like, if that is known without making it.
    fn outline(&self, index: u64) -> Option<Outline> {
        let _ = index;
        None
    }

    /// What counts its tokens, if it counts them: that of the run, which may be a mere estimate.
    fn tokenizer(&self) -> Option<Arc<dyn Tokenizer>> {
        None
    }

    /// When its sessions arrive, after the start; empty if the data does not say.
    fn arrivals(&self) -> Vec<Duration> {
        Vec::new()
    }

    /// The pauses of a session between an answer and the next turn; empty if the data does not say.
    fn pauses(&self, number: u64) -> Vec<Duration> {
        let _ = number;
        Vec::new()
    }

    /// The settings of a run that give this data, by their names in files; `None` if there are none. A run
    /// whose data has none cannot be repeated from its folder.
    fn settings(&self) -> Option<Map<String, Value>> {
        None
    }
}

/// One request of the data.
#[derive(Debug, Clone, PartialEq)]
pub struct DataRequest {
    /// What is sent.
    pub payload: Payload,
    /// The tokens of its prompt, by the run's tokenizer, if the data tells.
    pub prompt_tokens: Option<u64>,
    /// The tokens that the response is to have, if the data tells.
    pub output_tokens: Option<u64>,
    /// Its place in a session, if it is part of one.
    pub turn: Option<DataTurn>,
}

/// What a request is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The tokens of its prompt.
    pub prompt_tokens: Option<u64>,
    /// The tokens that the response is to have.
    pub output_tokens: Option<u64>,
    /// Names of its prompt's blocks: equal ones stand for equal beginnings up to their end.
    pub blocks: Vec<u64>,
    /// Tokens of a block.
    pub block: u64,
    /// Tokens of the whole prompt.
    pub size: u64,
}

/// A request's place in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataTurn {
    /// The session, counted from 0.
    pub session: u64,
    /// The turn in it, counted from 0.
    pub turn: u32,
}

impl DataRequest {
    /// A request of which nothing more is known.
    pub fn of_payload(payload: Payload) -> Self {
        Self {
            payload,
            prompt_tokens: None,
            output_tokens: None,
            turn: None,
        }
    }
}
