//! Amazon Bedrock's InvokeModel API, streaming or not: bodies in the model's own shape, in which
//! JMESPath finds texts and counts.

mod decode;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::aws::MAX_ATTEMPTS;
use super::jmespath::Path;
use super::json_frames::Decoder;
use super::*;

/// Bedrock's InvokeModel API, for a model, an inference profile, or the ARN of either.
///
/// Where a response or a chunk of one has its text and its counts, and a payload its prompt, is said
/// in JMESPath: the parts `text`, `output-tokens`, `prompt` and `input-tokens` of
/// [`EndpointBuilder::jmespath`](crate::endpoint::EndpointBuilder::jmespath). If it is not, it is
/// where chat completions have it.
///
/// A payload has the shape of chat completions, with one user message for each text, after a system
/// message if the prompt has a system text. Each model wants media in a shape of its own.
#[derive(Debug, Clone)]
pub struct BedrockInvoke {
    generated_text: Path,
    generated_token_count: Path,
    input_text: Path,
    input_token_count: Path,
}

/// The API without settings of its own.
pub(super) static DEFAULT: BedrockInvoke = BedrockInvoke {
    generated_text: Path::UNSET,
    generated_token_count: Path::UNSET,
    input_text: Path::UNSET,
    input_token_count: Path::UNSET,
};

entry_points!(BedrockInvoke by model);

const SPEC: ApiSpec = ApiSpec {
    about: "Amazon Bedrock InvokeModel",
    modes: &[
        Mode::streaming("bedrock-invoke-stream", "BedrockInvokeStream"),
        Mode::non_streaming("bedrock-invoke", "BedrockInvoke"),
    ],
    module: "llmeter.endpoints.bedrock_invoke",
    endpoint_name: "amazon bedrock",
    provider: "bedrock",
    key_variable: Some("AWS_BEARER_TOKEN_BEDROCK"),
    response_parts: &[
        ("text", "generated_text_jmespath"),
        ("output-tokens", "generated_token_count_jmespath"),
        ("prompt", "input_text_jmespath"),
        ("input-tokens", "input_token_count_jmespath"),
    ],
    system_fields: &["system"],
    prompt_fields: &["messages", "prompt"],
    // Each model's maker has a name of its own.
    limit_fields: &[
        &["max_tokens"],
        &["max_tokens_to_sample"],
        &["maxTokens"],
        &["max_gen_len"],
        &["inferenceConfig", "maxTokens"],
        &["inferenceConfig", "max_new_tokens"],
        &["textGenerationConfig", "maxTokenCount"],
    ],
    inputs: INPUTS,
    framing: Framing::EventStream,
    service: Some(Service::Bedrock),
    takes_bytes: true,
    ..ApiSpec::DEFAULT
};

const INPUTS: SupportedInputs = SupportedInputs {
    system: true,
    instead: ": each model wants media in a shape of its own; use bedrock-converse, or a payload file",
    ..SupportedInputs::of_texts("Bedrock InvokeModel")
};

impl Api for BedrockInvoke {
    fn spec(&self) -> &'static ApiSpec {
        &SPEC
    }

    fn payload(&self, prompt: &PromptParts<'_>, max_tokens: u64, _: bool) -> Payload {
        let message = |role: &str, text: &str| json!({"role": role, "content": [{"text": text, "type": "text"}]});
        let system = prompt.system.iter().map(|text| message("system", text));
        let texts = prompt.texts();
        let user = texts.iter().map(|text| message("user", text));
        let mut payload = Payload::new();
        payload.insert("messages".into(), system.chain(user).collect());
        payload.insert("max_tokens".into(), json!(max_tokens));
        payload
    }

    fn configure(&self, setup: &mut EndpointSetup) -> Result<Option<Arc<dyn Api>>> {
        let path = |part, field| Path::new(part, setup.own_text(field).unwrap_or_default());
        Ok(Some(Arc::new(Self {
            generated_text: path("text", "generated_text_jmespath")?,
            generated_token_count: path("output-tokens", "generated_token_count_jmespath")?,
            input_text: path("prompt", "input_text_jmespath")?,
            input_token_count: path("input-tokens", "input_token_count_jmespath")?,
        })))
    }

    fn prepare(&self, _: &mut Payload, _: Option<&str>, _: bool) {}

    fn prompt_text(&self, payload: &Payload) -> Option<String> {
        aws::prompt_text(&self.input_text, payload)
    }

    fn body(&self, payload: &Payload) -> Result<Vec<u8>, EndpointError> {
        aws::body(payload, "")
    }

    fn path(&self, setup: &EndpointSetup) -> Result<String> {
        Ok(aws::model_path(
            setup,
            "invoke-with-response-stream",
            "invoke",
        ))
    }

    fn accept(&self, _: bool) -> &'static str {
        "application/json"
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        aws::Decoder::boxed("Bedrock", Decoder::new(self.clone()))
    }

    fn saved_fields(&self, streaming: bool) -> Vec<(&'static str, Value)> {
        let mut fields = unset(&["model_id", "endpoint_name", "region"]);
        let [text, output_tokens, input_tokens] = if streaming {
            [
                "choices[0].delta.content",
                "\"amazon-bedrock-invocationMetrics\".outputTokenCount",
                "\"amazon-bedrock-invocationMetrics\".inputTokenCount",
            ]
        } else {
            [
                "choices[0].message.content",
                "usage.completion_tokens",
                "usage.prompt_tokens",
            ]
        };
        fields.extend([
            ("max_attempts", json!(MAX_ATTEMPTS)),
            ("generated_text_jmespath", text.into()),
            ("generated_token_count_jmespath", output_tokens.into()),
            ("input_text_jmespath", "messages[].content[].text".into()),
            ("input_token_count_jmespath", input_tokens.into()),
        ]);
        fields
    }
}
