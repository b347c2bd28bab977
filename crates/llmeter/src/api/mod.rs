//! What an LLM API says: how a payload becomes a request, and what a frame of a response means.
//!
//! Belongs here: one file per API, the one table of them, and what their decoders share.
//! Does not belong here: addresses, authentication, settings and saved forms (`endpoint`).

mod answer;
mod anthropic_messages;
#[cfg(feature = "aws")]
pub(crate) mod aws_media;
mod azure_openai;
#[cfg(feature = "aws")]
mod bedrock_converse;
#[cfg(feature = "aws")]
mod bedrock_invoke;
mod catalog;
pub(crate) mod failure;
mod field;
mod gemini;
mod http;
pub(crate) mod jmespath;
pub(crate) mod json_frames;
pub(crate) mod lenient;
mod ollama;
mod openai_chat;
mod openai_completions;
mod openai_embeddings;
mod openai_responses;
mod prepared;
mod response;
#[cfg(feature = "aws")]
mod sagemaker;
pub(crate) mod supported_inputs;
mod tgi;

pub use answer::{Answer, Usage};
pub use anthropic_messages::AnthropicMessages;
pub use azure_openai::{AzureChat, AzureOpenAiChat};
#[cfg(feature = "aws")]
pub use bedrock_converse::{BedrockConverse, BedrockConverseBuilder};
#[cfg(feature = "aws")]
pub use bedrock_invoke::{BedrockInvoke, BedrockInvokeBuilder};
pub use catalog::{APIS, Api, from_saved};
pub(crate) use field::{CountSlot, FieldSlot};
pub use field::{FieldValue, ResponseField};
pub use gemini::Gemini;
pub use http::{ANSWER_PARTS, HttpEndpoint, HttpEndpointBuilder};
pub use ollama::Ollama;
pub use openai_chat::{Chat, OpenAiChat, OpenAiChatBuilder};
pub use openai_completions::{Completions, OpenAiCompletions};
pub use openai_embeddings::{Embeddings, OpenAiEmbeddings};
pub use openai_responses::{OpenAiResponses, Responses};
pub use response::{InvocationResponse, ResponseDetail};
#[cfg(feature = "aws")]
pub use sagemaker::{SageMaker, SageMakerBuilder};
pub use tgi::Tgi;

use crate::base::failure::{Failure, FailureKind};
use crate::endpoint::{
    Endpoint, EndpointSettings, Frame, Framing, HttpApi, HttpRequest, Identity, JsonEndpoint,
    ResponseHead, SavedObject, Transport,
};

/// Turns the frames of one answer into its content. Runs far from the socket.
pub trait FrameDecoder: Send {
    /// The head of the answer, which comes before everything else.
    fn head(&mut self, head: &ResponseHead, answer: &mut Answer) {
        let _ = (head, answer);
    }

    /// One frame of a stream.
    fn frame(&mut self, frame: Frame<'_>, answer: &mut Answer);

    /// A whole body that was not sent as a stream.
    fn whole(&mut self, body: &[u8], answer: &mut Answer);

    /// The stream ended without a network error; report an error if it ended too early.
    fn end(&mut self, answer: &mut Answer);

    /// The server's own words from the body of an error status, if the body has this API's shape.
    fn error_message(&self, body: &[u8]) -> Option<String>;
}

/// Why an endpoint could not do its part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EndpointError(pub String);

impl From<EndpointError> for Failure {
    fn from(reason: EndpointError) -> Self {
        Self::new(FailureKind::Endpoint, reason.0)
    }
}
