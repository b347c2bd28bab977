//! An endpoint as it is saved, and back.

use serde_json::{Map, Value, json};

use super::{OpenAi, OpenAiApi};
use crate::base::error::Result;
use crate::endpoint::SavedObject;
use crate::endpoint::access::pairs;
use crate::endpoint::saved_state::{HEADERS, QUERY, set_additions};

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
        let (whole, streaming) = (A::FORM.whole_class, A::FORM.streaming_class);
        let streaming = saved.is_streaming(streaming, whole)?;
        let model_id = saved.required_text("model_id")?;
        let base_url = match A::FORM.base_url {
            Some(usual) => saved.text("base_url")?.unwrap_or(usual),
            None => saved.required_text("base_url")?,
        };
        let mut builder = Self::builder(base_url, model_id).streaming(streaming);
        if let Some(name) = saved.text("endpoint_name")? {
            builder = builder.endpoint_name(name);
        }
        if let Some(provider) = saved.text("provider")? {
            builder = builder.provider(provider);
        }
        if let Some(organization) = saved.text("organization")? {
            builder = builder.organization(organization);
        }
        if let Some(project) = saved.text("project")? {
            builder = builder.project(project);
        }
        if let Some(timeout @ (Value::Number(_) | Value::Object(_))) = state.get("timeout") {
            builder = builder.saved_timeout(timeout.clone());
        }
        for (name, value) in pairs(state, HEADERS) {
            builder = builder.header(name, value);
        }
        for (name, value) in pairs(state, QUERY) {
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
        set_additions(&mut state, &self.access);
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
