//! The APIs that the simulator speaks, one file each, behind one trait and in one table.
//!
//! Belongs here: which paths are an API's, what its requests ask for, and what its responses,
//! frames and errors look like. Does not belong here: what is generated and when, which is the same
//! in all of them. To add an API, write its file and list it in [`APIS`].

mod anthropic_messages;
mod aws;
mod bedrock_converse;
mod bedrock_invoke;
mod completion;
mod error;
mod frames;
mod gemini;
mod ollama;
pub(crate) mod openai;
mod openai_chat;
mod openai_completions;
mod openai_embeddings;
mod openai_responses;
mod prompt;
mod request;
mod sagemaker;
pub(crate) mod signature;
mod tgi;
pub(crate) mod words;

use std::fmt;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::conformance::Case;

pub(crate) use completion::{Completion, Finish, Times};
pub(crate) use error::{ApiError, Refusal};
pub(crate) use frames::{Delta, FrameBuffer, Stream};
pub(crate) use prompt::{Prompt, scatter};
pub(crate) use request::{ApiRequest, Tool};

/// All APIs. The first that knows a path has it.
static APIS: [&dyn Api; 12] = [
    &openai_chat::OpenAiChat,
    &openai_responses::OpenAiResponses,
    &openai_completions::OpenAiCompletions,
    &openai_embeddings::OpenAiEmbeddings,
    &anthropic_messages::AnthropicMessages { on_bedrock: false },
    // Before InvokeModel, whose paths it shares.
    &anthropic_messages::AnthropicMessages { on_bedrock: true },
    &bedrock_converse::BedrockConverse,
    &bedrock_invoke::BedrockInvoke,
    &sagemaker::SageMaker,
    &gemini::Gemini,
    &ollama::Ollama,
    &tgi::Tgi,
];

/// What the path of a request says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Route {
    /// The model, where it is in the path.
    pub(crate) model: String,
    /// Whether to stream, where the path says so.
    pub(crate) stream: bool,
    /// The service of AWS for which a request is signed, where requests are.
    pub(crate) service: Option<&'static str>,
}

/// What is said of an API in constants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApiInfo {
    /// Its names in llmeter's table of APIs, without `-stream`.
    pub(crate) names: &'static [&'static str],
    /// How the ids of responses begin.
    pub(crate) id_prefix: &'static str,
    /// The header in which a response bears its id, if there is one.
    pub(crate) id_header: Option<&'static str>,
    /// Whether a response bears its id where a meter looks for it.
    pub(crate) has_id: bool,
    /// The media type of a stream.
    pub(crate) stream_type: &'static str,
    /// What a complete response gives as the reason for its end; `None` if it generates no text.
    pub(crate) finish_reason: Option<&'static str>,
    /// Whether usage has the tokens of the prompt.
    pub(crate) counts_input: bool,
    /// Whether responses tell how long the server took by its own clock.
    pub(crate) tells_times: bool,
    /// Whether a call of a tool comes in one chunk.
    pub(crate) calls_in_one_chunk: bool,
    /// Appends a frame of a stream with any data. Without the name of an event it has that of
    /// content.
    pub(crate) frame: fn(&mut Vec<u8>, Option<&str>, &str),
    /// How an error is worded.
    pub(crate) refusal: fn(&ApiError) -> Refusal,
    /// Appends what ends a stream that fails; `None`: a frame with the body of a refusal.
    pub(crate) stream_error: Option<fn(&mut Vec<u8>, &ApiError)>,
}

/// An API that the simulator speaks.
#[expect(unused_variables, reason = "the defaults say the same for all")]
pub(crate) trait Api: fmt::Debug + Sync {
    fn about(&self) -> ApiInfo;

    /// What a path says, if it is one of this API's.
    fn route(&self, path: &str) -> Option<Route>;

    /// What a request asks for.
    fn parse(&self, route: &Route, request: &Map<String, Value>) -> Result<ApiRequest, ApiError>;

    /// The body of a non-streaming response.
    fn body(&self, completion: &Completion) -> Value;

    /// Appends what opens a choice of a streaming response and is no content.
    fn opening(&self, stream: &mut Stream, choice: u32, out: &mut FrameBuffer) {}

    /// Appends the one frame with some content of a choice.
    fn content(&self, stream: &mut Stream, choice: u32, delta: &Delta, out: &mut FrameBuffer);

    /// Appends what follows the last content: why it ended, the usage, the mark of the end.
    fn closing(&self, stream: &mut Stream, out: &mut FrameBuffer);

    /// Further headers of a non-streaming response.
    fn headers(&self, completion: &Completion) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Why the conformance suite cannot put this case; `None` if it can.
    fn cannot(&self, case: Case, streaming: bool) -> Option<&'static str> {
        None
    }
}

/// The API whose generating requests go to a path, and what the path says.
pub(crate) fn find(path: &str) -> Option<(&'static dyn Api, Route)> {
    APIS.iter().find_map(|api| Some((*api, api.route(path)?)))
}

/// The API of this name in llmeter's table, with or without `-stream`.
pub(crate) fn named(name: &str) -> Option<&'static dyn Api> {
    let name = name.strip_suffix("-stream").unwrap_or(name);
    APIS.iter()
        .copied()
        .find(|api| api.about().names.contains(&name))
}

/// What a request with this body asks for.
pub(crate) fn parse(api: &dyn Api, route: &Route, body: &[u8]) -> Result<ApiRequest, ApiError> {
    let value = serde_json::from_slice(body).map_err(|error| {
        ApiError::new(400, format!("The request body is not valid JSON: {error}"))
    })?;
    match &value {
        Value::Object(request) => api.parse(route, request),
        other => Err(ApiError::wrong_type("body", "an object", other)),
    }
}

/// What ends a stream that fails.
pub(crate) fn stream_error(api: &dyn Api, error: &ApiError) -> Vec<u8> {
    let about = api.about();
    let mut out = Vec::new();
    match about.stream_error {
        Some(stream_error) => stream_error(&mut out, error),
        None => (about.frame)(&mut out, None, &(about.refusal)(error).body.to_string()),
    }
    out
}

/// A part of a path as it was before it was escaped.
fn unescaped(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A path without what a gateway or a version puts in front of it.
fn local(path: &str) -> &str {
    // Bedrock's newer address and Foundry put Anthropic's API there.
    let path = path.strip_prefix("/anthropic").unwrap_or(path);
    // Azure puts a resource's APIs below /openai, and each deployment's below its name.
    let path = path.strip_prefix("/openai").unwrap_or(path);
    let deployment = path.strip_prefix("/deployments/");
    let path = deployment.map_or(path, |rest| rest.find('/').map_or("", |at| &rest[at..]));
    let mut versions = ["/v1beta", "/v1"].iter();
    let below = versions.find_map(|version| {
        path.strip_prefix(version)
            .filter(|rest| rest.starts_with('/'))
    });
    below.unwrap_or(path)
}

/// The route of an API with one path, which says nothing more.
fn only(path: &str, own: &str) -> Option<Route> {
    (local(path) == own).then(Route::default)
}

/// Why an API that knows nothing but text cannot be put a case.
fn text_only(case: Case) -> Option<&'static str> {
    match case {
        Case::Reasoning => Some("the API does not tell reasoning from text"),
        Case::ToolCall => Some("the API has no tools"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_the_api_the_model_and_whether_to_stream() {
        for (path, name, model, stream) in [
            ("/v1/chat/completions", "openai-chat", "", false),
            ("/chat/completions", "openai-chat", "", false),
            ("/v1/responses", "openai-responses", "", false),
            ("/completions", "openai-completions", "", false),
            ("/v1/embeddings", "openai-embeddings", "", false),
            ("/openai/v1/chat/completions", "openai-chat", "", false),
            (
                "/openai/deployments/a%20b/chat/completions",
                "azure-openai-chat",
                "",
                false,
            ),
            ("/v1/messages", "anthropic-messages", "", false),
            ("/anthropic/v1/messages", "anthropic-messages", "", false),
            (
                "/v1/projects/p/locations/l/publishers/anthropic/models/m:rawPredict",
                "anthropic-messages",
                "m",
                false,
            ),
            (
                "/model/us.anthropic.claude-x/invoke-with-response-stream",
                "anthropic-messages-on-bedrock",
                "us.anthropic.claude-x",
                true,
            ),
            (
                "/model/a%2Fb/converse-stream",
                "bedrock-converse",
                "a/b",
                true,
            ),
            ("/model/a/invoke", "bedrock-invoke", "a", false),
            ("/endpoints/e/invocations", "sagemaker", "e", false),
            ("/v1beta/models/a-b:generateContent", "gemini", "a-b", false),
            ("/v1/models/a:streamGenerateContent", "gemini", "a", true),
            ("/api/chat", "ollama", "", false),
            ("/generate", "tgi", "", false),
            ("/generate_stream", "tgi", "", true),
        ] {
            let (api, route) = find(path).unwrap();
            assert!(api.about().names.contains(&name), "{path}: {api:?}");
            assert_eq!(
                (route.model.as_str(), route.stream),
                (model, stream),
                "{path}"
            );
        }
        for path in [
            "/openai/deployments/a",
            "/v1/models/a",
            "/v1/models/a:countTokens",
            "/model/a/other",
            "/v1chat/completions",
        ] {
            assert!(find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn percent_signs_decode_or_stand() {
        assert_eq!(unescaped("org%2Fmodel%20x"), "org/model x");
        assert_eq!(unescaped("100%"), "100%");
        assert_eq!(unescaped("%zz"), "%zz");
    }

    #[test]
    fn every_api_of_the_library_is_spoken() {
        // One whose endpoints' settings describe it has no wording of its own.
        let mut known = llmeter::api::ApiMode::all().filter(|api| api.streaming.is_some());
        let missing = known.find(|api| named(api.name).is_none());
        assert!(missing.is_none(), "{missing:?}");
    }
}
