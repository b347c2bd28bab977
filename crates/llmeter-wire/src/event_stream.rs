//! The framing of AWS event streams: `application/vnd.amazon.eventstream`.
//!
//! A message is a prelude (its length, its headers' length, a checksum of both), typed headers, a
//! payload, and a checksum of all that. It is read where it lies in the bytes of a read; only one
//! that was split over reads is copied.

use std::ops::Range;

use super::framing::{Frame, Outside};

/// The largest message that is accepted: more than the 24 MiB of the protocol's own limit.
pub const MAX_MESSAGE: usize = 32 << 20;

/// Prelude and its checksum.
const PRELUDE: usize = 12;
/// A message without headers and payload.
const SHORTEST: usize = PRELUDE + 4;
/// Bytes that are kept of what is no message.
const MAX_OUTSIDE: usize = 4096;

/// Why bytes are no event stream. Nothing after them can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventStreamError {
    /// The prelude of a message, which has its lengths, has a wrong checksum.
    #[error(
        "the response is no AWS event stream, or was damaged on its way: \
         the prelude of message {message} has a wrong checksum"
    )]
    Prelude {
        /// The number of the message, from 1.
        message: u64,
    },
    /// A message has a wrong checksum.
    #[error("message {message} of the event stream was damaged: it has a wrong checksum")]
    Checksum {
        /// The number of the message, from 1.
        message: u64,
    },
    /// The lengths contradict each other or are too large.
    #[error(
        "message {message} of the event stream cannot be read: it says that it has {length} bytes, \
         {headers} of them headers; at most {MAX_MESSAGE} are accepted"
    )]
    Length {
        /// The number of the message, from 1.
        message: u64,
        /// Its length in bytes, as it says.
        length: usize,
        /// The length of its headers, as it says.
        headers: usize,
    },
    /// The headers of a message cannot be read.
    #[error("the headers of message {message} of the event stream cannot be read")]
    Headers {
        /// The number of the message, from 1.
        message: u64,
    },
    /// The body ended within a message.
    #[error("the event stream ended within message {message}")]
    Incomplete {
        /// The number of the message, from 1.
        message: u64,
    },
}

/// Cuts a body into messages.
#[derive(Debug, Default)]
pub struct EventStreamFramer {
    /// The beginning of a message whose end was not fed yet.
    held: Vec<u8>,
    /// The length of the held message, once its prelude is there; its lengths are sound then.
    length: Option<usize>,
    /// Messages so far.
    messages: u64,
    /// The headers of the last message.
    headers: Headers,
    failed: Option<EventStreamError>,
    /// What came in the place of a message.
    outside: Vec<u8>,
}

impl EventStreamFramer {
    /// Takes the next bytes and calls `on_frame` for each message that they complete, with the
    /// place in `bytes` just past it.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        mut on_frame: impl FnMut(Frame<'_>, usize),
    ) -> Result<(), EventStreamError> {
        if let Some(error) = self.failed.clone() {
            self.keep(bytes);
            return Err(error);
        }
        let mut at = 0;
        self.take(bytes, &mut at, &mut on_frame)
            .inspect_err(|error| {
                self.failed = Some(error.clone());
                let held = std::mem::take(&mut self.held);
                self.keep(&held);
                self.keep(&bytes[at..]);
            })
    }

    /// `at`: the place in `bytes` up to which they were read.
    fn take(
        &mut self,
        bytes: &[u8],
        at: &mut usize,
        on_frame: &mut impl FnMut(Frame<'_>, usize),
    ) -> Result<(), EventStreamError> {
        loop {
            if self.held.is_empty() {
                let rest = &bytes[*at..];
                self.length = message_length(rest, self.messages + 1)?;
                match self.length {
                    Some(length) if rest.len() >= length => {
                        self.read(&rest[..length], |frame| on_frame(frame, *at + length))?;
                        *at += length;
                    }
                    _ => {
                        self.held.extend_from_slice(rest);
                        return Ok(());
                    }
                }
                continue;
            }
            let missing = self.length.unwrap_or(PRELUDE) - self.held.len();
            let taken = missing.min(bytes.len() - *at);
            self.held.extend_from_slice(&bytes[*at..*at + taken]);
            *at += taken;
            if taken < missing {
                return Ok(());
            }
            if self.length.is_none() {
                self.length = message_length(&self.held, self.messages + 1)?;
                continue;
            }
            let mut held = std::mem::take(&mut self.held);
            let read = self.read(&held, |frame| on_frame(frame, *at));
            if read.is_ok() {
                held.clear();
            }
            self.held = held;
            read?;
        }
    }

    /// Keeps the beginning of what is no message.
    fn keep(&mut self, bytes: &[u8]) {
        let left = MAX_OUTSIDE.saturating_sub(self.outside.len());
        self.outside
            .extend_from_slice(&bytes[..bytes.len().min(left)]);
    }

    /// Reads a whole message whose lengths are sound.
    fn read(
        &mut self,
        message: &[u8],
        on_frame: impl FnOnce(Frame<'_>),
    ) -> Result<(), EventStreamError> {
        let number = self.messages + 1;
        let (content, checksum) = message.split_at(message.len() - 4);
        if number_at(checksum, 0) != Some(crc32fast::hash(content)) {
            return Err(EventStreamError::Checksum { message: number });
        }
        let headers = number_at(message, 4).unwrap_or(0) as usize;
        let (headers, payload) = content[PRELUDE..].split_at(headers);
        // Those of one stream are mostly the same.
        if headers != self.headers.bytes {
            let read = Headers::of(headers);
            self.headers = read.ok_or(EventStreamError::Headers { message: number })?;
        }
        on_frame(self.headers.frame(payload));
        self.messages = number;
        Ok(())
    }

    /// Bytes that are held until more of the body comes.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// The body has ended.
    pub fn finish(&mut self) -> Result<(), EventStreamError> {
        if self.failed.is_none() && !self.held.is_empty() {
            let message = self.messages + 1;
            let error = EventStreamError::Incomplete { message };
            let held = std::mem::take(&mut self.held);
            self.keep(&held);
            self.failed = Some(error.clone());
            return Err(error);
        }
        Ok(())
    }

    /// Takes what came in the place of a message, and all that followed; none if there was nothing.
    pub fn take_outside(&mut self) -> Option<Outside> {
        (!self.outside.is_empty()).then(|| Outside {
            text: std::mem::take(&mut self.outside),
            is_garbage: true,
        })
    }
}

fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// The length of the message that begins here, once its prelude is there and is sound.
fn message_length(bytes: &[u8], message: u64) -> Result<Option<usize>, EventStreamError> {
    let (Some(length), Some(headers), Some(checksum)) = (
        number_at(bytes, 0),
        number_at(bytes, 4),
        number_at(bytes, 8),
    ) else {
        return Ok(None);
    };
    if crc32fast::hash(&bytes[..8]) != checksum {
        return Err(EventStreamError::Prelude { message });
    }
    let (length, headers) = (length as usize, headers as usize);
    if !(SHORTEST..=MAX_MESSAGE).contains(&length) || headers > length - SHORTEST {
        return Err(EventStreamError::Length {
            message,
            length,
            headers,
        });
    }
    Ok(Some(length))
}

/// What the headers of a message say that it is.
#[derive(Debug, Default)]
struct Headers {
    bytes: Vec<u8>,
    event: Option<String>,
    is_error: bool,
    /// Where in `bytes` the server's words are, if the message is an error that has them there.
    words: Option<Range<usize>>,
}

impl Headers {
    /// `None` if the headers cannot be read.
    fn of(bytes: &[u8]) -> Option<Self> {
        let [mut kind, mut event, mut exception, mut code, mut words] = [const { None }; 5];
        let mut rest = bytes;
        while !rest.is_empty() {
            let name = take(&mut rest, 1).and_then(|n| take(&mut rest, usize::from(n[0])))?;
            let value_type = take(&mut rest, 1)?[0];
            let length = match value_type {
                0 | 1 => 0,
                2 => 1,
                3 => 2,
                4 => 4,
                5 | 8 => 8,
                9 => 16,
                6 | 7 => {
                    let length = take(&mut rest, 2)?;
                    usize::from(u16::from_be_bytes([length[0], length[1]]))
                }
                _ => return None,
            };
            let start = bytes.len() - rest.len();
            take(&mut rest, length)?;
            if value_type != 7 {
                continue;
            }
            let value = Some(start..start + length);
            match name {
                b":message-type" => kind = value,
                b":event-type" => event = value,
                b":exception-type" => exception = value,
                b":error-code" => code = value,
                b":error-message" => words = value,
                _ => {}
            }
        }
        let (event, words, is_error) = match kind.map(|place| &bytes[place]) {
            Some(b"exception") => (exception, None, true),
            Some(b"error") => (code, words, true),
            _ => (event, None, false),
        };
        Some(Self {
            bytes: bytes.to_vec(),
            event: event.map(|place| String::from_utf8_lossy(&bytes[place]).into_owned()),
            is_error,
            words,
        })
    }

    /// The frame of a message with these headers.
    fn frame<'f>(&'f self, payload: &'f [u8]) -> Frame<'f> {
        Frame {
            event: self.event.as_deref(),
            data: match &self.words {
                Some(place) => &self.bytes[place.clone()],
                None => payload,
            },
            is_error: self.is_error,
        }
    }
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use aws_smithy_eventstream::frame::write_message_to;
    use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Seen {
        event: Option<String>,
        data: Vec<u8>,
        is_error: bool,
    }

    fn seen(pieces: &[&[u8]]) -> (Vec<Seen>, Result<(), EventStreamError>) {
        let mut framer = EventStreamFramer::default();
        let mut all = Vec::new();
        for piece in pieces {
            let fed = framer.feed(piece, |frame, end| {
                assert!(0 < end && end <= piece.len());
                all.push(Seen {
                    event: frame.event.map(str::to_owned),
                    data: frame.data.to_vec(),
                    is_error: frame.is_error,
                });
            });
            if fed.is_err() {
                return (all, fed);
            }
        }
        let end = framer.finish();
        (all, end)
    }

    fn message(headers: &[(&str, HeaderValue)], payload: &[u8]) -> Vec<u8> {
        let mut message = Message::new(payload.to_vec());
        for (name, value) in headers {
            message = message.add_header(Header::new(name.to_string(), value.clone()));
        }
        let mut out = Vec::new();
        write_message_to(&message, &mut out).unwrap();
        out
    }

    fn text(text: &str) -> HeaderValue {
        HeaderValue::String(text.to_owned().into())
    }

    fn event(name: &str, payload: &[u8]) -> Vec<u8> {
        let headers = [
            (":event-type", text(name)),
            (":content-type", text("application/json")),
            (":message-type", text("event")),
        ];
        message(&headers, payload)
    }

    #[test]
    fn exceptions_and_errors_are_told_from_events() {
        let exception = message(
            &[
                (":message-type", text("exception")),
                (":exception-type", text("throttlingException")),
            ],
            b"{\"message\":\"slow\"}",
        );
        let error = message(
            &[
                (":error-code", text("InternalError")),
                (":error-message", text("broken")),
                (":message-type", text("error")),
            ],
            b"",
        );
        let (all, end) = seen(&[&event("chunk", b"{}"), &exception, &error]);
        assert_eq!(end, Ok(()));
        let is = |event: &str, data: &[u8], is_error| Seen {
            event: Some(event.into()),
            data: data.into(),
            is_error,
        };
        assert_eq!(
            all,
            [
                is("chunk", b"{}", false),
                is("throttlingException", b"{\"message\":\"slow\"}", true),
                is("InternalError", b"broken", true),
            ]
        );
    }

    #[test]
    fn what_is_no_event_stream_is_said_to_be_none() {
        let (all, end) = seen(&[b"{\"message\":\"hello there\"}"]);
        assert_eq!(
            (all.len(), end),
            (0, Err(EventStreamError::Prelude { message: 1 }))
        );
        let mut large = Vec::from(0x0300_0000_u32.to_be_bytes());
        large.extend([0; 4]);
        large.extend(crc32fast::hash(&large).to_be_bytes());
        let (_, end) = seen(&[&large]);
        assert!(matches!(
            end,
            Err(EventStreamError::Length {
                length: 0x0300_0000,
                ..
            })
        ));
    }

    #[test]
    fn a_body_that_ends_within_a_message_is_incomplete() {
        let bytes = [event("a", b"1"), event("b", b"2")].concat();
        for length in 0..bytes.len() {
            let (all, end) = seen(&[&bytes[..length]]);
            let whole = if length < bytes.len() / 2 { 0 } else { 1 };
            assert_eq!(all.len(), whole);
            let message = whole as u64 + 1;
            let at_border = length == 0 || length == bytes.len() / 2;
            let expected = if at_border {
                Ok(())
            } else {
                Err(EventStreamError::Incomplete { message })
            };
            assert_eq!(end, expected);
        }
    }

    proptest! {
        #[test]
        fn messages_that_the_sdk_writes_are_read_however_they_are_split(
            messages in proptest::collection::vec(("[a-zA-Z]{0,12}", proptest::collection::vec(any::<u8>(), 0..40)), 0..6),
            number in any::<i64>(),
            cuts in proptest::collection::vec(0usize..600, 0..8),
        ) {
            let mut bytes = Vec::new();
            for (name, payload) in &messages {
                bytes.extend(message(&[
                    (":message-type", text("event")),
                    ("x", HeaderValue::Int64(number)),
                    ("y", HeaderValue::Bool(true)),
                    ("z", HeaderValue::ByteArray(payload.clone().into())),
                    (":event-type", text(name)),
                ], payload));
            }
            let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut < bytes.len()).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            let (all, end) = seen(&pieces);
            prop_assert_eq!(end, Ok(()));
            prop_assert_eq!(all.len(), messages.len());
            for (seen, (name, payload)) in all.iter().zip(&messages) {
                prop_assert_eq!(seen.event.as_ref(), Some(name));
                prop_assert_eq!(&seen.data, payload);
            }
            let bytewise: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(seen(&bytewise), (all, Ok(())));
        }

        #[test]
        fn no_changed_byte_goes_unnoticed(at in 0usize..200, change in 1u8..=255) {
            let mut bytes = event("contentBlockDelta", b"{\"delta\":{\"text\":\"hello\"}}");
            let at = at % bytes.len();
            bytes[at] ^= change;
            let (all, end) = seen(&[&bytes]);
            prop_assert!(all.is_empty() && end.is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6)) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let _ = seen(&pieces);
        }
    }
}
