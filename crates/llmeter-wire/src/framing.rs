//! Cutting the body of a streaming response into frames, whatever the API frames them with.

use memchr::memchr;

use super::event_stream::{EventStreamError, EventStreamFramer};
use super::sse::{SseFramer, SseTooLarge};

pub use super::sse::Outside;

/// How the body of a streaming response is cut into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// Server-sent events.
    #[default]
    Sse,
    /// One JSON value a line.
    JsonLines,
    /// Messages of AWS event streams.
    EventStream,
}

/// Why a body cannot be cut any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// A frame is larger than any that is accepted.
    #[error(transparent)]
    TooLarge(#[from] SseTooLarge),
    /// The bytes are no AWS event stream.
    #[error(transparent)]
    EventStream(#[from] EventStreamError),
}

impl Framing {
    /// The media type that a request asks for.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream",
            Self::JsonLines => "application/x-ndjson",
            Self::EventStream => "application/vnd.amazon.eventstream",
        }
    }

    /// A framer at the start of a body.
    pub fn framer(self) -> Framer {
        Framer(match self {
            Self::Sse => FramerKind::Sse(SseFramer::default()),
            Self::JsonLines => FramerKind::JsonLines(LineFramer::default()),
            Self::EventStream => FramerKind::EventStream(EventStreamFramer::default()),
        })
    }
}

/// One frame of a streaming response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The frame's type, if the stream names one.
    pub event: Option<&'a str>,
    /// The content.
    pub data: &'a [u8],
    /// Whether the stream itself says that the frame reports a failure, of which `event` is the
    /// type and `data` the server's words. Only AWS event streams say so.
    pub is_error: bool,
}

/// A frame of a stream that does not mark failures.
fn frame_of<'a>(event: Option<&'a str>, data: &'a [u8]) -> Frame<'a> {
    Frame {
        event,
        data,
        is_error: false,
    }
}

/// What a body held after its last complete frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Tail {
    /// The frame's type, if the stream named one.
    pub event: Option<String>,
    /// The content; never blank.
    pub data: Vec<u8>,
}

/// Cuts a body into frames, however it was split over reads.
///
/// ```
/// use llmeter_wire::framing::Framing;
///
/// let mut framer = Framing::JsonLines.framer();
/// let mut seen = Vec::new();
/// framer.feed(b"{\"a\":1}\n{\"b\"", |frame, end| seen.push((frame.data.to_vec(), end)))?;
/// assert_eq!(seen, [(b"{\"a\":1}".to_vec(), 8)]);
/// assert_eq!(framer.finish()?.map(|tail| tail.data), Some(b"{\"b\"".to_vec()));
/// # Ok::<(), llmeter_wire::framing::FramingError>(())
/// ```
#[derive(Debug)]
pub struct Framer(FramerKind);

#[derive(Debug)]
enum FramerKind {
    Sse(SseFramer),
    JsonLines(LineFramer),
    EventStream(EventStreamFramer),
}

impl Framer {
    /// Takes the next bytes and calls `on_frame` for each frame that they complete, with the place
    /// in `bytes` just past the byte that completed it.
    ///
    /// # Errors
    /// When the body cannot be cut any further. The frames before were handed over.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        mut on_frame: impl FnMut(Frame<'_>, usize),
    ) -> Result<(), FramingError> {
        match &mut self.0 {
            FramerKind::Sse(framer) => framer.feed(bytes, |event, end| {
                on_frame(frame_of(event.event, event.data), end);
            })?,
            FramerKind::JsonLines(framer) => framer.feed(bytes, |data, end| {
                on_frame(frame_of(None, data), end);
            })?,
            FramerKind::EventStream(framer) => framer.feed(bytes, on_frame)?,
        }
        Ok(())
    }

    /// What is left at the end of the body, which may be a whole frame without its end mark.
    ///
    /// # Errors
    /// When the body ended where it cannot end.
    pub fn finish(&mut self) -> Result<Option<Tail>, FramingError> {
        let tail = match &mut self.0 {
            FramerKind::Sse(framer) => framer.finish().map(|tail| Tail {
                event: tail.event,
                data: tail.data,
            }),
            FramerKind::JsonLines(framer) => Some(Tail {
                event: None,
                data: std::mem::take(&mut framer.line),
            }),
            FramerKind::EventStream(framer) => {
                framer.finish()?;
                None
            }
        };
        Ok(tail.filter(|tail| !tail.data.trim_ascii().is_empty()))
    }

    /// Bytes that are held until more of the body comes.
    pub fn held(&self) -> usize {
        match &self.0 {
            FramerKind::Sse(framer) => framer.held(),
            FramerKind::JsonLines(framer) => framer.line.len(),
            FramerKind::EventStream(framer) => framer.held(),
        }
    }

    /// Takes what stood between the frames so far, or in the place of one, also after
    /// [`finish`](Self::finish). A line is always a frame.
    pub fn take_outside(&mut self) -> Option<Outside> {
        match &mut self.0 {
            FramerKind::Sse(framer) => framer.take_outside(),
            FramerKind::EventStream(framer) => framer.take_outside(),
            FramerKind::JsonLines(_) => None,
        }
    }
}

/// The largest line that is accepted.
const MAX_LINE: usize = 64 << 20;

/// Cuts a body into lines; blank ones are passed over.
#[derive(Debug, Default)]
struct LineFramer {
    /// The beginning of a line whose end was not fed yet.
    line: Vec<u8>,
    too_large: bool,
}

impl LineFramer {
    fn feed(
        &mut self,
        bytes: &[u8],
        mut on_line: impl FnMut(&[u8], usize),
    ) -> Result<(), SseTooLarge> {
        let mut at = 0;
        while !self.too_large
            && let Some(length) = memchr(b'\n', &bytes[at..])
        {
            let piece = &bytes[at..at + length];
            at += length + 1;
            if self.line.len() + piece.len() > MAX_LINE {
                self.too_large = true;
            } else if self.line.is_empty() {
                give(piece, at, &mut on_line);
            } else {
                self.line.extend_from_slice(piece);
                give(&self.line, at, &mut on_line);
                self.line.clear();
            }
        }
        let rest = &bytes[at..];
        if self.too_large || self.line.len() + rest.len() > MAX_LINE {
            self.too_large = true;
            self.line = Vec::new();
            return Err(SseTooLarge { limit: MAX_LINE });
        }
        self.line.extend_from_slice(rest);
        Ok(())
    }
}

fn give(line: &[u8], end: usize, on_line: &mut impl FnMut(&[u8], usize)) {
    let line = line.trim_ascii();
    if !line.is_empty() {
        on_line(line, end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Option<Vec<u8>>) {
        let mut framer = Framing::JsonLines.framer();
        let mut seen = Vec::new();
        for piece in pieces {
            framer
                .feed(piece, |frame, end| {
                    assert_eq!(piece[end - 1], b'\n', "the byte that completed it");
                    seen.push(frame.data.to_vec());
                })
                .unwrap();
        }
        (seen, framer.finish().unwrap().map(|tail| tail.data))
    }

    #[test]
    fn lines_are_frames_and_blank_ones_are_none() {
        let (seen, tail) = lines(&[b"{\"a\":1}\r\n\n  \n{\"b\"", b":2}\n{\"c\":3}"]);
        assert_eq!(seen, [&b"{\"a\":1}"[..], b"{\"b\":2}"]);
        assert_eq!(tail.unwrap(), b"{\"c\":3}");
        assert_eq!(lines(&[b"{}\n", b" \r\n"]).1, None);
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_are_split(
            text in "[a-c \r\n]{0,40}",
            cuts in proptest::collection::vec(0usize..41, 0..6),
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut < text.len()).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &text.as_bytes()[cut[0]..cut[1]]).collect();
            prop_assert_eq!(lines(&pieces), lines(&[text.as_bytes()]));
        }
    }
}
