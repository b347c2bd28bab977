//! Claude on the clouds of others: the same messages, reached and signed in to in each cloud's way.

use secrecy::SecretString;
use serde_json::{Value, json};

use super::{AnthropicMessages, Message, VERSION};
use crate::base::error::{Error, Result};
use crate::base::failure::FailureKind;
use crate::base::setting::Setting;
use crate::endpoint::json_api::{Decoder, Dialect, Names, bearer};
use crate::endpoint::{Answer, Frame, FrameDecoder};
#[cfg(feature = "aws")]
use crate::endpoint::{Framing, ResponseHead, aws::Service};
use crate::payload::Payload;

/// A cloud that serves Claude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cloud {
    /// Amazon Bedrock's InvokeModel.
    #[cfg(feature = "aws")]
    Bedrock,
    /// Amazon Bedrock's address for the APIs of models' makers.
    #[cfg(feature = "aws")]
    BedrockMantle,
    /// Google Vertex AI.
    Vertex,
    /// Microsoft Foundry.
    Foundry,
}

/// Provider, variable of the key.
#[cfg(feature = "aws")]
pub(crate) const PROVIDERS: &[(&str, &str)] = &[
    ("anthropic", "ANTHROPIC_API_KEY"),
    ("bedrock", "AWS_BEARER_TOKEN_BEDROCK"),
    ("bedrock-mantle", "AWS_BEARER_TOKEN_BEDROCK"),
    ("vertex", VERTEX_TOKEN),
    ("foundry", "ANTHROPIC_FOUNDRY_API_KEY"),
];
/// Provider, variable of the key.
#[cfg(not(feature = "aws"))]
pub(crate) const PROVIDERS: &[(&str, &str)] = &[
    ("anthropic", "ANTHROPIC_API_KEY"),
    ("vertex", VERTEX_TOKEN),
    ("foundry", "ANTHROPIC_FOUNDRY_API_KEY"),
];

const VERTEX_TOKEN: &str = "GOOGLE_OAUTH_ACCESS_TOKEN";
const NEW_TOKEN: &str = "export GOOGLE_OAUTH_ACCESS_TOKEN=$(gcloud auth print-access-token), which is \
                         good for an hour";

/// The dialect of the API at a provider, `anthropic` if none is named.
///
/// # Errors
/// If there is no such provider; the message lists those that there are.
pub(crate) fn dialect(provider: Option<&str>) -> Result<&'static dyn Dialect> {
    Ok(match provider {
        None | Some("anthropic") => &AnthropicMessages,
        #[cfg(feature = "aws")]
        Some("bedrock") => &Cloud::Bedrock,
        #[cfg(feature = "aws")]
        Some("bedrock-mantle") => &Cloud::BedrockMantle,
        Some("vertex") => &Cloud::Vertex,
        Some("foundry") => &Cloud::Foundry,
        Some(other) => {
            let names: Vec<_> = PROVIDERS.iter().map(|(name, _)| *name).collect();
            let expected = format!("one of {}", names.join(", "));
            return Err(Error::invalid(Setting::Provider, other, expected));
        }
    })
}

/// Where a provider serves the API in a region.
pub(crate) fn address(provider: Option<&str>, region: &str) -> Option<String> {
    let dialect = dialect(provider).ok()?;
    #[cfg(feature = "aws")]
    if let Some(service) = dialect.service() {
        return Some(service.address(region));
    }
    dialect.address(Some(region))
}

fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    value.filter(|value| !value.trim().is_empty())
}

macro_rules! names {
    ($provider:literal, $appended:expr) => {
        &Names {
            endpoint: "anthropic-messages",
            provider: $provider,
            module: "llmeter.endpoints.anthropic_messages",
            stream_class: "AnthropicMessagesStream",
            whole_class: "AnthropicMessages",
            // It depends on the region or the resource.
            base_url: "",
            appended: $appended,
        }
    };
}

impl Dialect for Cloud {
    fn names(&self) -> &'static Names {
        match self {
            #[cfg(feature = "aws")]
            Self::Bedrock => names!("bedrock", &[]),
            #[cfg(feature = "aws")]
            Self::BedrockMantle => names!("bedrock-mantle", &[]),
            Self::Vertex => names!("vertex", &[]),
            Self::Foundry => names!("foundry", &["v1/messages", "v1"]),
        }
    }

    fn at_provider(&self, provider: &str) -> Result<Option<&'static dyn Dialect>> {
        AnthropicMessages.at_provider(provider)
    }

    fn address(&self, region: Option<&str>) -> Option<String> {
        match self {
            Self::Vertex => {
                let host = match region? {
                    "global" => "aiplatform.googleapis.com".to_owned(),
                    region @ ("us" | "eu") => format!("aiplatform.{region}.rep.googleapis.com"),
                    region => format!("{region}-aiplatform.googleapis.com"),
                };
                Some(format!("https://{host}/v1"))
            }
            Self::Foundry => variable("ANTHROPIC_FOUNDRY_BASE_URL").or_else(|| {
                let resource = variable("ANTHROPIC_FOUNDRY_RESOURCE")?;
                Some(format!(
                    "https://{resource}.services.ai.azure.com/anthropic"
                ))
            }),
            #[cfg(feature = "aws")]
            Self::Bedrock | Self::BedrockMantle => None,
        }
    }

    fn missing_address(&self) -> Error {
        match self {
            Self::Vertex => Error::missing_like(Setting::Region, "us-east5 or global")
                .with_hint("it may also come from CLOUD_ML_REGION"),
            _ => Error::missing_like(
                Setting::BaseUrl,
                "https://my-resource.services.ai.azure.com/anthropic",
            )
            .with_hint("the resource's name in ANTHROPIC_FOUNDRY_RESOURCE will do, too"),
        }
    }

    fn region(&self) -> Option<String> {
        variable("CLOUD_ML_REGION").filter(|_| *self == Self::Vertex)
    }

    fn project(&self) -> Option<String> {
        let named =
            || variable("ANTHROPIC_VERTEX_PROJECT_ID").or_else(|| variable("GOOGLE_CLOUD_PROJECT"));
        (*self == Self::Vertex).then(named).flatten()
    }

    fn path(&self, model: &str, streaming: bool) -> String {
        match self {
            #[cfg(feature = "aws")]
            Self::Bedrock => {
                let operation = if streaming {
                    "invoke-with-response-stream"
                } else {
                    "invoke"
                };
                format!(
                    "model/{}/{operation}",
                    crate::endpoint::aws::path_segment(model)
                )
            }
            Self::Vertex => {
                let operation = if streaming {
                    "streamRawPredict"
                } else {
                    "rawPredict"
                };
                format!("publishers/anthropic/models/{model}:{operation}")
            }
            _ => AnthropicMessages.path(model, streaming),
        }
    }

    fn path_prefix(&self, region: Option<&str>, project: Option<&str>) -> Result<String> {
        if *self != Self::Vertex {
            return Ok(String::new());
        }
        let project = project.ok_or_else(|| {
            Error::missing(Setting::Variable("ANTHROPIC_VERTEX_PROJECT_ID"))
                .with_hint("GOOGLE_CLOUD_PROJECT will do, too")
        })?;
        let region = region.ok_or_else(|| self.missing_address())?;
        Ok(format!("projects/{project}/locations/{region}/"))
    }

    fn key_header(&self, key: &SecretString) -> (&'static str, SecretString) {
        match self {
            Self::Vertex => bearer(key),
            _ => AnthropicMessages.key_header(key),
        }
    }

    fn missing_key(&self) -> Option<&'static str> {
        (*self == Self::Vertex).then_some(NEW_TOKEN)
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Vertex => &[],
            #[cfg(feature = "aws")]
            Self::Bedrock => &[],
            _ => &[("anthropic-version", VERSION)],
        }
    }

    #[cfg(feature = "aws")]
    fn service(&self) -> Option<Service> {
        match self {
            Self::Bedrock => Some(Service::Bedrock),
            Self::BedrockMantle => Some(Service::BedrockMantle),
            _ => None,
        }
    }

    #[cfg(feature = "aws")]
    fn framing(&self) -> Framing {
        match self {
            Self::Bedrock => Framing::EventStream,
            _ => Framing::Sse,
        }
    }

    fn prepare(&self, payload: &mut Payload, model: &str, streaming: bool) {
        AnthropicMessages.prepare(payload, model, streaming);
        let version = match self {
            #[cfg(feature = "aws")]
            Self::Bedrock => {
                // They are in the path.
                payload.shift_remove("model");
                payload.shift_remove("stream");
                "bedrock-2023-05-31"
            }
            Self::Vertex => {
                payload.shift_remove("model");
                "vertex-2023-10-16"
            }
            _ => return,
        };
        payload
            .entry("anthropic_version")
            .or_insert_with(|| json!(version));
    }

    fn prompt_text(&self, payload: &Payload) -> String {
        AnthropicMessages.prompt_text(payload)
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        match self {
            #[cfg(feature = "aws")]
            Self::Bedrock | Self::BedrockMantle => Box::<OnAws>::default(),
            Self::Vertex => Box::<OnVertex>::default(),
            Self::Foundry => Box::<Decoder<Message>>::default(),
        }
    }

    fn saved_fields(&self, streaming: bool) -> Vec<(&'static str, Value)> {
        let own: &[(&str, Value)] = match self {
            #[cfg(feature = "aws")]
            Self::Bedrock | Self::BedrockMantle => &[
                ("aws_profile", Value::Null),
                ("skip_auth", Value::Bool(false)),
            ],
            Self::Vertex => &[("region", Value::Null), ("project_id", Value::Null)],
            Self::Foundry => &[],
        };
        let mut fields = AnthropicMessages.saved_fields(streaming);
        // After `aws_region` and the switch of streams, as the Python system writes them.
        let place = if streaming { 2 } else { 1 };
        fields.splice(place..place, own.iter().cloned());
        fields
    }
}

/// Decodes an answer of Bedrock's, whose streams hold each event in a chunk, and whose errors are
/// AWS's.
#[cfg(feature = "aws")]
#[derive(Debug, Default)]
struct OnAws {
    message: Decoder<Message>,
    refusal: crate::aws::Refusal,
}

#[cfg(feature = "aws")]
impl FrameDecoder for OnAws {
    fn head(&mut self, head: &ResponseHead, answer: &mut Answer) {
        // The message's own id replaces it.
        if let Some(id) = crate::aws::request_id(head) {
            answer.id(id);
        }
        self.refusal = crate::aws::Refusal::of(head);
    }

    fn frame(&mut self, frame: Frame<'_>, answer: &mut Answer) {
        if frame.is_error {
            crate::aws::take_exception("Bedrock", frame, answer);
            return;
        }
        if frame.event != Some("chunk") {
            // Events of Bedrock's newer address come as they are.
            self.message.frame(frame, answer);
            return;
        }
        match crate::endpoint::aws::chunk_bytes(frame.data) {
            Ok(bytes) => {
                let frame = Frame {
                    event: None,
                    data: &bytes,
                    is_error: false,
                };
                self.message.frame(frame, answer);
            }
            Err(reason) => answer.fail(FailureKind::Malformed, format!("a chunk {reason}")),
        }
    }

    fn whole(&mut self, body: &[u8], answer: &mut Answer) {
        self.message.whole(body, answer);
    }

    fn end(&mut self, answer: &mut Answer) {
        self.message.end(answer);
    }

    fn error_message(&self, body: &[u8]) -> Option<String> {
        let of_api = || self.message.error_message(body);
        self.refusal.message(body).or_else(of_api)
    }
}

/// Decodes an answer of Vertex AI's, whose tokens expire.
#[derive(Debug, Default)]
struct OnVertex(Decoder<Message>);

impl FrameDecoder for OnVertex {
    fn frame(&mut self, frame: Frame<'_>, answer: &mut Answer) {
        self.0.frame(frame, answer);
    }

    fn whole(&mut self, body: &[u8], answer: &mut Answer) {
        self.0.whole(body, answer);
    }

    fn end(&mut self, answer: &mut Answer) {
        self.0.end(answer);
    }

    fn error_message(&self, body: &[u8]) -> Option<String> {
        let text = self.0.error_message(body)?;
        let is_token = String::from_utf8_lossy(body).contains("UNAUTHENTICATED");
        Some(if is_token {
            format!("{text} ({NEW_TOKEN})")
        } else {
            text
        })
    }
}
