//! Turning one response's bytes and arrivals into an [`InvocationResponse`].

mod assemble;
mod completion;
mod refusal;

use std::collections::HashMap;
use std::sync::Arc;

use assemble::assemble;
use completion::{BodyEnd, frame_of};
use refusal::{excerpt, refusal};

use crate::base::failure::{Failure, FailureKind};
use crate::base::foreign::{self, Panic};
use crate::callback::CallbackData;
use crate::endpoint::{Endpoint, FrameDecoder, InvocationResponse, ResponseBuilder, Transport};
use crate::payload::Tokenizer;
use crate::run::capture::{ExchangeEnd, ReadArrival, RequestId, Segment};
use crate::run::quality::ResponseQuality;
use crate::run::silence::TransportEnd;
use llmeter_wire::ResponseHead;
use llmeter_wire::content_encoding::Decompressor;
use llmeter_wire::framing::{Framer, Framing};
use llmeter_wire::{Arrival, Phase, Proxy};

/// Longest body of an error status that is kept.
const MAX_ERROR_BODY: usize = 64 * 1024;
/// Longest body of a response that is no stream.
const MAX_WHOLE_BODY: usize = 256 * 1024 * 1024;

/// What the recorder makes of a finished response.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) response: InvocationResponse,
    pub(crate) quality: ResponseQuality,
    /// The error of AWS's with which a stream said that there were too many requests.
    pub(crate) throttle: Option<String>,
    pub(crate) is_warmup: bool,
    /// What callbacks keep of the request.
    pub(crate) data: CallbackData,
}

/// Decodes the responses of some workers.
pub(crate) struct Decoder {
    endpoint: Arc<dyn Endpoint>,
    tokenizer: Arc<dyn Tokenizer>,
    /// The proxy that requests go through, whose credentials a response may repeat.
    proxy: Option<Proxy>,
    /// Responses of which something has come, but not the end.
    under_way: HashMap<RequestId, Box<Assembly>>,
}

impl Decoder {
    pub(crate) fn new(endpoint: Arc<dyn Endpoint>, tokenizer: Arc<dyn Tokenizer>) -> Self {
        Self {
            endpoint,
            tokenizer,
            proxy: None,
            under_way: HashMap::new(),
        }
    }

    /// Hides the credentials of the proxy that requests go through.
    pub(crate) fn through(mut self, proxy: Option<Proxy>) -> Self {
        self.proxy = proxy;
        self
    }

    /// Takes in a segment; returns the response that it completes.
    pub(crate) fn take(&mut self, segment: Segment) -> Option<Recorded> {
        let endpoint = &*self.endpoint;
        // Most responses are one segment, and never get in here.
        let begun = match self.under_way.is_empty() {
            true => None,
            false => self.under_way.remove(&segment.request),
        };
        let mut assembly = begun
            .filter(|_| !segment.is_restart)
            .unwrap_or_else(|| Box::new(Assembly::new(endpoint)));
        let fed = foreign::catch_panic(|| {
            if let Some(head) = segment.head {
                assembly.head(*head, endpoint);
            }
            assembly.body(&segment.body, &segment.marks);
        });
        if let Err(panic) = fed {
            assembly.panicked(panic);
        }
        if let Some(question) = segment.question {
            question.reply(assembly.completeness());
        }
        let Some(mut ending) = segment.ending else {
            self.under_way.insert(segment.request, assembly);
            return None;
        };
        let finished =
            foreign::catch_panic(|| assembly.finish(&mut ending, endpoint, &*self.tokenizer));
        let mut recorded = finished.unwrap_or_else(|panic| {
            // Whatever else is known of the failure may hold what could not be redacted.
            assembly.builder.error = None;
            assembly.panicked(panic);
            assembly.record(&mut ending, &*self.tokenizer)
        });
        if let (Some(error), Some(proxy)) = (&mut recorded.response.error, &self.proxy) {
            error.redact(|text| proxy.redact(text));
        }
        recorded.response.detail.client = Some(ending.client);
        if let Some(outcomes) = &ending.outcomes {
            outcomes.tell(recorded.response.error.as_ref());
        }
        if let Some(reservation) = segment.reservation {
            reservation.settle(&recorded.response);
        }
        Some(recorded)
    }
}

/// How a body is read.
enum Body {
    Unknown,
    Events(Framer),
    Whole(Vec<u8>),
    /// The body of an error status.
    Error(Vec<u8>),
    /// Not what was asked for; the excerpt says what it was.
    Foreign(Vec<u8>),
}

impl Body {
    /// Whether it is a failure whatever it says, and is quoted as far as it can be read.
    fn is_quoted(&self) -> bool {
        matches!(self, Self::Error(_) | Self::Foreign(_))
    }
}

struct Assembly {
    builder: ResponseBuilder,
    decoder: Option<Box<dyn FrameDecoder>>,
    is_streaming: bool,
    /// Whether the endpoint carried out the request itself.
    is_invoked: bool,
    head: Option<(ResponseHead, Arrival)>,
    /// Undoes the body's compression, if it has any.
    unpacker: Option<Decompressor>,
    /// Whether what is left of the body cannot be unpacked.
    is_garbled: bool,
    body: Body,
    quality: ResponseQuality,
    last: Arrival,
}

impl Assembly {
    fn new(endpoint: &dyn Endpoint) -> Self {
        Self {
            builder: ResponseBuilder::default(),
            decoder: None,
            is_streaming: endpoint.is_streaming(),
            is_invoked: false,
            head: None,
            unpacker: None,
            is_garbled: false,
            body: Body::Unknown,
            quality: ResponseQuality::default(),
            last: Arrival::default(),
        }
    }

    /// Foreign code failed: from here on the response's bytes have no meaning.
    fn panicked(&mut self, panic: Panic) {
        self.decoder = None;
        self.body = Body::Unknown;
        self.builder.fail_with(panic);
    }

    fn head(&mut self, (head, arrival): (ResponseHead, Arrival), endpoint: &dyn Endpoint) {
        let mut framing = Framing::default();
        if let Transport::Http(api) = endpoint.transport() {
            let mut decoder = api.decoder();
            decoder.head(&head, &mut self.builder);
            self.decoder = Some(decoder);
            framing = api.framing();
        }
        let media_type = head.content_type().unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| media_type.eq_ignore_ascii_case(name);
        let is_json = is("application/json") || media_type.to_ascii_lowercase().ends_with("+json");
        let is_refusal = !(200..300).contains(&head.status);
        let coding = head.content_encoding();
        self.unpacker = coding.and_then(Decompressor::of);
        self.body = if let Some(coding) = coding.filter(|_| self.unpacker.is_none()) {
            let unreadable = format!(
                "the response is encoded as {coding}; gzip and deflate can be read, and nothing else \
                 was asked for"
            );
            self.builder.fail_with(match is_refusal {
                true => refusal(Some(&head), |_| None, unreadable.as_bytes()),
                false => Failure::new(FailureKind::ContentEncoding, unreadable),
            });
            Body::Unknown
        } else if is_refusal {
            Body::Error(Vec::new())
        } else if is("text/html") {
            Body::Foreign(Vec::new())
        } else if self.is_streaming && (!is_json || framing == Framing::JsonLines) {
            Body::Events(framing.framer())
        } else {
            Body::Whole(Vec::new())
        };
        self.quality.read(arrival);
        self.last = arrival;
        self.head = Some((head, arrival));
    }

    fn body(&mut self, bytes: &[u8], marks: &[ReadArrival]) {
        let Some(mut unpacker) = self.unpacker.take() else {
            return self.plain(bytes, marks);
        };
        let mut begin = 0;
        for ReadArrival { end, arrival } in marks.iter().copied() {
            // A read counts as well if nothing can be unpacked from it yet.
            self.note_read(arrival);
            let packed = &bytes[begin..end as usize];
            begin = end as usize;
            if self.is_garbled {
                continue;
            }
            // What a frame unpacks from had come with the read that brought the last of it.
            let fed = unpacker.feed(packed, |plain| {
                let end = plain.len() as u32;
                self.plain(plain, &[ReadArrival { end, arrival }]);
            });
            if let Err(reason) = fed {
                self.is_garbled = true;
                if !self.body.is_quoted() {
                    self.builder.fail_with(reason);
                    self.body = Body::Unknown;
                }
            }
        }
        self.unpacker = Some(unpacker);
    }

    /// Notes when a read's bytes came, once for each read.
    fn note_read(&mut self, arrival: Arrival) {
        // The head's read may have brought the first bytes of the body as well.
        if arrival != self.last {
            self.quality.read(arrival);
        }
        self.last = arrival;
    }

    /// Takes in bytes that are not compressed, or not any more.
    fn plain(&mut self, bytes: &[u8], marks: &[ReadArrival]) {
        for mark in marks {
            self.note_read(mark.arrival);
        }
        match &mut self.body {
            Body::Unknown => {}
            Body::Events(framer) => {
                let Some(decoder) = &mut self.decoder else {
                    return;
                };
                let (builder, quality) = (&mut self.builder, &mut self.quality);
                let mut marks = marks.iter().enumerate().peekable();
                quality.begin_segment();
                let fed = framer.feed(bytes, |frame, end| {
                    // The read that brought the byte which completed the event.
                    while marks
                        .next_if(|(_, mark)| (mark.end as usize) < end)
                        .is_some()
                    {}
                    let Some((read, mark)) = marks.peek() else {
                        return;
                    };
                    builder.begin_frame(mark.arrival.at);
                    decoder.frame(frame, builder);
                    if builder.frame_has_content() {
                        quality.content_frame(*read, mark.arrival);
                    }
                });
                if let Err(reason) = fed {
                    self.builder.fail_with(reason);
                }
            }
            Body::Whole(kept) => keep(kept, bytes, MAX_WHOLE_BODY),
            Body::Error(kept) | Body::Foreign(kept) => keep(kept, bytes, MAX_ERROR_BODY),
        }
    }

    /// The response is over: decodes what is left and makes the record.
    fn finish(
        &mut self,
        ending: &mut ExchangeEnd,
        endpoint: &dyn Endpoint,
        tokenizer: &dyn Tokenizer,
    ) -> Recorded {
        if let Some(builder) = ending.response.take() {
            self.is_invoked = true;
            self.builder = *builder;
        }
        if let Some(sent) = ending.sending.at {
            self.builder.sent_at(sent);
        }
        let mut transport_end = ending.transport_end;
        match ending.failure.take() {
            None => self.close_body(match transport_end {
                Some(_) => BodyEnd::OfResponse,
                None => BodyEnd::OfTransport,
            }),
            // An answer is complete when the API says so, however the transport ended.
            Some(_) if self.is_complete_answer() => {
                transport_end.get_or_insert(TransportEnd::LeftOpen);
                self.close_body(BodyEnd::OfResponse);
            }
            Some(failure) => {
                // What the wire saw comes first unless the server had already said what was wrong.
                if matches!(self.body, Body::Whole(_)) {
                    self.body = Body::Unknown;
                }
                if !self.builder.is_failed() {
                    self.close_body(BodyEnd::Missing);
                }
                self.builder.fail_with(failure);
            }
        }
        let is_failed = self.builder.is_failed();
        ending.transport_end = transport_end.filter(|_| !is_failed);
        if let (Some(error), Transport::Http(api)) = (&mut self.builder.error, endpoint.transport())
        {
            error.redact(|text| api.redact(text));
        }
        self.record(ending, tokenizer)
    }

    /// The record of what is known. Calls the tokenizer unless the request failed.
    fn record(&mut self, ending: &mut ExchangeEnd, tokenizer: &dyn Tokenizer) -> Recorded {
        let sending = ending.sending;
        let is_stream = self.is_streaming && matches!(self.body, Body::Events(_) | Body::Unknown);
        // By it whoever runs the server finds the request, if the response itself has no id.
        if let Some(id) = self.head.as_ref().and_then(|(head, _)| request_id(head)) {
            self.builder.id(id);
        }
        self.locate_failure();
        let end = match self.head {
            Some(_) => self.last.at,
            None => ending.at,
        };
        let prepared = &ending.prepared;
        let mut response = assemble(&mut self.builder, is_stream, end, tokenizer, prepared);
        response.request_time = sending.wall.filter(|_| sending.at.is_some());
        response.retries = (sending.retries > 0).then_some(sending.retries);
        let detail = &mut response.detail;
        detail.transport_end = ending.transport_end.map(|end| end.as_str().to_owned());
        detail.stale_connection_wait = sending.stale_connection_wait;
        detail.failure_pause = (sending.failure_pause > 0.0).then_some(sending.failure_pause);
        detail.retry_wait = (sending.retry_wait > 0.0).then_some(sending.retry_wait);
        detail.time_to_connect = sending.time_to_connect;
        detail.time_to_tls = sending.time_to_tls;
        detail.send_lateness = sending.lateness;
        if let Some((head, arrival)) = &self.head {
            detail.status = Some(head.status);
            detail.time_to_headers = sending.at.map(|sent| arrival.at.seconds_since(sent));
            detail.receive_delay = Some(self.quality.longest_delay());
        }
        self.quality.send_lateness = sending.lateness;
        self.quality.is_failed = response.error.is_some();
        self.quality.stale_connection_wait = sending.stale_connection_wait;
        self.quality.lacking = response.error.as_ref().and_then(Failure::lacking);
        Recorded {
            response,
            quality: std::mem::take(&mut self.quality),
            throttle: self.builder.throttle.take(),
            is_warmup: ending.is_warmup,
            data: std::mem::take(&mut ending.data),
        }
    }

    /// Says what the request was at when it failed, as far as only the response tells, and its status.
    fn locate_failure(&mut self) {
        let has_content = self.builder.content_frames() > 0;
        let Some(failure) = &mut self.builder.error else {
            return;
        };
        let has_begun = self.head.is_some() || self.is_invoked;
        let phase = match (failure.phase(), failure.kind()) {
            (None, FailureKind::Malformed | FailureKind::Truncated | FailureKind::Empty) => {
                Some(Phase::Decode)
            }
            (None | Some(Phase::Head), kind) if has_begun && kind != FailureKind::HttpStatus => {
                Some(match self.is_streaming && !has_content {
                    true => Phase::FirstToken,
                    false => Phase::Stream,
                })
            }
            (phase, _) => phase,
        };
        failure.locate(phase, self.head.as_ref().map(|(head, _)| head.status));
    }

    /// Decodes what can be decoded only at the end.
    fn close_body(&mut self, end: BodyEnd) {
        if let Some(unpacker) = &self.unpacker
            && end == BodyEnd::OfTransport
            && !self.body.is_quoted()
            && !self.builder.is_complete()
            && let Err(reason) = unpacker.finish()
        {
            self.builder.fail_with(reason);
        }
        let Some(decoder) = &mut self.decoder else {
            return;
        };
        match &mut self.body {
            Body::Unknown => {}
            Body::Events(framer) => {
                match end {
                    BodyEnd::Missing => return,
                    BodyEnd::OfResponse => {}
                    // Some servers forget the end mark of the last frame.
                    BodyEnd::OfTransport => match framer.finish() {
                        Ok(None) => {}
                        Ok(Some(tail)) => {
                            self.builder.begin_frame(self.last.at);
                            decoder.frame(frame_of(&tail), &mut self.builder);
                        }
                        Err(reason) => self.builder.fail_with(reason),
                    },
                }
                decoder.end(&mut self.builder);
            }
            Body::Whole(body) => {
                self.builder.begin_frame(self.last.at);
                decoder.non_streaming(body, &mut self.builder);
            }
            Body::Error(body) => {
                let head = self.head.as_ref().map(|(head, _)| head);
                let refusal = refusal(head, |body| decoder.error_message(body), body);
                self.builder.fail_with(refusal);
            }
            Body::Foreign(body) => {
                let kind = self.head.as_ref().and_then(|(head, _)| head.content_type());
                let reason = format!(
                    "the server responded with {} instead of JSON or an event stream: {}",
                    kind.unwrap_or("something"),
                    excerpt(body)
                );
                self.builder.fail(FailureKind::WebPage, reason);
            }
        }
    }
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    let left = limit.saturating_sub(kept.len());
    kept.extend_from_slice(&bytes[..bytes.len().min(left)]);
}

/// The id that the server or a gateway gave the request.
fn request_id(head: &ResponseHead) -> Option<&str> {
    let id = head.header("x-request-id");
    id.or_else(|| head.header("request-id"))
        .filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests;
