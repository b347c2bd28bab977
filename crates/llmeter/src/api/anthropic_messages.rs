//! Anthropic Messages, streamed or not, as Anthropic itself and servers after its model speak it.

pub(crate) mod clouds;

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::supported_inputs::{FRAMES, Intake, Part, check_limit, content, usual};
use super::{Answer, FrameDecoder, Usage};
use crate::base::error::Result;
use crate::endpoint::json_api::{
    Decoder, Dialect, JsonEndpointBuilder, Meaning, Names, count, list, message_texts, object, text,
};
use crate::payload::{MediaKind, Payload, Prompt};

/// The Anthropic Messages API.
///
/// ```
/// use llmeter::Endpoint;
/// use llmeter::endpoint::AnthropicMessages;
///
/// let endpoint = AnthropicMessages::builder("https://api.anthropic.com", "claude-x").build()?;
/// assert!(endpoint.is_streaming());
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct AnthropicMessages;

/// The version of the API that is asked for; the only one there is since 2023.
const VERSION: &str = "2023-06-01";

impl AnthropicMessages {
    /// An endpoint at `base_url`, written as the Anthropic SDK takes it: without `/v1`.
    pub fn builder(
        base_url: impl Into<String>,
        model_id: impl Into<String>,
    ) -> JsonEndpointBuilder {
        JsonEndpointBuilder::new(&Self, base_url.into(), model_id.into())
    }

    /// Claude on a cloud that is not Anthropic's: `bedrock` (InvokeModel), `bedrock-mantle`, `vertex`
    /// or `foundry`. Region, project, address and credentials are those of the environment unless
    /// the builder is told others; the key is an API key of Bedrock's, an access token of Google's or
    /// Foundry's key.
    ///
    /// ```
    /// # use llmeter::endpoint::AnthropicMessages;
    /// let builder = AnthropicMessages::on_cloud("vertex", "claude-x")?;
    /// let endpoint = builder.region("us-east5").project("my-project").api_key("token").build()?;
    /// assert_eq!(endpoint.base_url(), "https://us-east5-aiplatform.googleapis.com/v1/");
    /// # Ok::<(), llmeter::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is no such provider.
    pub fn on_cloud(provider: &str, model_id: impl Into<String>) -> Result<JsonEndpointBuilder> {
        let dialect = clouds::dialect(Some(provider))?;
        Ok(JsonEndpointBuilder::usual(dialect, model_id.into()))
    }

    /// A payload with one user message. `extra` is added last and wins; it is the place of
    /// `thinking` and `tools`.
    ///
    /// ```
    /// # use llmeter::{endpoint::AnthropicMessages, payload::Payload};
    /// let payload = AnthropicMessages::create_payload("Hello", 64, Payload::new())?;
    /// assert_eq!(payload["messages"][0]["content"], "Hello");
    /// # Ok::<(), llmeter::Error>(())
    /// ```
    ///
    /// # Errors
    /// When `max_tokens` is 0, the prompt has no item, or the API does not take one: images are JPEG,
    /// PNG, GIF or WebP, documents are PDF or texts.
    pub fn create_payload(
        prompt: impl Into<Prompt>,
        max_tokens: u64,
        extra: Payload,
    ) -> Result<Payload> {
        check_limit(max_tokens)?;
        let prompt = prompt.into();
        let content = content(&INTAKE.parts(&prompt)?, block);
        let mut payload = Payload::new();
        let message = json!([{"role": "user", "content": content}]);
        payload.insert("messages".into(), message);
        payload.insert("max_tokens".into(), json!(max_tokens));
        if let Some(text) = prompt.system {
            payload.insert("system".into(), json!(text));
        }
        payload.extend(extra);
        Ok(payload)
    }
}

const INTAKE: Intake = Intake {
    api: "Anthropic Messages",
    system: true,
    images: &usual(["image/jpeg", "image/png", "image/gif", "image/webp"]),
    audio: &[],
    videos: &[],
    documents: &usual([
        "application/pdf",
        "text/plain",
        "text/markdown",
        "text/csv",
        "text/html",
        "text/xml",
        "application/json",
    ]),
    instead: FRAMES,
};

fn block(part: &Part<'_>) -> Value {
    let (media, media_type) = match *part {
        Part::Text(text) => return json!({"type": "text", "text": text}),
        Part::Media(media, media_type) => (media, media_type),
    };
    let source = match std::str::from_utf8(media.bytes()) {
        // The API knows plain text alone, whatever is written in it.
        Ok(text) if is_text(media_type) => {
            json!({"type": "text", "media_type": "text/plain", "data": text})
        }
        _ => json!({"type": "base64", "media_type": media_type, "data": media.base64()}),
    };
    let kind = match media.kind() {
        MediaKind::Document => "document",
        _ => "image",
    };
    json!({"type": kind, "source": source})
}

fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/") || media_type == "application/json"
}

impl Dialect for AnthropicMessages {
    fn names(&self) -> &'static Names {
        &Names {
            endpoint: "anthropic-messages",
            provider: "anthropic",
            module: "llmeter.endpoints.anthropic_messages",
            stream_class: "AnthropicMessagesStream",
            whole_class: "AnthropicMessages",
            base_url: "https://api.anthropic.com",
            appended: &["v1/messages", "v1"],
        }
    }

    fn at_provider(&self, provider: &str) -> Result<Option<&'static dyn Dialect>> {
        clouds::dialect(Some(provider)).map(Some)
    }

    fn path(&self, _: &str, _: bool) -> String {
        "v1/messages".to_owned()
    }

    fn key_header(&self, key: &SecretString) -> (&'static str, SecretString) {
        ("x-api-key", key.clone())
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("anthropic-version", VERSION)]
    }

    fn prepare(&self, payload: &mut Payload, model: &str, streaming: bool) {
        payload.insert("model".into(), json!(model));
        if streaming {
            payload.insert("stream".into(), json!(true));
        } else if payload
            .get("stream")
            .is_some_and(|stream| *stream != json!(false))
        {
            payload.insert("stream".into(), json!(false));
        }
    }

    fn prompt_text(&self, payload: &Payload) -> String {
        message_texts(payload)
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Box::<Decoder<Message>>::default()
    }

    fn saved_fields(&self, streaming: bool) -> Vec<(&'static str, Value)> {
        let mut fields = vec![("aws_region", Value::Null)];
        if streaming {
            // What the time to first token is here; the time without thinking has its own name.
            fields.push(("ttft_visible_tokens_only", json!(false)));
        }
        // What the Python system's client takes when nothing is set.
        let timeout = json!({"connect": 5.0, "read": 600, "write": 600, "pool": 600});
        fields.extend([("timeout", timeout), ("middleware", json!([]))]);
        fields
    }
}

/// What of a message has been seen.
#[derive(Debug, Default)]
struct Message {
    // The latest report of each count.
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_creation: Option<u64>,
}

impl Meaning for Message {
    const ANSWER: &'static str = "an Anthropic message: it has no content";
    const END: &'static str = "stop_reason";

    fn frame(&mut self, fields: &Map<String, Value>, answer: &mut Answer) {
        match text(fields, "type") {
            "message_start" => {
                if let Some(message) = object(fields, "message") {
                    answer.id(text(message, "id"));
                    self.usage(message, answer);
                }
            }
            "content_block_start" => {
                if let Some(block) = object(fields, "content_block") {
                    take_block(block, false, answer);
                }
            }
            "content_block_delta" => {
                if let Some(delta) = object(fields, "delta") {
                    take_delta(delta, answer);
                }
            }
            "message_delta" => {
                if let Some(delta) = object(fields, "delta") {
                    take_stop(delta, answer);
                }
                self.usage(fields, answer);
            }
            "message_stop" => {
                end_content(answer);
                answer.complete();
            }
            // `ping`, `content_block_stop`, and what the API may add.
            _ => {}
        }
    }

    fn whole(&mut self, fields: &Map<String, Value>, answer: &mut Answer) -> bool {
        if !fields.get("content").is_some_and(Value::is_array) {
            return false;
        }
        answer.id(text(fields, "id"));
        for block in list(fields, "content") {
            take_block(block, true, answer);
        }
        end_content(answer);
        take_stop(fields, answer);
        self.usage(fields, answer);
        true
    }
}

impl Message {
    /// The API counts tokens from a cache and into it apart from `input_tokens`; here they are part
    /// of the input. All counts are cumulative, and a report need not repeat those before.
    fn usage(&mut self, fields: &Map<String, Value>, answer: &mut Answer) {
        let Some(usage) = object(fields, "usage") else {
            return;
        };
        let latest = |name, known: &mut Option<u64>| *known = count(usage, name).or(*known);
        latest("input_tokens", &mut self.input);
        latest("cache_read_input_tokens", &mut self.cache_read);
        latest("cache_creation_input_tokens", &mut self.cache_creation);
        let cached = self.cache_read.unwrap_or(0);
        let apart = cached.saturating_add(self.cache_creation.unwrap_or(0));
        let details = object(usage, "output_tokens_details");
        answer.usage(Usage {
            input: self.input.map(|input| input.saturating_add(apart)),
            output: count(usage, "output_tokens"),
            input_cached: self.cache_read,
            output_reasoning: details.and_then(|details| count(details, "thinking_tokens")),
        });
    }
}

/// A block of content: whole, or how it begins in a stream.
fn take_block(block: &Map<String, Value>, is_whole: bool, answer: &mut Answer) {
    match text(block, "type") {
        "text" => answer.text(text(block, "text")),
        "thinking" => match text(block, "thinking") {
            "" if !text(block, "signature").is_empty() => answer.hidden_reasoning(),
            thinking => answer.reasoning(thinking),
        },
        "redacted_thinking" => answer.hidden_reasoning(),
        "tool_use" | "server_tool_use" | "mcp_tool_use" => {
            answer.tool_call(text(block, "name"));
            // A stream begins with an empty input and sends it in pieces.
            if let Some(input) = block.get("input").filter(|_| is_whole) {
                answer.tool_call(&input.to_string());
            }
        }
        // The results of the server's own tools were not generated.
        _ => {}
    }
}

fn take_delta(delta: &Map<String, Value>, answer: &mut Answer) {
    match text(delta, "type") {
        "text_delta" => answer.text(text(delta, "text")),
        "input_json_delta" => answer.tool_call(text(delta, "partial_json")),
        "thinking_delta" => answer.reasoning(text(delta, "thinking")),
        // The proof of thoughts that were told is no token of its own.
        "signature_delta"
            if answer.reasoning.is_empty() && !text(delta, "signature").is_empty() =>
        {
            answer.hidden_reasoning();
        }
        _ => {}
    }
}

fn take_stop(fields: &Map<String, Value>, answer: &mut Answer) {
    let reason = text(fields, "stop_reason");
    if !reason.is_empty() {
        answer.finish_reason(reason);
    }
}

/// An answer without any block is an empty text, not none.
fn end_content(answer: &mut Answer) {
    if answer.tool_calls.is_empty() {
        answer.text("");
    }
}

#[cfg(test)]
mod tests;
