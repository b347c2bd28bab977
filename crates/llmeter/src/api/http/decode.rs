//! What a frame or a whole answer says, found by JMESPath.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::api::failure::{error_text, excerpt, whole_json};
use crate::api::jmespath::Path;
use crate::api::lenient::lenient_json;
use crate::base::error::Result;
use crate::base::failure::FailureKind;
use crate::endpoint::{Answer, Frame, FrameDecoder, Usage};

/// The parts of an answer whose place can be said, each with a line about it.
pub const ANSWER_PARTS: &[(&str, &str)] = &[
    ("text", "the answer's text, or the piece of it in a frame"),
    ("reasoning", "the text of the model's reasoning"),
    ("tool-call", "the name or the arguments of a tool call"),
    ("id", "the answer's id"),
    ("error", "what went wrong [default: error]"),
    (
        "end",
        "true, or why it ended, in the last frame of a stream",
    ),
    ("input-tokens", "the count of input tokens"),
    ("output-tokens", "the count of output tokens"),
    ("cached-tokens", "the count of input tokens from a cache"),
    ("reasoning-tokens", "the count of reasoning tokens"),
    (
        "prompt",
        "in the payload: the prompt's text [default: prompt]",
    ),
];

/// Where the parts of an answer are. Cheap to clone: each answer has its own decoder.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(Arc<Parts>);

#[derive(Debug, Default)]
struct Parts {
    text: Option<Path>,
    reasoning: Option<Path>,
    tool_call: Option<Path>,
    id: Option<Path>,
    error: Option<Path>,
    end: Option<Path>,
    input_tokens: Option<Path>,
    output_tokens: Option<Path>,
    cached_tokens: Option<Path>,
    reasoning_tokens: Option<Path>,
    prompt: Option<Path>,
}

impl Places {
    /// # Errors
    /// When an expression is none.
    pub(super) fn new(of: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let path = |part: &str| {
            let compile = |text: String| Path::new(part, &text);
            of(part).map(compile).transpose()
        };
        Ok(Self(Arc::new(Parts {
            text: path("text")?,
            reasoning: path("reasoning")?,
            tool_call: path("tool-call")?,
            id: path("id")?,
            error: match path("error")? {
                None => Some(Path::new("error", "error")?),
                given => given,
            },
            end: path("end")?,
            input_tokens: path("input-tokens")?,
            output_tokens: path("output-tokens")?,
            cached_tokens: path("cached-tokens")?,
            reasoning_tokens: path("reasoning-tokens")?,
            prompt: path("prompt")?,
        })))
    }
}

impl Places {
    /// The expressions, by the names of their parts.
    pub(super) fn saved(&self) -> Map<String, Value> {
        let parts = &*self.0;
        let named = [
            ("text", parts.text.as_ref()),
            ("reasoning", parts.reasoning.as_ref()),
            ("tool-call", parts.tool_call.as_ref()),
            ("id", parts.id.as_ref()),
            ("error", parts.error.as_ref()),
            ("end", parts.end.as_ref()),
            ("input-tokens", parts.input_tokens.as_ref()),
            ("output-tokens", parts.output_tokens.as_ref()),
            ("cached-tokens", parts.cached_tokens.as_ref()),
            ("reasoning-tokens", parts.reasoning_tokens.as_ref()),
            ("prompt", parts.prompt.as_ref()),
        ];
        named
            .into_iter()
            .filter_map(|(name, path)| Some((name.to_owned(), path?.text().into())))
            .collect()
    }

    /// The expression for the prompt in a payload.
    pub(super) fn prompt(&self) -> Option<&Path> {
        self.0.prompt.as_ref()
    }
}

/// Decodes one answer.
#[derive(Debug)]
pub(super) struct Decoder {
    places: Places,
    frames: u64,
    is_done: bool,
}

impl Decoder {
    pub(super) fn new(places: Places) -> Self {
        Self {
            places,
            frames: 0,
            is_done: false,
        }
    }

    /// What a frame or an answer says. Returns whether it reports no failure.
    fn take(&self, value: &Value, answer: &mut Answer) -> bool {
        let parts = &*self.places.0;
        if let Some(path) = &parts.error
            && let Some(error) = path.find(value)
            && let Some(reason) = failure(&error)
        {
            answer.fail(FailureKind::ServerError, reason);
            return false;
        }
        let text = |path: &Option<Path>| path.as_ref()?.find_text(value);
        let count = |path: &Option<Path>| path.as_ref()?.find_count(value);
        match parts.id.as_ref().and_then(|path| path.find(value)) {
            None => {}
            Some(id) => match &*id {
                Value::String(id) => answer.id(id),
                Value::Number(id) => answer.id(&id.to_string()),
                _ => {}
            },
        }
        if let Some(piece) = text(&parts.reasoning) {
            answer.reasoning(&piece);
        }
        if let Some(piece) = text(&parts.text) {
            answer.text(&piece);
        }
        if let Some(piece) = text(&parts.tool_call) {
            answer.tool_call(&piece);
        }
        answer.usage(Usage {
            input: count(&parts.input_tokens),
            output: count(&parts.output_tokens),
            input_cached: count(&parts.cached_tokens),
            output_reasoning: count(&parts.reasoning_tokens),
        });
        match parts.end.as_ref().and_then(|path| path.find(value)) {
            None => {}
            Some(end) => match &*end {
                Value::String(reason) if !reason.is_empty() => answer.finish_reason(reason),
                end if is_true(end) => answer.complete(),
                _ => {}
            },
        }
        true
    }
}

impl FrameDecoder for Decoder {
    fn frame(&mut self, frame: Frame<'_>, answer: &mut Answer) {
        let Frame {
            event,
            data,
            is_error,
        } = frame;
        self.frames += 1;
        if is_error {
            let words = error_text(data).unwrap_or_else(|| excerpt(data));
            answer.fail(
                FailureKind::ServerError,
                match event {
                    Some(kind) => format!("{kind}: {words}"),
                    None => words,
                },
            );
            return;
        }
        // Some servers keep a connection alive with empty events.
        if self.is_done || data.trim_ascii().is_empty() {
            return;
        }
        if data.starts_with(b"[DONE]") {
            self.is_done = true;
            answer.complete();
            return;
        }
        if event == Some("error") {
            answer.fail(
                FailureKind::ServerError,
                error_text(data).unwrap_or_else(|| excerpt(data)),
            );
            return;
        }
        match lenient_json(data) {
            Ok(value) => {
                let inner = unwrapped(&value);
                self.take(inner.as_ref().unwrap_or(&value), answer);
            }
            Err(reason) => answer.fail(
                FailureKind::Malformed,
                format!(
                    "frame {} is not valid JSON: {reason}: {}",
                    self.frames,
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
        if !self.take(&value, answer) {
            return;
        }
        if let Some(path) = &self.places.0.text
            && !answer.has_text
            && answer.content_frames() == 0
        {
            answer.fail(
                FailureKind::Malformed,
                format!(
                    "the answer has no text at {} (`jmespath` text=…): {}",
                    path.text(),
                    excerpt(body)
                ),
            );
        }
        answer.complete();
    }

    fn end(&mut self, answer: &mut Answer) {
        if self.frames == 0 {
            answer.fail(
                FailureKind::Empty,
                "the stream ended without a single event",
            );
            return;
        }
        let parts = &*self.places.0;
        if let Some(end) = parts.end.as_ref().filter(|_| !answer.is_complete()) {
            answer.fail(FailureKind::Truncated, format!(
                "the stream ended before it was finished (no frame has {} (`jmespath` end=…), and \
                 no [DONE])",
                end.text()
            ));
        } else if let Some(text) = parts.text.as_ref()
            && !answer.has_text
            && answer.content_frames() == 0
        {
            // An answer without a word has its text, too: an empty one.
            answer.fail(
                FailureKind::Malformed,
                format!("no frame had a text at {} (`jmespath` text=…)", text.text()),
            );
        } else {
            // Nothing may say how this API ends; a connection that broke is noticed elsewhere.
            answer.complete();
        }
    }

    fn error_message(&self, body: &[u8]) -> Option<String> {
        let found = lenient_json(body)
            .ok()
            .and_then(|value| failure(&*self.places.0.error.as_ref()?.find(&value)?));
        found.or_else(|| error_text(body))
    }
}

/// What a message of an AWS event stream wraps in base64, as Bedrock's and others' do.
fn unwrapped(value: &Value) -> Option<Value> {
    let fields = value.as_object()?;
    let bytes = fields.get("bytes")?.as_str()?;
    // Beside it there is at most padding.
    if fields.keys().any(|name| name != "bytes" && name != "p") {
        return None;
    }
    lenient_json(&STANDARD.decode(bytes).ok()?).ok()
}

/// What is found where failures are reported; nothing if it says that there is none.
fn failure(found: &Value) -> Option<String> {
    if !is_true(found) {
        return None;
    }
    Some(match found {
        Value::String(text) => text.clone(),
        found => {
            let wrapped = serde_json::json!({ "error": found }).to_string();
            error_text(wrapped.as_bytes()).unwrap_or_else(|| excerpt(found.to_string().as_bytes()))
        }
    })
}

/// As JMESPath has it: null, false and whatever is empty are not. Nor is the number 0, with which
/// some APIs say that there was no error.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}
