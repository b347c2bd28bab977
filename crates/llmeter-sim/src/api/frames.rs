//! The frames of streams, and the chunks in which they travel.

use std::fmt::Display;
use std::ops::Range;

use super::Completion;

/// A streaming response that is being worded.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(super) completion: Completion,
    /// The number of the next event, of the open block or of the next one, as the API counts.
    pub(super) number: u32,
    /// Whether a block of content is open.
    pub(super) is_open: bool,
    /// What frames begin with, if it is made once per request.
    pub(super) head: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(completion: Completion) -> Self {
        Self {
            completion,
            number: 0,
            is_open: false,
            head: Vec::new(),
        }
    }
}

/// The content of a frame: tokens of one kind, numbered from 0 within their kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Delta {
    Reasoning(Range<u32>),
    Visible(Range<u32>),
}

/// Collects frames, in one buffer that is used again and again.
#[derive(Debug)]
pub(crate) struct FrameBuffer {
    bytes: Vec<u8>,
    /// Whether each frame is one chunk of the chunked transfer encoding. If not, frames follow one
    /// another and the end of the connection ends them.
    is_chunked: bool,
}

impl FrameBuffer {
    pub(crate) fn new(is_chunked: bool) -> Self {
        let bytes = Vec::with_capacity(512);
        Self { bytes, is_chunked }
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends the frame whose bytes `write` appends.
    pub(crate) fn frame(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let length = self.bytes.len() - start;
        // A chunk without bytes would be the last one.
        if !self.is_chunked || length == 0 {
            return;
        }
        // The size line, from its end.
        let mut line = *b"0123456789abcdef\r\n";
        let (mut at, mut size) = (line.len() - 2, length);
        while size > 0 {
            at -= 1;
            line[at] = b"0123456789abcdef"[size & 15];
            size >>= 4;
        }
        let line = &line[at..];
        self.bytes.extend_from_slice(line);
        let content = start + line.len();
        self.bytes.copy_within(start..start + length, content);
        self.bytes[start..content].copy_from_slice(line);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Appends a server-sent event as a frame.
    pub(super) fn sse(&mut self, event: Option<&str>, data: impl Display) {
        self.frame(|out| sse(out, event, data));
    }

    /// Appends what ends the response.
    pub(crate) fn end(&mut self) {
        if self.is_chunked {
            self.bytes.extend_from_slice(b"0\r\n\r\n");
        }
    }
}

/// Appends a server-sent event.
pub(super) fn sse(out: &mut Vec<u8>, event: Option<&str>, data: impl Display) {
    if let Some(event) = event {
        out.extend_from_slice(format!("event: {event}\n").as_bytes());
    }
    out.extend_from_slice(format!("data: {data}\n\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_chunks_of_their_size_or_bare() {
        for (is_chunked, expected) in [
            (
                true,
                "b\r\ndata: one\n\n\r\n17\r\nevent: two\ndata: 2222\n\n\r\n0\r\n\r\n",
            ),
            (false, "data: one\n\nevent: two\ndata: 2222\n\n"),
        ] {
            let mut buffer = FrameBuffer::new(is_chunked);
            buffer.sse(None, "one");
            buffer.frame(|_| ());
            buffer.sse(Some("two"), 2222);
            buffer.end();
            assert_eq!(std::str::from_utf8(buffer.bytes()), Ok(expected));
        }
    }
}
