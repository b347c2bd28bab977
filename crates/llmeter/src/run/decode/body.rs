//! The body of one response: what it is, and how its bytes become frames or a document.

use super::completion::BodyEnd;
use super::frame::{frame_of, is_cut, take_document, take_frame};
use super::outside;
use super::refusal::refusal;
use super::shape::{Expected, Shape, framing_of, shape};
use super::{Assembly, MAX_ERROR_BODY};
use crate::api::ApiMode;
use crate::api::outside::{ANNOTATION, quote};
use crate::base::failure::{Failure, FailureKind};
use crate::base::server_text::excerpt;
use crate::endpoint::{Endpoint, Transport};
use crate::run::capture::ReadArrival;
use crate::run::retry;
use llmeter_wire::content_encoding::Decompressor;
use llmeter_wire::framing::{Framer, Framing, FramingError};
use llmeter_wire::{Arrival, ResponseHead};

/// How a body is read.
pub(super) enum Body {
    Unknown,
    /// A stream was asked for, and too little has come to say what this is.
    Undecided(Beginning),
    Events(Events),
    Whole(Vec<u8>),
    /// The body of an error status.
    Error(Vec<u8>),
    /// Not what was asked for; the excerpt says what it was.
    Foreign(Vec<u8>),
}

/// The first bytes of a stream.
pub(super) struct Beginning {
    expected: Expected,
    bytes: Vec<u8>,
    marks: Vec<ReadArrival>,
}

pub(super) struct Events {
    framing: Framing,
    pub(super) framer: Framer,
    /// Why the bytes cannot be cut any further.
    pub(super) broken: Option<FramingError>,
}

impl Body {
    /// Whether it is a failure whatever it says, and is quoted as far as it can be read.
    fn is_quoted(&self) -> bool {
        matches!(self, Self::Error(_) | Self::Foreign(_))
    }

    /// Whether it is a stream, or may have become one.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Self::Events(_) | Self::Undecided(_) | Self::Unknown)
    }

    /// Bytes that it keeps until it is whole.
    pub(super) fn kept(&self) -> usize {
        match self {
            Self::Unknown => 0,
            Self::Undecided(beginning) => beginning.bytes.len(),
            Self::Events(events) => events.framer.held(),
            Self::Whole(kept) | Self::Error(kept) | Self::Foreign(kept) => kept.len(),
        }
    }

    /// How the frames are cut, if there are any.
    pub(super) fn framing(&self) -> Option<Framing> {
        match self {
            Self::Events(events) => Some(events.framing),
            _ => None,
        }
    }

    fn of(shape: Shape) -> Self {
        match shape {
            Shape::Frames(framing) => Self::Events(Events {
                framing,
                framer: framing.framer(),
                broken: None,
            }),
            Shape::Document => Self::Whole(Vec::new()),
            Shape::Foreign => Self::Foreign(Vec::new()),
        }
    }
}

impl Assembly {
    pub(super) fn head(
        &mut self,
        (head, arrival): (ResponseHead, Arrival),
        endpoint: &dyn Endpoint,
    ) {
        let mut framing = Framing::default();
        if let Transport::Http(api) = endpoint.transport() {
            let mut decoder = api.decoder();
            decoder.head(&head, &mut self.builder);
            self.decoder = Some(decoder);
            framing = api.framing();
        }
        let is_refusal = !(200..300).contains(&head.status);
        let coding = head.content_encoding();
        self.unpacker = coding.and_then(Decompressor::of);
        self.body = if let Some(coding) = coding.filter(|_| self.unpacker.is_none()) {
            let unreadable = format!(
                "the response is encoded as {coding}; gzip and deflate can be read, and nothing else \
                 was asked for"
            );
            self.builder.fail_with(match is_refusal {
                true => {
                    let kind = match retry::is_throttled(&head) {
                        true => FailureKind::Throttled,
                        false => FailureKind::HttpStatus,
                    };
                    refusal(kind, Some(&head), |_| None, unreadable.as_bytes())
                }
                false => Failure::new(FailureKind::ContentEncoding, unreadable),
            });
            Body::Unknown
        } else if is_refusal {
            Body::Error(Vec::new())
        } else if self.is_streaming {
            Body::Undecided(Beginning {
                expected: Expected {
                    framing,
                    is_called_page: media_type(&head) == "text/html",
                },
                bytes: Vec::new(),
                marks: Vec::new(),
            })
        } else {
            Body::Whole(Vec::new())
        };
        self.quality.read(arrival);
        self.last = arrival;
        self.head = Some((head, arrival));
    }

    pub(super) fn body(&mut self, bytes: &[u8], marks: &[ReadArrival]) {
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
        self.bytes += bytes.len() as u64;
        for mark in marks {
            self.note_read(mark.arrival);
        }
        if let Body::Undecided(beginning) = &mut self.body {
            if beginning.bytes.is_empty()
                && let Some(shape) = shape(bytes, beginning.expected, false)
            {
                self.body = Body::of(shape);
            } else {
                return self.begin(bytes, marks);
            }
        }
        self.read(bytes, marks);
    }

    /// Takes in the first bytes of a stream that do not say by themselves what it is.
    fn begin(&mut self, bytes: &[u8], marks: &[ReadArrival]) {
        let Body::Undecided(beginning) = &mut self.body else {
            return;
        };
        let offset = beginning.bytes.len() as u32;
        beginning.bytes.extend_from_slice(bytes);
        beginning.marks.extend(marks.iter().map(|mark| ReadArrival {
            end: mark.end + offset,
            ..*mark
        }));
        if let Some(shape) = shape(&beginning.bytes, beginning.expected, false) {
            self.decide(shape);
        }
    }

    /// Reads the first bytes of a stream as what they are.
    fn decide(&mut self, shape: Shape) {
        if let Body::Undecided(beginning) = std::mem::replace(&mut self.body, Body::of(shape)) {
            self.read(&beginning.bytes, &beginning.marks);
        }
    }

    fn read(&mut self, bytes: &[u8], marks: &[ReadArrival]) {
        match &mut self.body {
            Body::Unknown | Body::Undecided(_) => {}
            Body::Events(events) => {
                let Some(decoder) = &mut self.decoder else {
                    return;
                };
                let (builder, quality) = (&mut self.builder, &mut self.quality);
                let mut marks = marks.iter().peekable();
                let fed = events.framer.feed(bytes, |frame, end| {
                    // The read that brought the byte which completed the event.
                    while marks.next_if(|mark| (mark.end as usize) < end).is_some() {}
                    let Some(mark) = marks.peek() else {
                        return;
                    };
                    builder.begin_frame(mark.arrival.at);
                    take_frame(&mut **decoder, frame, builder);
                    match builder.frame_has_content() {
                        true => quality.content_frame(mark.arrival),
                        false => quality.other_frame(mark.arrival),
                    }
                });
                if let Err(reason) = fed {
                    events.broken = Some(reason);
                }
            }
            Body::Whole(kept) => kept.extend_from_slice(bytes),
            Body::Error(kept) | Body::Foreign(kept) => keep(kept, bytes),
        }
    }

    /// Decodes what can be decoded only at the end.
    pub(super) fn close_body(&mut self, end: BodyEnd) {
        let is_broken = end == BodyEnd::Missing;
        if let Body::Undecided(beginning) = &self.body
            && !is_broken
        {
            let is_document =
                beginning.bytes.trim_ascii().is_empty() && is_json(&self.media_type());
            let shape = match is_document {
                true => Some(Shape::Document),
                false => shape(&beginning.bytes, beginning.expected, true),
            };
            shape.into_iter().for_each(|shape| self.decide(shape));
        }
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
            Body::Unknown | Body::Undecided(_) => {}
            Body::Events(events) => {
                let tail = events.framer.finish();
                if end == BodyEnd::OfTransport {
                    // Some servers forget the end mark of the last frame.
                    match tail {
                        Ok(None) => {}
                        Ok(Some(tail)) if is_cut(&tail) => {
                            let excerpt = excerpt(&tail.data);
                            match self.builder.is_complete() {
                                true => self.builder.annotate(ANNOTATION, excerpt),
                                false => self.builder.fail(
                                    FailureKind::Truncated,
                                    format!("the stream ended within its last event: {excerpt}"),
                                ),
                            }
                        }
                        Ok(Some(tail)) => {
                            self.builder.begin_frame(self.last.at);
                            take_frame(&mut **decoder, frame_of(&tail), &mut self.builder);
                        }
                        Err(reason) => events.broken = Some(reason),
                    }
                }
                let outside = events.framer.take_outside();
                let (builder, at) = (&mut self.builder, self.last.at);
                self.is_document = outside.as_ref().is_some_and(|outside| {
                    outside::take_json(outside, &mut **decoder, builder, at, is_broken)
                });
                match events.broken.take() {
                    // Whatever follows a complete answer is no part of it.
                    Some(reason) if builder.is_complete() && outside.is_none() => {
                        builder.annotate(ANNOTATION, reason.to_string());
                    }
                    Some(reason) if !builder.is_complete() => builder.fail_with(reason),
                    _ => {}
                }
                if is_broken || self.is_document {
                    return;
                }
                decoder.end(builder);
                if let Some(outside) = outside {
                    quote(&outside, builder);
                }
            }
            Body::Whole(body) if body.trim_ascii_start().starts_with(b"<") => {
                let body = std::mem::take(body);
                self.fail_foreign(&body);
            }
            Body::Whole(body) => {
                self.builder.begin_frame(self.last.at);
                take_document(&mut **decoder, body, &mut self.builder);
            }
            Body::Error(body) => {
                let head = self.head.as_ref().map(|(head, _)| head);
                // What the head says was counted by the worker.
                let is_counted = head.is_some_and(retry::is_throttled);
                let throttle = decoder.throttle(body).filter(|_| !is_counted);
                let kind = match is_counted || throttle.is_some() {
                    true => FailureKind::Throttled,
                    false => FailureKind::HttpStatus,
                };
                let refusal = refusal(kind, head, |body| decoder.error_message(body), body);
                self.builder.throttle = throttle;
                self.builder.fail_with(refusal);
            }
            Body::Foreign(body) => {
                let body = std::mem::take(body);
                self.fail_foreign(&body);
            }
        }
    }

    /// Says of a response that cannot be read that it is a stream, and which endpoint reads streams.
    pub(super) fn name_stream(&mut self, endpoint: &dyn Endpoint) {
        let (Body::Whole(body), Some(failure)) = (&self.body, &self.builder.error) else {
            return;
        };
        if self.is_streaming || failure.kind() != FailureKind::Malformed {
            return;
        }
        let mode = ApiMode::of_saved(&endpoint.saved()).ok();
        let mut modes = mode.iter().flat_map(|mode| mode.api.spec().modes);
        let streaming = modes.find(|mode| mode.streaming == Some(true));
        if let (Some(mode), Some(framing)) = (streaming, framing_of(body)) {
            let reason = format!(
                "the server streamed its response ({}), which this endpoint does not read; \
                 {} does: {}",
                framing.media_type(),
                mode.name,
                excerpt(body)
            );
            self.builder.error = Some(Failure::new(FailureKind::Malformed, reason));
        }
    }

    /// Fails with what came in the place of an answer.
    fn fail_foreign(&mut self, body: &[u8]) {
        let label = self.label().unwrap_or("no content type");
        let is_page = body.trim_ascii_start().starts_with(b"<");
        let is_called_page = self.media_type() == "text/html";
        let (kind, what) = match is_page || is_called_page {
            true if is_called_page => (FailureKind::WebPage, label.to_owned()),
            true => (FailureKind::WebPage, format!("a web page (as {label})")),
            false => (FailureKind::Malformed, format!("a text (as {label})")),
        };
        let words = excerpt(body);
        let reason =
            format!("the server responded with {what} instead of JSON or an event stream: {words}");
        self.builder.fail(kind, reason);
    }

    /// The content type, as sent.
    fn label(&self) -> Option<&str> {
        let (head, _) = self.head.as_ref()?;
        head.content_type()
    }

    fn media_type(&self) -> String {
        let head = self.head.as_ref();
        head.map_or_else(String::new, |(head, _)| media_type(head))
    }

    /// The content type of a stream that was read although it is called something else.
    pub(super) fn wrong_label(&self) -> Option<String> {
        let framing = self.body.framing()?;
        let media_type = self.media_type();
        let is_right = media_type == framing.media_type()
            || framing == Framing::JsonLines
                && (is_json(&media_type) || media_type.contains("json"));
        let is_stream = !self.is_document && self.builder.content_frames() > 0;
        (is_stream && !is_right).then(|| self.label().unwrap_or_default().to_owned())
    }
}

/// The content type without its parameters.
fn media_type(head: &ResponseHead) -> String {
    let label = head.content_type().unwrap_or_default();
    let media_type = label.split(';').next().unwrap_or_default();
    media_type.trim().to_ascii_lowercase()
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    let left = MAX_ERROR_BODY.saturating_sub(kept.len());
    kept.extend_from_slice(&bytes[..bytes.len().min(left)]);
}
