//! Amazon Bedrock's InvokeModel API, streaming or not: bodies in the model's own shape, in which
//! JMESPath finds texts and counts.

mod decode;
mod saved;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use super::supported_inputs::{Intake, check_limit};
use super::{Endpoint, FrameDecoder, Identity, SavedObject, Transport};
use crate::aws::Refusal;
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::endpoint::aws::{
    AwsAccess, AwsApi, AwsOptions, MAX_ATTEMPTS, Path, Service, path_segment,
};
use crate::payload::{Payload, Prompt};

/// A model behind Bedrock's InvokeModel API.
#[derive(Debug, Clone)]
pub struct BedrockInvoke {
    identity: Identity,
    streaming: bool,
    aws: AwsAccess,
    path: String,
    max_attempts: Value,
    generated_text: Path,
    generated_token_count: Path,
    input_text: Path,
    input_token_count: Path,
}

/// Settings of a [`BedrockInvoke`] endpoint.
#[derive(Debug, Clone)]
#[must_use = "a builder makes nothing until `build` is called"]
pub struct BedrockInvokeBuilder {
    model_id: String,
    endpoint_name: String,
    streaming: bool,
    aws: AwsOptions,
    max_attempts: Value,
    generated_text: Option<String>,
    generated_token_count: Option<String>,
    input_text: Option<String>,
    input_token_count: Option<String>,
}

impl BedrockInvokeBuilder {
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

    /// Where the text is in an answer, or in a chunk of one. If not set:
    /// `choices[0].message.content`, in chunks `choices[0].delta.content`.
    pub fn generated_text_jmespath(mut self, path: impl Into<String>) -> Self {
        self.generated_text = Some(path.into());
        self
    }

    /// Where the count of output tokens is. If not set: `usage.completion_tokens`, in chunks
    /// `"amazon-bedrock-invocationMetrics".outputTokenCount`.
    pub fn generated_token_count_jmespath(mut self, path: impl Into<String>) -> Self {
        self.generated_token_count = Some(path.into());
        self
    }

    /// Where the prompt's texts are in a payload; `messages[].content[].text` if not set.
    pub fn input_text_jmespath(mut self, path: impl Into<String>) -> Self {
        self.input_text = Some(path.into());
        self
    }

    /// Where the count of input tokens is. If not set: `usage.prompt_tokens`, in chunks
    /// `"amazon-bedrock-invocationMetrics".inputTokenCount`.
    pub fn input_token_count_jmespath(mut self, path: impl Into<String>) -> Self {
        self.input_token_count = Some(path.into());
        self
    }

    /// Checks the settings and makes the endpoint.
    ///
    /// # Errors
    /// When the model or the region is missing, or a setting cannot be used. No message holds a
    /// secret.
    pub fn build(self) -> Result<BedrockInvoke> {
        if self.model_id.trim().is_empty() {
            return Err(Error::missing(Setting::Model));
        }
        let streaming = self.streaming;
        let path = |part: &str, given: &Option<String>, whole: &str, chunk: &str| {
            let usual = if streaming { chunk } else { whole };
            Path::new(part, given.as_deref().unwrap_or(usual))
        };
        let operation = if streaming {
            "invoke-with-response-stream"
        } else {
            "invoke"
        };
        Ok(BedrockInvoke {
            generated_text: path(
                "generated_text_jmespath",
                &self.generated_text,
                "choices[0].message.content",
                "choices[0].delta.content",
            )?,
            generated_token_count: path(
                "generated_token_count_jmespath",
                &self.generated_token_count,
                "usage.completion_tokens",
                "\"amazon-bedrock-invocationMetrics\".outputTokenCount",
            )?,
            input_text: path(
                "input_text_jmespath",
                &self.input_text,
                "messages[].content[].text",
                "messages[].content[].text",
            )?,
            input_token_count: path(
                "input_token_count_jmespath",
                &self.input_token_count,
                "usage.prompt_tokens",
                "\"amazon-bedrock-invocationMetrics\".inputTokenCount",
            )?,
            path: format!("model/{}/{operation}", path_segment(&self.model_id)),
            identity: Identity {
                model_id: self.model_id,
                endpoint_name: self.endpoint_name,
                provider: "bedrock".to_owned(),
            },
            streaming,
            aws: AwsAccess::new(&self.aws, Service::Bedrock)?,
            max_attempts: self.max_attempts,
        })
    }
}

const INTAKE: Intake = Intake {
    system: true,
    instead: ": each model wants media in a shape of its own; use bedrock-converse, or a payload file",
    ..Intake::of_texts("Bedrock InvokeModel")
};

impl BedrockInvoke {
    /// An endpoint for a model, an inference profile, or the ARN of either.
    pub fn builder(model_id: impl Into<String>) -> BedrockInvokeBuilder {
        BedrockInvokeBuilder {
            model_id: model_id.into(),
            endpoint_name: "amazon bedrock".to_owned(),
            streaming: true,
            aws: AwsOptions::from_environment(),
            max_attempts: json!(MAX_ATTEMPTS),
            generated_text: None,
            generated_token_count: None,
            input_text: None,
            input_token_count: None,
        }
    }

    /// A payload in the shape of chat completions, with one user message for each text, after a
    /// system message if the prompt has a system text.
    ///
    /// `extra` is added last and wins over what this function makes.
    ///
    /// # Errors
    /// When `max_tokens` is 0, or the prompt has no item or media: each model wants them in a shape
    /// of its own.
    pub fn create_payload(
        prompt: impl Into<Prompt>,
        max_tokens: u64,
        extra: Payload,
    ) -> Result<Payload> {
        check_limit(max_tokens)?;
        let prompt = prompt.into();
        let texts = INTAKE.texts(&prompt)?;
        let message = |role: &str, text: &str| json!({"role": role, "content": [{"text": text, "type": "text"}]});
        let system = prompt.system.iter().map(|text| message("system", text));
        let user = texts.iter().map(|text| message("user", text));
        let messages: Value = system.chain(user).collect();
        let mut payload = Payload::new();
        payload.insert("messages".into(), messages);
        payload.insert("max_tokens".into(), json!(max_tokens));
        payload.extend(extra);
        Ok(payload)
    }
}

impl Endpoint for BedrockInvoke {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn is_streaming(&self) -> bool {
        self.streaming
    }

    fn prompt_text(&self, payload: &Payload) -> Option<Value> {
        let texts = self
            .input_text
            .find_texts(&Value::Object(payload.clone()))?;
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

impl AwsApi for BedrockInvoke {
    fn aws(&self) -> &AwsAccess {
        &self.aws
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn frame_decoder(&self) -> Box<dyn FrameDecoder> {
        Box::new(decode::Decoder {
            generated_text: self.generated_text.clone(),
            generated_token_count: self.generated_token_count.clone(),
            input_token_count: self.input_token_count.clone(),
            chunks: 0,
            refusal: Refusal::default(),
        })
    }
}
