//! An endpoint as it is saved, and back.

use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use super::OpenAiChat;
use crate::endpoint::SavedObject;
use crate::error::{Error, Result};

const MODULE: &str = "llmeter.endpoints.openai";
const STREAMING: &str = "OpenAICompletionStreamEndpoint";
const WHOLE: &str = "OpenAICompletionEndpoint";

/// Where the OpenAI SDK goes when no base URL is given.
const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1/";

/// Headers whose values are no secret and are saved.
const HARMLESS_HEADERS: [&str; 6] = [
    "accept",
    "accept-language",
    "content-type",
    "openai-beta",
    "user-agent",
    "x-title",
];

pub(super) fn is_harmless_header(name: &str) -> bool {
    HARMLESS_HEADERS.contains(&name.to_ascii_lowercase().as_str())
}

/// Whether a parameter's name says that its value is a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "key", "token", "secret", "auth", "sig", "pass", "cred", "code",
    ]
    .iter()
    .any(|word| name.contains(word))
}

impl OpenAiChat {
    /// Rebuilds an endpoint from `run_config.json`, in its present form or the one before 0.2.0.
    ///
    /// No file holds the API key; it is read from the environment variable `api_key_env`. A key
    /// that is not there is no error, nor are settings that have no meaning here.
    ///
    /// # Errors
    /// When the object is another endpoint, lacks its model or has a setting that cannot be used.
    pub fn from_saved(saved: &SavedObject, api_key_env: &str) -> Result<Self> {
        let state = &saved.state;
        let class = match state.get("endpoint_type").and_then(Value::as_str) {
            Some(class) if saved.class.is_empty() => class,
            _ => saved.class.rsplit('.').next().unwrap_or_default(),
        };
        let streaming = match class {
            STREAMING => true,
            WHOLE => false,
            other => {
                return Err(Error::invalid(
                    "endpoint",
                    if other.is_empty() {
                        "(no class)"
                    } else {
                        other
                    },
                    format!("a saved {STREAMING} or {WHOLE}"),
                ));
            }
        };
        let text = |name: &'static str| match state.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(other) => Err(Error::invalid(name, other, "a text")),
        };
        let model_id = text("model_id")?
            .ok_or_else(|| Error::invalid("model_id", "(missing)", "the model's id"))?;

        let base_url = text("base_url")?.unwrap_or(DEFAULT_BASE_URL);
        let mut builder = Self::builder(base_url, model_id).streaming(streaming);
        if let Some(name) = text("endpoint_name")? {
            builder = builder.endpoint_name(name);
        }
        if let Some(provider) = text("provider")? {
            builder = builder.provider(provider);
        }
        if let Some(organization) = text("organization")? {
            builder = builder.organization(organization);
        }
        if let Some(project) = text("project")? {
            builder = builder.project(project);
        }
        if let Some(timeout @ (Value::Number(_) | Value::Object(_))) = state.get("timeout") {
            builder = builder.saved_timeout(timeout.clone());
        }
        for (name, value) in pairs(state, "default_headers") {
            builder = builder.header(name, value);
        }
        for (name, value) in pairs(state, "default_query") {
            builder = builder.query(name, value);
        }
        if let Ok(key) = std::env::var(api_key_env) {
            builder = builder.api_key(key);
        }
        builder.build()
    }

    pub(super) fn to_saved(&self) -> SavedObject {
        let mut state = Map::new();
        let mut set = |name: &str, value: Value| state.insert(name.to_owned(), value);
        set("model_id", json!(self.identity.model_id));
        set("endpoint_name", json!(self.identity.endpoint_name));
        set("provider", json!(self.identity.provider));
        set("project", json!(self.project));
        set("organization", json!(self.organization));
        set("base_url", json!(self.base_url));
        set("max_retries", json!(0));
        set("timeout", self.timeout.clone());
        let headers: Map<String, Value> = self
            .own_headers
            .iter()
            .filter(|(name, _)| is_harmless_header(name))
            .map(|(name, value)| (name.clone(), json!(value.expose_secret())))
            .collect();
        if !headers.is_empty() {
            set("default_headers", Value::Object(headers));
        }
        let query: Map<String, Value> = self
            .query
            .iter()
            .filter(|(name, _)| !is_secret_name(name))
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        if !query.is_empty() {
            set("default_query", Value::Object(query));
        }
        let class = if self.streaming { STREAMING } else { WHOLE };
        SavedObject {
            class: format!("{MODULE}.{class}"),
            state,
        }
    }
}

/// The entries of a saved mapping; values that are no texts are written as JSON.
fn pairs(state: &Map<String, Value>, name: &str) -> Vec<(String, String)> {
    let entries = state.get(name).and_then(Value::as_object);
    entries
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (name.clone(), value)
        })
        .collect()
}
