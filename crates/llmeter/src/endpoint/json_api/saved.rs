//! An endpoint as it is saved, and back.

use serde_json::{Map, Value, json};

use super::{Dialect, JsonEndpoint, JsonEndpointBuilder};
use crate::base::error::Result;
use crate::endpoint::SavedObject;
use crate::endpoint::access::pairs;
use crate::endpoint::saved_state::{HEADERS, QUERY, set_additions};

impl JsonEndpoint {
    /// Rebuilds an endpoint of an API from a file. No file holds a key; it is read from the
    /// environment variable `api_key_env`, and one that is not there is no error.
    ///
    /// # Errors
    /// When the object is another endpoint, lacks its model or has a setting that cannot be used.
    pub(crate) fn from_saved(
        dialect: &'static dyn Dialect,
        saved: &SavedObject,
        api_key_env: &str,
    ) -> Result<Self> {
        let (state, names) = (&saved.state, dialect.names());
        let streaming = saved.is_streaming(Some(names.stream_class), names.whole_class)?;
        let model_id = saved.required_text("model_id")?;
        let base_url = saved.text("base_url")?.unwrap_or_default();
        let mut builder =
            JsonEndpointBuilder::new(dialect, base_url.to_owned(), model_id.to_owned())
                .streaming(streaming);
        if let Some(name) = saved.text("endpoint_name")? {
            builder = builder.endpoint_name(name);
        }
        if let Some(provider) = saved.text("provider")? {
            builder = builder.provider(provider);
        }
        // The Python system has a name of its own for AWS's regions.
        if let Some(region) = saved.text("region")?.or(saved.text("aws_region")?) {
            builder = builder.region(region);
        }
        if let Some(project) = saved.text("project_id")? {
            builder = builder.project(project);
        }
        for (name, value) in pairs(state, HEADERS) {
            builder = builder.header(name, value);
        }
        for (name, value) in pairs(state, QUERY) {
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
        set_additions(&mut state, self.route.access());
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
