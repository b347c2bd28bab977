//! Amazon Bedrock's Converse API, streaming or not.

mod decode;
mod document_name;
mod saved;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use document_name::DocumentNames;

use super::supported_inputs::{Part, check_limit};
use super::{Endpoint, EndpointError, FrameDecoder, Framing, Identity, SavedObject, Transport};
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::endpoint::aws::{
    AwsAccess, AwsApi, AwsOptions, INTAKE, MAX_ATTEMPTS, Service, media_block, path_segment,
};
use crate::payload::{MediaKind, Payload, Prompt};

/// A model behind Bedrock's Converse API.
///
/// ```
/// use llmeter::Endpoint;
/// use llmeter::endpoint::{AwsOptions, BedrockConverse};
///
/// let endpoint = BedrockConverse::builder("amazon.nova-lite-v1:0")
///     .aws(AwsOptions::new().region("us-east-1").bearer_token("bedrock-api-key"))
///     .build()?;
/// assert!(endpoint.is_streaming());
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct BedrockConverse {
    identity: Identity,
    streaming: bool,
    aws: AwsAccess,
    path: String,
    inference_config: Option<Value>,
    max_attempts: Value,
    ttft_visible_tokens_only: bool,
}

/// Settings of a [`BedrockConverse`] endpoint.
#[derive(Debug, Clone)]
#[must_use = "a builder makes nothing until `build` is called"]
pub struct BedrockConverseBuilder {
    model_id: String,
    endpoint_name: String,
    streaming: bool,
    aws: AwsOptions,
    inference_config: Option<Value>,
    max_attempts: Value,
    ttft_visible_tokens_only: bool,
}

impl BedrockConverseBuilder {
    /// Whether the answer is asked for in pieces; yes if not set.
    pub fn streaming(mut self, streaming: bool) -> Self {
        self.streaming = streaming;
        self
    }

    /// Region, address and credentials; from the environment if not set.
    pub fn aws(mut self, options: AwsOptions) -> Self {
        self.aws = options;
        self
    }

    /// A name for the endpoint, for people; `amazon bedrock` if not set.
    pub fn endpoint_name(mut self, name: impl Into<String>) -> Self {
        self.endpoint_name = name.into();
        self
    }

    /// The `inferenceConfig` of payloads that have none.
    pub fn inference_config(mut self, config: Payload) -> Self {
        self.inference_config = Some(Value::Object(config));
        self
    }

    /// Checks the settings and makes the endpoint.
    ///
    /// # Errors
    /// When the model or the region is missing, or a setting cannot be used. No message holds a
    /// secret.
    pub fn build(self) -> Result<BedrockConverse> {
        if self.model_id.trim().is_empty() {
            return Err(Error::missing(Setting::Model));
        }
        let operation = if self.streaming {
            "converse-stream"
        } else {
            "converse"
        };
        Ok(BedrockConverse {
            path: format!("model/{}/{operation}", path_segment(&self.model_id)),
            identity: Identity {
                model_id: self.model_id,
                endpoint_name: self.endpoint_name,
                provider: "bedrock".to_owned(),
            },
            streaming: self.streaming,
            aws: AwsAccess::new(&self.aws, Service::Bedrock)?,
            inference_config: self.inference_config,
            max_attempts: self.max_attempts,
            ttft_visible_tokens_only: self.ttft_visible_tokens_only,
        })
    }
}

impl BedrockConverse {
    /// An endpoint for a model, an inference profile, or the ARN of either.
    pub fn builder(model_id: impl Into<String>) -> BedrockConverseBuilder {
        BedrockConverseBuilder {
            model_id: model_id.into(),
            endpoint_name: "amazon bedrock".to_owned(),
            streaming: true,
            aws: AwsOptions::from_environment(),
            inference_config: None,
            max_attempts: json!(MAX_ATTEMPTS),
            ttft_visible_tokens_only: false,
        }
    }

    /// A payload with one user message. Documents get a name that the API accepts, made of their
    /// file's.
    ///
    /// `extra` is added last. A `maxTokens` in its `inferenceConfig` wins over `max_tokens`.
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
        let mut names = DocumentNames::default();
        let block = |part: &Part<'_>| match *part {
            Part::Text(text) => json!({"text": text}),
            Part::Media(media, format) => {
                let mut further = Payload::new();
                if media.kind() == MediaKind::Document {
                    further.insert("name".into(), names.next(media.file_name()).into());
                }
                media_block(media, format, further)
            }
        };
        let content: Value = INTAKE.parts(&prompt)?.iter().map(block).collect();
        let mut payload = Payload::new();
        payload.insert(
            "messages".into(),
            json!([{"role": "user", "content": content}]),
        );
        if let Some(text) = prompt.system {
            payload.insert("system".into(), json!([{"text": text}]));
        }
        payload.extend(extra);
        let config = payload
            .entry("inferenceConfig")
            .or_insert_with(|| json!({}));
        if config.is_null() {
            *config = json!({});
        }
        if let Value::Object(config) = config {
            config.entry("maxTokens").or_insert(json!(max_tokens));
        }
        Ok(payload)
    }

    /// The region, unless an own address and a bearer token make it unnecessary.
    pub fn region(&self) -> Option<&str> {
        self.aws.region()
    }
}

impl Endpoint for BedrockConverse {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn is_streaming(&self) -> bool {
        self.streaming
    }

    fn prepare_payload(&self, payload: &mut Payload) -> Result<(), EndpointError> {
        if payload.get("inferenceConfig").is_none_or(Value::is_null) {
            let config = self.inference_config.clone().unwrap_or_else(|| json!({}));
            payload.insert("inferenceConfig".into(), config);
        }
        payload.insert("modelId".into(), json!(self.identity.model_id));
        Ok(())
    }

    fn prompt_text(&self, payload: &Payload) -> Option<Value> {
        let messages = payload.get("messages").and_then(Value::as_array);
        let blocks = messages
            .into_iter()
            .flatten()
            .filter_map(|message| message.get("content")?.as_array())
            .flatten();
        let texts: Vec<&str> = blocks
            .filter_map(|block| block.get("text")?.as_str())
            .collect();
        Some(Value::String(texts.join("\n")))
    }

    fn transport(&self) -> Transport<'_> {
        Transport::Http(self)
    }

    fn saved(&self) -> SavedObject {
        self.to_saved()
    }

    fn saved_apart(&self) -> Map<String, Value> {
        self.aws.saved_apart()
    }
}

impl AwsApi for BedrockConverse {
    fn aws(&self) -> &AwsAccess {
        &self.aws
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn accept(&self) -> &'static str {
        if self.streaming {
            Framing::EventStream.media_type()
        } else {
            "application/json"
        }
    }

    /// It is in the path.
    fn without(&self) -> Option<&'static str> {
        Some("modelId")
    }

    fn frame_decoder(&self) -> Box<dyn FrameDecoder> {
        Box::<decode::Decoder>::default()
    }
}
