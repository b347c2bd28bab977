//! An endpoint as it is saved, and back.

use serde_json::{Map, Value, json};

use super::HttpEndpoint;
use super::build::FRAMINGS;
use super::decode::Places;
use crate::base::error::{Error, Result};
use crate::endpoint::SavedObject;
use crate::endpoint::access::pairs;
use crate::endpoint::saved_state::{HEADERS, QUERY, set_additions};

const MODULE: &str = "llmeter.endpoints.http";
const CLASS: &str = "HttpEndpoint";

impl HttpEndpoint {
    /// Rebuilds an endpoint from `run_config.json`. No file holds a key; it is read from the
    /// environment variable `api_key_env`, and one that is not there is no error. Headers that may
    /// be secret, and query parameters whose names say so, have to be given again.
    ///
    /// # Errors
    /// When the object is another endpoint, lacks its address or has a setting that cannot be used.
    pub fn from_saved(saved: &SavedObject, api_key_env: &str) -> Result<Self> {
        saved.is_streaming(None, CLASS)?;
        let state = &saved.state;
        let url = saved.required_text("base_url")?;
        let mut builder = Self::builder(url);
        if let Some(model) = saved.text("model_id")? {
            builder = builder.model(model);
        }
        if let Some(name) = saved.text("endpoint_name")? {
            builder = builder.endpoint_name(name);
        }
        if let Some(provider) = saved.text("provider")? {
            builder = builder.provider(provider);
        }
        if let Some(method) = saved.text("method")? {
            builder = builder.method(method);
        }
        if let Some(body) = saved.text("body")? {
            builder = builder.body(body);
        }
        if let Some(name) = saved.text("framing")? {
            builder = builder.saved_framing(name)?;
        }
        match state.get("jmespath") {
            None | Some(Value::Null) => {}
            Some(Value::Object(places)) => builder = builder.saved_places(places)?,
            Some(other) => return Err(Error::field("jmespath", other, "an object")),
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
        let framing = FRAMINGS.iter().find(|(_, known)| *known == self.framing);
        let mut state = Map::new();
        let mut set = |name: &str, value: Value| state.insert(name.to_owned(), value);
        set("model_id", json!(self.identity.model_id));
        set("endpoint_name", json!(self.identity.endpoint_name));
        set("provider", json!(self.identity.provider));
        set("base_url", json!(self.url));
        set("method", json!(self.method));
        set("body", json!(self.body.text()));
        set("framing", json!(framing.map(|(name, _)| name)));
        set("jmespath", Value::Object(self.saved_places()));
        set_additions(&mut state, &self.access);
        SavedObject {
            class: format!("{MODULE}.{CLASS}"),
            state,
        }
    }

    /// The expressions, by the names of their parts.
    fn saved_places(&self) -> Map<String, Value> {
        let mut places = self.places.named();
        if let Some(path) = &self.prompt {
            places.insert("prompt".to_owned(), path.text().into());
        }
        places
    }
}

impl Places {
    /// The expressions, by the names of their parts.
    fn named(&self) -> Map<String, Value> {
        let parts = self.parts();
        parts
            .into_iter()
            .filter_map(|(name, path)| Some((name.to_owned(), path?.text().into())))
            .collect()
    }
}
