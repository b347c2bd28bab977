//! Chat Completions as Azure OpenAI serves them: other addresses and another header for the key.

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use super::*;
use crate::base::error::Error;

/// The query parameter that says which version of the API is meant.
const VERSION: &str = "api-version";

/// The newest version that is not a preview.
const NEWEST: &str = "2024-10-21";

/// Deployments of models in Azure OpenAI, spoken to by Chat Completions.
///
/// The base URL is the resource (`https://NAME.openai.azure.com`), the resource with the newer path
/// (`…/openai/v1`), or a deployment's target URI as Azure shows it, `api-version` included. The
/// model's id is the deployment's name. The version is 2024-10-21 unless the URI or the query
/// parameter `api-version` says otherwise; the newer path needs none.
///
/// ```
/// use llmeter::endpoint::AzureOpenAiChat;
///
/// let endpoint = AzureOpenAiChat::builder("https://mine.openai.azure.com", "my-deployment")
///     .api_key("my-key")
///     .build()?;
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct AzureOpenAiChat;

entry_points!(AzureOpenAiChat);

const SPEC: ApiSpec = ApiSpec {
    about: "Chat Completions in Azure OpenAI",
    modes: &[
        Mode::streaming(
            "azure-openai-chat-stream",
            "AzureOpenAICompletionStreamEndpoint",
        ),
        Mode::non_streaming("azure-openai-chat", "AzureOpenAICompletionEndpoint"),
    ],
    // The Python system has no such endpoint, so that these names are llmeter's own.
    module: "llmeter.endpoints.azure_openai",
    endpoint_name: "azure-openai",
    provider: "azure",
    key_variable: Some("AZURE_OPENAI_API_KEY"),
    address_variables: &["AZURE_OPENAI_ENDPOINT"],
    saved_base_url: None,
    example_base_url: ApiSpec::DEFAULT.example_base_url,
    ..openai_chat::SPEC
};

impl Api for AzureOpenAiChat {
    fn spec(&self) -> &'static ApiSpec {
        &SPEC
    }

    fn payload(&self, prompt: &PromptParts<'_>, max_tokens: u64, streaming: bool) -> Payload {
        OpenAiChat.payload(prompt, max_tokens, streaming)
    }

    fn prepare(&self, payload: &mut Payload, model: Option<&str>, streaming: bool) {
        OpenAiChat.prepare(payload, model, streaming);
    }

    fn prompt_text(&self, payload: &Payload) -> Option<String> {
        OpenAiChat.prompt_text(payload)
    }

    fn configure(&self, setup: &mut EndpointSetup) -> Result<Option<Arc<dyn Api>>> {
        let deployment = deployment(setup)?;
        take_target_uri(&mut setup.base_url, &mut setup.query, &deployment)?;
        // The resource as some SDKs and portals show it. The path below it begins with `openai` anyway.
        if let Some(resource) = setup
            .base_url
            .trim()
            .trim_end_matches('/')
            .strip_suffix("/openai")
        {
            setup.base_url = resource.to_owned();
        }
        let is_versioned = setup.query.iter().any(|(name, _)| name == VERSION);
        if !is_newer(setup) && !is_versioned {
            setup.query.push((VERSION.to_owned(), NEWEST.to_owned()));
        }
        Ok(None)
    }

    fn path(&self, setup: &EndpointSetup) -> Result<String> {
        let path = OpenAiChat.path(setup)?;
        if is_newer(setup) {
            return Ok(path);
        }
        let deployment = deployment(setup)?;
        Ok(format!("openai/deployments/{deployment}/{path}"))
    }

    fn key_header(&self, key: &SecretString) -> Option<(&'static str, SecretString)> {
        Some(("api-key", key.clone()))
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        OpenAiChat.decoder()
    }

    fn headers(&self, setup: &EndpointSetup) -> Vec<(&'static str, String)> {
        openai::headers(setup)
    }

    fn saved_fields(&self, _: bool) -> Vec<(&'static str, Value)> {
        openai::saved_fields(&[])
    }
}

/// Whether the base URL has the newer path, which needs no version and names no deployment.
fn is_newer(setup: &EndpointSetup) -> bool {
    let base_url = setup.base_url.trim().trim_end_matches('/');
    base_url.ends_with("/openai/v1")
}

/// A deployment's name as a segment of a path.
fn deployment(setup: &EndpointSetup) -> Result<String> {
    let name = &setup.identity.model_id;
    match name.as_str() {
        // They are no segments: URLs leave them out.
        "" | "." | ".." => Err(Error::invalid(
            Setting::Model,
            name,
            "the name of a deployment",
        )),
        name => Ok(path_segment(name)),
    }
}

/// Takes apart a base URL that is a deployment's target URI:
/// `https://NAME.openai.azure.com/openai/deployments/DEPLOYMENT/chat/completions?api-version=…`.
fn take_target_uri(
    base_url: &mut String,
    query: &mut Vec<(String, String)>,
    deployment: &str,
) -> Result<()> {
    let Ok(mut url) = base_url.trim().parse::<Url>() else {
        return Ok(());
    };
    let Some((before, after)) = url.path().split_once("/openai/deployments/") else {
        return Ok(());
    };
    let (named, rest) = after.split_once('/').unwrap_or((after, ""));
    if !matches!(rest.trim_end_matches('/'), "" | "chat/completions") {
        let expected = "the target URI of a deployment for chat completions";
        return Err(Error::invalid(Setting::BaseUrl, url.path(), expected));
    }
    // As others may escape it.
    let is_named = percent_decode_str(named).eq(percent_decode_str(deployment));
    if !is_named {
        let expected = format!("{named}, the deployment that the target URI names");
        return Err(Error::invalid(Setting::Model, deployment, expected));
    }
    // A query with anything else may hold a key, and the common check refuses it.
    if url.query_pairs().any(|(name, _)| name != VERSION) {
        return Ok(());
    }
    if !query.iter().any(|(name, _)| name == VERSION) {
        let given = url.query_pairs().next();
        query.extend(given.map(|(name, value)| (name.into(), value.into())));
    }
    let before = before.to_owned();
    url.set_query(None);
    url.set_path(&before);
    *base_url = url.into();
    Ok(())
}
