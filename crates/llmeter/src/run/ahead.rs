//! Requests of the data that are made before anybody asks for them.
//!
//! One of several threads makes the requests of every so many-th index. What is asked for mostly follows what
//! was asked for before, so that it is there already; how far ahead is bounded in number and bytes.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use secrecy::SecretString;
use serde_json::Value;

use crate::base::error::{Error, Result};
use crate::base::foreign::{self, Panic};
use crate::cost::SpendGuard;
use crate::data::{DataRequest, DataSource};
use crate::payload::{ExtraFields, Payload};
use crate::run::prepare::{Asked, Prepared};
use crate::run::route::Route;

/// Requests that one thread has ready at most.
const MAX_AHEAD: usize = 1024;
/// Bytes of those of all threads together.
const MAX_BYTES: usize = 32 << 20;

/// Makes requests of the data.
pub(crate) struct DataMaker {
    pub(crate) source: Arc<dyn DataSource>,
    pub(crate) routes: Arc<[Route]>,
    pub(crate) guard: Option<Arc<SpendGuard>>,
    /// Whether callbacks get each payload as the data has it.
    pub(crate) keeps_given: bool,
    /// The first request of the run.
    pub(crate) start: u64,
    /// From one request of the run to its next: those between are other shards'.
    pub(crate) stride: u64,
    /// Of a load of conversations.
    pub(crate) sessions: Option<SessionNames>,
}

/// A request of the data that can be sent.
#[derive(Debug)]
pub(crate) struct Made {
    /// As the data has it, if callbacks are to see it.
    pub(crate) given: Option<Payload>,
    pub(crate) prepared: Arc<Prepared>,
}

impl Made {
    fn bytes(&self) -> usize {
        // The payload and the prompt have about as much as the request.
        3 * self.prepared.request.len() + 512
    }
}

impl DataMaker {
    /// The server that gets the request if requests go round.
    fn likely_route(&self, index: u64) -> &Route {
        let number = index.wrapping_sub(self.start) / self.stride.max(1);
        &self.routes[(number % self.routes.len() as u64) as usize]
    }

    /// `session`: the conversation that it is of.
    ///
    /// # Errors
    /// If the data has no such request, or the endpoint refuses it.
    pub(crate) fn make(&self, index: u64, session: Option<u32>) -> Result<Made> {
        let request = self.asked(|| self.source.request(index))?;
        self.prepared(index, request, session)
    }

    /// What a turn of a conversation says beside its history.
    ///
    /// # Errors
    /// If the data has no such turn.
    pub(crate) fn turn(&self, index: u64) -> Result<DataRequest> {
        self.asked(|| self.source.turn(index))
    }

    /// A turn that goes on with what was sent and answered before it.
    ///
    /// # Errors
    /// If the API takes no conversation, or the endpoint refuses the request.
    pub(crate) fn go_on(
        &self,
        index: u64,
        mut turn: DataRequest,
        previous: &Prepared,
        answer: &str,
        session: Option<u32>,
    ) -> Result<Made> {
        let endpoint = &*self.likely_route(index).endpoint;
        let payload = &mut turn.payload;
        let went_on = foreign::catch_panic(|| {
            endpoint.continue_conversation(payload, &previous.payload, answer)
        });
        went_on
            .map_err(|Panic(reason)| format!("the endpoint panicked: {reason}"))
            .and_then(|went_on| went_on.map_err(|reason| reason.to_string()))
            .map_err(|reason| Error::refused("payload", reason))?;
        // Nobody asked for the answers.
        turn.prompt_tokens = None;
        self.prepared(index, turn, session)
    }

    fn asked(&self, ask: impl FnOnce() -> Result<DataRequest>) -> Result<DataRequest> {
        foreign::catch_panic(ask).unwrap_or_else(|Panic(reason)| {
            Err(Error::refused("data", format!("it panicked: {reason}")))
        })
    }

    fn prepared(&self, index: u64, request: DataRequest, session: Option<u32>) -> Result<Made> {
        let DataRequest {
            mut payload,
            prompt_tokens,
            output_tokens,
            ..
        } = request;
        let headers = match (&self.sessions, session) {
            (Some(sessions), Some(session)) => sessions.name(session, &mut payload)?,
            _ => Vec::new(),
        };
        let given = self.keeps_given.then(|| payload.clone());
        let prepared = Prepared::of_payload(self.likely_route(index), payload, headers)?;
        let prepared = prepared.of_data(
            index,
            Asked {
                prompt_tokens,
                output_tokens,
            },
        );
        if let Some(guard) = &self.guard {
            prepared.expected(guard);
        }
        Ok(Made {
            given,
            prepared: Arc::new(prepared),
        })
    }
}

/// Names conversations to the server, where it is to tell them apart.
#[derive(Debug, Clone)]
pub(crate) struct SessionNames {
    /// What no other run has.
    prefix: String,
    header: Option<String>,
    field: Option<String>,
}

impl SessionNames {
    pub(crate) fn new(header: Option<String>, field: Option<String>) -> Self {
        let run = uuid::Uuid::new_v4().simple().to_string();
        Self {
            prefix: format!("llmeter-{}", &run[..8]),
            header,
            field,
        }
    }

    /// The first request of a run.
    ///
    /// # Errors
    /// If the endpoint refuses it, or the names in it.
    pub(crate) fn first(&self, route: &Route, mut payload: Payload) -> Result<Prepared> {
        let headers = self.name(0, &mut payload)?;
        Prepared::of_payload(route, payload, headers)
    }

    /// Puts a conversation's id into a payload; returns the headers that have it.
    fn name(&self, session: u32, payload: &mut Payload) -> Result<Vec<(String, SecretString)>> {
        let id = format!("{}-{}", self.prefix, u64::from(session) + 1);
        if let Some(field) = &self.field {
            let assignment = format!("{field}={}", Value::from(id.as_str()));
            ExtraFields::from_assignments([assignment.as_str()])?.add_to(payload)?;
        }
        let header = self.header.iter();
        Ok(header
            .map(|name| (name.clone(), id.clone().into()))
            .collect())
    }
}

/// What one thread has ready.
pub(crate) struct Ahead {
    made: FxHashMap<u64, Result<Made>>,
    bytes: usize,
    max_bytes: usize,
    /// The index that is made next.
    next: u64,
    /// From one index of this thread to its next.
    step: u64,
    /// How many are made ahead: fewer while what is asked for does not follow what was asked for before.
    window: usize,
}

impl Ahead {
    /// What the thread of this number has ready of a run whose requests begin at `start`, so far apart.
    pub(crate) fn new((start, stride): (u64, u64), thread: usize, threads: usize) -> Self {
        let count = threads as u64;
        let skipped = (thread as u64 + count - start / stride % count) % count;
        let (first, step) = (start + skipped * stride, count * stride);
        Self {
            made: FxHashMap::default(),
            bytes: 0,
            max_bytes: MAX_BYTES / threads,
            next: first,
            step,
            window: MAX_AHEAD,
        }
    }

    /// The request of an index, if it is ready.
    pub(crate) fn take(&mut self, index: u64) -> Option<Result<Made>> {
        if let Some(made) = self.made.remove(&index) {
            self.bytes -= made.as_ref().map_or(0, Made::bytes);
            self.window = (self.window * 2).min(MAX_AHEAD);
            return Some(made);
        }
        let reach = self.step.saturating_mul(MAX_AHEAD as u64);
        if index >= self.next && index - self.next < reach {
            // Asked for faster than it is made.
            self.next = index + self.step;
        } else if self.next.abs_diff(index) >= reach {
            self.made.clear();
            self.bytes = 0;
            self.next = index + self.step;
            self.window = (self.window / 2).max(1);
        }
        None
    }

    /// Whether one more is to be made.
    pub(crate) fn has_room(&self) -> bool {
        self.made.len() < self.window && self.bytes < self.max_bytes
    }

    /// Makes one more.
    pub(crate) fn make_next(&mut self, maker: &DataMaker) {
        let made = maker.make(self.next, None);
        self.bytes += made.as_ref().map_or(0, Made::bytes);
        self.made.insert(self.next, made);
        self.next += self.step;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::endpoint::OpenAiChat;

    #[derive(Debug)]
    struct Numbers(usize);

    impl DataSource for Numbers {
        fn size(&self) -> Option<u64> {
            None
        }

        fn request(&self, index: u64) -> Result<DataRequest> {
            let text = format!("{index} {}", "x".repeat(self.0));
            let payload = json!({"messages": [{"role": "user", "content": text}]});
            Ok(DataRequest::of_payload(
                payload.as_object().cloned().unwrap(),
            ))
        }
    }

    fn maker(bytes: usize) -> DataMaker {
        let endpoint = OpenAiChat::builder("http://127.0.0.1:1/v1", "m").build();
        DataMaker {
            source: Arc::new(Numbers(bytes)),
            routes: Arc::new([Route::to(Arc::new(endpoint.unwrap()), None)]),
            guard: None,
            keeps_given: false,
            start: 7,
            stride: 1,
            sessions: None,
        }
    }

    fn fill(ahead: &mut Ahead, maker: &DataMaker) {
        while ahead.has_room() {
            ahead.make_next(maker);
        }
    }

    #[test]
    fn each_thread_makes_its_own_indices_from_the_start_on() {
        let maker = maker(0);
        for (thread, first) in [(0, 9), (1, 7), (2, 8)] {
            let mut ahead = Ahead::new((7, 1), thread, 3);
            fill(&mut ahead, &maker);
            for index in (first..).step_by(3).take(MAX_AHEAD) {
                let made = ahead.take(index).unwrap().unwrap();
                assert_eq!(made.prepared.index, Some(index as u32));
            }
            assert_eq!(ahead.bytes, 0);
        }
    }

    #[test]
    fn bytes_and_jumps_bound_what_is_ready() {
        let maker = maker(1 << 20);
        let mut ahead = Ahead::new((0, 1), 0, 1);
        fill(&mut ahead, &maker);
        assert!(ahead.made.len() <= 11, "{}", ahead.made.len());
        // Elsewhere: all of it is given up, and less is made until it is of use again.
        assert!(ahead.take(1 << 31).is_none());
        assert_eq!((ahead.made.len(), ahead.bytes), (0, 0));
        assert_eq!((ahead.next, ahead.window), ((1 << 31) + 1, MAX_AHEAD / 2));
        fill(&mut ahead, &maker);
        assert!(ahead.take((1 << 31) + 1).is_some());
        assert_eq!(ahead.window, MAX_AHEAD);
        // A little further on: what is between stays.
        let ready = ahead.made.len();
        let beyond = ahead.next + 3;
        assert!(ahead.take(beyond).is_none());
        assert_eq!((ahead.made.len(), ahead.next), (ready, beyond + 1));
    }
}
