//! What users say of endpoints.

use secrecy::SecretString;

#[cfg(feature = "aws")]
use super::AwsOptions;

/// What a user says of an endpoint, whichever API it speaks.
#[derive(Debug, Clone, Default)]
pub struct EndpointSettings {
    /// Where the API is; `None` is the provider's own address, if it has one.
    pub base_url: Option<String>,
    /// Whether that address, or how it is reached, is from a file that may be somebody else's, so that
    /// a run asks before it sends a secret there.
    pub is_address_from_file: bool,
    /// The environment variable that the key is from, to name it by.
    pub api_key_name: Option<String>,
    /// The model to ask for.
    pub model: Option<String>,
    /// The key; a server that needs none can go without.
    pub api_key: Option<SecretString>,
    /// The region, for the APIs of AWS; `None` is what the environment says.
    pub region: Option<String>,
    /// Who runs the API, where several do: Claude's messages come from `anthropic`, `bedrock`,
    /// `bedrock-mantle`, `vertex` or `foundry`. Elsewhere it is a name for the record; `None` is the
    /// API's usual one.
    pub provider: Option<String>,
    /// Further headers of every request.
    pub headers: Vec<(String, SecretString)>,
    /// Where parts of a response are, for the APIs that leave its shape to the model or the server:
    /// names of [`RESPONSE_PARTS`](super::RESPONSE_PARTS) with JMESPath expressions.
    pub jmespath: Vec<(String, String)>,
    /// The template of a body; only for `http`, like the next two.
    pub body: Option<String>,
    /// The HTTP method; POST if not set.
    pub method: Option<String>,
    /// How a streaming response is framed: `none`, `sse`, `ndjson` or `event-stream`.
    pub framing: Option<String>,
    /// Credentials of AWS; `None` is what the environment says.
    #[cfg(feature = "aws")]
    pub aws: Option<AwsOptions>,
}
