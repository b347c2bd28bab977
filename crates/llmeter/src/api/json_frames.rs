//! Reads frames and non-streaming responses as JSON and says what is wrong with them; what they mean is
//! the API's own.

use serde_json::Value;

use crate::api::failure::{error_text, event_error, response_json};
use crate::api::outside::ANNOTATION;
use crate::api::usage::whole;
use crate::api::{Frame, FrameDecoder, ResponseBuilder, ResponseHead, StreamEnd};
use crate::base::failure::FailureKind;
use crate::base::server_text::{excerpt, lenient_json};

/// Whether a frame or a response is well-formed, or else what is said of it: "is not …".
pub(super) type Decoded = Result<(), String>;

/// What the frames of one response mean in an API.
pub(super) trait Meaning: Send {
    /// What a truncated stream lacks.
    const MISSING_END: &'static str = "";
    /// Whether whatever is no JSON object is malformed.
    const OBJECTS_ONLY: bool = true;
    /// Whether a list of objects stands for what its elements are, and not for itself.
    const READS_LISTS: bool = true;

    /// The head of the response, of whatever status.
    fn head(&mut self, head: &ResponseHead, response: &mut ResponseBuilder) {
        let _ = (head, response);
    }

    /// Takes a frame that need not be parsed as JSON of any shape. Returns whether it did.
    fn try_fast_path(&mut self, frame: Frame<'_>, response: &mut ResponseBuilder) -> bool {
        let _ = (frame, response);
        false
    }

    /// Whether a frame is one of this API, whatever it says. Asked until one is.
    fn knows(&self, event: Option<&str>, value: &Value) -> bool {
        let _ = (event, value);
        true
    }

    /// The failure that a frame or a non-streaming response reports.
    fn error(&self, value: &Value, data: &[u8]) -> Option<String> {
        reported_error(value, data)
    }

    /// One frame of a stream that reports no failure. `event` is its type, if the stream names one.
    fn frame(
        &mut self,
        event: Option<&str>,
        value: &Value,
        response: &mut ResponseBuilder,
    ) -> Decoded;

    /// A non-streaming response that reports no failure.
    fn non_streaming(&mut self, value: &Value, response: &mut ResponseBuilder) -> Decoded;

    /// What an element of a list is, which came in the place of a response or of a frame.
    fn element(&self, value: &Value) -> Element {
        let _ = value;
        Element::Either
    }

    /// Whether responses are generated content; see [`FrameDecoder::generates_content`].
    fn generates_content(&self) -> bool {
        true
    }

    /// The stream ended after at least one frame.
    fn end(&mut self, response: &mut ResponseBuilder) {
        if !response.is_complete() {
            response.fail(FailureKind::Truncated, truncated(Self::MISSING_END));
        }
    }

    /// The server's own words from the body of an error status.
    fn error_message(&self, body: &[u8]) -> Option<String> {
        error_text(body)
    }
}

/// What an element of a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    /// What a stream has in a frame.
    Frame,
    /// A non-streaming response.
    Response,
    /// Both have the same form: one by itself is a response, several are the frames of one.
    Either,
}

/// What is said of a stream that lacks its end.
pub(super) fn truncated(missing: &str) -> String {
    format!("the stream ended before it was finished ({missing})")
}

/// Decodes one response.
#[derive(Debug, Default)]
pub(super) struct Decoder<M> {
    pub(super) meaning: M,
    /// Frames so far, those without a meaning included.
    frames: u64,
    /// `[DONE]` was seen, which some gateways add to any API's streams.
    is_done: bool,
    /// Whether any frame was one of this API.
    is_recognized: bool,
    /// The beginning of the first frame that was none.
    stranger: Option<String>,
}

impl<M: Meaning + 'static> Decoder<M> {
    pub(super) fn boxed(meaning: M) -> Box<dyn FrameDecoder> {
        Box::new(Self::new(meaning))
    }
}

impl<M> Decoder<M> {
    pub(super) fn new(meaning: M) -> Self {
        Self {
            meaning,
            frames: 0,
            is_done: false,
            is_recognized: false,
            stranger: None,
        }
    }
}

impl<M: Meaning> FrameDecoder for Decoder<M> {
    fn head(&mut self, head: &ResponseHead, response: &mut ResponseBuilder) {
        self.meaning.head(head, response);
    }

    fn frame(&mut self, frame: Frame<'_>, response: &mut ResponseBuilder) {
        self.frames += 1;
        let Frame { event, data, .. } = frame;
        if frame.is_error {
            let words = error_text(data).unwrap_or_else(|| excerpt(data));
            let kind = event.map(|kind| format!("{kind}: ")).unwrap_or_default();
            response.fail(FailureKind::ServerError, kind + &words);
            return;
        }
        if self.is_done || self.meaning.try_fast_path(frame, response) {
            return;
        }
        if data.starts_with(b"[DONE]") {
            self.is_done = true;
            response.complete();
            return;
        }
        if event == Some("error") {
            response.fail(FailureKind::ServerError, event_error(data));
            return;
        }
        // Some servers keep a connection alive with empty events.
        if data.trim_ascii().is_empty() {
            return;
        }
        let taken = match lenient_json(data) {
            Ok(Value::Array(list)) if is_list_of::<M>(&list) => self.frames_in(&list, response),
            Ok(value) if M::OBJECTS_ONLY && !value.is_object() => {
                Err("is not a JSON object".to_owned())
            }
            Ok(value) => match self.meaning.error(&value, data) {
                Some(error) => return response.fail(FailureKind::ServerError, error),
                None => self.take(event, &value, response),
            },
            Err(reason) => Err(format!("is not valid JSON: {reason}")),
        };
        match taken {
            Ok(()) => {}
            // Whatever follows a complete answer is no part of it.
            Err(_) if response.stream_end() == StreamEnd::Ended => {
                response.annotate(ANNOTATION, excerpt(data));
            }
            Err(reason) => {
                response.malformed(format_args!("frame {} {reason}", self.frames), data);
            }
        }
    }

    fn non_streaming(&mut self, body: &[u8], response: &mut ResponseBuilder) {
        self.is_done = true;
        let Some(value) = response_json(body, response) else {
            return;
        };
        let taken = match &value {
            // Some servers wrap their one response in a list, and some send a stream as one.
            Value::Array(list) if is_list_of::<M>(list) => self.list(list, response),
            value => match self.meaning.error(value, body) {
                Some(error) => return response.fail(FailureKind::ServerError, error),
                None => self.meaning.non_streaming(value, response),
            },
        };
        match taken {
            Ok(()) if response.is_failed() => {}
            Ok(()) => response.complete(),
            Err(reason) => {
                response.malformed(format_args!("the server's response {reason}"), body);
            }
        }
    }

    fn end(&mut self, response: &mut ResponseBuilder) {
        let stranger = self.stranger.take().filter(|_| !self.is_recognized);
        if let Some(stranger) = stranger.filter(|_| response.content_frames() == 0) {
            let reason = format!("no frame of the stream is one of this API: {stranger}");
            response.fail(FailureKind::Malformed, reason);
        } else if self.frames > 0 {
            self.meaning.end(response);
        } else if !self.is_done {
            let reason = "the stream ended without a single event";
            response.fail(FailureKind::Empty, reason);
        }
    }

    fn error_message(&self, body: &[u8]) -> Option<String> {
        self.meaning.error_message(body)
    }

    fn generates_content(&self) -> bool {
        self.meaning.generates_content()
    }
}

impl<M: Meaning> Decoder<M> {
    /// A list in the place of a response: every element counts.
    fn list(&mut self, list: &[Value], response: &mut ResponseBuilder) -> Decoded {
        let mut has_frames = false;
        for value in list {
            if let Some(error) = self.meaning.error(value, value.to_string().as_bytes()) {
                response.fail(FailureKind::ServerError, error);
                return Ok(());
            }
            let is_response = match self.meaning.element(value) {
                Element::Response => true,
                Element::Frame => false,
                Element::Either => list.len() == 1,
            };
            if is_response {
                self.meaning.non_streaming(value, response)?;
            } else {
                has_frames = true;
                self.meaning.frame(None, value, response)?;
            }
        }
        if has_frames {
            self.meaning.end(response);
        }
        Ok(())
    }

    /// A list in the place of a frame.
    fn frames_in(&mut self, list: &[Value], response: &mut ResponseBuilder) -> Decoded {
        for value in list {
            match self.meaning.error(value, value.to_string().as_bytes()) {
                Some(error) => response.fail(FailureKind::ServerError, error),
                None => self.take(None, value, response)?,
            }
        }
        Ok(())
    }

    /// One frame that reports no failure.
    fn take(
        &mut self,
        event: Option<&str>,
        value: &Value,
        response: &mut ResponseBuilder,
    ) -> Decoded {
        if !self.is_recognized {
            self.is_recognized = self.meaning.knows(event, value);
        }
        if !self.is_recognized && self.stranger.is_none() {
            self.stranger = Some(excerpt(value.to_string().as_bytes()));
        }
        self.meaning.frame(event, value, response)
    }
}

/// Whether a list stands for its elements.
fn is_list_of<M: Meaning>(list: &[Value]) -> bool {
    M::READS_LISTS && !list.is_empty() && list.iter().all(Value::is_object)
}

/// What the field `error` says, if it says anything.
pub(super) fn reported_error(value: &Value, data: &[u8]) -> Option<String> {
    match value.get("error")? {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) if text.is_empty() => None,
        _ => Some(error_text(data).unwrap_or_else(|| excerpt(data))),
    }
}

/// A field that is a text; nothing if it is anything else.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The elements of a field that is a list.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[name].as_array().into_iter().flatten()
}

/// A field that is a whole number from zero up; nothing if it is anything else.
pub(super) fn count(value: &Value, name: &str) -> Option<u64> {
    number(&value[name])
}

/// A whole number from zero up.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| whole(value.as_f64()?))
}

/// Adds a count to a sum, if there is one.
pub(super) fn add(sum: Option<u64>, count: Option<u64>) -> Option<u64> {
    match (sum, count) {
        (Some(sum), Some(count)) => Some(sum.saturating_add(count)),
        (sum, count) => sum.or(count),
    }
}

/// The texts of messages, each on a line: contents that are texts, and those of the parts for which
/// `is_text` holds.
pub(super) fn message_texts(messages: Option<&Value>, is_text: fn(&Value) -> bool) -> String {
    let mut texts: Vec<&str> = Vec::new();
    for message in messages.and_then(Value::as_array).into_iter().flatten() {
        match &message["content"] {
            Value::String(text) if !text.is_empty() => texts.push(text),
            Value::Array(parts) => {
                let parts = parts.iter().filter(|part| is_text(part));
                texts.extend(parts.filter_map(|part| part["text"].as_str()));
            }
            _ => {}
        }
    }
    texts.join("\n")
}

/// Whether a part of a message is a text that is not empty.
pub(super) fn is_text_part(part: &Value) -> bool {
    text(part, "type") == "text" && !text(part, "text").is_empty()
}

#[cfg(test)]
pub(super) mod tests;
