//! What the APIs of Amazon Web Services have in common.
//!
//! Belongs here: addresses, requests, AWS's form of errors, bytes in JSON. Does not belong here:
//! credentials and signatures, which others need, too (`crate::aws`); what a request asks for and what
//! an answer means (`bedrock_converse`, `bedrock_invoke`, `sagemaker`).

mod access;
mod api;
mod options;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

pub(crate) use super::access::path_segment;
pub(crate) use super::jmespath::Path;
pub(crate) use crate::api::aws_media::{INTAKE, media_block};
pub(crate) use access::AwsAccess;
pub(crate) use api::AwsApi;
pub use options::AwsOptions;

use super::SavedObject;
use super::failure::excerpt;
use super::lenient::lenient_json;
use crate::aws::host_suffix;
use crate::base::error::Result;
use crate::payload::bytes_of;

/// A service of AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Bedrock,
    /// Bedrock's newer address, which speaks the APIs of the models' makers.
    BedrockMantle,
    SageMaker,
}

impl Service {
    /// The name in signatures.
    fn signing_name(self) -> &'static str {
        match self {
            Self::Bedrock => "bedrock",
            Self::BedrockMantle => "bedrock-mantle",
            Self::SageMaker => "sagemaker",
        }
    }

    /// The variables with an address to use instead of Amazon's; the first counts most.
    fn endpoint_variables(self) -> &'static [&'static str] {
        match self {
            Self::Bedrock => &["AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL"],
            Self::BedrockMantle => &["ANTHROPIC_BEDROCK_MANTLE_BASE_URL"],
            Self::SageMaker => &["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "AWS_ENDPOINT_URL"],
        }
    }

    /// Whether the AWS tools know it, so that addresses in profiles are meant for it, too.
    fn is_of_aws_tools(self) -> bool {
        self != Self::BedrockMantle
    }

    /// Whether it takes API keys in place of signatures.
    fn takes_api_keys(self) -> bool {
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

/// A value as JSON for AWS: marked bytes become base64.
pub(crate) fn with_base64(value: &Value) -> Value {
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

/// What a chunk of an InvokeModel stream holds.
///
/// # Errors
/// If it holds no bytes.
pub(crate) fn chunk_bytes(data: &[u8]) -> Result<Vec<u8>, String> {
    let bytes = lenient_json(data).ok().and_then(|value| {
        let bytes = value.get("bytes")?.as_str()?;
        STANDARD.decode(bytes).ok()
    });
    bytes.ok_or_else(|| format!("holds no bytes in base64: {}", excerpt(data)))
}

/// What an AWS endpoint's saved state says of its access, credentials taken from the environment.
pub(crate) fn saved_options(saved: &SavedObject, key_variable: &str) -> Result<AwsOptions> {
    let mut options = AwsOptions::from_environment();
    if let Some(region) = saved.text("region")? {
        options = options.region(region);
    }
    if let Some(base_url) = saved.text("base_url")? {
        options = options.base_url(base_url);
    }
    if let Ok(key) = std::env::var(key_variable) {
        options = options.bearer_token(key);
    }
    for (name, value) in super::access::pairs(&saved.state, "default_headers") {
        options = options.header(name, value);
    }
    Ok(options)
}

/// The number of attempts that the Python system's client makes unless told otherwise.
pub(crate) const MAX_ATTEMPTS: u64 = 3;

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
