//! Turns frames of a Chat Completions stream, or a whole answer, into content.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::lenient::{Object, Text};
use super::shape::{Call, Chunk, Content, ErrorReport, Message, Part, Piece};
use super::template::Template;
use crate::endpoint::{Answer, Frame, FrameDecoder, Usage};

/// Characters of a server's text that an error message quotes.
const EXCERPT: usize = 160;

/// Decodes one answer.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// Frames so far, those without a meaning included.
    frames: u64,
    /// `[DONE]` was seen.
    is_done: bool,
    /// What the next frame probably looks like.
    pub(super) template: Option<Template>,
}

impl FrameDecoder for Decoder {
    fn frame(&mut self, Frame { event, data }: Frame<'_>, answer: &mut Answer) {
        self.frames += 1;
        if self.is_done {
            return;
        }
        if event != Some("error")
            && let Some(template) = &self.template
            && template.take(data, answer)
        {
            return;
        }
        if data.starts_with(b"[DONE]") {
            self.is_done = true;
            answer.complete();
            return;
        }
        if event == Some("error") {
            answer.error(error_text(data).unwrap_or_else(|| match excerpt(data) {
                text if text.is_empty() => "the server sent an error event without a text".into(),
                text => text,
            }));
            return;
        }
        // Some servers keep a connection alive with empty events.
        if data.trim_ascii().is_empty() {
            return;
        }
        let number = self.frames;
        let taken = read(data, |chunk| {
            take_chunk(&chunk, false, answer);
            if let Some(template) = Template::of(data, &chunk) {
                self.template = Some(template);
            }
        });
        if let Err(problem) = taken {
            answer.error(match problem {
                Problem::NotJson(reason) => {
                    format!(
                        "frame {number} is not valid JSON: {reason}: {}",
                        excerpt(data)
                    )
                }
                Problem::OtherShape(reason) => format!(
                    "frame {number} is not a chat completion chunk: {reason}: {}",
                    excerpt(data)
                ),
            });
        }
    }

    fn whole(&mut self, body: &[u8], answer: &mut Answer) {
        if body.trim_ascii().is_empty() {
            answer.error("the server's answer is empty");
            return;
        }
        let taken = read(body, |chunk| {
            take_chunk(&chunk, true, answer);
            if chunk.choices.as_ref().is_some_and(|all| !all.is_empty()) {
                answer.complete();
            } else if !answer.is_failed() {
                answer.error(format!(
                    "the server's answer is not a chat completion: it has no choices: {}",
                    excerpt(body)
                ));
            }
        });
        match taken {
            Ok(()) => {}
            Err(Problem::NotJson(reason)) => answer.error(format!(
                "the server's answer is not valid JSON: {reason}: {}",
                excerpt(body)
            )),
            Err(Problem::OtherShape(reason)) => answer.error(format!(
                "the server's answer is not a chat completion: {reason}: {}",
                excerpt(body)
            )),
        }
        self.is_done = true;
    }

    fn end(&mut self, answer: &mut Answer) {
        if self.is_done || answer.is_complete() {
            return;
        }
        answer.error(if self.frames == 0 {
            "the stream ended without a single event"
        } else {
            "the stream ended before it was finished (no finish_reason and no [DONE])"
        });
    }

    fn error_message(&self, body: &[u8]) -> Option<String> {
        error_text(body)
    }
}

/// Why a frame could not be read.
enum Problem {
    NotJson(String),
    OtherShape(String),
}

/// Reads a frame and passes it on.
fn read<R>(data: &[u8], then: impl FnOnce(Chunk<'_>) -> R) -> Result<R, Problem> {
    if let Ok(text) = std::str::from_utf8(data)
        && text.trim_start().starts_with('{')
        && let Ok(chunk) = serde_json::from_str::<Chunk<'_>>(text)
    {
        return Ok(then(chunk));
    }
    // The patient way: also for invalid UTF-8, halves of surrogate pairs and repeated keys.
    let value = lenient_json(data).map_err(Problem::NotJson)?;
    let Object(chunk) = Object::<Chunk<'_>>::deserialize(&value)
        .map_err(|error| Problem::OtherShape(without_place(&error)))?;
    Ok(then(chunk))
}

/// JSON that may hold invalid UTF-8 and halves of surrogate pairs; both become U+FFFD.
pub(in crate::endpoint) fn lenient_json(data: &[u8]) -> Result<Value, String> {
    let text = String::from_utf8_lossy(data);
    serde_json::from_str(&text).or_else(|error| {
        let Cow::Owned(text) = without_lone_surrogates(&text) else {
            return Err(error.to_string());
        };
        serde_json::from_str(&text).map_err(|error| error.to_string())
    })
}

/// Replaces `\uD800`…`\uDFFF` escapes that are not pairs by `\uFFFD`.
fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    let unit = |at: usize| -> Option<u16> {
        let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(next) = text.get(at..).and_then(|rest| rest.find('\\')) {
        at += next;
        at += match unit(at) {
            Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => {
                out.push_str(&text[copied..at]);
                out.push_str("\\ufffd");
                copied = at + 6;
                6
            }
            // The character after a backslash may be a backslash; it is one byte or not an escape.
            _ => 2,
        };
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

fn take_chunk(chunk: &Chunk<'_>, is_whole: bool, answer: &mut Answer) {
    if let Some(id) = chunk.id.non_empty() {
        answer.id(id);
    }
    for Object(choice) in chunk.choices.iter().flatten() {
        let message = match (&choice.message, &choice.delta) {
            (Some(message), _) if is_whole => Some(message),
            (_, delta) => delta.as_ref(),
        };
        if choice.index.0.unwrap_or(0) > 0 {
            if message.is_some_and(|Object(message)| has_content(message)) {
                answer.other_content();
            }
            continue;
        }
        if let Some(Object(message)) = message {
            take_message(message, answer);
        }
        if let Some(reason) = choice.finish_reason.non_empty() {
            answer.finish_reason(reason);
        }
    }
    if let Some(report) = &chunk.usage.0 {
        answer.usage(Usage::from(report));
    }
    if let Some(timings) = &chunk.timings.0 {
        answer.annotate("server_timings", timings.clone());
    }
    if let Some(report) = &chunk.error.0 {
        answer.error(report.to_string());
    } else if chunk.choices.is_none() && chunk.object.as_str() == Some("error") {
        answer.error(bare_error(chunk));
    } else if answer.finish_reason.as_deref() == Some("error") {
        answer.error("the server ended the answer with finish_reason \"error\"");
    }
}

/// The text of an error whose fields stand in the frame itself.
fn bare_error(chunk: &Chunk<'_>) -> String {
    let copy = |text: &Text<'_>| match text {
        Text::Is(text) => Text::Is(Cow::Owned(text.to_string())),
        Text::Absent => Text::Absent,
        Text::Other => Text::Other,
    };
    ErrorReport {
        message: copy(&chunk.message),
        kind: copy(&chunk.kind),
        code: copy(&chunk.code),
    }
    .to_string()
}

fn take_message(message: &Message<'_>, answer: &mut Answer) {
    // Some servers send the same piece under both names.
    if is_content(&message.reasoning_content) {
        take_reasoning(&message.reasoning_content, answer);
    } else {
        take_reasoning(&message.reasoning, answer);
    }
    match &message.content {
        Content::Absent => {}
        Content::Text(text) => answer.text(text),
        Content::Parts(pieces) => {
            for piece in pieces {
                take_piece(piece, answer);
            }
        }
    }
    if let Some(refusal) = message.refusal.non_empty() {
        answer.text(refusal);
    }
    for Object(call) in message.tool_calls.iter().flatten() {
        for call in call.function.0.iter().chain(&call.custom.0) {
            take_call(call, answer);
        }
    }
    if let Some(call) = &message.function_call.0 {
        take_call(call, answer);
    }
    if let Some(audio) = &message.audio.0
        && (audio.data.is_something() || audio.transcript.is_something())
    {
        answer.other_content();
    }
}

fn take_call(call: &Call<'_>, answer: &mut Answer) {
    for piece in [&call.name, &call.arguments, &call.input] {
        match piece {
            Text::Is(text) => answer.tool_call(text),
            Text::Absent => {}
            Text::Other => answer.other_content(),
        }
    }
}

fn take_piece(piece: &Piece<'_>, answer: &mut Answer) {
    let part = match piece {
        Piece::Text(text) => return answer.text(text),
        Piece::Other => return answer.other_content(),
        Piece::Part(part) => part,
    };
    if is_content(&part.thinking) {
        take_reasoning(&part.thinking, answer);
    } else if let Some(text) = part.text.non_empty() {
        if is_reasoning(part) {
            answer.reasoning(text);
        } else {
            answer.text(text);
        }
    } else if let Some(refusal) = part.refusal.non_empty() {
        answer.text(refusal);
    } else if is_media(part) {
        answer.other_content();
    }
}

fn take_reasoning(content: &Content<'_>, answer: &mut Answer) {
    match content {
        Content::Absent => {}
        Content::Text(text) => answer.reasoning(text),
        Content::Parts(pieces) => {
            for piece in pieces {
                match piece {
                    Piece::Text(text) => answer.reasoning(text),
                    Piece::Part(part) if is_content(&part.thinking) => {
                        take_reasoning(&part.thinking, answer);
                    }
                    Piece::Part(part) => answer.reasoning(part.text.as_str().unwrap_or_default()),
                    Piece::Other => {}
                }
            }
        }
    }
}

fn is_reasoning(part: &Part<'_>) -> bool {
    matches!(part.kind.as_str(), Some("reasoning" | "thinking"))
}

/// Whether a part without a text stands for content of another kind.
fn is_media(part: &Part<'_>) -> bool {
    let kind = part.kind.non_empty();
    kind.is_some_and(|kind| {
        !matches!(
            kind,
            "text" | "output_text" | "refusal" | "reasoning" | "thinking"
        )
    })
}

fn has_content(message: &Message<'_>) -> bool {
    let calls = message.tool_calls.iter().flatten();
    let mut calls = calls
        .flat_map(|Object(call)| call.function.0.iter().chain(&call.custom.0))
        .chain(&message.function_call.0);
    is_content(&message.content)
        || is_content(&message.reasoning_content)
        || is_content(&message.reasoning)
        || message.refusal.is_something()
        || calls.any(|call| {
            [&call.name, &call.arguments, &call.input]
                .iter()
                .any(|text| text.is_something())
        })
        || message
            .audio
            .0
            .as_ref()
            .is_some_and(|audio| audio.data.is_something() || audio.transcript.is_something())
}

fn is_content(content: &Content<'_>) -> bool {
    match content {
        Content::Absent => false,
        Content::Text(text) => !text.is_empty(),
        Content::Parts(pieces) => pieces.iter().any(|piece| match piece {
            Piece::Text(text) => !text.is_empty(),
            Piece::Other => true,
            Piece::Part(part) => {
                part.text.non_empty().is_some()
                    || part.refusal.non_empty().is_some()
                    || is_content(&part.thinking)
                    || is_media(part)
            }
        }),
    }
}

/// The server's own words in the body of a failure, if it has one of the usual shapes:
/// `{"error": {"message", "type", "code"}}`, `{"error": "…"}`, `{"message": "…"}`,
/// `{"detail": "…"}`, and FastAPI's list of details.
pub(in crate::endpoint) fn error_text(body: &[u8]) -> Option<String> {
    let value = lenient_json(body).ok()?;
    let value = match &value {
        Value::Array(list) => list.first()?,
        other => other,
    };
    let object = value.as_object()?;
    let report = |value: &Value| {
        let report = ErrorReport::deserialize(value).ok()?;
        report
            .message
            .non_empty()
            .is_some()
            .then(|| report.to_string())
    };
    match object.get("error") {
        Some(Value::String(text)) if !text.is_empty() => return Some(text.clone()),
        Some(error @ Value::Object(fields)) => {
            return report(error).or_else(|| {
                // Some other shape within `error`: its JSON says more than nothing.
                (!fields.is_empty()).then(|| excerpt(error.to_string().as_bytes()))
            });
        }
        _ => {}
    }
    if let Some(text) = report(value) {
        return Some(text);
    }
    match object.get("detail")? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Array(details) => {
            let texts: Vec<String> = details.iter().filter_map(detail_text).collect();
            (!texts.is_empty()).then(|| texts.join("; "))
        }
        detail @ Value::Object(_) => report(detail),
        _ => None,
    }
}

/// One of FastAPI's details: `{"loc": ["body", "messages"], "msg": "field required"}`.
fn detail_text(detail: &Value) -> Option<String> {
    let message = detail.get("msg")?.as_str()?;
    let place: Vec<String> = detail
        .get("loc")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|step| {
            step.as_str()
                .map_or_else(|| step.to_string(), str::to_owned)
        })
        .collect();
    Some(match place.as_slice() {
        [] => message.to_owned(),
        place => format!("{}: {message}", place.join(".")),
    })
}

/// The beginning of a server's text, on one line.
pub(in crate::endpoint) fn excerpt(data: &[u8]) -> String {
    // A character is at most four bytes; a cut one at the end is dropped with the rest.
    let head = &data[..data.len().min(4 * EXCERPT)];
    let text = String::from_utf8_lossy(head);
    let mut out: String = text
        .trim()
        .chars()
        .take(EXCERPT)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if head.len() < data.len() || text.trim().chars().count() > EXCERPT {
        out.push('…');
    }
    out
}

/// An error's text without the line and column, which mean nothing for a decoded value.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}
