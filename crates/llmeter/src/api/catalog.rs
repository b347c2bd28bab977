//! The APIs that llmeter speaks, by the names that users give them.

use std::sync::Arc;

use serde_json::Value;

use super::anthropic_messages::clouds;
use super::http::{HttpEndpoint, HttpEndpointBuilder};
use super::{
    AnthropicMessages, AzureChat, Chat, Completions, Embeddings, Endpoint, EndpointSettings,
    Gemini, JsonEndpoint, Ollama, OpenAiChat, OpenAiCompletions, OpenAiEmbeddings, OpenAiResponses,
    Responses, SavedObject, Tgi,
};
#[cfg(feature = "aws")]
use super::{BedrockConverse, BedrockInvoke, SageMaker};
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::endpoint::json_api::{Dialect, JsonEndpointBuilder};
use crate::endpoint::openai::{OpenAi, OpenAiApi};
use crate::payload::{Payload, Prompt};

/// One API that llmeter speaks, streamed or answered at once.
#[derive(Clone, Copy)]
pub struct Api {
    /// The name by which users choose it.
    pub name: &'static str,
    /// The class by which files name it, without its module.
    pub class: &'static str,
    /// Whether the answer comes in pieces.
    pub streaming: bool,
    /// How it answers, for people.
    manner: &'static str,
    family: &'static Family,
}

/// What an API's two ways of answering have in common.
struct Family {
    about: &'static str,
    /// The environment variable in which its key usually is.
    key_variable: Option<&'static str>,
    /// The providers among which there is a choice, with the variables of their keys.
    providers: &'static [(&'static str, &'static str)],
    /// Makes an endpoint, streaming or not.
    build: fn(&EndpointSettings, bool) -> Result<Arc<dyn Endpoint>>,
    /// Rebuilds one from a file; the second argument is the variable that holds the key.
    load: fn(&SavedObject, &str) -> Result<Arc<dyn Endpoint>>,
    /// Makes a payload of a user's message with so many tokens to generate at most, for streaming
    /// or not.
    payload: fn(Prompt, u64, bool) -> Result<Payload>,
}

/// All of them. The first is the default.
pub const APIS: &[Api] = &[
    CHAT.streamed("openai-chat-stream", "OpenAICompletionStreamEndpoint"),
    CHAT.whole("openai-chat", "OpenAICompletionEndpoint"),
    RESPONSES.streamed("openai-responses-stream", "OpenAIResponseStreamEndpoint"),
    RESPONSES.whole("openai-responses", "OpenAIResponseEndpoint"),
    COMPLETIONS.streamed(
        "openai-completions-stream",
        "OpenAILegacyCompletionStreamEndpoint",
    ),
    COMPLETIONS.whole("openai-completions", "OpenAILegacyCompletionEndpoint"),
    EMBEDDINGS.whole("openai-embeddings", "OpenAIEmbeddingEndpoint"),
    AZURE_CHAT.streamed(
        "azure-openai-chat-stream",
        "AzureOpenAICompletionStreamEndpoint",
    ),
    AZURE_CHAT.whole("azure-openai-chat", "AzureOpenAICompletionEndpoint"),
    #[cfg(feature = "aws")]
    BEDROCK_CONVERSE.streamed("bedrock-converse-stream", "BedrockConverseStream"),
    #[cfg(feature = "aws")]
    BEDROCK_CONVERSE.whole("bedrock-converse", "BedrockConverse"),
    #[cfg(feature = "aws")]
    BEDROCK_INVOKE.streamed("bedrock-invoke-stream", "BedrockInvokeStream"),
    #[cfg(feature = "aws")]
    BEDROCK_INVOKE.whole("bedrock-invoke", "BedrockInvoke"),
    #[cfg(feature = "aws")]
    SAGEMAKER.streamed("sagemaker-stream", "SageMakerStreamEndpoint"),
    #[cfg(feature = "aws")]
    SAGEMAKER.whole("sagemaker", "SageMakerEndpoint"),
    ANTHROPIC.streamed("anthropic-messages-stream", "AnthropicMessagesStream"),
    ANTHROPIC.whole("anthropic-messages", "AnthropicMessages"),
    GEMINI.streamed("gemini-stream", "GeminiStream"),
    GEMINI.whole("gemini", "Gemini"),
    OLLAMA.streamed("ollama-stream", "OllamaStream"),
    OLLAMA.whole("ollama", "Ollama"),
    TGI.streamed("tgi-stream", "TgiStream"),
    TGI.whole("tgi", "Tgi"),
    HTTP.either("http", "HttpEndpoint"),
];

const CHAT: Family = Family {
    about: "OpenAI Chat Completions",
    key_variable: Some("OPENAI_API_KEY"),
    providers: &[],
    build: openai::<Chat>,
    load: load_openai::<Chat>,
    payload: |prompt, most, _| OpenAiChat::create_payload(prompt, most, Payload::new()),
};

const RESPONSES: Family = Family {
    about: "OpenAI Responses",
    key_variable: Some("OPENAI_API_KEY"),
    providers: &[],
    build: openai::<Responses>,
    load: load_openai::<Responses>,
    payload: |prompt, most, _| OpenAiResponses::create_payload(prompt, most, Payload::new()),
};

const COMPLETIONS: Family = Family {
    about: "OpenAI's older completions of a text",
    key_variable: Some("OPENAI_API_KEY"),
    providers: &[],
    build: openai::<Completions>,
    load: load_openai::<Completions>,
    payload: |prompt, most, _| OpenAiCompletions::create_payload(prompt, most, Payload::new()),
};

const EMBEDDINGS: Family = Family {
    about: "OpenAI embeddings",
    key_variable: Some("OPENAI_API_KEY"),
    providers: &[],
    build: openai::<Embeddings>,
    load: load_openai::<Embeddings>,
    // Nothing is generated, so that the limit has no meaning.
    payload: |prompt, _, _| OpenAiEmbeddings::create_payload(prompt, Payload::new()),
};

const AZURE_CHAT: Family = Family {
    about: "Chat Completions in Azure OpenAI",
    key_variable: Some("AZURE_OPENAI_API_KEY"),
    providers: &[],
    build: openai::<AzureChat>,
    load: load_openai::<AzureChat>,
    payload: CHAT.payload,
};

#[cfg(feature = "aws")]
const BEDROCK_CONVERSE: Family = Family {
    about: "Amazon Bedrock Converse",
    key_variable: Some("AWS_BEARER_TOKEN_BEDROCK"),
    providers: &[],
    build: bedrock_converse,
    load: |saved, key| Ok(Arc::new(BedrockConverse::from_saved(saved, key)?)),
    payload: |prompt, most, _| BedrockConverse::create_payload(prompt, most, Payload::new()),
};

#[cfg(feature = "aws")]
const BEDROCK_INVOKE: Family = Family {
    about: "Amazon Bedrock InvokeModel",
    key_variable: Some("AWS_BEARER_TOKEN_BEDROCK"),
    providers: &[],
    build: bedrock_invoke,
    load: |saved, key| Ok(Arc::new(BedrockInvoke::from_saved(saved, key)?)),
    payload: |prompt, most, _| BedrockInvoke::create_payload(prompt, most, Payload::new()),
};

#[cfg(feature = "aws")]
const SAGEMAKER: Family = Family {
    about: "Amazon SageMaker",
    // Its requests are signed: there is no key to send.
    key_variable: None,
    providers: &[],
    build: sagemaker,
    load: |saved, _| Ok(Arc::new(SageMaker::from_saved(saved)?)),
    payload: |prompt, most, streaming| {
        SageMaker::create_payload(prompt, most, streaming, Payload::new())
    },
};

const ANTHROPIC: Family = Family {
    about: "Anthropic Messages",
    key_variable: Some("ANTHROPIC_API_KEY"),
    providers: clouds::PROVIDERS,
    build: |settings, streaming| {
        let dialect = clouds::dialect(settings.provider.as_deref())?;
        json_api(dialect, settings, streaming)
    },
    load: |saved, key| {
        let provider = saved.state.get("provider").and_then(Value::as_str);
        load_json_api(clouds::dialect(provider)?, saved, key)
    },
    payload: |prompt, most, _| AnthropicMessages::create_payload(prompt, most, Payload::new()),
};

const GEMINI: Family = Family {
    about: "Google Gemini",
    key_variable: Some("GEMINI_API_KEY"),
    providers: &[],
    build: |settings, streaming| json_api(&Gemini, settings, streaming),
    load: |saved, key| load_json_api(&Gemini, saved, key),
    payload: |prompt, most, _| Gemini::create_payload(prompt, most, Payload::new()),
};

const OLLAMA: Family = Family {
    about: "Ollama's own chat API",
    key_variable: Some("OLLAMA_API_KEY"),
    providers: &[],
    build: |settings, streaming| json_api(&Ollama, settings, streaming),
    load: |saved, key| load_json_api(&Ollama, saved, key),
    payload: |prompt, most, _| Ollama::create_payload(prompt, most, Payload::new()),
};

const TGI: Family = Family {
    about: "Text Generation Inference's own API",
    key_variable: Some("HF_TOKEN"),
    providers: &[],
    build: |settings, streaming| json_api(&Tgi, settings, streaming),
    load: |saved, key| load_json_api(&Tgi, saved, key),
    payload: |prompt, most, _| Tgi::create_payload(prompt, most, Payload::new()),
};

const HTTP: Family = Family {
    about: "Any other JSON API, by a template for bodies and JMESPath for answers",
    // Whose key it would be, only the user knows.
    key_variable: None,
    providers: &[],
    build: |settings, _| {
        Ok(Arc::new(
            HttpEndpointBuilder::of_settings(settings)?.build()?,
        ))
    },
    load: |saved, key| Ok(Arc::new(HttpEndpoint::from_saved(saved, key)?)),
    payload: |prompt, most, _| HttpEndpoint::create_payload(prompt, most, Payload::new()),
};

impl Family {
    /// The API that answers in pieces.
    const fn streamed(&'static self, name: &'static str, class: &'static str) -> Api {
        Api {
            name,
            class,
            streaming: true,
            manner: ", streamed",
            family: self,
        }
    }

    /// The API that answers at once.
    const fn whole(&'static self, name: &'static str, class: &'static str) -> Api {
        Api {
            name,
            class,
            streaming: false,
            manner: ", answered at once",
            family: self,
        }
    }

    /// The API that answers as its settings say.
    const fn either(&'static self, name: &'static str, class: &'static str) -> Api {
        Api {
            manner: "",
            ..self.whole(name, class)
        }
    }
}

#[cfg(feature = "aws")]
fn bedrock_invoke(settings: &EndpointSettings, streaming: bool) -> Result<Arc<dyn Endpoint>> {
    settings.refuse_templates()?;
    let mut builder = BedrockInvoke::builder(settings.model()?)
        .streaming(streaming)
        .aws(settings.aws("bedrock")?);
    for (part, path) in settings.places(&["text", "output-tokens", "prompt", "input-tokens"])? {
        builder = match part {
            "text" => builder.generated_text_jmespath(path),
            "output-tokens" => builder.generated_token_count_jmespath(path),
            "prompt" => builder.input_text_jmespath(path),
            _ => builder.input_token_count_jmespath(path),
        };
    }
    Ok(Arc::new(builder.build()?))
}

/// The model's name is that of the SageMaker endpoint.
#[cfg(feature = "aws")]
fn sagemaker(settings: &EndpointSettings, streaming: bool) -> Result<Arc<dyn Endpoint>> {
    settings.refuse_templates()?;
    let name = settings.model()?;
    let mut builder = SageMaker::builder(name, name)
        .streaming(streaming)
        .aws(settings.aws("sagemaker")?);
    for (part, path) in settings.places(&["text", "output-tokens", "prompt"])? {
        builder = match part {
            "text" => builder.generated_text_jmespath(path),
            "output-tokens" => builder.token_count_jmespath(path),
            _ => builder.input_text_jmespath(path),
        };
    }
    Ok(Arc::new(builder.build()?))
}

#[cfg(feature = "aws")]
fn bedrock_converse(settings: &EndpointSettings, streaming: bool) -> Result<Arc<dyn Endpoint>> {
    settings.refuse_shapes()?;
    let builder = BedrockConverse::builder(settings.model()?)
        .streaming(streaming)
        .aws(settings.aws("bedrock")?);
    Ok(Arc::new(builder.build()?))
}

fn openai<A: OpenAiApi>(settings: &EndpointSettings, streaming: bool) -> Result<Arc<dyn Endpoint>> {
    settings.refuse_shapes()?;
    let base_url = settings.base_url("http://localhost:8000/v1")?;
    let mut builder = OpenAi::<A>::builder(base_url, settings.model()?).streaming(streaming);
    if let Some(provider) = &settings.provider {
        builder = builder.provider(provider);
    }
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

fn json_api(
    dialect: &'static dyn Dialect,
    settings: &EndpointSettings,
    streaming: bool,
) -> Result<Arc<dyn Endpoint>> {
    settings.refuse_shapes()?;
    let builder = JsonEndpointBuilder::of_settings(dialect, settings, settings.model()?, streaming);
    Ok(Arc::new(builder.build()?))
}

fn load_json_api(
    dialect: &'static dyn Dialect,
    saved: &SavedObject,
    key: &str,
) -> Result<Arc<dyn Endpoint>> {
    Ok(Arc::new(JsonEndpoint::from_saved(dialect, saved, key)?))
}

impl Api {
    /// One line for people.
    pub fn about(&self) -> String {
        format!("{}{}", self.family.about, self.manner)
    }

    /// The environment variable in which its key usually is; `None` if it takes no key.
    pub fn key_variable(&self) -> Option<&'static str> {
        self.family.key_variable
    }

    /// As [`key_variable`](Self::key_variable), at a provider among which there is a choice.
    pub fn key_variable_at(&self, provider: Option<&str>) -> Option<&'static str> {
        let mut providers = self.family.providers.iter();
        let found = providers.find(|(name, _)| Some(*name) == provider);
        found
            .map(|(_, variable)| *variable)
            .or(self.family.key_variable)
    }

    /// Whether a provider says where requests go and how they are signed in, and is not but a name.
    pub fn has_providers(&self) -> bool {
        !self.family.providers.is_empty()
    }

    /// Where a provider serves it in a region; `None` for an API without a choice of providers, whose
    /// saved endpoints name an address only if it is the user's.
    pub fn address_at(&self, provider: Option<&str>, region: &str) -> Option<String> {
        self.has_providers()
            .then(|| clouds::address(provider, region))
            .flatten()
    }

    /// The API of this name.
    ///
    /// # Errors
    /// If there is none; the message lists all.
    pub fn named(name: &str) -> Result<&'static Self> {
        APIS.iter().find(|api| api.name == name).ok_or_else(|| {
            let names: Vec<_> = APIS.iter().map(|api| api.name).collect();
            Error::invalid(
                Setting::Endpoint,
                name,
                format!("one of {}", names.join(", ")),
            )
        })
    }

    /// The API of an endpoint as files name it.
    ///
    /// # Errors
    /// If the class is not known here; the message lists those that are.
    pub fn of_saved(saved: &SavedObject) -> Result<&'static Self> {
        let class = saved.name();
        APIS.iter().find(|api| api.class == class).ok_or_else(|| {
            let classes: Vec<_> = APIS.iter().map(|api| api.class).collect();
            let given = if class.is_empty() {
                "(no class)"
            } else {
                class
            };
            let expected = format!(
                "a saved endpoint of one of the types {}",
                classes.join(", ")
            );
            Error::field("endpoint", given, expected)
        })
    }

    /// Makes an endpoint.
    ///
    /// # Errors
    /// If a setting is missing or cannot be used.
    pub fn endpoint(&self, settings: &EndpointSettings) -> Result<Arc<dyn Endpoint>> {
        (self.family.build)(settings, self.streaming)
    }

    /// Makes a payload of a user's message.
    ///
    /// # Errors
    /// If the API cannot take it.
    pub fn create_payload(&self, prompt: impl Into<Prompt>, max_tokens: u64) -> Result<Payload> {
        (self.family.payload)(prompt.into(), max_tokens, self.streaming)
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
    let provider = saved.state.get("provider").and_then(Value::as_str);
    let usual = api.key_variable_at(provider);
    let key_variable = api_key_env.or(usual).unwrap_or_default();
    (api.family.load)(saved, key_variable)
}
