//! Turns frames of a Chat Completions stream, or a non-streaming response, into content.

use serde::Deserialize;
use serde_json::Value;

use super::shape::{Call, Chunk, Content, ContentItem, Message, Part};
use super::template::FrameTemplate;
use crate::api::failure::ErrorReport;
use crate::api::json_frames::{Decoded, Element, Meaning, list, truncated};
use crate::api::lenient::{Object, Text, without_place};
use crate::api::{Frame, ResponseBuilder};
use crate::base::failure::FailureKind;
use crate::base::server_text::excerpt;

/// What the frames of one response mean.
#[derive(Debug)]
pub(crate) struct Chat {
    /// What a response is called in errors.
    what: &'static str,
    /// What the next frame probably looks like.
    pub(super) template: Option<FrameTemplate>,
    /// Whether any frame was one of this API.
    is_recognized: bool,
    /// The beginning of the first frame that was none.
    stranger: Option<String>,
}

impl Chat {
    /// The meaning of responses that errors call so: of an API whose frames are those of Chat
    /// Completions.
    pub(crate) fn of(what: &'static str) -> Self {
        Self {
            what,
            template: None,
            is_recognized: false,
            stranger: None,
        }
    }
}

impl Chat {
    /// Notes whether a frame is one of this API.
    fn note(&mut self, chunk: &Chunk<'_>, data: &[u8]) {
        if self.is_recognized {
            return;
        }
        match chunk.choices.is_some() || chunk.usage().is_some() {
            true => self.is_recognized = true,
            false => _ = self.stranger.get_or_insert_with(|| excerpt(data)),
        }
    }
}

impl Meaning for Chat {
    const MISSING_END: &'static str = "no finish_reason and no [DONE]";
    const OBJECTS_ONLY: bool = false;

    fn try_fast_path(&mut self, frame: Frame<'_>, response: &mut ResponseBuilder) -> bool {
        let Frame { event, data, .. } = frame;
        if event == Some("error") {
            return false;
        }
        if let Some(template) = &self.template
            && template.take(data, response)
        {
            return true;
        }
        let Some(chunk) = std::str::from_utf8(data)
            .ok()
            .filter(|text| text.trim_start().starts_with('{'))
            .and_then(|text| serde_json::from_str(text).ok())
        else {
            // Also invalid UTF-8, halves of surrogate pairs and repeated keys.
            return false;
        };
        take_chunk(&chunk, true, response);
        self.note(&chunk, data);
        if let Some(template) = FrameTemplate::of(data, &chunk) {
            self.template = Some(template);
        }
        true
    }

    /// It may come with content, so that [`take_chunk`] reports it.
    fn error(&self, _: &Value, _: &[u8]) -> Option<String> {
        None
    }

    fn frame(&mut self, _: Option<&str>, value: &Value, response: &mut ResponseBuilder) -> Decoded {
        let chunk = chunk(value);
        let chunk = chunk.map_err(|reason| format!("is not a {} chunk: {reason}", self.what))?;
        take_chunk(&chunk, true, response);
        self.note(&chunk, value.to_string().as_bytes());
        Ok(())
    }

    fn end(&mut self, response: &mut ResponseBuilder) {
        if let Some(stranger) = self.stranger.take().filter(|_| !self.is_recognized) {
            let reason = format!(
                "no frame of the stream is a {} chunk: {stranger}",
                self.what
            );
            response.fail(FailureKind::Malformed, reason);
        } else if !response.is_complete() {
            response.fail(FailureKind::Truncated, truncated(Self::MISSING_END));
        }
    }

    fn element(&self, value: &Value) -> Element {
        let mut choices = list(value, "choices").peekable();
        if choices.peek().is_none() || choices.any(|choice| choice["delta"].is_object()) {
            Element::Frame
        } else if list(value, "choices").any(|choice| choice["message"].is_object()) {
            Element::Response
        } else {
            Element::Either
        }
    }

    fn non_streaming(&mut self, value: &Value, response: &mut ResponseBuilder) -> Decoded {
        let refuse = |reason: &str| format!("is not a {}: {reason}", self.what);
        let chunk = chunk(value).map_err(|reason| refuse(&reason))?;
        take_chunk(&chunk, false, response);
        match chunk.choices.as_deref() {
            None | Some([]) if !response.is_failed() => Err(refuse("it has no choices")),
            _ => Ok(()),
        }
    }
}

fn chunk(value: &Value) -> Result<Chunk<'_>, String> {
    let chunk = Object::deserialize(value).map_err(|error| without_place(&error));
    chunk.map(|Object(chunk)| chunk)
}

fn take_chunk(chunk: &Chunk<'_>, is_streaming: bool, response: &mut ResponseBuilder) {
    if let Some(id) = chunk.id.non_empty() {
        response.id(id);
    }
    for Object(choice) in chunk.choices.iter().flatten() {
        let message = match (&choice.message, &choice.delta) {
            (Some(message), _) if !is_streaming => Some(message),
            (_, delta) => delta.as_ref(),
        };
        let whole = choice.message.as_ref().filter(|_| is_streaming);
        let number = choice.index.0.unwrap_or(0);
        if number > 0 {
            response.choice(number);
            let is_content = |Object(message): &Object<Message<'_>>| {
                let mut any = false;
                walk(message, &mut |said| any |= said.is_content());
                any
            };
            let is_new = whole.is_some_and(is_content) && response.content_frames() == 0;
            if choice.text.is_something() || message.is_some_and(is_content) || is_new {
                response.other_content();
            }
            continue;
        }
        if let Some(text) = choice.text.as_str() {
            response.text(text);
        }
        if let Some(Object(message)) = message {
            walk(message, &mut |said| match said {
                ContentPart::Text(text) => response.text(text),
                ContentPart::Reasoning(text) => response.reasoning(text),
                ContentPart::ReasoningDetail(text) => take_detail(text, response),
                // The proof of what was told is no content of its own.
                ContentPart::HiddenReasoning if response.content_frames() > 0 => {}
                ContentPart::HiddenReasoning => response.hidden_reasoning(),
                ContentPart::Call(text) => response.tool_call(text),
                ContentPart::Other => response.other_content(),
            });
        }
        if let Some(Object(whole)) = whole {
            take_whole(whole, response);
        }
        if let Some(reason) = choice.finish_reason.non_empty() {
            response.finish_reason(reason);
        }
    }
    if let Some(usage) = chunk.usage() {
        response.usage(usage);
    }
    if let Some(timings) = &chunk.timings.0 {
        response.annotate("server_timings", timings.clone());
    }
    if let Some(report) = &chunk.error.0 {
        response.fail(FailureKind::ServerError, report.to_string());
    } else if chunk.choices.is_none() && chunk.object.as_str() == Some("error") {
        // The fields of the error stand in the frame itself.
        let report = ErrorReport {
            message: chunk.message.clone(),
            kind: chunk.kind.clone(),
            code: chunk.code.clone(),
        };
        response.fail(FailureKind::ServerError, report.to_string());
    } else if response.finish_reason.as_deref() == Some("error") {
        response.fail(
            FailureKind::ServerError,
            "the server ended the response with finish_reason \"error\"",
        );
    }
}

/// The whole message at the end of a stream: all of the content, or what deltas told before.
fn take_whole(message: &Message<'_>, response: &mut ResponseBuilder) {
    let [mut reasoning, mut text, mut calls] = [const { String::new() }; 3];
    let mut has_other = false;
    walk(message, &mut |said| match said {
        ContentPart::Text(piece) => text.push_str(piece),
        ContentPart::Reasoning(piece) | ContentPart::ReasoningDetail(piece) => {
            reasoning.push_str(piece);
        }
        ContentPart::Call(piece) => calls.push_str(piece),
        ContentPart::HiddenReasoning | ContentPart::Other => has_other = true,
    });
    if has_other && response.content_frames() == 0 {
        response.other_content();
    }
    // What is told otherwise than before was told.
    if let Some(missing) = reasoning.strip_prefix(&response.reasoning) {
        response.reasoning(missing);
    }
    if let Some(missing) = text.strip_prefix(&response.text)
        && !missing.is_empty()
    {
        response.text(missing);
    }
    if let Some(missing) = calls.strip_prefix(&response.tool_calls) {
        response.tool_call(missing);
    }
}

/// Length from which reasoning is not the beginning of the next piece by chance.
const TELLING: usize = 16;

/// A piece of the reasoning's details; some servers repeat in it what came before.
fn take_detail(text: &str, response: &mut ResponseBuilder) {
    let known = &response.reasoning;
    let is_telling = !known.is_empty() && (known.len() >= TELLING || text.len() > known.len());
    match text.strip_prefix(known.as_str()).filter(|_| is_telling) {
        Some(missing) => response.reasoning(missing),
        None => response.reasoning(text),
    }
}

/// What a message consists of.
enum ContentPart<'m> {
    Text(&'m str),
    Reasoning(&'m str),
    /// Perhaps with all that came before.
    ReasoningDetail(&'m str),
    /// Thoughts that are not readable.
    HiddenReasoning,
    Call(&'m str),
    Other,
}

impl ContentPart<'_> {
    fn is_content(&self) -> bool {
        match self {
            Self::Text(text)
            | Self::Reasoning(text)
            | Self::ReasoningDetail(text)
            | Self::Call(text) => !text.is_empty(),
            Self::HiddenReasoning | Self::Other => true,
        }
    }
}

fn walk(message: &Message<'_>, say: &mut dyn FnMut(ContentPart<'_>)) {
    // Some servers send the same text under several names.
    let names = [
        &message.reasoning_content,
        &message.reasoning,
        &message.reasoning_text,
        &message.thinking,
        &message.thinking_blocks,
        &message.thought,
        &message.thoughts,
    ];
    match names.into_iter().find(|content| is_thought(content)) {
        Some(reasoning) => walk_content(reasoning, true, say),
        None => walk_details(&message.reasoning_details, say),
    }
    walk_content(&message.content, false, say);
    if is_content(&message.images) {
        say(ContentPart::Other);
    }
    if let Some(refusal) = message.refusal.non_empty() {
        say(ContentPart::Text(refusal));
    }
    let calls = message.tool_calls.iter().flatten();
    let calls = calls.flat_map(|Object(call)| call.function.0.iter().chain(&call.custom.0));
    for Call {
        name,
        arguments,
        input,
    } in calls.chain(&message.function_call.0)
    {
        for text in [name, arguments, input] {
            match text {
                Text::Is(text) => say(ContentPart::Call(text)),
                Text::Absent => {}
                Text::Other => say(ContentPart::Other),
            }
        }
    }
    if let Some(audio) = &message.audio.0
        && (audio.data.is_something() || audio.transcript.is_something())
    {
        say(ContentPart::Other);
    }
}

fn walk_content(content: &Content<'_>, is_reasoning: bool, say: &mut dyn FnMut(ContentPart<'_>)) {
    let pieces = match content {
        Content::Absent => return,
        Content::Text(text) if is_reasoning => return say(ContentPart::Reasoning(text)),
        Content::Text(text) => return say(ContentPart::Text(text)),
        Content::Parts(pieces) => pieces,
    };
    for piece in pieces {
        match piece {
            ContentItem::Text(text) if is_reasoning => say(ContentPart::Reasoning(text)),
            ContentItem::Text(text) => say(ContentPart::Text(text)),
            ContentItem::Other if is_reasoning => {}
            ContentItem::Other => say(ContentPart::Other),
            ContentItem::Part(part) if is_content(&part.thinking) => {
                walk_content(&part.thinking, true, say);
            }
            ContentItem::Part(part) if is_reasoning => {
                walk_thought(part, say);
            }
            ContentItem::Part(part) => walk_part(part, say),
        }
    }
}

/// A list of the reasoning's details.
fn walk_details(details: &Content<'_>, say: &mut dyn FnMut(ContentPart<'_>)) {
    let Content::Parts(pieces) = details else {
        return walk_content(details, true, say);
    };
    for piece in pieces {
        if let ContentItem::Part(part) = piece {
            walk_thought(part, &mut |said| match said {
                ContentPart::Reasoning(text) => say(ContentPart::ReasoningDetail(text)),
                said => say(said),
            });
        }
    }
}

/// A part of the reasoning.
fn walk_thought(part: &Part<'_>, say: &mut dyn FnMut(ContentPart<'_>)) {
    if let Some(text) = part.text.as_str() {
        say(ContentPart::Reasoning(text));
    } else if is_content(&part.summary) {
        walk_content(&part.summary, true, say);
    } else if part.data.is_something() {
        say(ContentPart::HiddenReasoning);
    }
}

/// A part of a content that is no reasoning as a whole.
fn walk_part(part: &Part<'_>, say: &mut dyn FnMut(ContentPart<'_>)) {
    let kind = part.kind.non_empty();
    if matches!(kind, Some("reasoning" | "thinking")) && part.text.non_empty().is_none() {
        return walk_thought(part, say);
    }
    match (part.text.non_empty(), part.refusal.non_empty(), kind) {
        (Some(text), _, Some("reasoning" | "thinking")) => say(ContentPart::Reasoning(text)),
        (Some(text), _, _) | (None, Some(text), _) => say(ContentPart::Text(text)),
        (
            None,
            None,
            None | Some("text" | "output_text" | "refusal" | "reasoning" | "thinking"),
        ) => {}
        // Content of another kind.
        (None, None, Some(_)) => say(ContentPart::Other),
    }
}

/// Whether something of a reasoning can be told. A truth value says of what kind something else is.
fn is_thought(reasoning: &Content<'_>) -> bool {
    let mut any = false;
    walk_content(reasoning, true, &mut |said| any |= said.is_content());
    any
}

fn is_content(content: &Content<'_>) -> bool {
    let mut any = false;
    walk_content(content, false, &mut |said| any |= said.is_content());
    any
}
