//! The APIs that the simulator speaks.
//!
//! Belongs here: which path is which API's, and what requests, answers, frames and errors of the
//! others than Chat Completions look like. Does not belong here: what is answered and when, which is the
//! same in all of them.

mod anthropic;
mod completions;
mod embeddings;
mod events;
mod gemini;
mod ollama;
mod responses;
mod tgi;

use serde_json::{Map, Value};

use crate::aws::{self, Operation};
use crate::connection::percent_decode;
use crate::openai::{self, Answer, ApiError, ChatRequest, FrameWriter, Piece, Wrap, request};
use events::EventWriter;

/// Makes the frames of one answer.
pub(crate) trait Frames: Send {
    /// Appends what opens an answer and is no content.
    fn opening(&mut self, choice: u32, out: &mut Vec<u8>);

    /// A frame with content, ready for the socket.
    fn content(&mut self, choice: u32, piece: Piece) -> &[u8];

    /// Everything that follows the last content: why it ended, the usage, the mark of the end.
    fn closing(&mut self) -> Vec<u8>;
}

/// An API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAiChat,
    Responses,
    Completions,
    Embeddings,
    Aws(Operation),
    AnthropicMessages,
    /// The same messages through Bedrock's InvokeModel.
    ClaudeOnBedrock {
        stream: bool,
    },
    Gemini,
    Ollama,
    Tgi,
}

impl Dialect {
    /// The API whose generating requests go to a path.
    pub(crate) fn of(path: &str) -> Option<Self> {
        match Operation::of(path) {
            Some((Operation::Invoke { stream }, model)) if model.contains("anthropic") => {
                return Some(Self::ClaudeOnBedrock { stream });
            }
            Some((operation, _)) => return Some(Self::Aws(operation)),
            None => {}
        }
        if anthropic::vertex_model(path).is_some() {
            return Some(Self::AnthropicMessages);
        }
        // Bedrock's newer address and Foundry put the API there.
        let path = path.strip_prefix("/anthropic").unwrap_or(path);
        // Azure puts a resource's APIs below /openai, and each deployment's below its name.
        let path = path.strip_prefix("/openai").unwrap_or(path);
        let deployment = path.strip_prefix("/deployments/");
        let path = deployment.map_or(path, |rest| rest.find('/').map_or("", |at| &rest[at..]));
        let below = ["/v1beta", "/v1"].iter().find_map(|version| {
            path.strip_prefix(version)
                .filter(|rest| rest.starts_with('/'))
        });
        match below.unwrap_or(path) {
            "/chat/completions" => Some(Self::OpenAiChat),
            "/responses" => Some(Self::Responses),
            "/completions" => Some(Self::Completions),
            "/embeddings" => Some(Self::Embeddings),
            "/messages" => Some(Self::AnthropicMessages),
            "/api/chat" => Some(Self::Ollama),
            "/generate" | "/generate_stream" => Some(Self::Tgi),
            path if gemini::model(path).is_some() => Some(Self::Gemini),
            _ => None,
        }
    }

    /// What a request asks for.
    pub(crate) fn parse(self, path: &str, body: &[u8]) -> Result<ChatRequest, ApiError> {
        let parse = match self {
            Self::OpenAiChat => return ChatRequest::parse(body),
            Self::Responses => responses::parse,
            Self::Completions => completions::parse,
            Self::Embeddings => embeddings::parse,
            Self::Aws(operation) => {
                let model = Operation::of(path).map_or("", |(_, model)| model);
                return aws::parse(operation, percent_decode(model), body);
            }
            Self::AnthropicMessages => anthropic::parse,
            Self::ClaudeOnBedrock { stream } => {
                let model = Operation::of(path).map_or("", |(_, model)| model);
                return anthropic::parse_on_bedrock(percent_decode(model), stream, body);
            }
            Self::Gemini => gemini::parse,
            Self::Ollama => ollama::parse,
            Self::Tgi => tgi::parse,
        };
        let value: Value =
            serde_json::from_slice(body).map_err(|error| ApiError::not_json(&error))?;
        match &value {
            Value::Object(request) => parse(path, request),
            other => Err(ApiError::wrong_type("body", "an object", other)),
        }
    }

    /// How an answer's id begins.
    pub(crate) fn id_prefix(self) -> &'static str {
        match self {
            Self::OpenAiChat | Self::Aws(_) => "chatcmpl-",
            Self::Responses => "resp_",
            Self::Completions => "cmpl-",
            Self::Embeddings => "",
            Self::AnthropicMessages | Self::ClaudeOnBedrock { .. } => "msg_",
            Self::Gemini | Self::Ollama | Self::Tgi => "",
        }
    }

    /// The media type of a stream.
    pub(crate) fn stream_type(self) -> &'static str {
        match self {
            Self::Aws(_) | Self::ClaudeOnBedrock { .. } => "application/vnd.amazon.eventstream",
            Self::Ollama => "application/x-ndjson",
            _ => "text/event-stream; charset=utf-8",
        }
    }

    /// What makes the frames of a streamed answer.
    pub(crate) fn frames(self, answer: Answer, wrap: Wrap, include_usage: bool) -> Box<dyn Frames> {
        match self {
            Self::OpenAiChat => Box::new(FrameWriter::new(answer, wrap, include_usage)),
            Self::Responses => Box::new(EventWriter::<responses::Events>::new(answer, wrap)),
            Self::Aws(operation) => Box::new(aws::EventWriter::new(operation, answer, wrap)),
            // Embeddings are never streamed: parsing a request sees to that.
            Self::Completions | Self::Embeddings => {
                Box::new(completions::TextWriter::new(answer, wrap, include_usage))
            }
            Self::AnthropicMessages => {
                Box::new(EventWriter::<anthropic::Events>::new(answer, wrap))
            }
            Self::ClaudeOnBedrock { .. } => {
                Box::new(EventWriter::<anthropic::Events>::in_chunks(answer, wrap))
            }
            Self::Gemini => Box::new(EventWriter::<gemini::Events>::new(answer, wrap)),
            Self::Ollama => Box::new(EventWriter::<ollama::Events>::new(answer, wrap)),
            Self::Tgi => Box::new(EventWriter::<tgi::Events>::new(answer, wrap)),
        }
    }

    /// The body of a plain answer.
    pub(crate) fn whole(self, answer: &Answer) -> Vec<u8> {
        match self {
            Self::OpenAiChat => return openai::completion(answer),
            Self::Aws(operation) => return aws::whole(operation, answer),
            Self::Responses => responses::whole(answer),
            Self::Completions => completions::whole(answer),
            Self::Embeddings => embeddings::whole(answer),
            Self::AnthropicMessages | Self::ClaudeOnBedrock { .. } => anthropic::whole(answer),
            Self::Gemini => gemini::whole(answer),
            Self::Ollama => ollama::whole(answer),
            Self::Tgi => tgi::whole(answer),
        }
        .to_string()
        .into_bytes()
    }

    /// Further headers of a plain answer.
    pub(crate) fn whole_headers(self, answer: &Answer) -> Vec<(&'static str, String)> {
        match self {
            Self::Tgi => tgi::headers(answer),
            _ => Vec::new(),
        }
    }

    /// Whether the API tells how long the server took by its own clock.
    pub(crate) fn tells_times(self) -> bool {
        matches!(self, Self::Ollama | Self::Tgi)
    }

    /// The body of a refusal.
    pub(crate) fn error(self, error: &ApiError) -> Vec<u8> {
        match self {
            Self::OpenAiChat | Self::Responses | Self::Completions | Self::Embeddings => {
                error.body()
            }
            Self::Aws(_) | Self::ClaudeOnBedrock { .. } => aws::translated(error.clone()).body(),
            Self::AnthropicMessages => anthropic::error(error).to_string().into_bytes(),
            Self::Gemini => gemini::error(error).to_string().into_bytes(),
            Self::Ollama => ollama::error(error).to_string().into_bytes(),
            Self::Tgi => tgi::error(error).to_string().into_bytes(),
        }
    }

    /// What ends a stream that fails in its midst.
    pub(crate) fn stream_error(self, error: &ApiError) -> Vec<u8> {
        let (event, data) = match self {
            Self::Aws(_) | Self::ClaudeOnBedrock { .. } => return aws::stream_error(error),
            Self::Responses => (
                Some("error"),
                responses::error_event(error).to_string().into_bytes(),
            ),
            Self::AnthropicMessages => (Some("error"), self.error(error)),
            _ => (None, self.error(error)),
        };
        self.frame(event, &String::from_utf8_lossy(&data))
    }

    /// A frame of a stream with any data. Without the name of an event it has that of content.
    pub(crate) fn frame(self, event: Option<&str>, data: &str) -> Vec<u8> {
        match (self, event) {
            (Self::Aws(operation), event) => aws::frame(operation, event, data),
            (Self::ClaudeOnBedrock { stream }, event) => {
                aws::frame(Operation::Invoke { stream }, event, data)
            }
            (Self::Ollama, _) => format!("{data}\n").into_bytes(),
            (_, None) => format!("data: {data}\n\n").into_bytes(),
            (_, Some(event)) => format!("event: {event}\ndata: {data}\n\n").into_bytes(),
        }
    }

    /// What AWS calls a refusal, in a header.
    pub(crate) fn error_type(self, error: &ApiError) -> Option<&'static str> {
        match self {
            Self::Aws(_) | Self::ClaudeOnBedrock { .. } => aws::translated(error.clone()).aws_type,
            _ => error.aws_type,
        }
    }

    /// Whether an answer has its id in a header alone.
    pub(crate) fn has_no_id(self) -> bool {
        matches!(self, Self::Ollama | Self::Tgi)
    }

    pub(crate) fn is_aws(self) -> bool {
        matches!(self, Self::Aws(_) | Self::ClaudeOnBedrock { .. })
    }
}

/// A text that must be there.
fn required_text(request: &Map<String, Value>, name: &str) -> Result<String, ApiError> {
    match request::present(request, name) {
        None => Err(ApiError::missing(name)),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(ApiError::wrong_type(name, "a string", other)),
    }
}

/// The objects of a list that must be there and not be empty.
fn required_list<'a>(
    request: &'a Map<String, Value>,
    name: &str,
) -> Result<Vec<&'a Map<String, Value>>, ApiError> {
    let list = match request::present(request, name) {
        None => return Err(ApiError::missing(name)),
        Some(Value::Array(list)) if list.is_empty() => {
            return Err(ApiError::wrong_value(name, "at least one is required."));
        }
        Some(Value::Array(list)) => list,
        Some(other) => return Err(ApiError::wrong_type(name, "an array of objects", other)),
    };
    let object = |value: &'a Value| {
        let wrong = || ApiError::wrong_type(name, "an array of objects", value);
        value.as_object().ok_or_else(wrong)
    };
    list.iter().map(object).collect()
}

/// Words in a content: a text, or a list of parts some of which have a `text`.
fn words_in(content: Option<&Value>) -> u64 {
    let words = |text: &str| text.split_whitespace().count() as u64;
    match content {
        Some(Value::String(text)) => words(text),
        Some(Value::Array(parts)) => parts
            .iter()
            .map(|part| part.get("text").and_then(Value::as_str).map_or(0, words))
            .sum(),
        _ => 0,
    }
}

/// The first text among a schema's properties, so that a caller which reads its arguments finds one.
fn text_argument(schema: Option<&Value>) -> String {
    let is_text = |schema: &Value| {
        let kind = schema.get("type").and_then(Value::as_str);
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case("string"))
    };
    schema
        .and_then(|schema| schema.get("properties")?.as_object())
        .and_then(|properties| properties.iter().find(|(_, schema)| is_text(schema)))
        .map_or_else(|| "input".to_owned(), |(name, _)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::Dialect;

    #[test]
    fn paths_tell_the_api() {
        for (path, dialect) in [
            ("/v1/chat/completions", Some(Dialect::OpenAiChat)),
            ("/chat/completions", Some(Dialect::OpenAiChat)),
            ("/v1/responses", Some(Dialect::Responses)),
            ("/completions", Some(Dialect::Completions)),
            ("/v1/embeddings", Some(Dialect::Embeddings)),
            ("/openai/v1/chat/completions", Some(Dialect::OpenAiChat)),
            (
                "/openai/deployments/a%20b/chat/completions",
                Some(Dialect::OpenAiChat),
            ),
            ("/openai/deployments/a", None),
            ("/v1/models/a", None),
            ("/v1/messages", Some(Dialect::AnthropicMessages)),
            ("/anthropic/v1/messages", Some(Dialect::AnthropicMessages)),
            (
                "/v1/projects/p/locations/l/publishers/anthropic/models/m:rawPredict",
                Some(Dialect::AnthropicMessages),
            ),
            (
                "/model/us.anthropic.claude-x/invoke-with-response-stream",
                Some(Dialect::ClaudeOnBedrock { stream: true }),
            ),
            ("/v1beta/models/a-b:generateContent", Some(Dialect::Gemini)),
            ("/v1/models/a:streamGenerateContent", Some(Dialect::Gemini)),
            ("/api/chat", Some(Dialect::Ollama)),
            ("/generate", Some(Dialect::Tgi)),
            ("/generate_stream", Some(Dialect::Tgi)),
            ("/v1/models/a:countTokens", None),
        ] {
            assert_eq!(Dialect::of(path), dialect, "{path}");
        }
    }
}
