//! Turning one response's bytes and arrivals into an [`InvocationResponse`].

mod assemble;
mod body;
mod completion;
mod frame;
mod outside;
mod refusal;
mod room;
mod shape;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use assemble::{Form, assemble};
use body::Body;
use completion::BodyEnd;
use room::Room;

use crate::api::{ServerTimeHeader, SharedName, add_server_times};
use crate::base::failure::{Failure, FailureKind};
use crate::base::foreign::{self, Panic};
use crate::callback::CallbackData;
use crate::endpoint::{
    Delivery, Endpoint, FrameDecoder, HttpApi, InvocationResponse, PathDetail, ResponseBuilder,
    ScheduleDetail, Transport, is_burst,
};
use crate::payload::Tokenizer;
use crate::run::capture::{ExchangeEnd, RequestId, Segment};
use crate::run::config::DEFAULT_MAX_RESPONSE_SIZE;
use crate::run::quality::ResponseQuality;
use crate::run::restamp::Restamper;
use crate::run::route::Route;
use crate::run::silence::TransportEnd;
use llmeter_wire::ResponseHead;
use llmeter_wire::content_encoding::Decompressor;
use llmeter_wire::packet::PacketCapture;
use llmeter_wire::{Arrival, Phase, Proxy};

/// Longest body of an error status that is kept.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// What the recorder makes of a finished response.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) response: InvocationResponse,
    pub(crate) quality: ResponseQuality,
    /// The error of AWS's with which a stream said that there were too many requests.
    pub(crate) throttle: Option<String>,
    /// The content type of a stream that is called something else; empty if it has none.
    pub(crate) wrong_label: Option<String>,
    /// Whether the tokenizer failed at one of its texts.
    pub(crate) is_uncounted: bool,
    pub(crate) is_warmup: bool,
    /// What callbacks keep of the request.
    pub(crate) data: CallbackData,
}

impl Recorded {
    /// Hides the secrets of the request in all that came from the server.
    fn redact(&mut self, endpoint: &dyn Endpoint, proxy: Option<&Proxy>) {
        let api = match endpoint.transport() {
            Transport::Http(api) => Some(api),
            Transport::Invoke(_) => None,
        };
        if api.is_none() && proxy.is_none() {
            return;
        }
        fn hide<'t>(
            api: Option<&dyn HttpApi>,
            proxy: Option<&Proxy>,
            text: &'t str,
        ) -> Cow<'t, str> {
            let text = api.map_or(Cow::Borrowed(text), |api| api.redact(text));
            match proxy.map(|proxy| proxy.redact(&text)) {
                Some(Cow::Owned(shown)) => Cow::Owned(shown),
                _ => text,
            }
        }
        self.response.redact(&|text| hide(api, proxy, text));
        for text in [&mut self.throttle, &mut self.wrong_label]
            .into_iter()
            .flatten()
        {
            *text = hide(api, proxy, text).into_owned();
        }
    }

    /// Secrets may be in whatever could not be redacted.
    fn forget_texts(&mut self, panic: Panic) {
        self.response.forget_texts();
        (self.throttle, self.wrong_label) = (None, None);
        let mut failure = Failure::from(panic);
        failure.locate(Some(Phase::Decode), self.response.detail.status);
        self.response.error = Some(failure);
        self.quality.is_failed = true;
    }
}

/// Decodes the responses of some workers.
pub(crate) struct Decoder {
    /// The servers, whose secrets and those of the proxies on the way a response may repeat.
    routes: Arc<[Route]>,
    tokenizer: Arc<dyn Tokenizer>,
    /// The class of workload that they are.
    workload: SharedName,
    /// Responses of which something has come, but not the end.
    under_way: HashMap<RequestId, Box<Assembly>>,
    room: Room,
    /// With packet stamps.
    restamper: Option<Restamper>,
    time_headers: Arc<[ServerTimeHeader]>,
}

impl Decoder {
    /// Of responses of these servers, which speak one API.
    pub(crate) fn new(routes: Arc<[Route]>, tokenizer: Arc<dyn Tokenizer>) -> Self {
        Self {
            routes,
            tokenizer,
            workload: SharedName::default(),
            under_way: HashMap::new(),
            room: Room::new(DEFAULT_MAX_RESPONSE_SIZE, 1),
            restamper: None,
            time_headers: Arc::default(),
        }
    }

    /// Of this class of workload.
    pub(crate) fn of_workload(mut self, name: Option<&str>) -> Self {
        self.workload = name.map(SharedName::new).unwrap_or_default();
        self
    }

    /// Takes these headers for times that the server states, too.
    pub(crate) fn with_time_headers(mut self, headers: &[ServerTimeHeader]) -> Self {
        self.time_headers = headers.into();
        self
    }

    /// Takes times from the packets of a capture, if there is one.
    pub(crate) fn with_packets(mut self, capture: Option<Arc<PacketCapture>>) -> Self {
        self.restamper = capture.map(Restamper::new);
        self
    }

    /// Bounds what responses under way may keep: of each so many MiB, and of all that `decoders` have a
    /// part of what they may keep together.
    pub(crate) fn within(mut self, max_response_size: u64, decoders: usize) -> Self {
        self.room = Room::new(max_response_size, decoders);
        self
    }

    /// Takes in a segment; returns the response that it completes.
    pub(crate) fn take(&mut self, mut segment: Segment) -> Option<Recorded> {
        if let Some(restamper) = &self.restamper {
            restamper.restamp(&mut segment);
        }
        let endpoint = &*self.routes[0].endpoint;
        // Most responses are one segment, and never get in here.
        let begun = match self.under_way.is_empty() {
            true => None,
            false => self.under_way.remove(&segment.request),
        };
        let mut assembly = begun
            .filter(|begun| {
                if segment.is_restart {
                    self.room.release(begun);
                }
                !segment.is_restart
            })
            .unwrap_or_else(|| Box::new(Assembly::new(endpoint, self.time_headers.clone())));
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
            self.room.count(&mut assembly);
            if let Some(failure) = self.room.refuse(&assembly) {
                assembly.refuse(failure);
            }
            if let Some(flow) = &segment.flow
                && (assembly.is_refused || assembly.has_enough())
            {
                flow.refuse();
            }
            self.under_way.insert(segment.request, assembly);
            return None;
        };
        self.room.release(&assembly);
        let finished =
            foreign::catch_panic(|| assembly.finish(&mut ending, endpoint, &*self.tokenizer));
        let mut recorded = finished.unwrap_or_else(|panic| {
            assembly.panicked(panic);
            assembly.record(&mut ending, &*self.tokenizer)
        });
        // Here and nowhere else, for everything that a response can have.
        let route = &self.routes[usize::from(ending.prepared.server)];
        let redacted = foreign::catch_panic(|| {
            recorded.redact(&*route.endpoint, route.proxy.as_ref());
        });
        if let Err(panic) = redacted {
            recorded.forget_texts(panic);
        }
        // Only now: six digits of a random id may be part of a secret, too.
        let own_id = || uuid::Uuid::new_v4().simple().to_string();
        recorded.response.id.get_or_insert_with(own_id);
        recorded.response.detail.client = Some(ending.client);
        recorded.response.detail.server = route.name;
        recorded.response.detail.workload = self.workload;
        if let Some(outcomes) = &ending.outcomes {
            outcomes.tell(recorded.response.error.as_ref());
        }
        if let Some(turn) = ending.turn.take() {
            turn.tell(&recorded.response, ending.sending.at);
        }
        if let Some(reservation) = segment.reservation {
            reservation.settle(&recorded.response);
        }
        Some(recorded)
    }
}

/// One response under construction.
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
    /// Bytes of the body so far, none of which is compressed.
    bytes: u64,
    /// Whether one document came in the place of a stream's events.
    is_document: bool,
    quality: ResponseQuality,
    last: Arrival,
    /// Bytes that it keeps, as they were counted last.
    counted: usize,
    /// Whether it is too large.
    is_refused: bool,
    /// Headers that state a time, beside those that are known.
    time_headers: Arc<[ServerTimeHeader]>,
}

impl Assembly {
    fn new(endpoint: &dyn Endpoint, time_headers: Arc<[ServerTimeHeader]>) -> Self {
        Self {
            builder: ResponseBuilder::default(),
            decoder: None,
            is_streaming: endpoint.is_streaming(),
            is_invoked: false,
            head: None,
            unpacker: None,
            is_garbled: false,
            body: Body::Unknown,
            bytes: 0,
            is_document: false,
            quality: ResponseQuality::default(),
            last: Arrival::default(),
            counted: 0,
            is_refused: false,
            time_headers,
        }
    }

    /// Nothing more of the response is kept.
    fn refuse(&mut self, failure: Failure) {
        self.is_refused = true;
        self.decoder = None;
        self.body = Body::Unknown;
        self.unpacker = None;
        self.builder.fail_with(failure);
    }

    /// Foreign code failed: from here on the response's bytes have no meaning.
    fn panicked(&mut self, panic: Panic) {
        self.decoder = None;
        self.body = Body::Unknown;
        self.builder.fail_with(panic);
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
        self.name_stream(endpoint);
        let is_failed = self.builder.is_failed();
        ending.transport_end = transport_end.filter(|_| !is_failed);
        self.record(ending, tokenizer)
    }

    /// The record of what is known. Calls the tokenizer unless the request failed.
    fn record(&mut self, ending: &mut ExchangeEnd, tokenizer: &dyn Tokenizer) -> Recorded {
        let sending = ending.sending;
        let is_stream = self.is_streaming && !self.is_document && self.body.is_stream();
        let is_empty = self.is_empty();
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
        let decoder = self.decoder.as_ref();
        let form = Form {
            is_stream,
            is_generated: decoder.is_none_or(|decoder| decoder.generates_content()),
            bytes: (!self.is_invoked).then_some(self.bytes),
        };
        let (mut response, is_uncounted) =
            assemble(&mut self.builder, form, end, tokenizer, prepared);
        response.request_time = sending.wall.filter(|_| sending.at.is_some());
        response.retries = (sending.retries > 0).then_some(sending.retries);
        if let Some(own) = self.builder.own.take() {
            let (times, uncertainty) = own.lay_over(&mut response);
            self.quality.own_times(times, uncertainty);
        }
        let detail = &mut response.detail;
        detail.transport_end = ending
            .transport_end
            .map_or_else(SharedName::default, |end| SharedName::new(end.as_str()));
        detail.left_open_wait = (ending.transport_end == Some(TransportEnd::LeftOpen))
            .then(|| ending.at.seconds_since(end).max(0.0));
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
        let detail = &mut response.detail;
        detail.time_to_failure = match response.error {
            Some(_) => sending.at.map(|sent| ending.at.seconds_since(sent)),
            None => None,
        };
        if response.error.is_none() {
            response.detail.delivery = self.delivery(&response, is_stream, is_empty);
            match response.detail.delivery {
                Some(Delivery::Empty) => response.time_to_last_token = None,
                Some(Delivery::Buffered) => response.time_per_output_token = None,
                _ => {}
            }
        }
        let mut path = network_path(ending);
        add_server_times(
            &mut path,
            self.head.as_ref().map(|(head, _)| head),
            &mut response.annotations,
            &self.time_headers,
            is_stream,
            response.time_to_first_token,
        );
        response.detail.path = path.into();
        response.detail.stage = sending.stage.unwrap_or(0);
        response.detail.read_rate = sending.read_rate.unwrap_or(0);
        if let Some(due) = sending.due {
            let from_due = |time: Option<f64>| Some(time? + sending.lateness?);
            response.detail.schedule = Some(Box::new(ScheduleDetail {
                due_time: Some(due.at.seconds_since(due.start)),
                in_flight_wait: Some(due.in_flight_wait).filter(|wait| *wait > 0.0),
                connection_wait: Some(sending.connection_wait).filter(|wait| *wait > 0.0),
                scheduled_time_to_first_token: from_due(response.time_to_first_token),
                scheduled_time_to_last_token: from_due(response.time_to_last_token),
                ..ScheduleDetail::default()
            }));
        }
        if let Some(turn) = &ending.turn {
            turn.note(&mut response, sending.at);
        }
        self.quality.exchange = sending.at.map(|sent| [sent, end]);
        let due = sending.due.filter(|_| sending.at.is_none());
        self.quality.given_up = due.map(|due| ending.at.seconds_since(due.at).max(0.0));
        self.quality.send_lateness = sending.lateness;
        self.quality.is_failed = response.error.is_some();
        self.quality.stale_connection_wait = sending.stale_connection_wait;
        self.quality.left_open_wait = response.detail.left_open_wait;
        self.quality.is_invoked = self.is_invoked;
        self.quality.lacking = response.error.as_ref().and_then(Failure::lacking);
        Recorded {
            response,
            quality: std::mem::take(&mut self.quality),
            throttle: self.builder.throttle.take(),
            wrong_label: self.wrong_label(),
            is_uncounted,
            is_warmup: ending.is_warmup,
            data: std::mem::take(&mut ending.data),
        }
    }

    /// Whether nothing came of what the API generates.
    fn is_empty(&self) -> bool {
        let generates = match &self.decoder {
            Some(decoder) => decoder.generates_content(),
            // What an endpoint does not report may be there all the same.
            None => self.is_invoked && self.is_streaming,
        };
        generates && self.builder.content_frames() == 0
    }

    /// How a response came that did not fail.
    fn delivery(
        &self,
        response: &InvocationResponse,
        is_stream: bool,
        is_empty: bool,
    ) -> Option<Delivery> {
        if is_empty {
            return Some(Delivery::Empty);
        }
        if !is_stream {
            return self.is_streaming.then_some(Delivery::NonStreaming);
        }
        let (first, last) = (response.time_to_first_token?, response.time_to_last_token?);
        // Frames that this meter read late look like a burst, too.
        let is_certain = !self.quality.has_uncertain_frames();
        let frames = response.detail.content_frames.unwrap_or(0);
        (is_certain && is_burst(first, last, frames, response.num_tokens_output))
            .then_some(Delivery::Buffered)
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
}

/// What the network had to do with the response.
fn network_path(ending: &ExchangeEnd) -> PathDetail {
    let some = |count: u32| (count > 0).then_some(count);
    let mut path = PathDetail::default();
    if let Some(network) = ending.network {
        path.network_round_trip = Some(network.round_trip);
        path.network_min_round_trip = network.min_round_trip;
        path.network_retransmissions = some(network.retransmissions);
        path.network_out_of_order = network.out_of_order.and_then(some);
    }
    if let Some(packets) = ending.packets {
        let sent = packets.left.zip(ending.sending.at);
        path.send_delay = sent.map(|(left, written)| left.seconds_since(written).max(0.0));
        path.network_repeated = some(packets.holes.repeated);
        path.network_hole_wait = Some(packets.holes.waited).filter(|wait| *wait > 0.0);
    }
    path
}

/// The id that the server or a gateway gave the request.
fn request_id(head: &ResponseHead) -> Option<&str> {
    let id = head.header("x-request-id");
    id.or_else(|| head.header("request-id"))
        .filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests;
