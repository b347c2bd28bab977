//! Server-sent events: cuts a byte stream into events, as the WHATWG HTML standard defines them.
//!
//! The framer is fed whatever a read gave, down to single bytes. It hands over each event at the
//! byte that completes it, together with that byte's place, so that the caller can look up when the
//! byte arrived. An event that lies within one feed and has one data line is not copied.

use std::ops::Range;

/// The largest line, and the largest event data, that is accepted.
const MAX_EVENT: usize = 64 << 20;

/// Bytes of unknown fields that are kept.
const MAX_UNKNOWN: usize = 1024;

/// One event of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SseEvent<'a> {
    /// The event's type, if the stream named one.
    pub event: Option<&'a str>,
    /// The data lines, joined by line feeds. Not checked for being UTF-8.
    pub data: &'a [u8],
}

/// What a stream held after its last complete event.
///
/// The standard discards it. Some servers forget the last blank line, though, so the data may well
/// be a whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseTail {
    /// The event's type, if the stream named one.
    pub event: Option<String>,
    /// The data lines so far; empty if there was none.
    pub data: Vec<u8>,
    /// Whether the stream ended within a line.
    pub within_line: bool,
}

/// What stood between the events: lines that are neither comments nor fields of the standard.
///
/// The standard ignores such lines. A server or a gateway that fails within a stream writes its error
/// there, though, and some write a whole response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outside {
    /// The lines, joined by line feeds. Of fields that the standard does not know, only the first are
    /// kept.
    pub text: Vec<u8>,
    /// Whether there was a line that is not even an unknown field (`name: value`).
    pub is_garbage: bool,
}

/// A line or an event is larger than any that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream holds an event of more than {limit} bytes")]
pub struct SseTooLarge {
    /// The limit in bytes.
    pub limit: usize,
}

/// Cuts a byte stream into events, however it was split over reads.
///
/// ```
/// use llmeter_wire::sse::SseFramer;
///
/// let mut framer = SseFramer::new();
/// let mut seen = Vec::new();
/// framer.feed(b"data: one\n\nda", |event, end| seen.push((event.data.to_vec(), end)))?;
/// framer.feed(b"ta: two\n\n", |event, end| seen.push((event.data.to_vec(), end)))?;
/// assert_eq!(seen, [(b"one".to_vec(), 11), (b"two".to_vec(), 9)]);
/// assert_eq!(framer.finish(), None);
/// # Ok::<(), llmeter_wire::sse::SseTooLarge>(())
/// ```
#[derive(Debug)]
pub struct SseFramer {
    /// The beginning of a line whose end was not fed yet.
    line: Vec<u8>,
    /// The data of the event under way, as far as it was copied.
    data: Vec<u8>,
    has_data: bool,
    /// The type of the event under way; empty if none was named.
    event: String,
    /// The last byte fed was a carriage return: a line feed that follows belongs to it.
    after_cr: bool,
    /// No line was completed yet, so a byte order mark may stand before the next one.
    at_start: bool,
    outside: Outside,
    limit: usize,
    too_large: bool,
}

/// What a line means for the event under way.
enum Line {
    /// The event is complete.
    End,
    /// A data line; the value's place within the line.
    Data(Range<usize>),
    /// An event line; the value's place within the line.
    Event(Range<usize>),
    /// A comment, or a field without a meaning here.
    Other,
    /// Neither a comment nor a field of the standard.
    Outside,
}

impl SseFramer {
    /// A framer at the start of a stream.
    pub fn new() -> Self {
        Self::with_limit(MAX_EVENT)
    }

    /// A framer that refuses lines and events of more than `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            event: String::new(),
            after_cr: false,
            at_start: true,
            outside: Outside::default(),
            limit,
            too_large: false,
        }
    }

    /// Takes the next bytes of the stream and calls `on_event` for each event that they complete,
    /// with the place in `bytes` just past the byte that completed it.
    ///
    /// A carriage return completes an event at once, without waiting for a line feed after it.
    ///
    /// # Errors
    /// When a line or an event is too large. The events before it were handed over; the stream
    /// cannot be continued.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        mut on_event: impl FnMut(SseEvent<'_>, usize),
    ) -> Result<(), SseTooLarge> {
        if self.too_large {
            return Err(self.fail());
        }
        let mut at = 0;
        if !bytes.is_empty() && std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
            at = 1;
        }
        // The data of the event under way while it lies in `bytes` in one part.
        let mut borrowed: Option<Range<usize>> = None;

        while let Some(length) = memchr::memchr2(b'\n', b'\r', &bytes[at..]) {
            let start = at;
            let end = start + length;
            at = end + 1;
            if bytes[end] == b'\r' {
                match bytes.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }

            if self.line.is_empty() {
                let line = &bytes[start..end];
                if line.len() > self.limit {
                    return Err(self.fail());
                }
                let skipped = self.skip_mark(line);
                match meaning(&line[skipped..]) {
                    Line::End => {
                        let data = match borrowed.take() {
                            Some(range) => Some(&bytes[range]),
                            None => self.has_data.then_some(self.data.as_slice()),
                        };
                        if let Some(data) = data {
                            let event = (!self.event.is_empty()).then_some(self.event.as_str());
                            on_event(SseEvent { event, data }, end + 1);
                        }
                        self.start_event();
                    }
                    Line::Data(value) => {
                        let shift = start + skipped;
                        let value = value.start + shift..value.end + shift;
                        if borrowed.is_none() && !self.has_data {
                            borrowed = Some(value);
                        } else {
                            if let Some(first) = borrowed.take() {
                                self.add_data(&bytes[first])?;
                            }
                            self.add_data(&bytes[value])?;
                        }
                    }
                    Line::Event(value) => self.name_event(&line[skipped..][value]),
                    Line::Other => {}
                    Line::Outside => self.add_outside(&line[skipped..])?,
                }
            } else {
                // Only the first line of a feed can have begun before it, so nothing is borrowed.
                self.hold(&bytes[start..end])?;
                if self.take_line()? {
                    if self.has_data {
                        let event = (!self.event.is_empty()).then_some(self.event.as_str());
                        let data = self.data.as_slice();
                        on_event(SseEvent { event, data }, end + 1);
                    }
                    self.start_event();
                }
            }
        }

        if let Some(range) = borrowed {
            self.add_data(&bytes[range])?;
        }
        self.hold(&bytes[at..])
    }

    /// Bytes that are held until more of the stream comes.
    pub fn held(&self) -> usize {
        self.line.len() + self.data.len() + self.outside.text.len()
    }

    /// Takes what stood between the events so far; none if there was nothing.
    pub fn take_outside(&mut self) -> Option<Outside> {
        (!self.outside.text.is_empty()).then(|| std::mem::take(&mut self.outside))
    }

    /// Ends the stream and returns what no event was made of, if anything. What stood between the
    /// events can be taken after it, too.
    pub fn finish(&mut self) -> Option<SseTail> {
        let within_line = !self.line.is_empty();
        let is_cut = |name: &&[u8]| name.len() > self.line.len() && name.starts_with(&self.line);
        let is_cut_name = FIELDS.iter().any(is_cut);
        if within_line && !is_cut_name && self.take_line().is_err() {
            self.data = Vec::new();
        }
        let event = (!self.event.is_empty()).then(|| std::mem::take(&mut self.event));
        let data = std::mem::take(&mut self.data);
        let tail = (within_line || self.has_data || event.is_some()).then_some(SseTail {
            event,
            data,
            within_line,
        });
        *self = Self {
            outside: std::mem::take(&mut self.outside),
            ..Self::with_limit(self.limit)
        };
        tail
    }

    /// Applies the held line, and says whether it completes the event.
    fn take_line(&mut self) -> Result<bool, SseTooLarge> {
        let mut line = std::mem::take(&mut self.line);
        let skipped = self.skip_mark(&line);
        let mut is_end = false;
        match meaning(&line[skipped..]) {
            Line::End => is_end = true,
            Line::Data(value) => self.add_data(&line[skipped..][value])?,
            Line::Event(value) => self.name_event(&line[skipped..][value]),
            Line::Other => {}
            Line::Outside => self.add_outside(&line[skipped..])?,
        }
        line.clear();
        self.line = line;
        Ok(is_end)
    }

    /// Keeps the beginning of a line for the next feed.
    fn hold(&mut self, bytes: &[u8]) -> Result<(), SseTooLarge> {
        if self.line.len() + bytes.len() > self.limit {
            return Err(self.fail());
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn add_data(&mut self, value: &[u8]) -> Result<(), SseTooLarge> {
        if self.data.len() + value.len() > self.limit {
            return Err(self.fail());
        }
        if self.has_data {
            self.data.push(b'\n');
        }
        self.has_data = true;
        self.data.extend_from_slice(value);
        Ok(())
    }

    #[cold]
    fn add_outside(&mut self, line: &[u8]) -> Result<(), SseTooLarge> {
        let Outside { text, is_garbage } = &mut self.outside;
        if is_unknown_field(line) {
            if text.len() > MAX_UNKNOWN {
                return Ok(());
            }
        } else {
            *is_garbage |= !line.trim_ascii().is_empty();
        }
        if text.len() + line.len() > self.limit {
            return Err(self.fail());
        }
        if !text.is_empty() {
            text.push(b'\n');
        }
        text.extend_from_slice(line);
        Ok(())
    }

    fn name_event(&mut self, value: &[u8]) {
        self.event.clear();
        self.event.push_str(&String::from_utf8_lossy(value));
    }

    fn start_event(&mut self) {
        self.data.clear();
        self.has_data = false;
        self.event.clear();
    }

    /// The length of a byte order mark before `line`, which is one only at the stream's start.
    fn skip_mark(&mut self, line: &[u8]) -> usize {
        if std::mem::take(&mut self.at_start) && line.starts_with(b"\xEF\xBB\xBF") {
            3
        } else {
            0
        }
    }

    #[cold]
    fn fail(&mut self) -> SseTooLarge {
        self.too_large = true;
        self.line = Vec::new();
        SseTooLarge { limit: self.limit }
    }
}

impl Default for SseFramer {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads one line without its end.
#[inline]
fn meaning(line: &[u8]) -> Line {
    let Some(first) = line.first() else {
        return Line::End;
    };
    // Comments, `id` and `retry` have no meaning here.
    match *first {
        b'd' if line.starts_with(b"data") => value_after(line, 4).map_or(Line::Outside, Line::Data),
        b'e' if line.starts_with(b"event") => {
            value_after(line, 5).map_or(Line::Outside, Line::Event)
        }
        b':' => Line::Other,
        b'i' if line.starts_with(b"id") && value_after(line, 2).is_some() => Line::Other,
        b'r' if line.starts_with(b"retry") && value_after(line, 5).is_some() => Line::Other,
        _ => Line::Outside,
    }
}

/// The names of the standard's fields.
const FIELDS: [&[u8]; 4] = [b"data", b"event", b"id", b"retry"];

/// Whether a line is a field that the standard does not know and has clients ignore: a name without
/// blanks and a colon.
fn is_unknown_field(line: &[u8]) -> bool {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    match memchr::memchr(b':', line) {
        Some(colon) => colon > 0 && line[..colon].iter().all(is_of_name),
        None => false,
    }
}

/// The value's place in a line whose field name has the given length, unless the name goes on.
#[inline]
fn value_after(line: &[u8], name: usize) -> Option<Range<usize>> {
    match line.get(name) {
        None => Some(name..name),
        Some(b':') => {
            let start = name + 1 + usize::from(line.get(name + 1) == Some(&b' '));
            Some(start..line.len())
        }
        Some(_) => None,
    }
}
