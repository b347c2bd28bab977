//! An endpoint as it is saved, and back.

use serde_json::{Map, Value, json};

use super::BedrockInvoke;
use crate::base::error::{Error, Result};
use crate::endpoint::SavedObject;
use crate::endpoint::aws::saved_options;

const MODULE: &str = "llmeter.endpoints.bedrock_invoke";
const STREAMING: &str = "BedrockInvokeStream";
const WHOLE: &str = "BedrockInvoke";

impl BedrockInvoke {
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
        let text = |name| Ok::<_, Error>(saved.text(name)?.map(str::to_owned));
        let mut builder = Self::builder(model_id)
            .streaming(streaming)
            .aws(saved_options(saved, key_variable)?);
        if let Some(name) = saved.text("endpoint_name")? {
            builder = builder.endpoint_name(name);
        }
        if let Some(attempts @ Value::Number(_)) = saved.state.get("max_attempts") {
            builder.max_attempts = attempts.clone();
        }
        builder.generated_text = text("generated_text_jmespath")?;
        builder.generated_token_count = text("generated_token_count_jmespath")?;
        builder.input_text = text("input_text_jmespath")?;
        builder.input_token_count = text("input_token_count_jmespath")?;
        builder.build()
    }

    pub(super) fn to_saved(&self) -> SavedObject {
        let mut state = Map::new();
        let mut set = |name: &str, value: Value| state.insert(name.to_owned(), value);
        set("model_id", json!(self.identity.model_id));
        set("endpoint_name", json!(self.identity.endpoint_name));
        set("region", json!(self.aws.region()));
        set("max_attempts", self.max_attempts.clone());
        for (name, path) in [
            ("generated_text_jmespath", &self.generated_text),
            (
                "generated_token_count_jmespath",
                &self.generated_token_count,
            ),
            ("input_text_jmespath", &self.input_text),
            ("input_token_count_jmespath", &self.input_token_count),
        ] {
            set(name, json!(path.text()));
        }
        let class = if self.streaming { STREAMING } else { WHOLE };
        SavedObject {
            class: format!("{MODULE}.{class}"),
            state,
        }
    }
}
