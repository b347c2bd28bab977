//! What the APIs of Amazon Web Services have in common: services and their addresses, bytes in JSON,
//! and media as Bedrock's Converse has them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::jmespath::Path;
use super::*;
use crate::aws::{Refusal, exception, host_suffix, is_throttle, request_id};
use crate::base::server_text::lenient_json;
use crate::payload::{DOCX, Media, XLSX, bytes_of, bytes_value};

/// A service of AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Bedrock.
    Bedrock,
    /// Bedrock's newer address, which speaks the APIs of the models' makers.
    BedrockMantle,
    /// SageMaker.
    SageMaker,
}

impl Service {
    /// The name in signatures.
    pub(crate) fn signing_name(self) -> &'static str {
        match self {
            Self::Bedrock => "bedrock",
            Self::BedrockMantle => "bedrock-mantle",
            Self::SageMaker => "sagemaker",
        }
    }

    /// The variables with an address to use instead of Amazon's; the first counts most.
    pub(crate) fn endpoint_variables(self) -> &'static [&'static str] {
        match self {
            Self::Bedrock => &["AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL"],
            Self::BedrockMantle => &["ANTHROPIC_BEDROCK_MANTLE_BASE_URL"],
            Self::SageMaker => &["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "AWS_ENDPOINT_URL"],
        }
    }

    /// Whether the AWS tools know it, so that addresses in profiles are meant for it, too.
    pub(crate) fn is_of_aws_tools(self) -> bool {
        self != Self::BedrockMantle
    }

    /// Whether it takes API keys in place of signatures.
    pub(crate) fn takes_api_keys(self) -> bool {
        self != Self::SageMaker
    }

    /// Where Amazon serves it.
    pub(crate) fn address(self, region: &str) -> String {
        let host = match self {
            Self::Bedrock => "bedrock-runtime",
            Self::SageMaker => "runtime.sagemaker",
            Self::BedrockMantle => {
                return format!("https://bedrock-mantle.{region}.api.aws/anthropic");
            }
        };
        format!("https://{host}.{region}.{}", host_suffix(region))
    }
}

/// The path of a request for a model.
pub(super) fn model_path(setup: &EndpointSetup, streaming: &str, non_streaming: &str) -> String {
    let operation = if setup.streaming {
        streaming
    } else {
        non_streaming
    };
    format!(
        "model/{}/{operation}",
        path_segment(&setup.identity.model_id)
    )
}

/// The body of a request: the payload without a field that is in the path, bytes in base64.
pub(super) fn body(payload: &Payload, in_path: &str) -> Result<Vec<u8>, EndpointError> {
    let mut payload = payload.clone();
    payload.shift_remove(in_path);
    let json = with_base64(&Value::Object(payload)).to_string();
    Ok(plain_numbers(json).into_bytes())
}

/// The number of attempts that the Python system's client makes unless told otherwise.
pub(super) const MAX_ATTEMPTS: u64 = 3;

/// A value as JSON for AWS: marked bytes become base64.
pub(super) fn with_base64(value: &Value) -> Value {
    if let Some(bytes) = bytes_of(value) {
        return Value::String(STANDARD.encode(bytes));
    }
    match value {
        Value::Array(list) => list.iter().map(with_base64).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), with_base64(value)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// Decodes a response of AWS's: streams report failures in frames of their own, Bedrock wraps the
/// chunks of InvokeModel, and refusals are AWS's. What is left is the API's.
#[derive(Debug)]
pub(super) struct Decoder<D> {
    inner: D,
    /// What failures call the service.
    service: &'static str,
    refusal: Refusal,
    frames: u64,
}

impl<D: FrameDecoder + 'static> Decoder<D> {
    pub(super) fn boxed(service: &'static str, inner: D) -> Box<dyn FrameDecoder> {
        Box::new(Self {
            inner,
            service,
            refusal: Refusal::default(),
            frames: 0,
        })
    }
}

impl<D: FrameDecoder> FrameDecoder for Decoder<D> {
    fn head(&mut self, head: &ResponseHead, response: &mut ResponseBuilder) {
        // An id in the body replaces it.
        if let Some(id) = request_id(head) {
            response.id(id);
        }
        self.refusal = Refusal::of(head);
    }

    fn frame(&mut self, frame: Frame<'_>, response: &mut ResponseBuilder) {
        self.frames += 1;
        if frame.is_error {
            let throttle = frame.event.filter(|kind| is_throttle(kind));
            let words = exception(self.service, frame.event, frame.data);
            return response.server_error(throttle.map(str::to_owned), words);
        }
        if frame.event != Some("chunk") {
            return self.inner.frame(frame, response);
        }
        match chunk_bytes(frame.data) {
            Some(data) => self.inner.frame(
                Frame {
                    event: None,
                    data: &data,
                    is_error: false,
                },
                response,
            ),
            None => {
                let reason = format_args!("chunk {} holds no bytes in base64", self.frames);
                response.malformed(reason, frame.data);
            }
        }
    }

    /// Gateways send exceptions with status 200, too.
    fn non_streaming(&mut self, body: &[u8], response: &mut ResponseBuilder) {
        match self.refusal.exception(body) {
            Some(words) => response.server_error(self.throttle(body), words),
            None => self.inner.non_streaming(body, response),
        }
    }

    fn end(&mut self, response: &mut ResponseBuilder) {
        self.inner.end(response);
    }

    fn error_message(&self, body: &[u8]) -> Option<String> {
        let of_api = || self.inner.error_message(body);
        self.refusal.message(body).or_else(of_api)
    }

    fn throttle(&self, body: &[u8]) -> Option<String> {
        self.refusal.throttle(body)
    }
}

/// What a chunk of an InvokeModel stream holds.
fn chunk_bytes(data: &[u8]) -> Option<Vec<u8>> {
    let value = lenient_json(data).ok()?;
    STANDARD.decode(value.get("bytes")?.as_str()?).ok()
}

/// The texts of a payload that an expression finds, each on a line.
pub(super) fn prompt_text(path: &Path, payload: &Payload) -> Option<String> {
    let texts = path.find_texts(&Value::Object(payload.clone()))?;
    Some(texts.join("\n"))
}

/// Where frames of chats have reasoning, by whatever name.
pub(super) const CHAT_REASONING: &[&str] = &[
    "/choices/0/delta/reasoning_content",
    "/choices/0/delta/reasoning",
    "/choices/0/delta/reasoning_text",
    "/choices/0/delta/thinking",
    "/choices/0/delta/thought",
    "/choices/0/delta/thoughts",
];

/// The text at the first of these places that has one.
pub(super) fn text_at<'a>(value: &'a Value, places: &[&str]) -> Option<&'a str> {
    let mut places = places.iter();
    places.find_map(|place| value.pointer(place)?.as_str())
}

/// Whether there is a text or a list at one of these places that is not empty.
pub(super) fn is_filled(value: &Value, places: &[&str]) -> bool {
    places.iter().any(|place| match value.pointer(place) {
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        _ => false,
    })
}

/// What Converse takes.
pub(super) const INPUTS: SupportedInputs = SupportedInputs {
    api: "Bedrock Converse",
    system: true,
    images: &[
        ("image/jpeg", "jpeg"),
        ("image/png", "png"),
        ("image/gif", "gif"),
        ("image/webp", "webp"),
    ],
    audio: &[
        ("audio/mpeg", "mp3"),
        ("audio/wav", "wav"),
        ("audio/ogg", "ogg"),
        ("audio/opus", "opus"),
        ("audio/flac", "flac"),
        ("audio/aac", "aac"),
        ("audio/mp4", "m4a"),
        ("audio/x-matroska", "mka"),
        ("audio/webm", "webm"),
    ],
    videos: &[
        ("video/mp4", "mp4"),
        ("video/quicktime", "mov"),
        // Not in the API's reference, but passed on by the Python system.
        ("video/x-msvideo", "avi"),
        ("video/x-matroska", "mkv"),
        ("video/webm", "webm"),
        ("video/mpeg", "mpeg"),
        ("video/x-flv", "flv"),
        ("video/x-ms-wmv", "wmv"),
        ("video/3gpp", "three_gp"),
    ],
    documents: &[
        ("application/pdf", "pdf"),
        ("application/msword", "doc"),
        (DOCX, "docx"),
        ("application/vnd.ms-excel", "xls"),
        (XLSX, "xlsx"),
        ("text/plain", "txt"),
        ("text/markdown", "md"),
        ("text/csv", "csv"),
        ("text/html", "html"),
    ],
    instead: "",
};

/// `{"image": {"format": "png", "source": {"bytes": …}}}`, `further` fields last.
pub(super) fn media_block(media: &Media, format: &str, further: Payload) -> Value {
    let mut fields = Map::new();
    fields.insert("format".into(), json!(format));
    fields.insert(
        "source".into(),
        json!({"bytes": bytes_value(media.bytes())}),
    );
    fields.extend(further);
    json!({media.kind().name(): fields})
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bytes_become_base64_at_any_depth() {
        let payload = json!({"a": [{"source": {"bytes": {"__llmeter_bytes__": "/9j/"}}}], "b": 1});
        assert_eq!(
            with_base64(&payload),
            json!({"a": [{"source": {"bytes": "/9j/"}}], "b": 1})
        );
    }
}
