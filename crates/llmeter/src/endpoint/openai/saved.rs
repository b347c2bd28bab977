//! An endpoint as it is saved, and back.

use serde_json::{Map, Value, json};

use super::{OpenAi, OpenAiApi};
use crate::endpoint::SavedObject;
use crate::endpoint::access::pairs;
use crate::error::{Error, Result};

impl<A: OpenAiApi> OpenAi<A> {
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
        let (whole, streaming) = (A::FORM.whole_class, A::FORM.streaming_class);
        let streaming = match class {
            class if Some(class) == streaming => true,
            class if class == whole => false,
            other => {
                let expected = match streaming {
                    Some(streaming) => format!("a saved {streaming} or {whole}"),
                    None => format!("a saved {whole}"),
                };
                let given = if other.is_empty() {
                    "(no class)"
                } else {
                    other
                };
                return Err(Error::invalid("endpoint", given, expected));
            }
        };
        let text = |name: &'static str| match state.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(other) => Err(Error::invalid(name, other, "a text")),
        };
        let model_id = text("model_id")?
            .ok_or_else(|| Error::invalid("model_id", "(missing)", "the model's id"))?;

        let base_url = text("base_url")?
            .or(A::FORM.base_url)
            .ok_or_else(|| Error::invalid("base_url", "(missing)", "the API's address"))?;
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
        if self.streaming {
            for (name, value) in A::FORM.saved_when_streaming {
                set(name, json!(value));
            }
        }
        set("project", json!(self.project));
        set("organization", json!(self.organization));
        set("base_url", json!(self.access.base_url()));
        set("max_retries", json!(0));
        set("timeout", self.timeout.clone());
        for (name, values) in [
            ("default_headers", self.access.saved_headers()),
            ("default_query", self.access.saved_query()),
        ] {
            if !values.is_empty() {
                set(name, Value::Object(values));
            }
        }
        let class = match A::FORM.streaming_class {
            Some(class) if self.streaming => class,
            _ => A::FORM.whole_class,
        };
        SavedObject {
            class: format!("{}.{class}", A::FORM.module),
            state,
        }
    }
}
