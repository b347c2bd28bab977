//! Frames that are JSON values of their own, as server-sent events or lines.

use serde_json::Value;

use super::Frames;
use crate::openai::{Answer, Piece, Wrap};

/// One JSON value of a stream, with the name of its event if it has one.
pub(super) type Event = (Option<&'static str>, Value);

/// What an API's streams consist of.
pub(super) trait Stream: Default + Send {
    /// Whether values are lines and no events.
    const IS_LINES: bool = false;

    /// What comes before the content.
    fn opening(&mut self, answer: &Answer) -> Vec<Event>;

    /// What comes with a piece of content.
    fn content(&mut self, answer: &Answer, piece: Piece) -> Vec<Event>;

    /// What comes after the content.
    fn closing(&mut self, answer: &Answer) -> Vec<Event>;
}

/// Writes an API's streams.
#[derive(Debug)]
pub(super) struct EventWriter<S> {
    stream: S,
    wrap: Wrap,
    /// Whether each event is a chunk of an AWS event stream.
    in_chunks: bool,
    answer: Answer,
    buffer: Vec<u8>,
}

impl<S: Stream> EventWriter<S> {
    pub(super) fn new(answer: Answer, wrap: Wrap) -> Self {
        Self {
            stream: S::default(),
            wrap,
            in_chunks: false,
            answer,
            buffer: Vec::with_capacity(512),
        }
    }

    /// Writes each event as a chunk of an AWS event stream.
    pub(super) fn in_chunks(answer: Answer, wrap: Wrap) -> Self {
        Self {
            in_chunks: true,
            ..Self::new(answer, wrap)
        }
    }

    /// Appends events in one chunk.
    fn append(&self, events: &[Event], out: &mut Vec<u8>) {
        let mut text = Vec::new();
        for (name, value) in events {
            if self.in_chunks {
                crate::aws::chunk(&mut text, value);
                continue;
            }
            if S::IS_LINES {
                text.extend(format!("{value}\n").bytes());
                continue;
            }
            if let Some(name) = name {
                text.extend(format!("event: {name}\n").bytes());
            }
            text.extend(format!("data: {value}\n\n").bytes());
        }
        match self.wrap {
            // A chunk without bytes would be the last one.
            _ if text.is_empty() => {}
            Wrap::Chunk => {
                out.extend_from_slice(format!("{:x}\r\n", text.len()).as_bytes());
                out.extend_from_slice(&text);
                out.extend_from_slice(b"\r\n");
            }
            Wrap::Bare => out.extend_from_slice(&text),
        }
    }
}

impl<S: Stream> Frames for EventWriter<S> {
    fn opening(&mut self, _: u32, out: &mut Vec<u8>) {
        let events = self.stream.opening(&self.answer);
        self.append(&events, out);
    }

    fn content(&mut self, _: u32, piece: Piece) -> &[u8] {
        let events = self.stream.content(&self.answer, piece);
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        self.append(&events, &mut buffer);
        self.buffer = buffer;
        &self.buffer
    }

    fn closing(&mut self) -> Vec<u8> {
        let events = self.stream.closing(&self.answer);
        let mut out = Vec::with_capacity(512);
        self.append(&events, &mut out);
        if self.wrap == Wrap::Chunk {
            out.extend_from_slice(b"0\r\n\r\n");
        }
        out
    }
}

/// The words of a piece, as they stand in the whole text.
pub(super) fn words(answer: &Answer, piece: &Piece) -> String {
    let seed = answer.seed(0);
    let mut out = Vec::new();
    match piece {
        Piece::Reasoning(tokens) => crate::openai::words::append(&mut out, !seed, tokens.clone()),
        Piece::Visible(tokens) => crate::openai::words::append(&mut out, seed, tokens.clone()),
    }
    String::from_utf8_lossy(&out).into_owned()
}
