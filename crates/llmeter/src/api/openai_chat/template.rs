//! Frames that differ from an earlier one in a single text.
//!
//! Nearly all frames of a stream are the same but for their piece of text. What surrounds it is
//! compared byte by byte then, which costs a tenth of parsing it again.
//!
//! Why that gives what the parser would give: the text of the frame that was parsed was borrowed
//! from it, so its place is known and is that of a JSON string without escapes. A frame with the
//! same bytes around another such string parses to the same chunk, but for that one value.

use std::borrow::Cow;

use super::shape::{Choice, Chunk, Content, Message};
use crate::api::ResponseBuilder;
use crate::api::lenient::{Object, Text};

/// A frame whose only effect is to add a text that is not empty.
#[derive(Debug)]
pub(super) struct FrameTemplate {
    before: Vec<u8>,
    after: Vec<u8>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
}

impl FrameTemplate {
    /// The template of a frame that was parsed, unless it does more than add a text.
    pub(super) fn of(data: &[u8], chunk: &Chunk<'_>) -> Option<Self> {
        let (kind, text) = only_text(chunk)?;
        let start = (text.as_ptr() as usize).checked_sub(data.as_ptr() as usize)?;
        let end = start.checked_add(text.len())?;
        Some(Self {
            before: data.get(..start)?.to_vec(),
            after: data.get(end..)?.to_vec(),
            kind,
        })
    }

    /// Reports the frame's text if the frame fits. Returns whether it does.
    #[inline]
    pub(super) fn take(&self, data: &[u8], response: &mut ResponseBuilder) -> bool {
        let Some(text) = data
            .strip_prefix(self.before.as_slice())
            .and_then(|rest| rest.strip_suffix(self.after.as_slice()))
            .filter(|text| !text.is_empty() && is_plain(text))
            .and_then(|text| std::str::from_utf8(text).ok())
        else {
            return false;
        };
        match self.kind {
            Kind::Text => response.text(text),
            Kind::Reasoning => response.reasoning(text),
        }
        true
    }
}

/// Whether a JSON string may hold these bytes as they are.
fn is_plain(text: &[u8]) -> bool {
    text.iter()
        .all(|&byte| byte >= b' ' && byte != b'"' && byte != b'\\')
}

/// The text that a chunk adds, borrowed from its frame, if another chunk of the same response with
/// another text would do nothing else. What a chunk merely repeats does not count: the response's id,
/// and that there is a text at all.
fn only_text<'a>(chunk: &Chunk<'a>) -> Option<(Kind, &'a str)> {
    let [Object(choice)] = chunk.choices.as_deref()? else {
        return None;
    };
    let Choice {
        index,
        delta,
        message,
        text,
        finish_reason,
        usage,
    } = choice;
    let is_bare = index.0.unwrap_or(0) == 0
        && message.is_none()
        && finish_reason.non_empty().is_none()
        && usage.0.is_none()
        && chunk.usage.0.is_none()
        && chunk.x_groq.0.is_none()
        && chunk.timings.0.is_none()
        && chunk.error.0.is_none();
    if !is_bare {
        return None;
    }
    let message = match (delta, text) {
        (Some(Object(message)), Text::Absent) => message,
        (None, Text::Is(Cow::Borrowed(text))) if !text.is_empty() => {
            return Some((Kind::Text, text));
        }
        _ => return None,
    };
    let Message {
        content,
        reasoning_content,
        reasoning,
        reasoning_details,
        reasoning_text,
        thinking,
        thinking_blocks,
        thought,
        thoughts,
        images,
        refusal,
        tool_calls,
        function_call,
        audio,
    } = message;
    let others = [
        reasoning_details,
        reasoning_text,
        thinking,
        thinking_blocks,
        thought,
        thoughts,
        images,
    ];
    let is_alone = others.into_iter().all(is_blank)
        && matches!(refusal, Text::Absent)
        && tool_calls.as_ref().is_none_or(Vec::is_empty)
        && function_call.0.is_none()
        && audio.0.is_none();
    if !is_alone {
        return None;
    }
    let (kind, text) = match (
        text_of(content)?,
        text_of(reasoning_content)?,
        text_of(reasoning)?,
    ) {
        (text, None, None) => (Kind::Text, text?),
        (None, text, None) | (None, None, text) => (Kind::Reasoning, text?),
        _ => return None,
    };
    match text {
        Cow::Borrowed(text) => Some((kind, *text)),
        Cow::Owned(_) => None,
    }
}

fn is_blank(content: &Content<'_>) -> bool {
    match content {
        Content::Absent => true,
        Content::Text(text) => text.is_empty(),
        Content::Parts(parts) => parts.is_empty(),
    }
}

/// The text in a field that is a text, nothing or empty; `None` for anything else.
fn text_of<'c, 'a>(content: &'c Content<'a>) -> Option<Option<&'c Cow<'a, str>>> {
    match content {
        Content::Absent => Some(None),
        Content::Text(text) => Some(Some(text).filter(|text| !text.is_empty())),
        Content::Parts(_) => None,
    }
}
