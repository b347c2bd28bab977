//! Amazon SageMaker's InvokeEndpoint, streaming or not, with text generation containers behind it.

mod decode;
mod saved;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use super::supported_inputs::{Intake, Part, check_limit, content};
use super::{Endpoint, EndpointError, FrameDecoder, Identity, SavedObject, Transport};
use crate::aws::Refusal;
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::endpoint::aws::{
    self, AwsAccess, AwsApi, AwsOptions, Path, Service, media_block, path_segment,
};
use crate::payload::{Payload, Prompt};

/// A model behind an endpoint of SageMaker.
#[derive(Debug, Clone)]
pub struct SageMaker {
    identity: Identity,
    streaming: bool,
    aws: AwsAccess,
    path: String,
    generated_text: Path,
    input_text: Path,
    token_count: Path,
}

/// Settings of a [`SageMaker`] endpoint.
#[derive(Debug, Clone)]
#[must_use = "a builder makes nothing until `build` is called"]
pub struct SageMakerBuilder {
    endpoint_name: String,
    model_id: String,
    streaming: bool,
    aws: AwsOptions,
    generated_text: String,
    input_text: String,
    token_count: String,
}

impl SageMakerBuilder {
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

    /// Where the text is in an answer that comes at once; `generated_text` if not set.
    pub fn generated_text_jmespath(mut self, path: impl Into<String>) -> Self {
        self.generated_text = path.into();
        self
    }

    /// Where the prompt's texts are in a payload; `inputs` if not set.
    pub fn input_text_jmespath(mut self, path: impl Into<String>) -> Self {
        self.input_text = path.into();
        self
    }

    /// Where the count of output tokens is; `details.generated_tokens` if not set.
    pub fn token_count_jmespath(mut self, path: impl Into<String>) -> Self {
        self.token_count = path.into();
        self
    }

    /// Checks the settings and makes the endpoint.
    ///
    /// # Errors
    /// When the endpoint or the region is missing, or a setting cannot be used. No message holds
    /// a secret.
    pub fn build(self) -> Result<SageMaker> {
        if self.endpoint_name.trim().is_empty() {
            return Err(Error::missing_like(Setting::Model, "my-sagemaker-endpoint"));
        }
        let operation = if self.streaming {
            "invocations-response-stream"
        } else {
            "invocations"
        };
        let name = path_segment(&self.endpoint_name);
        Ok(SageMaker {
            path: format!("endpoints/{name}/{operation}"),
            identity: Identity {
                model_id: self.model_id,
                endpoint_name: self.endpoint_name,
                provider: "sagemaker".to_owned(),
            },
            streaming: self.streaming,
            aws: AwsAccess::new(&self.aws, Service::SageMaker)?,
            generated_text: Path::new("text", &self.generated_text)?,
            input_text: Path::new("prompt", &self.input_text)?,
            token_count: Path::new("output-tokens", &self.token_count)?,
        })
    }
}

const INTAKE: Intake = Intake {
    api: "SageMaker",
    system: false,
    ..aws::INTAKE
};

impl SageMaker {
    /// A SageMaker endpoint by its name; `model_id` says for people which model is behind it.
    pub fn builder(
        endpoint_name: impl Into<String>,
        model_id: impl Into<String>,
    ) -> SageMakerBuilder {
        SageMakerBuilder {
            endpoint_name: endpoint_name.into(),
            model_id: model_id.into(),
            streaming: true,
            aws: AwsOptions::from_environment(),
            generated_text: "generated_text".to_owned(),
            input_text: "inputs".to_owned(),
            token_count: "details.generated_tokens".to_owned(),
        }
    }

    /// A payload with a text, or with a list of texts and media, which are those of Bedrock Converse.
    ///
    /// `extra` is added last and wins over what this function makes.
    ///
    /// # Errors
    /// When `max_tokens` is 0, or the prompt has no item, a system text, or media of a type that is
    /// not listed.
    pub fn create_payload(
        prompt: impl Into<Prompt>,
        max_tokens: u64,
        streaming: bool,
        extra: Payload,
    ) -> Result<Payload> {
        check_limit(max_tokens)?;
        let prompt = prompt.into();
        let inputs = content(&INTAKE.parts(&prompt)?, |part| match *part {
            Part::Text(text) => json!({"text": text}),
            Part::Media(media, format) => media_block(media, format, Payload::new()),
        });
        let mut payload = Payload::new();
        payload.insert("inputs".into(), inputs);
        payload.insert(
            "parameters".into(),
            json!({"max_new_tokens": max_tokens, "details": true}),
        );
        if streaming {
            payload.insert("stream".into(), json!(true));
        }
        payload.extend(extra);
        Ok(payload)
    }
}

impl Endpoint for SageMaker {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn is_streaming(&self) -> bool {
        self.streaming
    }

    fn prepare_payload(&self, payload: &mut Payload) -> Result<(), EndpointError> {
        if self.streaming {
            payload.entry("stream").or_insert(json!(true));
            // Containers refuse it in streams.
            if let Some(Value::Object(parameters)) = payload.get_mut("parameters") {
                parameters.shift_remove("decoder_input_details");
            }
        }
        Ok(())
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

impl AwsApi for SageMaker {
    fn aws(&self) -> &AwsAccess {
        &self.aws
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn frame_decoder(&self) -> Box<dyn FrameDecoder> {
        Box::new(decode::Decoder {
            generated_text: self.generated_text.clone(),
            token_count: self.token_count.clone(),
            line: Vec::new(),
            parts: 0,
            token_lines: 0,
            refusal: Refusal::default(),
        })
    }
}
