//! Chat Completions as Azure OpenAI serves them: other addresses and another header for the key.

use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use super::FrameDecoder;
use super::openai_chat::Chat;
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::endpoint::openai::{OpenAi, OpenAiApi, OpenAiForm};
use crate::payload::Payload;

/// The query parameter that says which version of the API is meant.
const VERSION: &str = "api-version";

/// The newest version that is not a preview.
const NEWEST: &str = "2024-10-21";

/// A deployment of a model in Azure OpenAI, spoken to by Chat Completions.
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
pub type AzureOpenAiChat = OpenAi<AzureChat>;

/// Azure's Chat Completions API.
#[derive(Debug, Clone)]
pub enum AzureChat {}

impl OpenAiApi for AzureChat {
    const FORM: OpenAiForm = OpenAiForm {
        // The Python system has no such endpoint, so that these names are llmeter's own.
        module: "llmeter.endpoints.azure_openai",
        streaming_class: Some("AzureOpenAICompletionStreamEndpoint"),
        whole_class: "AzureOpenAICompletionEndpoint",
        endpoint_names: ["azure-openai", "azure-openai"],
        provider: "azure",
        base_url: None,
        path: Chat::FORM.path,
        saved_when_streaming: &[],
    };

    fn address(
        base_url: &mut String,
        query: &mut Vec<(String, String)>,
        model_id: &str,
    ) -> Result<String> {
        let deployment = path_segment(model_id)?;
        take_target_uri(base_url, query, &deployment)?;
        let path = base_url.trim().trim_end_matches('/');
        if path.ends_with("/openai/v1") {
            return Ok(Self::FORM.path.to_owned());
        }
        if !query.iter().any(|(name, _)| name == VERSION) {
            query.push((VERSION.to_owned(), NEWEST.to_owned()));
        }
        let appended = Self::FORM.path;
        Ok(format!("openai/deployments/{deployment}/{appended}"))
    }

    fn key_header(key: &str) -> (&'static str, SecretString) {
        ("api-key", key.into())
    }

    fn prepare(payload: &mut Payload, streaming: bool) {
        Chat::prepare(payload, streaming);
    }

    fn prompt_text(payload: &Payload) -> Option<Value> {
        Chat::prompt_text(payload)
    }

    fn decoder() -> Box<dyn FrameDecoder> {
        Chat::decoder()
    }
}

/// A deployment's name as a segment of a path.
fn path_segment(model_id: &str) -> Result<String> {
    let refuse = || Error::invalid(Setting::Model, model_id, "the name of a deployment");
    let mut url = Url::parse("https://host/").map_err(|_| refuse())?;
    url.path_segments_mut()
        .map_err(|()| refuse())?
        .push(model_id);
    match url.path().trim_start_matches('/') {
        "" => Err(refuse()),
        segment => Ok(segment.to_owned()),
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
    if named != deployment {
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
