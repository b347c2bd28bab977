//! Google's Gemini API: `generateContent` and `streamGenerateContent`.

use secrecy::SecretString;
use serde_json::{Value, json};

use super::json_frames::{Decoded, Decoder, Meaning, add, count, list, text};
use super::supported_inputs::mime_types;
use super::*;

/// The Gemini API, at a base URL with the API's version (`…/v1beta`).
///
/// A payload has one user message, media as inline data. A system text becomes the
/// `systemInstruction`.
///
/// ```
/// use llmeter::Endpoint;
/// use llmeter::endpoint::Gemini;
/// use llmeter::payload::Payload;
///
/// let base_url = "https://generativelanguage.googleapis.com/v1beta";
/// let endpoint = Gemini::builder(base_url, "gemini-x").build()?;
/// assert_eq!(endpoint.identity().provider, "google");
/// let payload = Gemini::create_payload("Hello", 64, Payload::new())?;
/// assert_eq!(payload["generationConfig"]["maxOutputTokens"], 64);
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Gemini;

entry_points!(Gemini);

const SPEC: ApiSpec = ApiSpec {
    about: "Google Gemini",
    modes: &[
        Mode::streaming("gemini-stream", "GeminiStream"),
        Mode::non_streaming("gemini", "Gemini"),
    ],
    module: "llmeter.endpoints.gemini",
    endpoint_name: "gemini",
    provider: "google",
    key_variable: Some("GEMINI_API_KEY"),
    address_variables: &["GOOGLE_GEMINI_BASE_URL"],
    base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
    example_base_url: "http://localhost:8000/v1beta",
    appended: &["models"],
    system_fields: &["system_instruction", "systemInstruction"],
    prompt_fields: &["contents"],
    limit_fields: &[
        &["generationConfig", "maxOutputTokens"],
        // The API takes its names in either spelling.
        &["generationConfig", "max_output_tokens"],
        &["generation_config", "max_output_tokens"],
        &["generation_config", "maxOutputTokens"],
    ],
    inputs: INPUTS,
    ..ApiSpec::DEFAULT
};

/// The types of the API's guides, by the names that they have there.
const INPUTS: SupportedInputs = SupportedInputs {
    api: "Gemini",
    system: true,
    images: &mime_types([
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

impl Api for Gemini {
    fn spec(&self) -> &'static ApiSpec {
        &SPEC
    }

    fn payload(&self, prompt: &PromptParts<'_>, max_tokens: u64, _: bool) -> Payload {
        let parts: Value = prompt.parts.iter().map(part_of).collect();
        let mut payload = Payload::new();
        let contents = json!([{"role": "user", "parts": parts}]);
        payload.insert("contents".into(), contents);
        if let Some(text) = prompt.system {
            let instruction = json!({"parts": [{"text": text}]});
            payload.insert("systemInstruction".into(), instruction);
        }
        let config = json!({"maxOutputTokens": max_tokens});
        payload.insert("generationConfig".into(), config);
        payload
    }

    fn prepare(&self, payload: &mut Payload, _: Option<&str>, _: bool) {
        // Both are said by the address, and the API refuses fields that it does not know.
        payload.remove("model");
        payload.remove("stream");
    }

    fn prompt_text(&self, payload: &Payload) -> Option<String> {
        let contents = payload.get("contents").and_then(Value::as_array);
        let parts = contents
            .into_iter()
            .flatten()
            .flat_map(|content| list(content, "parts"));
        let texts = parts.map(|part| text(part, "text"));
        let texts: Vec<&str> = texts.filter(|text| !text.is_empty()).collect();
        Some(texts.join("\n"))
    }

    fn path(&self, setup: &EndpointSetup) -> Result<String> {
        let model = setup.model_in_path()?;
        // A tuned model's id says of what kind it is.
        let kind = if model.contains('/') { "" } else { "models/" };
        Ok(if setup.streaming {
            format!("{kind}{model}:streamGenerateContent?alt=sse")
        } else {
            format!("{kind}{model}:generateContent")
        })
    }

    fn key_header(&self, key: &SecretString) -> Option<(&'static str, SecretString)> {
        Some(("x-goog-api-key", key.clone()))
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Decoder::boxed(Content::default())
    }
}

/// What of a response has been seen.
#[derive(Debug, Default)]
struct Content {
    // The latest report of each count.
    prompt: Option<u64>,
    tool_prompt: Option<u64>,
    candidates: Option<u64>,
    thoughts: Option<u64>,
}

impl Meaning for Content {
    const MISSING_END: &'static str = "no finishReason and no [DONE]";

    fn knows(&self, _: Option<&str>, value: &Value) -> bool {
        ["candidates", "promptFeedback", "usageMetadata"]
            .iter()
            .any(|name| value.get(name).is_some())
    }

    fn frame(&mut self, _: Option<&str>, value: &Value, response: &mut ResponseBuilder) -> Decoded {
        response.id(text(value, "responseId"));
        let mut blocked = text(&value["promptFeedback"], "blockReason");
        for candidate in list(value, "candidates").filter(|candidate| candidate.is_object()) {
            blocked = "";
            let mut parts = list(&candidate["content"], "parts");
            let number = count(candidate, "index").unwrap_or(0);
            if number > 0 {
                response.choice(number);
                if parts.any(is_content) {
                    response.other_content();
                }
                continue;
            }
            for part in parts {
                take_part(part, response);
            }
            let reason = text(candidate, "finishReason");
            if !reason.is_empty() {
                if response.tool_calls.is_empty() {
                    response.text("");
                }
                response.finish_reason(reason);
            }
        }
        self.usage(&value["usageMetadata"], response);
        if !blocked.is_empty() {
            let reason = format!("the prompt was blocked: {blocked}");
            response.fail(FailureKind::ServerError, reason);
        }
        Ok(())
    }

    fn non_streaming(&mut self, value: &Value, response: &mut ResponseBuilder) -> Decoded {
        self.frame(None, value, response)?;
        match value["candidates"].is_array() || response.is_failed() {
            true => Ok(()),
            false => Err("is not Gemini content: it has no candidates".to_owned()),
        }
    }
}

impl Content {
    /// The API counts thoughts apart from the candidates' tokens, and the prompts of its own tools
    /// apart from the prompt's; cached tokens are part of the prompt's. All counts are cumulative.
    fn usage(&mut self, usage: &Value, response: &mut ResponseBuilder) {
        let latest = |name, known: &mut Option<u64>| *known = count(usage, name).or(*known);
        latest("promptTokenCount", &mut self.prompt);
        latest("toolUsePromptTokenCount", &mut self.tool_prompt);
        latest("candidatesTokenCount", &mut self.candidates);
        latest("thoughtsTokenCount", &mut self.thoughts);
        response.usage(Usage {
            input: self
                .prompt
                .and_then(|prompt| add(Some(prompt), self.tool_prompt)),
            output: add(self.candidates, self.thoughts),
            input_cached: count(usage, "cachedContentTokenCount"),
            output_reasoning: self.thoughts,
            total: count(usage, "totalTokenCount"),
        });
    }
}

fn take_part(part: &Value, response: &mut ResponseBuilder) {
    let call = &part["functionCall"];
    if call.is_object() {
        response.tool_call(text(call, "name"));
        if !call["args"].is_null() {
            response.tool_call(&call["args"].to_string());
        }
    } else if part["thought"] == true {
        response.reasoning(text(part, "text"));
    } else if part.get("text").is_some() {
        response.text(text(part, "text"));
    } else if is_content(part) {
        response.other_content();
    }
}

/// Whether a part stands for something generated. The output of code that the server ran does not.
fn is_content(part: &Value) -> bool {
    let kinds = ["functionCall", "executableCode", "inlineData", "fileData"];
    !text(part, "text").is_empty() || kinds.iter().any(|kind| part[kind].is_object())
}

#[cfg(test)]
mod tests;
