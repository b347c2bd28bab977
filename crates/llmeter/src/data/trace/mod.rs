//! Traces: requests with the times at which production had them.
//!
//! What a trace is follows from its content. Where it names blocks of prompts (`hash_ids`), prompts are made
//! whose blocks are equal exactly where the ids are, in the tokenizer's tokens, so that a cache of prefixes hits
//! as it did in production.

mod agentic;
mod blocks;
mod form;
mod rows;
mod run_folder;
mod window;

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHasher;

pub(super) use self::form::is_trace;
pub use self::window::Window;

use self::blocks::BlockTexts;
use super::form::note_model;
use super::{DataRequest, DataSource, DataTurn, Outline, RequestForm};
use crate::base::error::{Error, Result};
use crate::base::setting::{Setting, SettingProblem};
use crate::payload::{Message, Payload, Tokenizer};
use crate::storage::Location;

/// Lines that are named one by one; of more the number is told.
const MAX_NAMED: usize = 5;

/// A trace as it was read: sessions with their requests.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// What the trace is, for people.
    kind: &'static str,
    sessions: Vec<RecordedSession>,
    /// Lines that cannot be used, and why.
    unusable: Vec<(u64, String)>,
    /// Tokens of a block.
    block: u64,
    /// What is to be said of it.
    notes: Vec<String>,
}

/// Requests one after the other.
#[derive(Debug, Default)]
struct RecordedSession {
    /// Seconds, by the trace's own clock.
    arrival: f64,
    requests: Vec<RecordedRequest>,
    /// The session whose request starts this one, and which of its requests waits for the end of this one.
    parent: Option<Parent>,
}

impl RecordedSession {
    /// Whether it begins by itself.
    fn is_root(&self) -> bool {
        self.parent.is_none_or(|parent| parent.after == 0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Parent {
    session: usize,
    /// Requests of the parent that end before this session begins.
    after: usize,
    /// Seconds from the end of the last of them.
    pause: f64,
    /// The request of the parent that waits for its end, if one does.
    joined_by: Option<usize>,
}

#[derive(Debug)]
struct RecordedRequest {
    /// Seconds from the end of the request before, or from the session's arrival.
    pause: f64,
    input_tokens: u64,
    output_tokens: Option<u64>,
    /// The blocks of its prompt.
    hash_ids: Box<[u64]>,
    /// Its content, if the trace has it.
    content: Option<Content>,
}

#[derive(Debug)]
enum Content {
    Text(String),
    Conversation(Option<String>, Vec<Message>),
    Body(Payload),
}

/// What of a trace is replayed, and how fast.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayOptions {
    /// How much faster than the trace.
    pub speed: f64,
    /// Sessions in a second, on average, in the place of a speed.
    pub rate: Option<f64>,
    /// The part of the trace.
    pub window: Option<Window>,
    /// Most requests.
    pub max_requests: Option<u64>,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            speed: 1.0,
            rate: None,
            window: None,
            max_requests: None,
        }
    }
}

/// One session of a replay: when it arrives, and the pauses before its requests.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplaySession {
    /// After the start of the replay.
    pub arrival: Duration,
    /// The indices of its requests in the data.
    pub requests: Range<u64>,
    /// Before each request: from the end of the one before, or from the arrival.
    pub pauses: Vec<Duration>,
    /// The session that starts this one, if it is that of a sub-agent.
    pub parent: Option<ReplayParent>,
}

/// How a sub-agent's session hangs on the one that starts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayParent {
    /// The session's place in the list of all.
    pub session: usize,
    /// Requests of the parent after whose end this session begins; 0 for one that begins at its own time.
    pub after: usize,
    /// How long after their end.
    pub pause: Duration,
    /// The request of the parent that waits for this session's end, counted from 0; its pause begins then.
    pub joined_by: Option<usize>,
}

/// A trace that can be replayed.
pub struct Trace {
    kind: &'static str,
    sessions: Vec<ReplaySession>,
    requests: Vec<RecordedRequest>,
    /// The session of each request.
    session_of: Vec<u32>,
    blocks: BlockTexts,
    form: RequestForm,
    notes: Vec<String>,
}

impl Trace {
    /// Reads a trace: a file, or a folder of a run or of agentic sessions.
    ///
    /// # Errors
    /// If it cannot be read, is none of the forms that are known, or nothing of it can be used.
    pub fn open(
        location: &Location,
        options: &ReplayOptions,
        form: RequestForm,
        tokenizer: Arc<dyn Tokenizer>,
        seed: u64,
    ) -> Result<Self> {
        location.check(Setting::Replay)?;
        if !(options.speed.is_finite() && options.speed > 0.0) {
            let expected = "a factor above 0, such as 2";
            return Err(Error::invalid(Setting::Speed, options.speed, expected));
        }
        let recorded = form::read(location)?;
        let blocks = BlockTexts::new(tokenizer, recorded.block, seed)?;
        let trace = Self::of(recorded, location, options, form, blocks)?;
        trace.request(0)?;
        Ok(trace)
    }

    fn of(
        mut recorded: Recorded,
        location: &Location,
        options: &ReplayOptions,
        form: RequestForm,
        blocks: BlockTexts,
    ) -> Result<Self> {
        let mut notes = std::mem::take(&mut recorded.notes);
        notes.extend(unusable(&recorded.unusable));
        let is_made = |request: &RecordedRequest| request.content.is_none();
        let mut sessions = recorded.sessions.iter();
        if !blocks.is_exact() && sessions.any(|session| session.requests.iter().any(is_made)) {
            notes.push(super::synthetic::WORDS.to_owned());
        }
        let refuse = |setting, reason: String| {
            let problem = SettingProblem::Refused { reason };
            let hint = None;
            Err(Error::Invalid {
                setting,
                problem,
                hint,
            })
        };
        if recorded
            .sessions
            .iter()
            .any(|session| session.requests.is_empty())
        {
            recorded.keep(|session| !session.requests.is_empty());
        }
        if recorded.sessions.is_empty() {
            let why = recorded.unusable.first();
            let why = why.map_or(String::new(), |(line, why)| format!(": line {line}: {why}"));
            return refuse(
                Setting::Replay,
                format!("{location} has no request that can be used{why}"),
            );
        }
        notes.extend(recorded.sort());
        let mut models = BTreeSet::new();
        let requests = recorded.sessions.iter().flat_map(|one| &one.requests);
        for request in requests {
            if let Some(Content::Body(body)) = &request.content {
                note_model(body, &mut models);
            }
        }
        notes.extend(form.note_of_models(&models));
        let first = recorded.start();
        let length = recorded
            .sessions
            .iter()
            .map(|session| session.arrival - first);
        let length = length.fold(0.0, f64::max);
        if let Some(window) = options.window {
            recorded.keep(|session| window.has(session.arrival - first));
            if recorded.sessions.is_empty() {
                let reason =
                    format!("nothing of {location} arrives in it; the trace is {length:.1} s long");
                return refuse(Setting::Window, reason);
            }
        }
        let start = first + options.window.map_or(0.0, Window::start);
        // Sub-agents come with those that start them.
        let mut arrivals = recorded.sessions.iter().filter(|session| session.is_root());
        let gaps = arrivals.clone().count() as f64 - 1.0;
        let last = arrivals
            .next_back()
            .map_or(start, |session| session.arrival);
        let has_times = last - recorded.start() > 0.0;
        let speed = match options.rate {
            Some(rate) if has_times => rate * (last - recorded.start()) / gaps,
            Some(rate) => {
                // All at once: the rate spreads them.
                let sessions = recorded.sessions.iter_mut();
                let roots = sessions.filter(|session| session.is_root()).enumerate();
                roots.for_each(|(place, session)| session.arrival += place as f64 / rate);
                1.0
            }
            None => options.speed,
        };
        let mut left = options.max_requests.unwrap_or(u64::MAX);
        let (mut sessions, mut requests, mut session_of) = (Vec::new(), Vec::new(), Vec::new());
        for (place, session) in recorded.sessions.into_iter().enumerate() {
            if left == 0 {
                break;
            }
            let count = (session.requests.len() as u64).min(left);
            left -= count;
            let from = requests.len() as u64;
            let seconds = |seconds: f64| {
                let scaled = (seconds / speed).max(0.0);
                Duration::try_from_secs_f64(scaled).unwrap_or(Duration::MAX)
            };
            let mut pauses = Vec::new();
            for request in session.requests.into_iter().take(count as usize) {
                pauses.push(seconds(request.pause));
                session_of.push(place as u32);
                requests.push(request);
            }
            sessions.push(ReplaySession {
                arrival: seconds(session.arrival - start),
                requests: from..from + count,
                pauses,
                parent: session.parent.map(|parent| ReplayParent {
                    session: parent.session,
                    after: parent.after,
                    pause: seconds(parent.pause),
                    joined_by: parent.joined_by,
                }),
            });
        }
        if u32::try_from(requests.len()).is_err() {
            return refuse(
                Setting::Replay,
                format!("{location} has more than {} requests", u32::MAX),
            );
        }
        Ok(Self {
            kind: recorded.kind,
            sessions,
            requests,
            session_of,
            blocks,
            form,
            notes,
        })
    }

    /// What the trace is, for people: "Mooncake".
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Its sessions in the order of their arrival.
    pub fn sessions(&self) -> &[ReplaySession] {
        &self.sessions
    }

    /// The blocks of a request's prompt, if the trace names them.
    pub fn hash_ids(&self, index: u64) -> &[u64] {
        &self.requests[index as usize % self.requests.len()].hash_ids
    }

    /// Tokens of a block.
    pub fn block_tokens(&self) -> u64 {
        self.blocks.tokens()
    }
}

impl Recorded {
    /// When the first session arrives.
    fn start(&self) -> f64 {
        let arrivals = self.sessions.iter().map(|session| session.arrival);
        arrivals.fold(f64::INFINITY, f64::min)
    }

    /// Puts sessions into the order of their arrival. Returns what is to be said of it.
    fn sort(&mut self) -> Option<String> {
        let arrivals = self.sessions.windows(2);
        let late = arrivals
            .filter(|pair| pair[0].arrival > pair[1].arrival)
            .count();
        if late == 0 {
            return None;
        }
        let mut order: Vec<usize> = (0..self.sessions.len()).collect();
        order.sort_by(|one, other| {
            let arrival = |place: usize| self.sessions[place].arrival;
            arrival(*one).total_cmp(&arrival(*other))
        });
        self.reorder(&order);
        let times = if late == 1 {
            "1 time"
        } else {
            &format!("{late} times")
        };
        Some(format!(
            "the trace's times go back {times}: its requests were put into the order of their times"
        ))
    }

    /// Keeps some sessions; one whose parent is left out stands alone.
    fn keep(&mut self, is_kept: impl Fn(&RecordedSession) -> bool) {
        let places = 0..self.sessions.len();
        let order: Vec<usize> = places
            .filter(|place| is_kept(&self.sessions[*place]))
            .collect();
        self.reorder(&order);
    }

    /// The sessions at these places, in this order.
    fn reorder(&mut self, order: &[usize]) {
        let mut place_of = vec![None; self.sessions.len()];
        for (new, old) in order.iter().enumerate() {
            place_of[*old] = Some(new);
        }
        let mut old: Vec<_> = std::mem::take(&mut self.sessions)
            .into_iter()
            .map(Some)
            .collect();
        self.sessions = order
            .iter()
            .filter_map(|place| old[*place].take())
            .collect();
        for session in &mut self.sessions {
            session.parent = session.parent.and_then(|parent| {
                let session = place_of[parent.session]?;
                Some(Parent { session, ..parent })
            });
        }
    }
}

/// Which lines were left out, and why.
fn unusable(lines: &[(u64, String)]) -> Option<String> {
    let (first, why) = lines.first()?;
    let named: Vec<_> = lines
        .iter()
        .skip(1)
        .take(MAX_NAMED)
        .map(|(line, _)| line.to_string())
        .collect();
    let more = match lines.len() - 1 - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(match named.is_empty() {
        true => format!("line {first} of the trace cannot be used and is left out: {why}"),
        false => format!(
            "{} lines of the trace cannot be used and are left out: {first} ({why}), {}{more}",
            lines.len(),
            named.join(", ")
        ),
    })
}

impl DataSource for Trace {
    fn size(&self) -> Option<u64> {
        Some(self.requests.len() as u64)
    }

    fn request(&self, index: u64) -> Result<DataRequest> {
        let index = index % self.requests.len() as u64;
        let request = &self.requests[index as usize];
        let mut prompt_tokens = None;
        let payload = match &request.content {
            Some(Content::Text(text)) => self.form.payload(text.as_str(), request.output_tokens)?,
            Some(Content::Conversation(system, messages)) => {
                self.form
                    .conversation(system.as_deref(), messages, request.output_tokens)?
            }
            Some(Content::Body(body)) => {
                let mut body = body.clone();
                self.form.complete_body(&mut body)?;
                body
            }
            None => {
                let text = self
                    .blocks
                    .prompt(index, request.input_tokens, &request.hash_ids)?;
                prompt_tokens = Some(request.input_tokens);
                self.form.payload(text, request.output_tokens)?
            }
        };
        let session = self.session_of[index as usize];
        let range = &self.sessions[session as usize].requests;
        let turn = DataTurn {
            session: u64::from(session),
            turn: (index - range.start) as u32,
        };
        Ok(DataRequest {
            payload,
            prompt_tokens,
            output_tokens: request.output_tokens,
            turn: (range.end - range.start > 1).then_some(turn),
        })
    }

    fn session(&self, number: u64) -> Option<Range<u64>> {
        let session = self.sessions.get(number as usize)?;
        Some(session.requests.clone())
    }

    fn session_count(&self) -> Option<u64> {
        Some(self.sessions.len() as u64)
    }

    /// Texts alone do: whatever else a trace has is the whole of a request.
    fn continues(&self, index: u64) -> bool {
        let index = index as usize % self.requests.len();
        let session = self.session_of[index];
        let is_first = self.sessions[session as usize].requests.start == index as u64;
        !is_first && matches!(self.requests[index].content, Some(Content::Text(_)))
    }

    fn tokenizer(&self) -> Option<Arc<dyn Tokenizer>> {
        Some(self.blocks.tokenizer())
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn outline(&self, index: u64) -> Option<Outline> {
        let request = self
            .requests
            .get(index as usize)
            .filter(|one| one.content.is_none())?;
        // Equal ids are equal texts, wherever they stand; a beginning is equal if all before are.
        let mut hasher = FxHasher::default();
        let full = (request.input_tokens / self.blocks.tokens()) as usize;
        let blocks = request.hash_ids.iter().take(full).map(|id| {
            id.hash(&mut hasher);
            hasher.finish()
        });
        Some(Outline {
            prompt_tokens: Some(request.input_tokens),
            output_tokens: request.output_tokens,
            blocks: blocks.collect(),
            block: self.blocks.tokens(),
            size: request.input_tokens,
        })
    }

    fn arrivals(&self) -> Vec<Duration> {
        let sessions = self.sessions.iter();
        sessions.map(|session| session.arrival).collect()
    }

    fn pauses(&self, number: u64) -> Vec<Duration> {
        let session = self.sessions.get(number as usize);
        let pauses = session.into_iter().flat_map(|session| &session.pauses);
        pauses.skip(1).copied().collect()
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Trace")
            .field("kind", &self.kind)
            .field("sessions", &self.sessions.len())
            .field("requests", &self.requests.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
