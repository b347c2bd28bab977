//! What a worker hands to the recorder: bytes of responses with their arrivals.
//!
//! A worker only copies bytes and notes when each read's bytes arrived. Everything else is the
//! recorder's, on another thread.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::{Context, Poll, ready};
use std::thread::Thread;

use jiff::Timestamp;

use crate::base::failure::{Failure, FailureKind};
use crate::callback::CallbackData;
use crate::cost::Reservation;
use crate::endpoint::ResponseBuilder;
use crate::run::backlog::{Backlog, Flow};
use crate::run::conversation::SentTurn;
use crate::run::pacing::Outcomes;
use crate::run::prepare::Prepared;
use crate::run::restamp::{PacketFacts, StreamOrigin};
use crate::run::silence::{Question, Silence, TransportEnd};
use llmeter_wire::Arrival;
use llmeter_wire::NetworkState;
use llmeter_wire::ResponseHead;
use llmeter_wire::clock::{self, Stamp};
use llmeter_wire::packet::Link;

/// Body bytes after which a segment is handed over before the response is complete.
pub(super) const SEGMENT_SIZE: usize = 8 * 1024;

/// A request, among all of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct RequestId(pub(crate) u64);

/// A part of one response. The segments of a response stay in order.
pub(crate) struct Segment {
    pub(crate) request: RequestId,
    /// Where it is among the packets, if they are looked for.
    pub(crate) origin: Option<StreamOrigin>,
    /// That of a response of several segments.
    pub(crate) flow: Option<Arc<Flow>>,
    /// The head and its arrival; the first segment of a response that has one carries it.
    pub(crate) head: Option<Box<(ResponseHead, Arrival)>>,
    pub(crate) body: Vec<u8>,
    pub(crate) marks: Vec<ReadArrival>,
    /// What came before of this response does not count: the request was sent again.
    pub(crate) is_restart: bool,
    /// The worker asks whether the response is complete as far as it has come.
    pub(crate) question: Option<Arc<Question>>,
    /// The response is over.
    pub(crate) ending: Option<Box<ExchangeEnd>>,
    /// What was reserved for it in a run with a limit of cost; with the ending.
    pub(crate) reservation: Option<Reservation>,
}

/// `body[..end]` had arrived by `arrival`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadArrival {
    pub(crate) end: u32,
    pub(crate) arrival: Arrival,
}

/// How an exchange ended, and what is known of it beside the response's bytes.
#[derive(Debug)]
pub(crate) struct ExchangeEnd {
    pub(crate) client: u32,
    pub(crate) prepared: Arc<Prepared>,
    /// What callbacks keep of the request.
    pub(crate) data: CallbackData,
    pub(crate) sending: SendTiming,
    /// Why the wire failed; `None` for a complete HTTP response.
    pub(crate) failure: Option<Failure>,
    /// How the connection ended the response, if not as the protocol has it.
    pub(crate) transport_end: Option<TransportEnd>,
    /// What TCP says of the response's connection, and what its packets do.
    pub(crate) network: Option<NetworkState>,
    pub(crate) packets: Option<PacketFacts>,
    /// When the exchange was over.
    pub(crate) at: Stamp,
    pub(crate) is_warmup: bool,
    /// Where to tell whether the request failed.
    pub(crate) outcomes: Option<Arc<Outcomes>>,
    /// The response that an endpoint collected itself.
    pub(crate) response: Option<Box<ResponseBuilder>>,
    /// Of a turn of a conversation.
    pub(crate) turn: Option<Box<SentTurn>>,
}

/// When a request of an open loop was due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    pub(crate) at: Stamp,
    /// When the run began.
    pub(crate) start: Stamp,
    /// Seconds that it waited for others to end.
    pub(crate) in_flight_wait: f64,
}

/// When and how a request was sent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SendTiming {
    /// The first write of the first attempt, but for those that were lost.
    pub(crate) at: Option<Stamp>,
    /// The first write of the attempt under way.
    pub(crate) attempt: Option<Stamp>,
    /// Bytes that the connection of that attempt had carried before it.
    pub(crate) position: u64,
    pub(crate) wall: Option<Timestamp>,
    /// Seconds from the intended time to `at`; in an open loop from when it was due.
    pub(crate) lateness: Option<f64>,
    /// In an open loop.
    pub(crate) due: Option<Due>,
    /// The stage of the load, from 1 on, if it has any.
    pub(crate) stage: Option<u32>,
    /// How many bytes of the response are read in a second, if that is slow on purpose.
    pub(crate) read_rate: Option<u32>,
    /// Seconds that it took to have a connection, if one had to be opened.
    pub(crate) connection_wait: f64,
    pub(crate) time_to_connect: Option<f64>,
    pub(crate) time_to_tls: Option<f64>,
    pub(crate) retries: u32,
    /// Seconds that were waited before retries.
    pub(crate) retry_wait: f64,
    /// Seconds that were lost to an attempt on a kept connection that turned out to be of no use;
    /// `None` if there was no such attempt.
    pub(crate) stale_connection_wait: Option<f64>,
    /// Seconds that the client waited before, because its last request had failed.
    pub(crate) failure_pause: f64,
}

impl SendTiming {
    /// Notes when the request's first byte was written, if it was. The first attempt's counts.
    pub(crate) fn note(&mut self, first_write: Option<Stamp>, position: u64, intended: Stamp) {
        (self.attempt, self.position) = (first_write, position);
        if self.at.is_none()
            && let Some(sent) = first_write
        {
            self.at = Some(sent);
            let intended = self.due.map_or(intended, |due| due.at);
            self.lateness = Some(sent.seconds_since(intended).max(0.0));
        }
    }

    /// The attempt under way is lost, if any of it was sent. The next one has a clock of its own,
    /// unless the clock began with an attempt before this: that the server refused one is its time.
    fn lose_attempt(&mut self) {
        let Some(sent) = self.attempt.take() else {
            return;
        };
        let lost = clock::now().seconds_since(sent).max(0.0);
        *self.stale_connection_wait.get_or_insert(0.0) += lost;
        self.retries += 1;
        if self.at == Some(sent) {
            (self.at, self.wall, self.lateness) = (None, None, None);
        }
    }
}

/// The way to a decoder.
#[derive(Clone)]
pub(crate) struct SegmentQueue {
    segments: Sender<Segment>,
    /// The decoder, which sleeps from time to time and is woken by none but those who wait for it.
    decoder: Option<Thread>,
}

impl SegmentQueue {
    /// `decoder`: the thread that takes the segments; `None` for one that waits for them.
    pub(crate) fn new(segments: Sender<Segment>, decoder: Option<Thread>) -> Self {
        Self { segments, decoder }
    }

    fn put(&self, segment: Segment) {
        // The recorder outlives the workers; if it died of a panic, the run reports that.
        let _ = self.segments.send(segment);
    }

    /// Makes the decoder look now.
    pub(crate) fn wake_decoder(&self) {
        if let Some(decoder) = &self.decoder {
            decoder.unpark();
        }
    }
}

/// Collects one response's bytes on the worker's side.
pub(crate) struct Capture {
    request: RequestId,
    /// Where the response under way is among the packets, if they are looked for.
    origin: Option<StreamOrigin>,
    pub(crate) queue: SegmentQueue,
    backlog: Arc<Backlog>,
    /// The response under way, once part of it was handed over.
    flow: Option<Arc<Flow>>,
    /// Since when its reading waits.
    waits_since: Option<Stamp>,
    head: Option<Box<(ResponseHead, Arrival)>>,
    /// Body bytes that were not handed over yet; the wire appends to them.
    pub(crate) body: Vec<u8>,
    marks: Vec<ReadArrival>,
    /// Bytes and marks that the next segment will probably hold.
    expected: (usize, usize),
    is_restart: bool,
    pub(crate) sending: SendTiming,
    pub(crate) reservation: Option<Reservation>,
    /// Reads of this response that brought bytes of its body.
    reads: u32,
    pub(crate) silence: Silence,
    pub(crate) transport_end: Option<TransportEnd>,
    pub(crate) network: Option<NetworkState>,
}

impl Capture {
    pub(crate) fn new(queue: SegmentQueue, backlog: Arc<Backlog>) -> Self {
        Self {
            request: RequestId::default(),
            origin: None,
            queue,
            backlog,
            flow: None,
            waits_since: None,
            head: None,
            body: Vec::new(),
            marks: Vec::new(),
            expected: (0, 0),
            is_restart: false,
            sending: SendTiming::default(),
            reservation: None,
            reads: 0,
            silence: Silence::default(),
            transport_end: None,
            network: None,
        }
    }

    /// What comes from here on belongs to this request.
    pub(crate) fn begin(&mut self, request: RequestId) {
        self.request = request;
        self.origin = None;
        self.flow = None;
        self.waits_since = None;
        self.reads = 0;
        self.silence.begin();
        self.transport_end = None;
        self.network = None;
    }

    /// The response comes by this connection, which had brought so many bytes before.
    pub(crate) fn comes_by(&mut self, link: Option<Link>, is_plain: bool, position: u64) {
        self.origin = link.map(|link| StreamOrigin {
            link,
            is_plain,
            position,
            sent: clock::now(),
        });
    }

    /// Whether each piece of the body is to be marked by itself.
    pub(crate) fn wants_pieces(&self) -> bool {
        self.origin.is_some()
    }

    pub(crate) fn head(&mut self, head: ResponseHead, arrival: Arrival) {
        self.head = Some(Box::new((head, arrival)));
    }

    /// Notes the arrival of what was appended to `body` since the last call.
    pub(crate) fn mark(&mut self, arrival: Arrival) {
        let end = self.body.len() as u32;
        if self.marks.last().map_or(0, |mark| mark.end) == end {
            return;
        }
        self.marks.push(ReadArrival { end, arrival });
        self.reads = self.reads.wrapping_add(1);
        if self.body.len() >= SEGMENT_SIZE {
            self.hand_over(None);
        }
    }

    /// Ready when the response may be read on: its decoder has kept up.
    ///
    /// # Errors
    /// When nothing more of it is wanted.
    pub(crate) fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        // Most responses are one segment.
        let Some(flow) = &self.flow else {
            return Poll::Ready(Ok(()));
        };
        let room = flow.poll_room(&self.backlog, context);
        if flow.is_refused() {
            let reason = "the response is too large";
            return Poll::Ready(Err(Failure::new(FailureKind::TooLarge, reason)));
        }
        if room.is_pending() {
            self.waits_since.get_or_insert_with(clock::now);
            self.queue.wake_decoder();
        }
        ready!(room);
        if let Some(since) = self.waits_since.take() {
            self.backlog.note_wait(since);
        }
        Poll::Ready(Ok(()))
    }

    /// To be called when there is nothing to read: whether the response is over although its
    /// connection does not say so. Costs a load, but for the rare times when silence is looked for.
    pub(crate) fn is_over(&mut self) -> bool {
        if !self.silence.is_looked_for() {
            return false;
        }
        let is_over = self.silence.look(self.reads);
        if let Some(question) = self.silence.new_question() {
            self.segment(None, Some(question));
        }
        if is_over {
            self.transport_end = Some(TransportEnd::LeftOpen);
        }
        is_over
    }

    /// The attempt under way is lost to a connection that was of no use.
    pub(crate) fn lose_attempt(&mut self) {
        self.restart();
        self.sending.lose_attempt();
    }

    /// Drops what came of the response: the request is sent again. When it was first sent stays.
    /// Gives the head, if the recorder has not seen it.
    pub(crate) fn restart(&mut self) -> Option<ResponseHead> {
        let head = self.head.take().map(|head| head.0);
        self.body.clear();
        self.marks.clear();
        self.is_restart = true;
        self.reads = 0;
        self.silence.begin();
        head
    }

    /// The response is over; the next call belongs to the next one.
    pub(crate) fn finish(&mut self, ending: ExchangeEnd) {
        self.sending = SendTiming::default();
        self.hand_over(Some(Box::new(ending)));
    }

    /// Whether any of the request was sent.
    pub(crate) fn is_sent(&self) -> bool {
        self.sending.at.is_some()
    }

    /// Whether any of the request was sent, in vain or not.
    pub(crate) fn has_left(&self) -> bool {
        self.is_sent() || self.sending.stale_connection_wait.is_some()
    }

    /// Drops a request of which nothing was sent.
    pub(crate) fn forget(&mut self) {
        self.sending = SendTiming::default();
        self.reservation = None;
    }

    fn hand_over(&mut self, ending: Option<Box<ExchangeEnd>>) {
        self.segment(ending, None);
    }

    fn segment(&mut self, ending: Option<Box<ExchangeEnd>>, question: Option<Arc<Question>>) {
        // Memory that grows token by token is copied again and again. Responses resemble each other,
        // so the largest segment of late tells how much the next one needs.
        let recent = |expected: usize, now: usize| now.max(expected - expected / 64);
        self.expected = (
            recent(self.expected.0, self.body.len().next_multiple_of(512)).min(2 * SEGMENT_SIZE),
            recent(self.expected.1, self.marks.len()),
        );
        if ending.is_none() && self.flow.is_none() {
            self.flow = Some(Arc::default());
        }
        let mut segment = Segment {
            request: self.request,
            origin: self.origin,
            flow: self.flow.clone(),
            head: self.head.take(),
            body: std::mem::replace(&mut self.body, Vec::with_capacity(self.expected.0)),
            marks: std::mem::replace(&mut self.marks, Vec::with_capacity(self.expected.1)),
            reservation: self.reservation.take_if(|_| ending.is_some()),
            is_restart: std::mem::take(&mut self.is_restart),
            question,
            ending,
        };
        // The end of a long response may be short.
        if segment.body.len() < segment.body.capacity() / 2 {
            segment.body.shrink_to_fit();
            segment.marks.shrink_to_fit();
        }
        self.backlog.grow(segment.size());
        if let Some(flow) = &self.flow {
            flow.grow(segment.size());
        }
        self.queue.put(segment);
    }
}

impl Segment {
    /// The memory that the segment holds, roughly.
    pub(crate) fn size(&self) -> usize {
        self.body.capacity() + self.marks.capacity() * size_of::<ReadArrival>() + 256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_have_the_room_that_they_need() {
        let (queue, segments) = std::sync::mpsc::channel();
        let queue = SegmentQueue::new(queue, None);
        let mut capture = Capture::new(queue, Arc::new(Backlog::new(1, false)));
        // Two full segments and a short one, several times.
        for _ in 0..4 {
            for token in 0..64 {
                capture.body.extend_from_slice(&[b'x'; 300]);
                capture.mark(Arrival {
                    at: Stamp(token),
                    ..Arrival::default()
                });
            }
            capture.hand_over(None);
        }
        drop(capture);
        let segments: Vec<_> = segments.into_iter().collect();
        assert_eq!(segments.len(), 12);
        let bytes: usize = segments.iter().map(|segment| segment.body.len()).sum();
        assert_eq!(bytes, 4 * 64 * 300);
        for segment in &segments[3..] {
            let (held, room) = (segment.body.len(), segment.body.capacity());
            assert!(
                room <= 2 * held && room <= SEGMENT_SIZE + 1024,
                "{held} in {room}"
            );
        }
    }
}
