//! An endpoint as it is saved, and back.

use serde_json::{Map, Value, json};

use super::SageMaker;
use crate::base::error::Result;
use crate::endpoint::SavedObject;
use crate::endpoint::aws::saved_options;

const MODULE: &str = "llmeter.endpoints.sagemaker";
const STREAMING: &str = "SageMakerStreamEndpoint";
const WHOLE: &str = "SageMakerEndpoint";

impl SageMaker {
    /// Rebuilds an endpoint from `run_config.json`, in its present form or the one before 0.2.0.
    ///
    /// No file holds credentials: they come from the environment.
    ///
    /// # Errors
    /// When the object is another endpoint, lacks its name or has a setting that cannot be used.
    pub fn from_saved(saved: &SavedObject) -> Result<Self> {
        let streaming = saved.is_streaming(Some(STREAMING), WHOLE)?;
        let name = saved.required_text("endpoint_name")?;
        let model_id = saved.text("model_id")?.unwrap_or(name);
        let mut builder = Self::builder(name, model_id)
            .streaming(streaming)
            .aws(saved_options(saved, "")?);
        for (field, place) in [
            ("generated_text_jmespath", &mut builder.generated_text),
            ("input_text_jmespath", &mut builder.input_text),
            ("token_count_jmespath", &mut builder.token_count),
        ] {
            if let Some(path) = saved.text(field)? {
                *place = path.to_owned();
            }
        }
        builder.build()
    }

    pub(super) fn to_saved(&self) -> SavedObject {
        let mut state = Map::new();
        let mut set = |name: &str, value: Value| state.insert(name.to_owned(), value);
        set("endpoint_name", json!(self.identity.endpoint_name));
        set("model_id", json!(self.identity.model_id));
        set("generated_text_jmespath", json!(self.generated_text.text()));
        set("input_text_jmespath", json!(self.input_text.text()));
        set("token_count_jmespath", json!(self.token_count.text()));
        set("region", json!(self.aws.region()));
        let class = if self.streaming { STREAMING } else { WHOLE };
        SavedObject {
            class: format!("{MODULE}.{class}"),
            state,
        }
    }
}
