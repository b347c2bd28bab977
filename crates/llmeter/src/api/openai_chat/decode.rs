//! Turns frames of a Chat Completions stream, or a non-streaming response, into content.

use serde::Deserialize;
use serde_json::Value;

use super::shape::{Call, Chunk, Content, ContentItem, Message, Part};
use super::template::FrameTemplate;
use crate::api::failure::ErrorReport;
use crate::api::json_frames::{Decoded, Meaning};
use crate::api::lenient::{Object, Text, without_place};
use crate::api::{Frame, ResponseBuilder};
use crate::base::failure::FailureKind;

/// What the frames of one response mean.
#[derive(Debug)]
pub(crate) struct Chat {
    /// What a response is called in errors.
    what: &'static str,
    /// What the next frame probably looks like.
    pub(super) template: Option<FrameTemplate>,
}

impl Chat {
    /// The meaning of responses that errors call so: of an API whose frames are those of Chat
    /// Completions.
    pub(crate) fn of(what: &'static str) -> Self {
        let template = None;
        Self { what, template }
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
        Ok(())
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
        if choice.index.0.unwrap_or(0) > 0 {
            let is_content = |Object(message): &Object<Message<'_>>| {
                let mut any = false;
                walk(message, &mut |said| any |= said.is_content());
                any
            };
            if choice.text.is_something() || message.is_some_and(is_content) {
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
                ContentPart::Call(text) => response.tool_call(text),
                ContentPart::Other => response.other_content(),
            });
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

/// What a message consists of.
enum ContentPart<'m> {
    Text(&'m str),
    Reasoning(&'m str),
    Call(&'m str),
    Other,
}

impl ContentPart<'_> {
    fn is_content(&self) -> bool {
        match self {
            Self::Text(text) | Self::Reasoning(text) | Self::Call(text) => !text.is_empty(),
            Self::Other => true,
        }
    }
}

fn walk(message: &Message<'_>, say: &mut dyn FnMut(ContentPart<'_>)) {
    // Some servers send the same text under both names.
    if is_content(&message.reasoning_content) {
        walk_content(&message.reasoning_content, true, say);
    } else {
        walk_content(&message.reasoning, true, say);
    }
    walk_content(&message.content, false, say);
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
                say(ContentPart::Reasoning(
                    part.text.as_str().unwrap_or_default(),
                ));
            }
            ContentItem::Part(part) => walk_part(part, say),
        }
    }
}

/// A part of a content that is no reasoning as a whole.
fn walk_part(part: &Part<'_>, say: &mut dyn FnMut(ContentPart<'_>)) {
    let kind = part.kind.non_empty();
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

fn is_content(content: &Content<'_>) -> bool {
    let mut any = false;
    walk_content(content, false, &mut |said| any |= said.is_content());
    any
}
