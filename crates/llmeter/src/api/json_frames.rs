//! Reads frames and whole answers as JSON and says what is wrong with them; what they mean is the
//! API's own.

use serde_json::{Map, Value};

use crate::api::failure::{error_text, event_error, excerpt, whole_json};
use crate::api::lenient::lenient_json;
use crate::base::failure::FailureKind;
use crate::endpoint::{Answer, Frame, FrameDecoder, ResponseHead};

/// What the frames of one answer mean in an API.
pub(super) trait Meaning: Default + Send {
    /// A whole answer, with its article.
    const ANSWER: &'static str;
    /// What a stream that was cut lacks.
    const END: &'static str;

    /// The head of the answer, of whatever status.
    fn head(&mut self, head: &ResponseHead, answer: &mut Answer) {
        let _ = (head, answer);
    }

    /// One frame of a stream that reports no error.
    fn frame(&mut self, fields: &Map<String, Value>, answer: &mut Answer);

    /// A whole answer that reports no error. Returns whether it is one of this API.
    fn whole(&mut self, fields: &Map<String, Value>, answer: &mut Answer) -> bool;
}

/// Decodes one answer.
#[derive(Debug, Default)]
pub(super) struct Decoder<M> {
    meaning: M,
    /// Frames so far, those without a meaning included.
    frames: u64,
    /// `[DONE]` was seen, which some gateways add to any API's streams.
    is_done: bool,
}

impl<M: Meaning> FrameDecoder for Decoder<M> {
    fn head(&mut self, head: &ResponseHead, answer: &mut Answer) {
        self.meaning.head(head, answer);
    }

    fn frame(&mut self, Frame { event, data, .. }: Frame<'_>, answer: &mut Answer) {
        self.frames += 1;
        // Some servers keep a connection alive with empty events.
        if self.is_done || data.trim_ascii().is_empty() && event != Some("error") {
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
        let number = self.frames;
        match lenient_json(data) {
            Ok(Value::Object(fields)) => match reported_error(&fields, data) {
                Some(error) => answer.fail(FailureKind::ServerError, error),
                None => self.meaning.frame(&fields, answer),
            },
            Ok(_) => answer.fail(
                FailureKind::Malformed,
                format!("frame {number} is not a JSON object: {}", excerpt(data)),
            ),
            Err(reason) => answer.fail(
                FailureKind::Malformed,
                format!(
                    "frame {number} is not valid JSON: {reason}: {}",
                    excerpt(data)
                ),
            ),
        }
    }

    fn whole(&mut self, body: &[u8], answer: &mut Answer) {
        self.is_done = true;
        let Some(value) = whole_json(body, answer) else {
            return;
        };
        // Some servers wrap their one answer in a list.
        let fields = match &value {
            Value::Array(list) => list.first().and_then(Value::as_object),
            value => value.as_object(),
        };
        if let Some(fields) = fields {
            if let Some(error) = reported_error(fields, body) {
                answer.fail(FailureKind::ServerError, error);
                return;
            }
            if self.meaning.whole(fields, answer) {
                answer.complete();
                return;
            }
        }
        answer.fail(
            FailureKind::Malformed,
            format!(
                "the server's answer is not {}: {}",
                M::ANSWER,
                excerpt(body)
            ),
        );
    }

    fn end(&mut self, answer: &mut Answer) {
        if self.is_done || answer.is_complete() {
            return;
        }
        answer.ended_early(self.frames, &format!("no {} and no [DONE]", M::END));
    }

    fn error_message(&self, body: &[u8]) -> Option<String> {
        error_text(body)
    }
}

/// What the field `error` says, if it says anything.
fn reported_error(fields: &Map<String, Value>, data: &[u8]) -> Option<String> {
    match fields.get("error")? {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) if text.is_empty() => None,
        _ => Some(error_text(data).unwrap_or_else(|| excerpt(data))),
    }
}

/// A field that is a text; nothing if it is anything else.
pub(super) fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A field that is an object.
pub(super) fn object<'a>(
    fields: &'a Map<String, Value>,
    name: &str,
) -> Option<&'a Map<String, Value>> {
    fields.get(name)?.as_object()
}

/// The objects in a field that is a list.
pub(super) fn list<'a>(
    fields: &'a Map<String, Value>,
    name: &str,
) -> impl Iterator<Item = &'a Map<String, Value>> + use<'a> {
    let list = fields.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_object)
}

/// A field that is a number from zero up; nothing if it is anything else.
pub(super) fn count(fields: &Map<String, Value>, name: &str) -> Option<u64> {
    let value = fields.get(name)?;
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        // The cast saturates; no count comes near the limit.
        (number.is_finite() && number >= 0.0).then(|| number.round() as u64)
    })
}

/// The texts in `content` of all `messages`: a text, or text parts.
pub(super) fn message_texts(payload: &Map<String, Value>) -> String {
    let mut texts: Vec<&str> = Vec::new();
    for message in list(payload, "messages") {
        match message.get("content") {
            Some(Value::String(text)) => texts.push(text),
            Some(Value::Array(parts)) => texts.extend(parts.iter().filter_map(|part| {
                let is_text = part.get("type").and_then(Value::as_str) == Some("text");
                part.get("text")?.as_str().filter(|_| is_text)
            })),
            _ => {}
        }
    }
    texts.retain(|text| !text.is_empty());
    texts.join("\n")
}

#[cfg(test)]
pub(super) mod tests;
