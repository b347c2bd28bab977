//! Amazon SageMaker's InvokeEndpoint, streaming or not, with text generation containers behind it.

mod decode;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::aws::media_block;
use super::jmespath::Path;
use super::json_frames::Decoder;
use super::*;
use crate::base::error::Error;
use crate::endpoint::EndpointBuilder;
use crate::payload::Prompt;

/// Amazon SageMaker's InvokeEndpoint.
///
/// Where a non-streaming response has its text, every response its count of tokens, and a payload its
/// prompt, is said in JMESPath: the parts `text`, `output-tokens` and `prompt` of
/// [`EndpointBuilder::jmespath`]. If it is not, it is where text generation containers have it.
///
/// A payload has a text, or a list of texts and media, which are those of Bedrock Converse.
#[derive(Debug, Clone)]
pub struct SageMaker {
    generated_text: Path,
    input_text: Path,
    token_count: Path,
}

/// The API without settings of its own.
pub(super) static DEFAULT: SageMaker = SageMaker {
    generated_text: Path::UNSET,
    input_text: Path::UNSET,
    token_count: Path::UNSET,
};

impl SageMaker {
    /// Settings of a SageMaker endpoint by its name; `model_id` says for people which model is
    /// behind it.
    pub fn builder(
        endpoint_name: impl Into<String>,
        model_id: impl Into<String>,
    ) -> EndpointBuilder {
        EndpointBuilder::new(&DEFAULT, "", model_id).endpoint_name(endpoint_name)
    }

    /// A payload of a prompt. `extra` is added last and wins.
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
        mode::create_payload(&DEFAULT, &prompt.into(), max_tokens, streaming, extra)
    }
}

const SPEC: ApiSpec = ApiSpec {
    about: "Amazon SageMaker",
    modes: &[
        Mode::streaming("sagemaker-stream", "SageMakerStreamEndpoint"),
        Mode::non_streaming("sagemaker", "SageMakerEndpoint"),
    ],
    module: "llmeter.endpoints.sagemaker",
    provider: "sagemaker",
    response_parts: &[
        ("text", "generated_text_jmespath"),
        ("output-tokens", "token_count_jmespath"),
        ("prompt", "input_text_jmespath"),
    ],
    prompt_fields: &["inputs"],
    limit_fields: &[&["parameters", "max_new_tokens"]],
    inputs: INPUTS,
    framing: Framing::EventStream,
    service: Some(Service::SageMaker),
    takes_bytes: true,
    ..ApiSpec::DEFAULT
};

const INPUTS: SupportedInputs = SupportedInputs {
    api: "SageMaker",
    system: false,
    ..aws::INPUTS
};

impl Api for SageMaker {
    fn spec(&self) -> &'static ApiSpec {
        &SPEC
    }

    fn payload(&self, prompt: &PromptParts<'_>, max_tokens: u64, streaming: bool) -> Payload {
        let inputs = prompt.content(|part| match *part {
            Part::Text(text) => json!({"text": text}),
            Part::Media(media, format) => media_block(media, format, Payload::new()),
        });
        let mut payload = Payload::new();
        payload.insert("inputs".into(), inputs);
        let parameters = json!({"max_new_tokens": max_tokens, "details": true});
        payload.insert("parameters".into(), parameters);
        if streaming {
            payload.insert("stream".into(), json!(true));
        }
        payload
    }

    fn configure(&self, setup: &mut EndpointSetup) -> Result<Option<Arc<dyn Api>>> {
        let path = |part, field| Path::new(part, setup.own_text(field).unwrap_or_default());
        Ok(Some(Arc::new(Self {
            generated_text: path("text", "generated_text_jmespath")?,
            input_text: path("prompt", "input_text_jmespath")?,
            token_count: path("output-tokens", "token_count_jmespath")?,
        })))
    }

    fn prepare(&self, payload: &mut Payload, _: Option<&str>, streaming: bool) {
        if streaming {
            payload.entry("stream").or_insert(json!(true));
            // Containers refuse it in streams.
            if let Some(Value::Object(parameters)) = payload.get_mut("parameters") {
                parameters.shift_remove("decoder_input_details");
            }
        }
    }

    fn prompt_text(&self, payload: &Payload) -> Option<String> {
        aws::prompt_text(&self.input_text, payload)
    }

    fn body(&self, payload: &Payload) -> Result<Vec<u8>, EndpointError> {
        aws::body(payload, "")
    }

    fn path(&self, setup: &EndpointSetup) -> Result<String> {
        let name = path_segment(&setup.identity.endpoint_name);
        if name.is_empty() {
            return Err(Error::missing_like(Setting::Model, "my-sagemaker-endpoint"));
        }
        let operation = if setup.streaming {
            "invocations-response-stream"
        } else {
            "invocations"
        };
        Ok(format!("endpoints/{name}/{operation}"))
    }

    fn accept(&self, _: bool) -> &'static str {
        "application/json"
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        let inner = Decoder::new(decode::Container {
            api: self.clone(),
            token_lines: 0,
        });
        aws::Decoder::boxed("SageMaker", decode::Lines::new(inner))
    }

    fn saved_fields(&self, _: bool) -> Vec<(&'static str, Value)> {
        vec![
            ("endpoint_name", Value::Null),
            ("model_id", Value::Null),
            ("generated_text_jmespath", "generated_text".into()),
            ("input_text_jmespath", "inputs".into()),
            ("token_count_jmespath", "details.generated_tokens".into()),
            ("region", Value::Null),
        ]
    }
}
