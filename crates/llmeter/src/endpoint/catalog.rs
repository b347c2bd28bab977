//! The APIs that llmeter speaks, by the names that users give them.

use std::sync::Arc;

use secrecy::SecretString;

use super::json_api::{Dialect, JsonEndpointBuilder};
use super::openai::{OpenAi, OpenAiApi};
use super::{
    AnthropicMessages, AzureChat, Chat, Completions, Embeddings, Endpoint, Gemini, JsonEndpoint,
    Ollama, OpenAiChat, OpenAiCompletions, OpenAiEmbeddings, OpenAiResponses, Responses,
    SavedObject, Tgi,
};
#[cfg(feature = "aws")]
use super::{AwsOptions, BedrockConverse, BedrockInvoke, SageMaker};
use crate::error::{Error, Result};
use crate::payload::{Payload, Prompt};

/// What a user says of an endpoint, whichever API it speaks.
#[derive(Debug, Clone, Default)]
pub struct EndpointSettings {
    /// Where the API is; `None` is the provider's own address, if it has one.
    pub base_url: Option<String>,
    /// The model to ask for.
    pub model: Option<String>,
    /// The key; a server that needs none can go without.
    pub api_key: Option<SecretString>,
    /// The region, for the APIs of AWS; `None` is what the environment says.
    pub region: Option<String>,
    /// Further headers of every request.
    pub headers: Vec<(String, SecretString)>,
}

/// One API that llmeter speaks.
#[derive(Clone, Copy)]
pub struct Api {
    /// The name by which users choose it.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// The environment variable in which its key usually is.
    pub key_variable: &'static str,
    /// The classes by which files name it, without their module.
    pub classes: &'static [&'static str],
    /// Makes an endpoint.
    pub(super) build: fn(&EndpointSettings) -> Result<Arc<dyn Endpoint>>,
    /// Rebuilds one from a file; the second argument is the variable that holds the key.
    pub(super) load: fn(&SavedObject, &str) -> Result<Arc<dyn Endpoint>>,
    /// Makes a payload of a user's message with so many tokens to generate at most.
    pub(super) payload: fn(Prompt, u64) -> Result<Payload>,
}

/// All of them. The first is the default.
pub const APIS: &[Api] = &[
    Api {
        name: "openai-chat-stream",
        about: "OpenAI Chat Completions, streamed",
        key_variable: "OPENAI_API_KEY",
        classes: &["OpenAICompletionStreamEndpoint"],
        build: |settings| openai::<Chat>(settings, true),
        load: load_openai::<Chat>,
        payload: openai_chat_payload,
    },
    Api {
        name: "openai-chat",
        about: "OpenAI Chat Completions, answered at once",
        key_variable: "OPENAI_API_KEY",
        classes: &["OpenAICompletionEndpoint"],
        build: |settings| openai::<Chat>(settings, false),
        load: load_openai::<Chat>,
        payload: openai_chat_payload,
    },
    Api {
        name: "openai-responses-stream",
        about: "OpenAI Responses, streamed",
        key_variable: "OPENAI_API_KEY",
        classes: &["OpenAIResponseStreamEndpoint"],
        build: |settings| openai::<Responses>(settings, true),
        load: load_openai::<Responses>,
        payload: |prompt, limit| OpenAiResponses::create_payload(prompt, limit, Payload::new()),
    },
    Api {
        name: "openai-responses",
        about: "OpenAI Responses, answered at once",
        key_variable: "OPENAI_API_KEY",
        classes: &["OpenAIResponseEndpoint"],
        build: |settings| openai::<Responses>(settings, false),
        load: load_openai::<Responses>,
        payload: |prompt, limit| OpenAiResponses::create_payload(prompt, limit, Payload::new()),
    },
    Api {
        name: "openai-completions-stream",
        about: "OpenAI's older completions of a text, streamed",
        key_variable: "OPENAI_API_KEY",
        classes: &["OpenAILegacyCompletionStreamEndpoint"],
        build: |settings| openai::<Completions>(settings, true),
        load: load_openai::<Completions>,
        payload: |prompt, limit| OpenAiCompletions::create_payload(prompt, limit, Payload::new()),
    },
    Api {
        name: "openai-completions",
        about: "OpenAI's older completions of a text, answered at once",
        key_variable: "OPENAI_API_KEY",
        classes: &["OpenAILegacyCompletionEndpoint"],
        build: |settings| openai::<Completions>(settings, false),
        load: load_openai::<Completions>,
        payload: |prompt, limit| OpenAiCompletions::create_payload(prompt, limit, Payload::new()),
    },
    Api {
        name: "openai-embeddings",
        about: "OpenAI embeddings",
        key_variable: "OPENAI_API_KEY",
        classes: &["OpenAIEmbeddingEndpoint"],
        build: |settings| openai::<Embeddings>(settings, false),
        load: load_openai::<Embeddings>,
        // Nothing is generated, so that the limit has no meaning.
        payload: |prompt, _| OpenAiEmbeddings::create_payload(prompt, Payload::new()),
    },
    Api {
        name: "azure-openai-chat-stream",
        about: "Chat Completions in Azure OpenAI, streamed",
        key_variable: "AZURE_OPENAI_API_KEY",
        classes: &["AzureOpenAICompletionStreamEndpoint"],
        build: |settings| openai::<AzureChat>(settings, true),
        load: load_openai::<AzureChat>,
        payload: openai_chat_payload,
    },
    Api {
        name: "azure-openai-chat",
        about: "Chat Completions in Azure OpenAI, answered at once",
        key_variable: "AZURE_OPENAI_API_KEY",
        classes: &["AzureOpenAICompletionEndpoint"],
        build: |settings| openai::<AzureChat>(settings, false),
        load: load_openai::<AzureChat>,
        payload: openai_chat_payload,
    },
    #[cfg(feature = "aws")]
    Api {
        name: "bedrock-converse-stream",
        about: "Amazon Bedrock Converse, streamed",
        key_variable: "AWS_BEARER_TOKEN_BEDROCK",
        classes: &["BedrockConverseStream"],
        build: |settings| bedrock_converse(settings, true),
        load: |saved, key| Ok(Arc::new(BedrockConverse::from_saved(saved, key)?)),
        payload: |prompt, most| BedrockConverse::create_payload(prompt, most, Payload::new()),
    },
    #[cfg(feature = "aws")]
    Api {
        name: "bedrock-converse",
        about: "Amazon Bedrock Converse, answered at once",
        key_variable: "AWS_BEARER_TOKEN_BEDROCK",
        classes: &["BedrockConverse"],
        build: |settings| bedrock_converse(settings, false),
        load: |saved, key| Ok(Arc::new(BedrockConverse::from_saved(saved, key)?)),
        payload: |prompt, most| BedrockConverse::create_payload(prompt, most, Payload::new()),
    },
    #[cfg(feature = "aws")]
    Api {
        name: "bedrock-invoke-stream",
        about: "Amazon Bedrock InvokeModel, streamed",
        key_variable: "AWS_BEARER_TOKEN_BEDROCK",
        classes: &["BedrockInvokeStream"],
        build: |settings| bedrock_invoke(settings, true),
        load: |saved, key| Ok(Arc::new(BedrockInvoke::from_saved(saved, key)?)),
        payload: |prompt, most| BedrockInvoke::create_payload(prompt, most, Payload::new()),
    },
    #[cfg(feature = "aws")]
    Api {
        name: "bedrock-invoke",
        about: "Amazon Bedrock InvokeModel, answered at once",
        key_variable: "AWS_BEARER_TOKEN_BEDROCK",
        classes: &["BedrockInvoke"],
        build: |settings| bedrock_invoke(settings, false),
        load: |saved, key| Ok(Arc::new(BedrockInvoke::from_saved(saved, key)?)),
        payload: |prompt, most| BedrockInvoke::create_payload(prompt, most, Payload::new()),
    },
    #[cfg(feature = "aws")]
    Api {
        name: "sagemaker-stream",
        about: "Amazon SageMaker, streamed",
        key_variable: "AWS_SECRET_ACCESS_KEY",
        classes: &["SageMakerStreamEndpoint"],
        build: |settings| sagemaker(settings, true),
        load: |saved, _| Ok(Arc::new(SageMaker::from_saved(saved)?)),
        payload: |prompt, most| SageMaker::create_payload(prompt, most, true, Payload::new()),
    },
    #[cfg(feature = "aws")]
    Api {
        name: "sagemaker",
        about: "Amazon SageMaker, answered at once",
        key_variable: "AWS_SECRET_ACCESS_KEY",
        classes: &["SageMakerEndpoint"],
        build: |settings| sagemaker(settings, false),
        load: |saved, _| Ok(Arc::new(SageMaker::from_saved(saved)?)),
        payload: |prompt, most| SageMaker::create_payload(prompt, most, false, Payload::new()),
    },
    Api {
        name: "anthropic-messages-stream",
        about: "Anthropic Messages, streamed",
        key_variable: "ANTHROPIC_API_KEY",
        classes: &["AnthropicMessagesStream"],
        build: |settings| json_api(&AnthropicMessages, settings, true),
        load: |saved, key| {
            Ok(Arc::new(JsonEndpoint::from_saved(
                &AnthropicMessages,
                saved,
                key,
            )?))
        },
        payload: |prompt, max_tokens| {
            AnthropicMessages::create_payload(prompt, max_tokens, Payload::new())
        },
    },
    Api {
        name: "anthropic-messages",
        about: "Anthropic Messages, answered at once",
        key_variable: "ANTHROPIC_API_KEY",
        classes: &["AnthropicMessages"],
        build: |settings| json_api(&AnthropicMessages, settings, false),
        load: |saved, key| {
            Ok(Arc::new(JsonEndpoint::from_saved(
                &AnthropicMessages,
                saved,
                key,
            )?))
        },
        payload: |prompt, max_tokens| {
            AnthropicMessages::create_payload(prompt, max_tokens, Payload::new())
        },
    },
    Api {
        name: "gemini-stream",
        about: "Google Gemini, streamed",
        key_variable: "GEMINI_API_KEY",
        classes: &["GeminiStream"],
        build: |settings| json_api(&Gemini, settings, true),
        load: |saved, key| Ok(Arc::new(JsonEndpoint::from_saved(&Gemini, saved, key)?)),
        payload: |prompt, max_tokens| Gemini::create_payload(prompt, max_tokens, Payload::new()),
    },
    Api {
        name: "gemini",
        about: "Google Gemini, answered at once",
        key_variable: "GEMINI_API_KEY",
        classes: &["Gemini"],
        build: |settings| json_api(&Gemini, settings, false),
        load: |saved, key| Ok(Arc::new(JsonEndpoint::from_saved(&Gemini, saved, key)?)),
        payload: |prompt, max_tokens| Gemini::create_payload(prompt, max_tokens, Payload::new()),
    },
    Api {
        name: "ollama-stream",
        about: "Ollama's own chat API, streamed",
        key_variable: "OLLAMA_API_KEY",
        classes: &["OllamaStream"],
        build: |settings| json_api(&Ollama, settings, true),
        load: |saved, key| Ok(Arc::new(JsonEndpoint::from_saved(&Ollama, saved, key)?)),
        payload: |prompt, max_tokens| Ollama::create_payload(prompt, max_tokens, Payload::new()),
    },
    Api {
        name: "ollama",
        about: "Ollama's own chat API, answered at once",
        key_variable: "OLLAMA_API_KEY",
        classes: &["Ollama"],
        build: |settings| json_api(&Ollama, settings, false),
        load: |saved, key| Ok(Arc::new(JsonEndpoint::from_saved(&Ollama, saved, key)?)),
        payload: |prompt, max_tokens| Ollama::create_payload(prompt, max_tokens, Payload::new()),
    },
    Api {
        name: "tgi-stream",
        about: "Text Generation Inference's own API, streamed",
        key_variable: "HF_TOKEN",
        classes: &["TgiStream"],
        build: |settings| json_api(&Tgi, settings, true),
        load: |saved, key| Ok(Arc::new(JsonEndpoint::from_saved(&Tgi, saved, key)?)),
        payload: |prompt, max_tokens| Tgi::create_payload(prompt, max_tokens, Payload::new()),
    },
    Api {
        name: "tgi",
        about: "Text Generation Inference's own API, answered at once",
        key_variable: "HF_TOKEN",
        classes: &["Tgi"],
        build: |settings| json_api(&Tgi, settings, false),
        load: |saved, key| Ok(Arc::new(JsonEndpoint::from_saved(&Tgi, saved, key)?)),
        payload: |prompt, max_tokens| Tgi::create_payload(prompt, max_tokens, Payload::new()),
    },
];

#[cfg(feature = "aws")]
fn bedrock_invoke(settings: &EndpointSettings, streaming: bool) -> Result<Arc<dyn Endpoint>> {
    let builder = BedrockInvoke::builder(settings.model()?)
        .streaming(streaming)
        .aws(settings.aws());
    Ok(Arc::new(builder.build()?))
}

/// The model's name is that of the SageMaker endpoint.
#[cfg(feature = "aws")]
fn sagemaker(settings: &EndpointSettings, streaming: bool) -> Result<Arc<dyn Endpoint>> {
    let name = settings.model()?;
    let builder = SageMaker::builder(name, name)
        .streaming(streaming)
        .aws(settings.aws());
    Ok(Arc::new(builder.build()?))
}

#[cfg(feature = "aws")]
fn bedrock_converse(settings: &EndpointSettings, streaming: bool) -> Result<Arc<dyn Endpoint>> {
    let builder = BedrockConverse::builder(settings.model()?)
        .streaming(streaming)
        .aws(settings.aws());
    Ok(Arc::new(builder.build()?))
}

fn openai<A: OpenAiApi>(settings: &EndpointSettings, streaming: bool) -> Result<Arc<dyn Endpoint>> {
    let base_url = settings.base_url("the API's address, like http://localhost:8000/v1")?;
    let mut builder = OpenAi::<A>::builder(base_url, settings.model()?).streaming(streaming);
    if let Some(key) = &settings.api_key {
        builder = builder.api_key(key.clone());
    }
    for (name, value) in &settings.headers {
        builder = builder.header(name, value.clone());
    }
    Ok(Arc::new(builder.build()?))
}

fn load_openai<A: OpenAiApi>(saved: &SavedObject, key: &str) -> Result<Arc<dyn Endpoint>> {
    Ok(Arc::new(OpenAi::<A>::from_saved(saved, key)?))
}

fn openai_chat_payload(prompt: Prompt, max_tokens: u64) -> Result<Payload> {
    OpenAiChat::create_payload(prompt, max_tokens, Payload::new())
}

fn json_api(
    dialect: &'static dyn Dialect,
    settings: &EndpointSettings,
    streaming: bool,
) -> Result<Arc<dyn Endpoint>> {
    let builder = JsonEndpointBuilder::of_settings(dialect, settings, settings.model()?, streaming);
    Ok(Arc::new(builder.build()?))
}

impl EndpointSettings {
    /// The base URL of an API without a usual address. `example` says what to give.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn base_url(&self, example: &str) -> Result<&str> {
        let base_url = self.base_url.as_deref();
        base_url.ok_or_else(|| Error::invalid("base_url", "(missing)", example))
    }

    /// The way to AWS; the environment says what the settings leave open.
    #[cfg(feature = "aws")]
    fn aws(&self) -> AwsOptions {
        let mut options = AwsOptions::from_environment();
        if let Some(region) = &self.region {
            options = options.region(region);
        }
        if let Some(base_url) = &self.base_url {
            options = options.base_url(base_url);
        }
        if let Some(key) = &self.api_key {
            options = options.bearer_token(key.clone());
        }
        for (name, value) in &self.headers {
            options = options.header(name, value.clone());
        }
        options
    }

    /// The model.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn model(&self) -> Result<&str> {
        let model = self.model.as_deref();
        model.ok_or_else(|| Error::invalid("model", "(missing)", "the model to ask for"))
    }
}

impl Api {
    /// The API of this name.
    ///
    /// # Errors
    /// If there is none; the message lists all.
    pub fn named(name: &str) -> Result<&'static Self> {
        APIS.iter().find(|api| api.name == name).ok_or_else(|| {
            let names: Vec<_> = APIS.iter().map(|api| api.name).collect();
            Error::invalid("endpoint", name, format!("one of {}", names.join(", ")))
        })
    }

    /// The API of an endpoint as files name it.
    ///
    /// # Errors
    /// If the class is not known here; the message lists those that are.
    pub fn of_saved(saved: &SavedObject) -> Result<&'static Self> {
        let class = saved.name();
        APIS.iter()
            .find(|api| api.classes.contains(&class))
            .ok_or_else(|| {
                let classes: Vec<_> = APIS.iter().flat_map(|api| api.classes).copied().collect();
                let given = if class.is_empty() {
                    "(no class)"
                } else {
                    class
                };
                let expected = format!(
                    "a saved endpoint of one of the types {}",
                    classes.join(", ")
                );
                Error::invalid("endpoint", given, expected)
            })
    }

    /// Makes an endpoint.
    ///
    /// # Errors
    /// If a setting is missing or cannot be used.
    pub fn endpoint(&self, settings: &EndpointSettings) -> Result<Arc<dyn Endpoint>> {
        (self.build)(settings)
    }

    /// Makes a payload of a user's message.
    ///
    /// # Errors
    /// If the API cannot take it.
    pub fn create_payload(&self, prompt: impl Into<Prompt>, max_tokens: u64) -> Result<Payload> {
        (self.payload)(prompt.into(), max_tokens)
    }
}

/// Rebuilds an endpoint from `run_config.json`, in its present form or the one before 0.2.0 of the
/// Python system. No file holds an API key; it is read from the environment variable
/// `api_key_env`, by default the API's usual one.
///
/// # Errors
/// If the class is not known here, or a setting cannot be used.
pub fn from_saved(saved: &SavedObject, api_key_env: Option<&str>) -> Result<Arc<dyn Endpoint>> {
    let api = Api::of_saved(saved)?;
    (api.load)(saved, api_key_env.unwrap_or(api.key_variable))
}
