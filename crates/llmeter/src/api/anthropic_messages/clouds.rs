//! Claude on the clouds of others: the same messages, reached and signed in to in each cloud's way.

use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;
use crate::aws::{is_region, variable};
use crate::base::error::Error;

/// A cloud that serves Claude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cloud {
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
pub(super) const PROVIDERS: &[(&str, &str)] = &[
    ("anthropic", "ANTHROPIC_API_KEY"),
    #[cfg(feature = "aws")]
    ("bedrock", "AWS_BEARER_TOKEN_BEDROCK"),
    #[cfg(feature = "aws")]
    ("bedrock-mantle", "AWS_BEARER_TOKEN_BEDROCK"),
    ("vertex", "GOOGLE_OAUTH_ACCESS_TOKEN"),
    ("foundry", "ANTHROPIC_FOUNDRY_API_KEY"),
];

pub(super) const NEW_TOKEN: &str = "export GOOGLE_OAUTH_ACCESS_TOKEN=$(gcloud auth print-access-token), which is \
                         good for an hour";

/// The API at a provider.
///
/// # Errors
/// If there is no such provider; the message lists those that there are.
pub(super) fn at_provider(provider: &str) -> Result<&'static dyn Api> {
    Ok(match provider {
        "anthropic" => &AnthropicMessages,
        #[cfg(feature = "aws")]
        "bedrock" => &Cloud::Bedrock,
        #[cfg(feature = "aws")]
        "bedrock-mantle" => &Cloud::BedrockMantle,
        "vertex" => &Cloud::Vertex,
        "foundry" => &Cloud::Foundry,
        other => {
            let names: Vec<_> = PROVIDERS.iter().map(|(name, _)| *name).collect();
            let expected = format!("one of {}", names.join(", "));
            return Err(Error::invalid(Setting::Provider, other, expected));
        }
    })
}

/// The address depends on the region or the resource.
const ON_CLOUD: ApiSpec = ApiSpec {
    base_url: None,
    appended: &[],
    ..SPEC
};
#[cfg(feature = "aws")]
const ON_BEDROCK: ApiSpec = ApiSpec {
    framing: Framing::EventStream,
    service: Some(Service::Bedrock),
    ..ON_CLOUD
};
#[cfg(feature = "aws")]
const ON_MANTLE: ApiSpec = ApiSpec {
    service: Some(Service::BedrockMantle),
    ..ON_CLOUD
};
const ON_FOUNDRY: ApiSpec = ApiSpec {
    base_url: None,
    ..SPEC
};

impl Api for Cloud {
    fn spec(&self) -> &'static ApiSpec {
        match self {
            #[cfg(feature = "aws")]
            Self::Bedrock => &ON_BEDROCK,
            #[cfg(feature = "aws")]
            Self::BedrockMantle => &ON_MANTLE,
            Self::Vertex => &ON_CLOUD,
            Self::Foundry => &ON_FOUNDRY,
        }
    }

    fn payload(&self, prompt: &PromptParts<'_>, max_tokens: u64, streaming: bool) -> Payload {
        AnthropicMessages.payload(prompt, max_tokens, streaming)
    }

    fn at_provider(&self, provider: &str) -> Result<Option<&'static dyn Api>> {
        at_provider(provider).map(Some)
    }

    /// Adds what the environment says.
    fn configure(&self, setup: &mut EndpointSetup) -> Result<Option<Arc<dyn Api>>> {
        let EndpointSetup {
            region, project, ..
        } = setup;
        match self {
            Self::Vertex => {
                *region = region.take().or_else(|| variable("CLOUD_ML_REGION"));
                *project = project
                    .take()
                    .or_else(|| variable("ANTHROPIC_VERTEX_PROJECT_ID"))
                    .or_else(|| variable("GOOGLE_CLOUD_PROJECT"));
                if region.is_none() {
                    return Err(Error::missing_like(Setting::Region, "us-east5 or global")
                        .with_hint("it may also come from CLOUD_ML_REGION"));
                }
                // It becomes part of a host's name.
                if let Some(name) = region.as_deref().filter(|name| !is_region(name)) {
                    let expected = "a region's name, like us-east5 or global";
                    return Err(Error::invalid(Setting::Region, name, expected));
                }
                if project.is_none() {
                    return Err(
                        Error::missing(Setting::Variable("ANTHROPIC_VERTEX_PROJECT_ID"))
                            .with_hint("GOOGLE_CLOUD_PROJECT will do, too"),
                    );
                }
            }
            Self::Foundry if setup.base_url.is_empty() && self.address(None).is_none() => {
                return Err(Error::missing_like(
                    Setting::BaseUrl,
                    "https://my-resource.services.ai.azure.com/anthropic",
                )
                .with_hint("the resource's name in ANTHROPIC_FOUNDRY_RESOURCE will do, too"));
            }
            _ => {}
        }
        Ok(None)
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

    fn path(&self, setup: &EndpointSetup) -> Result<String> {
        match self {
            #[cfg(feature = "aws")]
            Self::Bedrock => Ok(aws::model_path(
                setup,
                "invoke-with-response-stream",
                "invoke",
            )),
            Self::Vertex => {
                let model = setup.model_in_path()?;
                let operation = if setup.streaming {
                    "streamRawPredict"
                } else {
                    "rawPredict"
                };
                let project = setup.project.as_deref().unwrap_or_default();
                let region = setup.region.as_deref().unwrap_or_default();
                Ok(format!(
                    "projects/{project}/locations/{region}/publishers/anthropic/models/{model}:{operation}"
                ))
            }
            _ => AnthropicMessages.path(setup),
        }
    }

    fn key_header(&self, key: &SecretString) -> Option<(&'static str, SecretString)> {
        match self {
            Self::Vertex => Some(bearer(key)),
            _ => AnthropicMessages.key_header(key),
        }
    }

    fn missing_key(&self) -> Option<&'static str> {
        (*self == Self::Vertex).then_some(NEW_TOKEN)
    }

    fn headers(&self, setup: &EndpointSetup) -> Vec<(&'static str, String)> {
        match self {
            Self::Vertex => Vec::new(),
            #[cfg(feature = "aws")]
            Self::Bedrock => Vec::new(),
            _ => AnthropicMessages.headers(setup),
        }
    }

    fn prepare(&self, payload: &mut Payload, model: Option<&str>, streaming: bool) {
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

    fn prompt_text(&self, payload: &Payload) -> Option<String> {
        AnthropicMessages.prompt_text(payload)
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        match self {
            #[cfg(feature = "aws")]
            Self::Bedrock | Self::BedrockMantle => {
                aws::Decoder::boxed("Bedrock", Decoder::new(Message::default()))
            }
            Self::Vertex => Decoder::boxed(Message {
                is_on_vertex: true,
                ..Message::default()
            }),
            Self::Foundry => AnthropicMessages.decoder(),
        }
    }

    fn saved_fields(&self, streaming: bool) -> Vec<(&'static str, Value)> {
        match self {
            #[cfg(feature = "aws")]
            Self::Bedrock | Self::BedrockMantle => saved_fields(
                streaming,
                &[
                    ("aws_profile", Value::Null),
                    ("skip_auth", Value::Bool(false)),
                ],
            ),
            Self::Vertex => saved_fields(streaming, &unset(&["region", "project_id"])),
            Self::Foundry => saved_fields(streaming, &[]),
        }
    }
}
