//! Google's Gemini API: `generateContent` and `streamGenerateContent`.

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::supported_inputs::{Intake, Part, check_limit, usual};
use super::{Answer, FrameDecoder, Usage};
use crate::base::error::Result;
use crate::base::failure::FailureKind;
use crate::endpoint::json_api::{
    Decoder, Dialect, JsonEndpointBuilder, Meaning, Names, count, list, object, text,
};
use crate::payload::{Payload, Prompt};

/// The Gemini API.
///
/// ```
/// use llmeter::Endpoint;
/// use llmeter::endpoint::Gemini;
///
/// let base_url = "https://generativelanguage.googleapis.com/v1beta";
/// let endpoint = Gemini::builder(base_url, "gemini-x").build()?;
/// assert_eq!(endpoint.identity().provider, "google");
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Gemini;

impl Gemini {
    /// An endpoint at `base_url`, with the API's version (`…/v1beta`).
    pub fn builder(
        base_url: impl Into<String>,
        model_id: impl Into<String>,
    ) -> JsonEndpointBuilder {
        JsonEndpointBuilder::new(&Self, base_url.into(), model_id.into())
    }

    /// A payload with one user message, media as inline data. A system text becomes the
    /// `systemInstruction`. `extra` is added last and wins.
    ///
    /// ```
    /// # use llmeter::{endpoint::Gemini, payload::Payload};
    /// let payload = Gemini::create_payload("Hello", 64, Payload::new())?;
    /// assert_eq!(payload["contents"][0]["parts"][0]["text"], "Hello");
    /// assert_eq!(payload["generationConfig"]["maxOutputTokens"], 64);
    /// # Ok::<(), llmeter::Error>(())
    /// ```
    ///
    /// # Errors
    /// When `max_tokens` is 0, the prompt has no item, or media are of a type that the API does not
    /// take; the message lists those that it takes.
    pub fn create_payload(
        prompt: impl Into<Prompt>,
        max_tokens: u64,
        extra: Payload,
    ) -> Result<Payload> {
        check_limit(max_tokens)?;
        let prompt = prompt.into();
        let parts: Value = INTAKE.parts(&prompt)?.iter().map(part_of).collect();
        let mut payload = Payload::new();
        let contents = json!([{"role": "user", "parts": parts}]);
        payload.insert("contents".into(), contents);
        if let Some(text) = prompt.system {
            let instruction = json!({"parts": [{"text": text}]});
            payload.insert("systemInstruction".into(), instruction);
        }
        let config = json!({"maxOutputTokens": max_tokens});
        payload.insert("generationConfig".into(), config);
        payload.extend(extra);
        Ok(payload)
    }
}

/// The types of the API's guides, by the names that they have there.
const INTAKE: Intake = Intake {
    api: "Gemini",
    system: true,
    images: &usual([
        "image/jpeg",
        "image/png",
        "image/webp",
        "image/heic",
        "image/heif",
    ]),
    audio: &[
        ("audio/mpeg", "audio/mp3"),
        ("audio/wav", "audio/wav"),
        ("audio/ogg", "audio/ogg"),
        ("audio/opus", "audio/ogg"),
        ("audio/flac", "audio/flac"),
        ("audio/aac", "audio/aac"),
        ("audio/aiff", "audio/aiff"),
    ],
    videos: &[
        ("video/mp4", "video/mp4"),
        ("video/mpeg", "video/mpeg"),
        ("video/quicktime", "video/mov"),
        ("video/x-msvideo", "video/avi"),
        ("video/x-flv", "video/x-flv"),
        ("video/webm", "video/webm"),
        ("video/x-ms-wmv", "video/wmv"),
        ("video/3gpp", "video/3gpp"),
    ],
    documents: &[
        ("application/pdf", "application/pdf"),
        ("text/plain", "text/plain"),
        // What the API calls Markdown has changed; it is a text under any name.
        ("text/markdown", "text/plain"),
        ("text/csv", "text/csv"),
        ("text/html", "text/html"),
        ("text/xml", "text/xml"),
        ("application/json", "text/plain"),
    ],
    instead: "",
};

fn part_of(part: &Part<'_>) -> Value {
    match *part {
        Part::Text(text) => json!({"text": text}),
        Part::Media(media, mime_type) => {
            json!({"inlineData": {"mimeType": mime_type, "data": media.base64()}})
        }
    }
}

impl Dialect for Gemini {
    fn names(&self) -> &'static Names {
        &Names {
            endpoint: "gemini",
            provider: "google",
            module: "llmeter.endpoints.gemini",
            stream_class: "GeminiStream",
            whole_class: "Gemini",
            base_url: "https://generativelanguage.googleapis.com/v1beta",
            appended: &["models"],
        }
    }

    fn path(&self, model: &str, streaming: bool) -> String {
        // A tuned model's id says of what kind it is.
        let kind = if model.contains('/') { "" } else { "models/" };
        if streaming {
            format!("{kind}{model}:streamGenerateContent?alt=sse")
        } else {
            format!("{kind}{model}:generateContent")
        }
    }

    fn key_header(&self, key: &SecretString) -> (&'static str, SecretString) {
        ("x-goog-api-key", key.clone())
    }

    fn prepare(&self, payload: &mut Payload, _: &str, _: bool) {
        // Both are said by the address, and the API refuses fields that it does not know.
        payload.remove("model");
        payload.remove("stream");
    }

    fn prompt_text(&self, payload: &Payload) -> String {
        let contents = list(payload, "contents");
        let parts = contents.flat_map(|content| list(content, "parts"));
        let texts: Vec<&str> = parts
            .map(|part| text(part, "text"))
            .filter(|text| !text.is_empty())
            .collect();
        texts.join("\n")
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Box::<Decoder<Content>>::default()
    }
}

/// What of an answer has been seen.
#[derive(Debug, Default)]
struct Content {
    // The latest report of each count.
    prompt: Option<u64>,
    tool_prompt: Option<u64>,
    candidates: Option<u64>,
    thoughts: Option<u64>,
}

impl Meaning for Content {
    const ANSWER: &'static str = "Gemini content: it has no candidates";
    const END: &'static str = "finishReason";

    fn frame(&mut self, fields: &Map<String, Value>, answer: &mut Answer) {
        answer.id(text(fields, "responseId"));
        let mut is_blocked = object(fields, "promptFeedback")
            .map(|feedback| text(feedback, "blockReason"))
            .filter(|reason| !reason.is_empty());
        for candidate in list(fields, "candidates") {
            is_blocked = None;
            let content = object(candidate, "content");
            let parts = content
                .into_iter()
                .flat_map(|content| list(content, "parts"));
            if count(candidate, "index").unwrap_or(0) > 0 {
                if parts.into_iter().any(is_content) {
                    answer.other_content();
                }
                continue;
            }
            for part in parts {
                take_part(part, answer);
            }
            let reason = text(candidate, "finishReason");
            if !reason.is_empty() {
                if answer.tool_calls.is_empty() {
                    answer.text("");
                }
                answer.finish_reason(reason);
            }
        }
        if let Some(usage) = object(fields, "usageMetadata") {
            self.usage(usage, answer);
        }
        if let Some(reason) = is_blocked {
            answer.fail(
                FailureKind::ServerError,
                format!("the prompt was blocked: {reason}"),
            );
        }
    }

    fn whole(&mut self, fields: &Map<String, Value>, answer: &mut Answer) -> bool {
        self.frame(fields, answer);
        fields.get("candidates").is_some_and(Value::is_array) || answer.is_failed()
    }
}

impl Content {
    /// The API counts thoughts apart from the candidates' tokens, and the prompts of its own tools
    /// apart from the prompt's; cached tokens are part of the prompt's. All counts are cumulative.
    fn usage(&mut self, usage: &Map<String, Value>, answer: &mut Answer) {
        let latest = |name, known: &mut Option<u64>| *known = count(usage, name).or(*known);
        latest("promptTokenCount", &mut self.prompt);
        latest("toolUsePromptTokenCount", &mut self.tool_prompt);
        latest("candidatesTokenCount", &mut self.candidates);
        latest("thoughtsTokenCount", &mut self.thoughts);
        let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
        };
        answer.usage(Usage {
            input: self
                .prompt
                .and_then(|prompt| sum(Some(prompt), self.tool_prompt)),
            output: sum(self.candidates, self.thoughts),
            input_cached: count(usage, "cachedContentTokenCount"),
            output_reasoning: self.thoughts,
        });
    }
}

fn take_part(part: &Map<String, Value>, answer: &mut Answer) {
    if let Some(call) = object(part, "functionCall") {
        answer.tool_call(text(call, "name"));
        if let Some(arguments) = call.get("args").filter(|args| !args.is_null()) {
            answer.tool_call(&arguments.to_string());
        }
    } else if part.get("thought") == Some(&Value::Bool(true)) {
        answer.reasoning(text(part, "text"));
    } else if part.contains_key("text") {
        answer.text(text(part, "text"));
    } else if is_content(part) {
        answer.other_content();
    }
}

/// Whether a part stands for something generated. The output of code that the server ran does not.
fn is_content(part: &Map<String, Value>) -> bool {
    !text(part, "text").is_empty()
        || ["functionCall", "executableCode", "inlineData", "fileData"]
            .iter()
            .any(|kind| object(part, kind).is_some())
}

#[cfg(test)]
mod tests;
