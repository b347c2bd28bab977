//! What the body of a streaming response is, judged by how it begins: servers and gateways mislabel
//! what they send.

use memchr::memchr2;
use serde::de::IgnoredAny;

use llmeter_wire::framing::Framing;

/// Bytes of a first line of JSON within which it is decided what follows.
const MAX_FIRST_LINE: usize = 64 * 1024;

/// How lines of server-sent events begin.
const EVENT_LINES: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A stream of frames.
    Frames(Framing),
    /// One JSON document.
    Document,
    /// Neither.
    Foreign,
}

/// What should come as a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub(super) framing: Framing,
    /// Whether it is called a page, so that a text which is no event is one.
    pub(super) is_called_page: bool,
}

/// What a body is; `None` if it takes more bytes to tell. `is_over`: more do not come. How the bytes were
/// split over calls makes no difference.
pub(super) fn shape(body: &[u8], expected: Expected, is_over: bool) -> Option<Shape> {
    let Expected {
        framing: expected,
        is_called_page,
    } = expected;
    const MARK: &[u8] = b"\xEF\xBB\xBF";
    if !is_over && body.len() < MARK.len() && MARK.starts_with(body) {
        return None;
    }
    let body = body.strip_prefix(MARK).unwrap_or(body).trim_ascii_start();
    let Some(first) = body.first() else {
        return is_over.then_some(Shape::Frames(expected));
    };
    match (first, expected) {
        (b'<', _) => Some(Shape::Foreign),
        // The length of a message, of 16 MiB and something at most, comes first.
        (0 | 1, Framing::EventStream) => Some(Shape::Frames(expected)),
        (b'{' | b'[', Framing::EventStream) | (b'[', Framing::JsonLines) => Some(Shape::Document),
        (_, Framing::EventStream) => Some(Shape::Foreign),
        (b'{', Framing::JsonLines) => lines_or_document(body, is_over),
        // Some gateways make events of lines.
        (_, Framing::JsonLines) => events_or(Shape::Frames(expected), body, is_over),
        (b'{', Framing::Sse) => events_or_lines(body, is_over),
        (b'[', Framing::Sse) => Some(Shape::Frames(expected)),
        (_, Framing::Sse) if is_called_page => events_or(Shape::Foreign, body, is_over),
        (_, Framing::Sse) => Some(Shape::Frames(expected)),
    }
}

/// How a body is framed that is a stream where a document was asked for.
pub(super) fn framing_of(body: &[u8]) -> Option<Framing> {
    let is_expected = |framing: Framing| {
        let mut frames = 0;
        let fed = framing.framer().feed(body, |_, _| frames += 1);
        fed.is_ok() && frames > 0
    };
    let text = body.trim_ascii_start();
    if EVENT_LINES.iter().any(|begin| text.starts_with(begin)) {
        return Some(Framing::Sse);
    }
    match text.first() {
        Some(0 | 1) => Some(Framing::EventStream).filter(|framing| is_expected(*framing)),
        Some(b'{') => {
            let shape = events_or_lines(text, true);
            let lines = Some(Shape::Frames(Framing::JsonLines));
            (shape == lines).then_some(Framing::JsonLines)
        }
        _ => None,
    }
}

/// A document may be written over several lines, so that its first is not whole.
fn lines_or_document(body: &[u8], is_over: bool) -> Option<Shape> {
    let lines = Shape::Frames(Framing::JsonLines);
    match memchr2(b'\n', b'\r', body) {
        None => (is_over || body.len() > MAX_FIRST_LINE).then_some(lines),
        Some(end) if end > MAX_FIRST_LINE => Some(lines),
        Some(end) => Some(match json(&body[..end]) {
            Err(error) if error.is_eof() => Shape::Document,
            _ => lines,
        }),
    }
}

/// What begins like an event is one.
fn events_or(other: Shape, body: &[u8], is_over: bool) -> Option<Shape> {
    if EVENT_LINES.iter().any(|begin| body.starts_with(begin)) {
        Some(Shape::Frames(Framing::Sse))
    } else if !is_over && EVENT_LINES.iter().any(|begin| begin.starts_with(body)) {
        None
    } else {
        Some(other)
    }
}

/// JSON in the place of events. Two documents, each on a line, are a stream of lines; anything else
/// stands between the events, if there are any.
fn events_or_lines(body: &[u8], is_over: bool) -> Option<Shape> {
    let events = Some(Shape::Frames(Framing::Sse));
    let end = match memchr2(b'\n', b'\r', body) {
        None if is_over || body.len() > MAX_FIRST_LINE => return events,
        None => return None,
        Some(end) if end > MAX_FIRST_LINE => return events,
        Some(end) => end,
    };
    match body[end..].trim_ascii_start().first() {
        None if !is_over => None,
        Some(b'{') if json(&body[..end]).is_ok() => Some(Shape::Frames(Framing::JsonLines)),
        _ => events,
    }
}

fn json(line: &[u8]) -> Result<IgnoredAny, serde_json::Error> {
    serde_json::from_slice(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Framing::{EventStream, JsonLines, Sse};
    use Shape::{Document, Foreign, Frames};

    fn shape(body: &[u8], framing: Framing, is_over: bool) -> Option<Shape> {
        let is_called_page = false;
        let expected = Expected {
            framing,
            is_called_page,
        };
        super::shape(body, expected, is_over)
    }

    #[test]
    fn a_body_is_what_it_begins_with_however_it_is_split() {
        for (body, expected, is) in [
            ("data: {}\n\n", Sse, Frames(Sse)),
            ("\u{feff}\n event: x\n", Sse, Frames(Sse)),
            ("garbage", Sse, Frames(Sse)),
            ("", Sse, Frames(Sse)),
            ("<!doctype html>", Sse, Foreign),
            ("  <html>", JsonLines, Foreign),
            ("<html>", EventStream, Foreign),
            ("{\"a\": 1}", Sse, Frames(Sse)),
            ("{\"a\": 1}\n\ndata: [DONE]\n\n", Sse, Frames(Sse)),
            ("{\n  \"a\": {\n\"b\": 1}}\n", Sse, Frames(Sse)),
            ("[{\"a\": 1}]", Sse, Frames(Sse)),
            ("{\"a\": 1}\r\n{\"a\": 2}\r\n", Sse, Frames(JsonLines)),
            ("{\"a\": 1}\n{\"a\": 2}\n", JsonLines, Frames(JsonLines)),
            ("{\"a\": 1}", JsonLines, Frames(JsonLines)),
            ("{oops\n", JsonLines, Frames(JsonLines)),
            ("{\n\"a\": 1}", JsonLines, Document),
            ("[{\"a\": 1},", JsonLines, Document),
            ("data: {}\n\n", JsonLines, Frames(Sse)),
            ("dat", JsonLines, Frames(JsonLines)),
            (": ping\n\n", JsonLines, Frames(Sse)),
            ("{\"message\": 1}", EventStream, Document),
            ("data: {}\n\n", EventStream, Foreign),
            ("\0\0\0\x10", EventStream, Frames(EventStream)),
        ] {
            let body = body.as_bytes();
            let splits = (0..body.len()).filter_map(|end| shape(&body[..end], expected, false));
            for found in splits {
                assert_eq!(found, is, "{}", String::from_utf8_lossy(body));
            }
            assert_eq!(shape(body, expected, true), Some(is), "{body:?}");
        }
    }

    #[test]
    fn a_stream_in_the_place_of_a_document_is_noticed() {
        for (body, framing) in [
            ("\n data: {}\n\n", Some(Sse)),
            ("{\"a\": 1}\n{\"b\": 2}", Some(JsonLines)),
            ("{\"a\": 1}\n", None),
            ("\0\0\0\x10", None),
            ("words", None),
        ] {
            assert_eq!(framing_of(body.as_bytes()), framing, "{body}");
        }
    }

    #[test]
    fn a_text_that_is_called_a_page_is_one() {
        let expected = Expected {
            framing: Sse,
            is_called_page: true,
        };
        for (body, is) in [
            (&b"Bad gateway"[..], Some(Foreign)),
            (b"data: {}", Some(Frames(Sse))),
            (b"dat", None),
            (b"[1]", Some(Frames(Sse))),
        ] {
            assert_eq!(super::shape(body, expected, false), is);
        }
    }

    #[test]
    fn a_long_first_line_is_not_waited_for() {
        let long = format!("{{\"a\": \"{}\"}}\n{{}}\n", "x".repeat(MAX_FIRST_LINE));
        for end in [MAX_FIRST_LINE + 1, long.len()] {
            let body = &long.as_bytes()[..end];
            assert_eq!(shape(body, Sse, false), Some(Frames(Sse)));
            assert_eq!(shape(body, JsonLines, false), Some(Frames(JsonLines)));
        }
        assert_eq!(shape(&long.as_bytes()[..MAX_FIRST_LINE], Sse, false), None);
    }
}
