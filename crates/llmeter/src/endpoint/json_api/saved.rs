//! An endpoint as it is saved, and back.

use serde_json::{Map, Value, json};

use super::{Dialect, JsonEndpoint, JsonEndpointBuilder};
use crate::endpoint::SavedObject;
use crate::endpoint::access::pairs;
use crate::error::{Error, Result};

impl JsonEndpoint {
    /// Rebuilds an endpoint of an API from a file. No file holds a key; it is read from the
    /// environment variable `api_key_env`, and one that is not there is no error.
    ///
    /// # Errors
    /// When the object is another endpoint, lacks its model or has a setting that cannot be used.
    pub(in crate::endpoint) fn from_saved(
        dialect: &'static dyn Dialect,
        saved: &SavedObject,
        api_key_env: &str,
    ) -> Result<Self> {
        let (state, names) = (&saved.state, dialect.names());
        let class = saved.name();
        let streaming = match class {
            _ if class == names.stream_class => true,
            _ if class == names.whole_class => false,
            other => {
                return Err(Error::invalid(
                    "endpoint",
                    if other.is_empty() {
                        "(no class)"
                    } else {
                        other
                    },
                    format!("a saved {} or {}", names.stream_class, names.whole_class),
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
        let base_url = text("base_url")?.unwrap_or_default();
        let mut builder =
            JsonEndpointBuilder::new(dialect, base_url.to_owned(), model_id.to_owned())
                .streaming(streaming);
        if let Some(name) = text("endpoint_name")? {
            builder = builder.endpoint_name(name);
        }
        if let Some(provider) = text("provider")? {
            builder = builder.provider(provider);
        }
        // The Python system has a name of its own for AWS's regions.
        if let Some(region) = text("region")?.or(text("aws_region")?) {
            builder = builder.region(region);
        }
        if let Some(project) = text("project_id")? {
            builder = builder.project(project);
        }
        for (name, value) in pairs(state, "default_headers") {
            builder = builder.header(name, value);
        }
        for (name, value) in pairs(state, "default_query") {
            builder = builder.query(name, value);
        }
        for (name, _) in dialect.saved_fields(streaming) {
            if let Some(value) = state.get(name) {
                builder.kept.insert(name.to_owned(), value.clone());
            }
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
        for (name, usual) in self.dialect.saved_fields(self.streaming) {
            set(name, self.kept.get(name).cloned().unwrap_or(usual));
        }
        let base_url = match self.dialect.names().base_url {
            // Where the Python system's client takes the address to pieces, it ends in a slash.
            "" => self.base_url(),
            _ => self.base_url().trim_end_matches('/'),
        };
        set("base_url", json!(base_url));
        set("max_retries", json!(0));
        for (name, values) in [
            ("default_headers", self.route.access().saved_headers()),
            ("default_query", self.route.access().saved_query()),
        ] {
            if !values.is_empty() {
                set(name, Value::Object(values));
            }
        }
        let names = self.dialect.names();
        let class = if self.streaming {
            names.stream_class
        } else {
            names.whole_class
        };
        SavedObject {
            class: format!("{}.{class}", names.module),
            state,
        }
    }
}
