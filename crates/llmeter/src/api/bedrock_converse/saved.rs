//! An endpoint as it is saved, and back.

use serde_json::{Map, Value, json};

use super::BedrockConverse;
use crate::base::error::{Error, Result};
use crate::endpoint::SavedObject;
use crate::endpoint::aws::saved_options;

const MODULE: &str = "llmeter.endpoints.bedrock";
const STREAMING: &str = "BedrockConverseStream";
const WHOLE: &str = "BedrockConverse";

impl BedrockConverse {
    /// Rebuilds an endpoint from `run_config.json`, in its present form or the one before 0.2.0.
    ///
    /// No file holds credentials: they come from the environment, a Bedrock API key from the
    /// variable `key_variable`.
    ///
    /// # Errors
    /// When the object is another endpoint, lacks its model or has a setting that cannot be used.
    pub fn from_saved(saved: &SavedObject, key_variable: &str) -> Result<Self> {
        let streaming = saved.is_streaming(Some(STREAMING), WHOLE)?;
        let model_id = saved.required_text("model_id")?;
        let mut builder = Self::builder(model_id)
            .streaming(streaming)
            .aws(saved_options(saved, key_variable)?);
        if let Some(name) = saved.text("endpoint_name")? {
            builder = builder.endpoint_name(name);
        }
        match saved.state.get("inference_config") {
            None | Some(Value::Null) => {}
            Some(Value::Object(config)) => builder = builder.inference_config(config.clone()),
            Some(other) => return Err(Error::field("inference_config", other, "an object")),
        }
        if let Some(attempts @ Value::Number(_)) = saved.state.get("max_attempts") {
            builder.max_attempts = attempts.clone();
        }
        if let Some(Value::Bool(only)) = saved.state.get("ttft_visible_tokens_only") {
            builder.ttft_visible_tokens_only = *only;
        }
        builder.build()
    }

    pub(super) fn to_saved(&self) -> SavedObject {
        let mut state = Map::new();
        let mut set = |name: &str, value: Value| state.insert(name.to_owned(), value);
        set("model_id", json!(self.identity.model_id));
        set("endpoint_name", json!(self.identity.endpoint_name));
        set("region", json!(self.aws.region()));
        set("inference_config", json!(self.inference_config));
        set("max_attempts", self.max_attempts.clone());
        if self.streaming {
            set(
                "ttft_visible_tokens_only",
                json!(self.ttft_visible_tokens_only),
            );
        }
        let class = if self.streaming { STREAMING } else { WHOLE };
        SavedObject {
            class: format!("{MODULE}.{class}"),
            state,
        }
    }
}
