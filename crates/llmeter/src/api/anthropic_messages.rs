//! Anthropic Messages, streaming or not, as Anthropic itself and servers after its model speak it.

mod clouds;

use secrecy::SecretString;
use serde_json::{Value, json};

use super::failure::error_text;
use super::json_frames::{
    Decoded, Decoder, Element, Meaning, add, count, is_text_part, list, message_texts, text,
    truncated,
};
use super::supported_inputs::{FRAMES, mime_types};
use super::*;
use crate::endpoint::EndpointBuilder;
use crate::payload::MediaKind;
use llmeter_wire::clock::Stamp;

/// The Anthropic Messages API, at a base URL as the Anthropic SDK takes it: without `/v1`.
///
/// A payload has one user message. Images are JPEG, PNG, GIF or WebP, documents are PDF or texts.
/// Its further fields are the place of `thinking` and `tools`.
///
/// ```
/// use llmeter::Endpoint;
/// use llmeter::endpoint::AnthropicMessages;
/// use llmeter::payload::Payload;
///
/// let endpoint = AnthropicMessages::builder("https://api.anthropic.com", "claude-x").build()?;
/// assert!(endpoint.is_streaming());
/// let payload = AnthropicMessages::create_payload("Hello", 64, Payload::new())?;
/// assert_eq!(payload["messages"][0]["content"], "Hello");
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct AnthropicMessages;

entry_points!(AnthropicMessages);

impl AnthropicMessages {
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
    pub fn on_cloud(provider: &str, model_id: impl Into<String>) -> Result<EndpointBuilder> {
        clouds::at_provider(provider)?;
        Ok(Self::builder("", model_id).provider(provider))
    }
}

const SPEC: ApiSpec = ApiSpec {
    about: "Anthropic Messages",
    modes: &[
        Mode::streaming("anthropic-messages-stream", "AnthropicMessagesStream"),
        Mode::non_streaming("anthropic-messages", "AnthropicMessages"),
    ],
    module: "llmeter.endpoints.anthropic_messages",
    endpoint_name: "anthropic-messages",
    provider: "anthropic",
    key_variable: Some("ANTHROPIC_API_KEY"),
    address_variables: &[
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_BEDROCK_BASE_URL",
        "ANTHROPIC_BEDROCK_MANTLE_BASE_URL",
        "ANTHROPIC_VERTEX_BASE_URL",
        "ANTHROPIC_FOUNDRY_BASE_URL",
    ],
    plain_headers: &["anthropic-beta", "anthropic-version"],
    base_url: Some("https://api.anthropic.com"),
    appended: &["v1/messages", "v1"],
    providers: clouds::PROVIDERS,
    system_fields: &["system"],
    prompt_fields: &["messages"],
    limit_fields: &[&["max_tokens"]],
    inputs: INPUTS,
    path: "v1/messages",
    ..ApiSpec::DEFAULT
};

/// The version of the API that is asked for; the only one there is since 2023.
const VERSION: &str = "2023-06-01";

const INPUTS: SupportedInputs = SupportedInputs {
    api: "Anthropic Messages",
    system: true,
    images: &mime_types(["image/jpeg", "image/png", "image/gif", "image/webp"]),
    audio: &[],
    videos: &[],
    documents: &mime_types([
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

impl Api for AnthropicMessages {
    fn spec(&self) -> &'static ApiSpec {
        &SPEC
    }

    fn payload(&self, prompt: &PromptParts<'_>, max_tokens: u64, _: bool) -> Payload {
        let mut payload = Payload::new();
        let message = json!([{"role": "user", "content": prompt.content(block)}]);
        payload.insert("messages".into(), message);
        payload.insert("max_tokens".into(), json!(max_tokens));
        if let Some(text) = prompt.system {
            payload.insert("system".into(), json!(text));
        }
        payload
    }

    fn at_provider(&self, provider: &str) -> Result<Option<&'static dyn Api>> {
        clouds::at_provider(provider).map(Some)
    }

    fn key_header(&self, key: &SecretString) -> Option<(&'static str, SecretString)> {
        Some(("x-api-key", key.clone()))
    }

    fn headers(&self, _: &EndpointSetup) -> Vec<(&'static str, String)> {
        vec![("anthropic-version", VERSION.to_owned())]
    }

    fn prepare(&self, payload: &mut Payload, model: Option<&str>, streaming: bool) {
        set_model(payload, model);
        if streaming {
            payload.insert("stream".into(), json!(true));
        } else if let Some(stream) = payload.get_mut("stream") {
            *stream = json!(false);
        }
    }

    fn prompt_text(&self, payload: &Payload) -> Option<String> {
        Some(message_texts(payload.get("messages"), is_text_part))
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Decoder::boxed(Message::default())
    }

    fn saved_fields(&self, streaming: bool) -> Vec<(&'static str, Value)> {
        saved_fields(streaming, &[])
    }
}

/// The fields of a saved endpoint, with those that are a cloud's own, as the Python system writes them.
fn saved_fields(streaming: bool, of_cloud: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
    let mut fields = unset(&["model_id", "endpoint_name", "provider", "aws_region"]);
    if streaming {
        // What the time to first token is here; the time without thinking has its own name.
        fields.push(("ttft_visible_tokens_only", json!(false)));
    }
    fields.extend_from_slice(of_cloud);
    fields.extend([("timeout", sdk_timeout()), ("middleware", json!([]))]);
    fields.extend(unset(&["base_url", "max_retries"]));
    fields
}

/// What of a message has been seen.
#[derive(Debug, Default)]
struct Message {
    // The latest report of each count.
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_creation: Option<u64>,
    /// The output that the message's beginning reports, before there is any.
    early_output: Option<u64>,
    /// Vertex AI's tokens expire.
    is_on_vertex: bool,
    /// A message whose beginning had content, and when it came: what it says if nothing follows.
    early: Option<(Stamp, Value)>,
    /// The block under way had something in its beginning or in deltas.
    has_deltas: bool,
    /// The block under way is a call whose input came with its beginning.
    has_input: bool,
}

impl Meaning for Message {
    const MISSING_END: &'static str = "no stop_reason and no [DONE]";

    fn knows(&self, _: Option<&str>, value: &Value) -> bool {
        let kind = text(value, "type");
        kind.starts_with("message") || kind.starts_with("content_block")
    }

    fn frame(&mut self, _: Option<&str>, value: &Value, response: &mut ResponseBuilder) -> Decoded {
        match text(value, "type") {
            "message_start" => {
                let message = &value["message"];
                response.id(text(message, "id"));
                self.early_output = count(&message["usage"], "output_tokens");
                let mut usage = message["usage"].clone();
                if let Some(usage) = usage.as_object_mut() {
                    usage.remove("output_tokens");
                }
                self.usage(&usage, response);
                if list(message, "content").next().is_some() {
                    self.early = response.frame_stamp().map(|at| (at, message.clone()));
                }
            }
            "content_block_start" => self.begin_block(&value["content_block"], response),
            "content_block_delta" => {
                self.has_deltas = true;
                if !self.has_input || value["delta"]["partial_json"].is_null() {
                    take_delta(&value["delta"], response);
                }
            }
            "content_block_stop" => self.end_block(&value["content_block"], response),
            "message_delta" => {
                self.take_early(response);
                take_stop(&value["delta"], response);
                self.usage(&value["usage"], response);
            }
            "message_stop" => {
                self.take_early(response);
                // Some gateways send no deltas and the whole message here.
                if response.content_frames() == 0 {
                    take_content(&value["message"], response);
                }
                end_content(response);
                response.complete();
            }
            // A whole message as the one event.
            "message" if response.content_frames() == 0 => {
                return self.non_streaming(value, response);
            }
            // `ping`, and what the API may add.
            _ => {}
        }
        Ok(())
    }

    fn non_streaming(&mut self, value: &Value, response: &mut ResponseBuilder) -> Decoded {
        if !value["content"].is_array() {
            return Err("is not an Anthropic message: it has no content".to_owned());
        }
        response.id(text(value, "id"));
        take_content(value, response);
        end_content(response);
        take_stop(value, response);
        self.usage(&value["usage"], response);
        Ok(())
    }

    fn end(&mut self, response: &mut ResponseBuilder) {
        // Of several content frames it counts the first at most.
        let early = self.early_output.filter(|_| response.content_frames() <= 1);
        if response.usage.output.is_none() {
            response.usage(Usage {
                output: early,
                ..Usage::default()
            });
        }
        if !response.is_complete() {
            response.fail(FailureKind::Truncated, truncated(Self::MISSING_END));
        }
    }

    fn element(&self, value: &Value) -> Element {
        match value["content"].is_array() {
            true => Element::Response,
            false => Element::Frame,
        }
    }

    fn error_message(&self, body: &[u8]) -> Option<String> {
        let text = error_text(body)?;
        let is_expired = || String::from_utf8_lossy(body).contains("UNAUTHENTICATED");
        Some(match self.is_on_vertex && is_expired() {
            true => format!("{text} ({})", clouds::NEW_TOKEN),
            false => text,
        })
    }
}

impl Message {
    fn begin_block(&mut self, block: &Value, response: &mut ResponseBuilder) {
        let before = response.content_frames();
        take_block(block, true, response);
        self.has_deltas = response.content_frames() > before && block.get("input").is_none();
        // The API begins with an empty input and sends it in chunks; some gateways send it here.
        let input = block["input"].as_object().filter(|input| !input.is_empty());
        self.has_input = input.is_some();
        if self.has_input {
            response.tool_call(&block["input"].to_string());
        }
    }

    /// The end of a block, which some gateways send with the block, and a few with nothing before.
    fn end_block(&mut self, block: &Value, response: &mut ResponseBuilder) {
        if !self.has_deltas && !self.has_input {
            match block.get("input") {
                Some(Value::Object(input)) if input.is_empty() => {}
                Some(input) => response.tool_call(&input.to_string()),
                None => take_block(block, false, response),
            }
        }
        self.has_input = false;
        self.has_deltas = true;
    }

    /// Content that came with the message's beginning, at its time, if none has come since.
    fn take_early(&mut self, response: &mut ResponseBuilder) {
        let now = response.frame_stamp();
        if let (Some((at, message)), Some(now), 0) =
            (self.early.take(), now, response.content_frames())
        {
            response.begin_frame(at);
            take_content(&message, response);
            response.begin_frame(now);
        }
    }

    /// The API counts tokens from a cache and into it apart from `input_tokens`; here they are part
    /// of the input. All counts are cumulative, and a report need not repeat those before.
    fn usage(&mut self, usage: &Value, response: &mut ResponseBuilder) {
        if !usage.is_object() {
            return;
        }
        let latest = |name, known: &mut Option<u64>| *known = count(usage, name).or(*known);
        latest("input_tokens", &mut self.input);
        latest("cache_read_input_tokens", &mut self.cache_read);
        latest("cache_creation_input_tokens", &mut self.cache_creation);
        let with = |input| add(add(Some(input), self.cache_read), self.cache_creation);
        response.usage(Usage {
            input: self.input.and_then(with),
            output: count(usage, "output_tokens"),
            input_cached: self.cache_read,
            output_reasoning: count(&usage["output_tokens_details"], "thinking_tokens"),
            total: None,
        });
    }
}

fn take_content(message: &Value, response: &mut ResponseBuilder) {
    for block in list(message, "content") {
        take_block(block, false, response);
    }
}

/// A block of content: complete, or how it begins in a stream.
fn take_block(block: &Value, is_streaming: bool, response: &mut ResponseBuilder) {
    match text(block, "type") {
        "text" => response.text(text(block, "text")),
        "thinking" => match text(block, "thinking") {
            "" if !text(block, "signature").is_empty() => response.hidden_reasoning(),
            thinking => response.reasoning(thinking),
        },
        "redacted_thinking" => response.hidden_reasoning(),
        "tool_use" | "server_tool_use" | "mcp_tool_use" => {
            response.tool_call(text(block, "name"));
            // A stream begins with an empty input and sends it in chunks.
            if let Some(input) = block.get("input").filter(|_| !is_streaming) {
                response.tool_call(&input.to_string());
            }
        }
        // The results of the server's own tools were not generated.
        _ => {}
    }
}

fn take_delta(delta: &Value, response: &mut ResponseBuilder) {
    match text(delta, "type") {
        "text_delta" => response.text(text(delta, "text")),
        "input_json_delta" => response.tool_call(text(delta, "partial_json")),
        "thinking_delta" => response.reasoning(text(delta, "thinking")),
        // The proof of thoughts that were told is no token of its own.
        "signature_delta"
            if response.reasoning.is_empty() && !text(delta, "signature").is_empty() =>
        {
            response.hidden_reasoning();
        }
        _ => {}
    }
}

fn take_stop(fields: &Value, response: &mut ResponseBuilder) {
    let reason = text(fields, "stop_reason");
    if !reason.is_empty() {
        response.finish_reason(reason);
    }
}

/// A response without any block is an empty text, not none.
fn end_content(response: &mut ResponseBuilder) {
    if response.tool_calls.is_empty() {
        response.text("");
    }
}

#[cfg(test)]
mod tests;
