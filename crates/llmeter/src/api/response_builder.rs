//! A response under construction: its content, and the times at which the content came.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::common_text::common_text;
use super::gap_sample::GapSample;
use super::response::InvocationResponse;
use super::usage::Usage;

use crate::base::failure::{Failure, FailureKind};
use crate::base::server_text::excerpt;
use llmeter_wire::clock::{self, Stamp};

/// Collects what a response says and when it said it.
///
/// Where the wire takes the times, each frame has its own; where an endpoint reports chunks itself
/// ([`Invoke`](crate::endpoint::Invoke)), each call takes the present time.
#[derive(Debug, Default)]
pub struct ResponseBuilder {
    frame: Option<Frame>,
    sent: Option<Stamp>,
    first_content: Option<Stamp>,
    first_answer: Option<Stamp>,
    last_content: Option<Stamp>,
    gaps: GapSample,
    content_frames: u32,
    pub(crate) text: String,
    pub(crate) has_text: bool,
    pub(crate) reasoning: String,
    pub(crate) tool_calls: String,
    /// Bytes of text that were not kept.
    pub(crate) text_dropped: u64,
    pub(crate) id: Option<String>,
    pub(crate) usage: Usage,
    pub(crate) finish_reason: Option<Arc<str>>,
    pub(crate) annotations: Map<String, Value>,
    pub(crate) error: Option<Failure>,
    /// The error of AWS's with which a stream said that there were too many requests.
    pub(crate) throttle: Option<String>,
    pub(crate) is_complete: bool,
    /// Choices that came, as far as their number was told.
    pub(crate) choices: u64,
    /// What the endpoint measured itself.
    pub(crate) own: Option<Box<OwnMeasurement>>,
    stream_end: StreamEnd,
}

/// A response that the endpoint measured itself.
#[derive(Debug)]
pub(crate) struct OwnMeasurement {
    pub(crate) response: InvocationResponse,
    /// By how much its times may be wrong.
    pub(crate) uncertainty: Duration,
}

/// How far a stream is by its own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum StreamEnd {
    /// More must come.
    #[default]
    Open,
    /// Generation has ended; usage, or another choice, may follow.
    Finished,
    /// Nothing follows.
    Ended,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    at: Stamp,
    has_content: bool,
    /// It says why generation ended.
    is_last: bool,
}

/// Bytes of text that are kept of one response, reasoning and tool calls included: half a million
/// tokens.
pub(crate) const MAX_TEXT: usize = 2 << 20;

/// Bytes that a text has room for at first: growing to them chunk by chunk would cost more than all else
/// that is done with the text.
const TEXT_AT_FIRST: usize = 512;

/// Adds a chunk to a text as far as there is room.
fn keep(room: usize, text: &mut String, chunk: &str, dropped: &mut u64) {
    let kept = &chunk[..chunk.floor_char_boundary(room)];
    if text.capacity() == 0 {
        text.reserve(TEXT_AT_FIRST.max(kept.len()));
    }
    text.push_str(kept);
    *dropped += (chunk.len() - kept.len()) as u64;
}

/// Seconds between two stamps, to the tenth of a microsecond to which files hold them.
fn gap(from: Stamp, to: Stamp) -> f32 {
    let steps = ((to.0 - from.0) as f64 / 100.0).round();
    (steps / 1e7) as f32
}

impl ResponseBuilder {
    /// The request leaves now. The first call counts.
    pub fn sent(&mut self) {
        self.sent_at(clock::now());
    }

    /// The request left at `at`. The first call counts.
    pub(crate) fn sent_at(&mut self, at: Stamp) {
        self.sent.get_or_insert(at);
    }

    /// What is reported from here on arrived at `at`, as one frame.
    pub(crate) fn begin_frame(&mut self, at: Stamp) {
        self.frame = Some(Frame {
            at,
            has_content: false,
            is_last: false,
        });
    }

    /// A chunk of the visible text. An empty chunk is no content.
    pub fn text(&mut self, chunk: &str) {
        if !chunk.is_empty() {
            self.other_content();
            keep(self.room(), &mut self.text, chunk, &mut self.text_dropped);
        }
        self.has_text = true;
    }

    /// A chunk of the model's reasoning.
    pub fn reasoning(&mut self, chunk: &str) {
        if !chunk.is_empty() {
            self.content();
            keep(
                self.room(),
                &mut self.reasoning,
                chunk,
                &mut self.text_dropped,
            );
        }
    }

    /// Bytes of text of any kind that are kept.
    pub(crate) fn text_len(&self) -> usize {
        self.text.len() + self.reasoning.len() + self.tool_calls.len()
    }

    /// Bytes of text that are still kept.
    fn room(&self) -> usize {
        MAX_TEXT.saturating_sub(self.text_len())
    }

    /// Reasoning whose text is not readable: encrypted by the provider.
    pub fn hidden_reasoning(&mut self) {
        self.content();
    }

    /// A chunk of a tool call: its name or its arguments.
    pub fn tool_call(&mut self, chunk: &str) {
        if !chunk.is_empty() {
            self.other_content();
            keep(
                self.room(),
                &mut self.tool_calls,
                chunk,
                &mut self.text_dropped,
            );
        }
    }

    /// Generated content whose text is not kept: further choices, audio.
    pub fn other_content(&mut self) {
        let at = self.content();
        self.first_answer.get_or_insert(at);
    }

    /// There is a choice of this number, counted from 0. Text is kept of the first alone; tokens are those
    /// of all.
    pub(crate) fn choice(&mut self, number: u64) {
        self.choices = self.choices.max(number.saturating_add(1));
    }

    /// The server's id for the response. The first one counts.
    pub fn id(&mut self, id: &str) {
        if self.id.is_none() && !id.is_empty() {
            self.id = Some(id.to_owned());
        }
    }

    /// The id in the body, which replaces that of the request.
    #[cfg(feature = "aws")]
    pub(crate) fn own_id(&mut self, id: &str) {
        if !id.is_empty() {
            self.id = Some(id.to_owned());
        }
    }

    /// Reported token counts. Later reports replace earlier ones, field by field; zero replaces no
    /// input, and no output where there is content.
    pub fn usage(&mut self, usage: Usage) {
        self.usage.update(usage, self.content_frames > 0);
    }

    /// Why generation ended. Also marks the response as complete.
    pub fn finish_reason(&mut self, reason: &str) {
        self.finish_reason = Some(common_text(reason));
        self.is_complete = true;
        self.stream_end = self.stream_end.max(StreamEnd::Finished);
        if let Some(frame) = &mut self.frame {
            frame.is_last = true;
        }
    }

    /// The whole response, with times that the endpoint took itself and that may be wrong by
    /// `uncertainty`. What is unset is filled in as for any response, but for times.
    pub fn measured(&mut self, mut response: InvocationResponse, uncertainty: Duration) {
        if let Some(text) = response.response_text.take() {
            self.text(&text);
        }
        if let Some(id) = &response.id {
            self.id(id);
        }
        self.usage(Usage {
            input: response.num_tokens_input,
            output: response.num_tokens_output,
            input_cached: response.num_tokens_input_cached,
            output_reasoning: response.num_tokens_output_reasoning,
            ..Usage::default()
        });
        self.annotations.append(&mut response.annotations);
        match response.error.take() {
            Some(failure) => self.fail_with(failure),
            None => self.complete(),
        }
        self.own = Some(Box::new(OwnMeasurement {
            response,
            uncertainty,
        }));
    }

    /// Something else worth keeping, which ends up in
    /// [`InvocationResponse::annotations`](super::InvocationResponse::annotations). Later values
    /// replace earlier ones.
    pub fn annotate(&mut self, name: &str, value: impl Into<Value>) {
        self.annotations.insert(name.to_owned(), value.into());
    }

    /// The stream said that it is over.
    pub fn complete(&mut self) {
        self.is_complete = true;
        self.stream_end = StreamEnd::Ended;
    }

    /// How far the stream is by its own account.
    pub(crate) fn stream_end(&self) -> StreamEnd {
        self.stream_end
    }

    /// The request failed, for a reason that only the endpoint knows. The first failure counts.
    pub fn error(&mut self, reason: impl Into<String>) {
        self.fail(FailureKind::Endpoint, reason);
    }

    /// The request failed. The first failure counts.
    pub fn fail(&mut self, kind: FailureKind, reason: impl Into<String>) {
        self.fail_with(Failure::new(kind, reason));
    }

    /// The server failed, in its own words. `throttle`: the error of AWS's with which it said that there
    /// were too many requests.
    pub(crate) fn server_error(&mut self, throttle: Option<String>, words: impl Into<String>) {
        let kind = match &throttle {
            Some(_) => FailureKind::Throttled,
            None => FailureKind::ServerError,
        };
        if !self.is_failed() {
            self.throttle = throttle;
            self.fail(kind, words);
        }
    }

    /// The request failed in this way. The first failure counts.
    pub fn fail_with(&mut self, failure: impl Into<Failure>) {
        self.error.get_or_insert_with(|| failure.into());
    }

    /// The response is malformed in the way that `reason` tells; `data` is the server's.
    pub(crate) fn malformed(&mut self, reason: impl Display, data: &[u8]) {
        let reason = format!("{reason}: {}", excerpt(data));
        self.fail(FailureKind::Malformed, reason);
    }

    /// Whether the stream said that it is over.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whether a failure was reported.
    pub fn is_failed(&self) -> bool {
        self.error.is_some()
    }

    /// The failure in words.
    #[cfg(test)]
    pub(crate) fn error_text(&self) -> Option<&str> {
        self.error.as_ref().map(Failure::message)
    }

    /// Marks generated content at the current frame's time and returns that time.
    fn content(&mut self) -> Stamp {
        let at = match &mut self.frame {
            Some(frame) if frame.has_content => return frame.at,
            Some(frame) => {
                frame.has_content = true;
                frame.at
            }
            None => clock::now(),
        };
        self.content_frames += 1;
        // One of several choices had ended.
        if self.stream_end == StreamEnd::Finished && self.frame.is_some_and(|frame| !frame.is_last)
        {
            self.stream_end = StreamEnd::Open;
        }
        self.first_content.get_or_insert(at);
        if let Some(previous) = self.last_content.replace(at) {
            self.gaps.push(gap(previous, at));
        }
        at
    }

    /// Whether the current frame carried content.
    pub(crate) fn frame_has_content(&self) -> bool {
        self.frame.is_some_and(|frame| frame.has_content)
    }

    /// When the current frame arrived.
    pub(crate) fn frame_stamp(&self) -> Option<Stamp> {
        self.frame.map(|frame| frame.at)
    }

    /// When the request left.
    pub(crate) fn sent_stamp(&self) -> Option<Stamp> {
        self.sent
    }

    /// Content frames so far.
    pub(crate) fn content_frames(&self) -> u32 {
        self.content_frames
    }

    /// Seconds from sending to the first content, the first answer content and the last content.
    pub(crate) fn times(&self) -> [Option<f64>; 3] {
        [self.first_content, self.first_answer, self.last_content].map(|at| self.since_sent(at?))
    }

    /// Seconds from sending to `at`.
    pub(crate) fn since_sent(&self, at: Stamp) -> Option<f64> {
        Some(at.seconds_since(self.sent?))
    }

    /// The longest gap between content frames, in seconds as files have it.
    pub(crate) fn longest_gap(&self) -> Option<f64> {
        let steps = (f64::from(self.gaps.longest()?) * 1e7).round();
        Some(steps / 1e7)
    }

    /// Takes the gaps between content frames, or a fair sample of them, and how many are not in it.
    pub(crate) fn take_gaps(&mut self) -> (Vec<f32>, u32) {
        self.gaps.take()
    }
}
