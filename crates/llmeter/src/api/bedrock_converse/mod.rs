//! Amazon Bedrock's Converse API, streaming or not.

mod decode;
mod document_name;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use self::document_name::DocumentNames;
use super::aws::{INPUTS, MAX_ATTEMPTS, media_block};
use super::json_frames::{Decoder, list};
use super::*;
use crate::base::error::Error;
use crate::payload::MediaKind;

/// Bedrock's Converse API, for a model, an inference profile, or the ARN of either. Payloads without
/// an `inferenceConfig` get the endpoint's setting `inference_config`.
///
/// A payload has one user message. Documents get a name that the API accepts, made of their file's.
/// A `maxTokens` in the `inferenceConfig` of its further fields wins.
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
    inference_config: Option<Value>,
}

/// The API without settings of its own.
pub(super) static DEFAULT: BedrockConverse = BedrockConverse {
    inference_config: None,
};

entry_points!(BedrockConverse by model);

const SPEC: ApiSpec = ApiSpec {
    about: "Amazon Bedrock Converse",
    modes: &[
        Mode::streaming("bedrock-converse-stream", "BedrockConverseStream"),
        Mode::non_streaming("bedrock-converse", "BedrockConverse"),
    ],
    module: "llmeter.endpoints.bedrock",
    endpoint_name: "amazon bedrock",
    provider: "bedrock",
    key_variable: Some("AWS_BEARER_TOKEN_BEDROCK"),
    system_fields: &["system"],
    prompt_fields: &["messages"],
    limit_fields: &[&["inferenceConfig", "maxTokens"]],
    inputs: INPUTS,
    framing: Framing::EventStream,
    service: Some(Service::Bedrock),
    takes_bytes: true,
    ..ApiSpec::DEFAULT
};

impl Api for BedrockConverse {
    fn spec(&self) -> &'static ApiSpec {
        &SPEC
    }

    fn payload(&self, prompt: &PromptParts<'_>, max_tokens: u64, _: bool) -> Payload {
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
        let content: Value = prompt.parts.iter().map(block).collect();
        let mut payload = Payload::new();
        payload.insert(
            "messages".into(),
            json!([{"role": "user", "content": content}]),
        );
        if let Some(text) = prompt.system {
            payload.insert("system".into(), json!([{"text": text}]));
        }
        let config = json!({"maxTokens": max_tokens});
        payload.insert("inferenceConfig".into(), config);
        payload
    }

    fn add_extra(&self, payload: &mut Payload, extra: Payload) {
        let made = payload.shift_remove("inferenceConfig").unwrap_or_default();
        payload.extend(extra);
        match payload.get_mut("inferenceConfig") {
            Some(Value::Object(config)) => {
                let limit = made["maxTokens"].clone();
                config.entry("maxTokens").or_insert(limit);
            }
            None | Some(Value::Null) => {
                payload.insert("inferenceConfig".into(), made);
            }
            Some(_) => {}
        }
    }

    fn configure(&self, setup: &mut EndpointSetup) -> Result<Option<Arc<dyn Api>>> {
        let inference_config = match setup.own.get("inference_config") {
            None | Some(Value::Null) => None,
            Some(config @ Value::Object(_)) => Some(config.clone()),
            Some(other) => return Err(Error::field("inference_config", other, "an object")),
        };
        Ok(Some(Arc::new(Self { inference_config })))
    }

    fn prepare(&self, payload: &mut Payload, model: Option<&str>, _: bool) {
        if payload.get("inferenceConfig").is_none_or(Value::is_null) {
            let config = self.inference_config.clone().unwrap_or_else(|| json!({}));
            payload.insert("inferenceConfig".into(), config);
        }
        if let Some(model) = model {
            payload.insert("modelId".into(), json!(model));
        }
    }

    fn prompt_text(&self, payload: &Payload) -> Option<String> {
        // A content that is a text is none of this API's.
        let messages = payload.get("messages").and_then(Value::as_array);
        let messages = messages.into_iter().flatten();
        let blocks = messages.flat_map(|message| list(message, "content"));
        let texts: Vec<&str> = blocks.filter_map(|block| block["text"].as_str()).collect();
        Some(texts.join("\n"))
    }

    fn body(&self, payload: &Payload) -> Result<Vec<u8>, EndpointError> {
        aws::body(payload, "modelId")
    }

    fn path(&self, setup: &EndpointSetup) -> Result<String> {
        Ok(aws::model_path(setup, "converse-stream", "converse"))
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        aws::Decoder::boxed("Bedrock", Decoder::new(decode::Converse::default()))
    }

    fn saved_fields(&self, streaming: bool) -> Vec<(&'static str, Value)> {
        let mut fields = unset(&["model_id", "endpoint_name", "region", "inference_config"]);
        fields.push(("max_attempts", json!(MAX_ATTEMPTS)));
        if streaming {
            fields.push(("ttft_visible_tokens_only", json!(false)));
        }
        fields
    }
}
