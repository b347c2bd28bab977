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
    #[arg(long, visible_alias = "url", value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// Model to ask for
    #[arg(long, value_name = "ID")]
    pub(crate) model: Option<String>,
    /// Who runs the API: for anthropic-messages anthropic, bedrock, bedrock-mantle, vertex or foundry
    ///
    /// Each has its own address and its own credentials. For other APIs it is a name in the results.
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// Region, for AWS and Vertex [default: AWS_REGION, AWS_DEFAULT_REGION, the profile's, or the
    /// instance's; for Vertex CLOUD_ML_REGION]
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

    /// Speak HTTP/2: over TLS if the server agrees, without TLS without asking
    ///
    /// Each client still has a connection of its own with one request on it, so that the load is the
    /// same. Receive stamps are then taken after the read, whatever --stamps says.
    #[arg(long)]
    pub(crate) http2: bool,

    /// Template of a request's body, or @FILE with one [default: {{ payload }}]
    ///
    /// A minijinja template of a JSON document in which every value is written as JSON, texts with
    /// their quotes. It knows the fields of the payload (prompt and max_tokens of --prompt), payload
    /// (all of it), model, and api_key: '{"inputs": {{ prompt }}, "limit": {{ max_tokens }}}'.
    #[arg(long, value_name = "TEMPLATE", help_heading = ANY_API)]
    pub(crate) body: Option<String>,
    /// How the answer is framed; none for one that comes at once [default: none]
    #[arg(long, value_name = "HOW", value_parser = ["none", "sse", "ndjson", "event-stream"], help_heading = ANY_API)]
    pub(crate) framing: Option<String>,
    /// Where a part of the answer, or of a frame of it, is (repeatable)
    ///
    /// Parts: text, reasoning, tool-call, id, error, end (true in the last frame, or why it ended),
    /// input-tokens, output-tokens, cached-tokens, reasoning-tokens, and, in the payload, prompt.
    /// bedrock-invoke and sagemaker take text, prompt, output-tokens (bedrock-invoke: input-tokens).
    #[arg(long = "jmespath", value_name = "PART=EXPRESSION", value_parser = parse_place, help_heading = ANY_API)]
    #[serde(deserialize_with = "jmespath_setting")]
    pub(crate) jmespath: Vec<(String, String)>,
    /// HTTP method [default: POST]
    #[arg(long, value_name = "METHOD", help_heading = ANY_API)]
    pub(crate) method: Option<String>,
}

/// The heading of what only APIs need whose shape llmeter does not know.
const ANY_API: &str = "Any other API (--endpoint http)";

/// What to send.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[command(next_help_heading = "Payload")]
pub(crate) struct PayloadArguments {
    /// Text to send as one user message, or @FILE with it (@@… for a text that begins with @)
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
    /// What the model is told before the message, or @FILE with it: system text, instructions
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// Image to send with the prompt (repeatable)
    ///
    /// Of which type a file is, its content tells, or else how its name ends. A message has its
    /// images first, then documents, audio and videos, each in the order of the flags, and then the
    /// text, which may be missing. `llmeter payload` shows what comes of it.
    #[arg(long = "image", value_name = "FILE")]
    #[serde(rename = "image", deserialize_with = "files_setting")]
    pub(crate) images: Vec<Location>,
    /// Document to send with the prompt: PDF, text, … (repeatable)
    #[arg(long = "document", value_name = "FILE")]
    #[serde(rename = "document", deserialize_with = "files_setting")]
    pub(crate) documents: Vec<Location>,
    /// Audio to send with the prompt (repeatable)
    #[arg(long = "audio", value_name = "FILE")]
    #[serde(deserialize_with = "files_setting")]
    pub(crate) audio: Vec<Location>,
    /// Video to send with the prompt (repeatable)
    #[arg(long = "video", value_name = "FILE")]
    #[serde(rename = "video", deserialize_with = "files_setting")]
    pub(crate) videos: Vec<Location>,
    /// Payloads to send: a JSON or JSONL file, or a folder of them
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["prompt", "system", "images", "documents", "audio", "videos"]
    )]
    pub(crate) payload: Option<Location>,
    /// Most tokens to generate, with --prompt [default: 256]
    #[arg(long, value_name = "N", conflicts_with = "payload")]
    pub(crate) max_tokens: Option<u64>,
}

/// `PART=EXPRESSION`.
fn parse_place(text: &str) -> Result<(String, String), String> {
    let place = text.split_once('=');
    let place = place.map(|(part, path)| (part.trim().to_owned(), path.trim().to_owned()));
    place.ok_or_else(|| "no place; write it like text=choices[0].text".to_owned())
}

/// Expressions in a configuration file: a table by their parts, or a list like that of the flags.
fn jmespath_setting<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(String, String)>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a table like { text = \"choices[0].text\" }")]
    enum Setting {
        Table(std::collections::BTreeMap<String, String>),
        List(Vec<String>),
    }
    match Setting::deserialize(deserializer)? {
        Setting::Table(places) => Ok(places.into_iter().collect()),
        Setting::List(places) => {
            let places = places.iter().map(|text| parse_place(text));
            places
                .collect::<Result<_, _>>()
                .map_err(serde::de::Error::custom)
        }
    }
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

/// Files in a configuration file: one or a list.
fn files_setting<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Location>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "the path of a file, or a list of them")]
    enum Setting {
        One(Location),
        List(Vec<Location>),
    }
    Ok(match Setting::deserialize(deserializer)? {
        Setting::One(file) => vec![file],
        Setting::List(files) => files,
    })
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
