//! The flags that say whom to ask and what to send; several commands take them.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use llmeter::endpoint::{APIS, Api};
use llmeter::storage::Location;
use serde::Deserialize;

/// Whom to ask.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[command(next_help_heading = "Endpoint")]
pub(crate) struct EndpointArguments {
    /// API to speak [default: openai-chat-stream]
    #[arg(long, value_name = "API", value_parser = api_names())]
    #[serde(deserialize_with = "endpoint_setting")]
    pub(crate) endpoint: Option<String>,
    /// Address of the API, as its own SDK takes it: for OpenAI's with /v1; behind a Unix socket
    /// written like unix:/run/llm.sock:/v1
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// Model to ask for
    #[arg(long, value_name = "ID")]
    pub(crate) model: Option<String>,
    /// AWS region [default: AWS_REGION, AWS_DEFAULT_REGION, or the profile's]
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// Environment variable that holds the API key [default: OPENAI_API_KEY, or what is usual for
    /// the API]
    ///
    /// A variable that is not set is fine for a server that needs no key.
    #[arg(long, value_name = "VAR")]
    pub(crate) api_key_env: Option<String>,
    /// Header line to send with every request (repeatable)
    #[arg(long = "header", value_name = "K: V")]
    #[serde(rename = "header", deserialize_with = "headers_setting")]
    pub(crate) headers: Vec<String>,
    /// Certificates to trust instead of the system's, as a PEM file
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Take any certificate: anybody could be the server
    #[arg(long, conflicts_with = "ca_file")]
    pub(crate) insecure: bool,
    /// HTTP proxy to go through, like http://user:password@proxy:3128 [default: what HTTPS_PROXY,
    /// HTTP_PROXY, ALL_PROXY and NO_PROXY say; never for this machine's own addresses]
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,
    /// Go through no proxy, whatever the environment says
    #[arg(long, conflicts_with = "proxy")]
    pub(crate) no_proxy: bool,
}

/// What to send.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[command(next_help_heading = "Payload")]
pub(crate) struct PayloadArguments {
    /// Text to send as one user message
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
    /// Payloads to send: a JSON or JSONL file, or a folder of them
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    pub(crate) payload: Option<Location>,
    /// Most tokens to generate, with --prompt [default: 256]
    #[arg(long, value_name = "N", conflicts_with = "payload")]
    pub(crate) max_tokens: Option<u64>,
}

/// The APIs that `--endpoint` takes.
fn api_names() -> PossibleValuesParser {
    let value = |api: &Api| PossibleValue::new(api.name).help(api.about());
    APIS.iter().map(value).collect::<Vec<_>>().into()
}

/// The name of an API; a wrong one is refused where it stands in the file.
fn endpoint_setting<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(deserializer)?;
    Api::named(&name).map_err(serde::de::Error::custom)?;
    Ok(Some(name))
}

/// Header lines in a configuration file: one text or a list.
fn headers_setting<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a text like \"Name: value\", or a list of them")]
    enum Setting {
        One(String),
        List(Vec<String>),
    }
    Ok(match Setting::deserialize(deserializer)? {
        Setting::One(line) => vec![line],
        Setting::List(lines) => lines,
    })
}
