//! The one table of APIs.

use super::*;

/// All APIs. The first is the default.
pub static APIS: &[&dyn Api] = &[
    &OpenAiChat,
    &OpenAiResponses,
    &OpenAiCompletions,
    &OpenAiEmbeddings,
    &AzureOpenAiChat,
    #[cfg(feature = "aws")]
    &bedrock_converse::DEFAULT,
    #[cfg(feature = "aws")]
    &bedrock_invoke::DEFAULT,
    #[cfg(feature = "aws")]
    &sagemaker::DEFAULT,
    &AnthropicMessages,
    &Gemini,
    &Ollama,
    &Tgi,
    &http::DEFAULT,
];
