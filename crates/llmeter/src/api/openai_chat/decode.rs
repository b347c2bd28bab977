//! Turns frames of a Chat Completions stream, or a whole answer, into content.

use std::borrow::Cow;

use serde::Deserialize;

use super::shape::{Call, Chunk, Content, Message, Part, Piece};
use super::template::Template;
use crate::api::failure::{ErrorReport, error_text, event_error, excerpt};
use crate::api::lenient::{Object, Text, lenient_json, without_place};
use crate::base::failure::FailureKind;
use crate::endpoint::{Answer, Frame, FrameDecoder, Usage};

/// Decodes one answer.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// What an answer is called in errors.
    what: &'static str,
    /// Frames so far, those without a meaning included.
    frames: u64,
    /// `[DONE]` was seen.
    is_done: bool,
    /// What the next frame probably looks like.
    pub(super) template: Option<Template>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::of("chat completion")
    }
}

impl Decoder {
    /// A decoder of answers that errors call so: of an API whose frames are those of Chat
    /// Completions.
    pub(crate) fn of(what: &'static str) -> Self {
        Self {
            what,
            frames: 0,
            is_done: false,
            template: None,
        }
    }
}

impl FrameDecoder for Decoder {
    fn frame(&mut self, Frame { event, data, .. }: Frame<'_>, answer: &mut Answer) {
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
            answer.fail(FailureKind::ServerError, event_error(data));
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
            answer.fail(
                FailureKind::Malformed,
                match problem {
                    Problem::NotJson(reason) => {
                        format!(
                            "frame {number} is not valid JSON: {reason}: {}",
                            excerpt(data)
                        )
                    }
                    Problem::OtherShape(reason) => format!(
                        "frame {number} is not a {} chunk: {reason}: {}",
                        self.what,
                        excerpt(data)
                    ),
                },
            );
        }
    }

    fn whole(&mut self, body: &[u8], answer: &mut Answer) {
        let what = self.what;
        if body.trim_ascii().is_empty() {
            answer.fail(FailureKind::Empty, "the server's answer is empty");
            return;
        }
        let taken = read(body, |chunk| {
            take_chunk(&chunk, true, answer);
            if chunk.choices.as_ref().is_some_and(|all| !all.is_empty()) {
                answer.complete();
            } else if !answer.is_failed() {
                answer.fail(
                    FailureKind::Malformed,
                    format!(
                        "the server's answer is not a {what}: it has no choices: {}",
                        excerpt(body)
                    ),
                );
            }
        });
        match taken {
            Ok(()) => {}
            Err(Problem::NotJson(reason)) => answer.fail(
                FailureKind::Malformed,
                format!(
                    "the server's answer is not valid JSON: {reason}: {}",
                    excerpt(body)
                ),
            ),
            Err(Problem::OtherShape(reason)) => answer.fail(
                FailureKind::Malformed,
                format!(
                    "the server's answer is not a {what}: {reason}: {}",
                    excerpt(body)
                ),
            ),
        }
        self.is_done = true;
    }

    fn end(&mut self, answer: &mut Answer) {
        if self.is_done || answer.is_complete() {
            return;
        }
        answer.ended_early(self.frames, "no finish_reason and no [DONE]");
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
            if choice.text.is_something()
                || message.is_some_and(|Object(message)| has_content(message))
            {
                answer.other_content();
            }
            continue;
        }
        if let Some(text) = choice.text.as_str() {
            answer.text(text);
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
        answer.fail(FailureKind::ServerError, report.to_string());
    } else if chunk.choices.is_none() && chunk.object.as_str() == Some("error") {
        answer.fail(FailureKind::ServerError, bare_error(chunk));
    } else if answer.finish_reason.as_deref() == Some("error") {
        answer.fail(
            FailureKind::ServerError,
            "the server ended the answer with finish_reason \"error\"",
        );
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
