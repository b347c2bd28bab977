//! Cost models as files hold them.

use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::dimension::{request_dimension_from_json, run_dimension_from_json};
use super::{CostModel, EndpointTime, InputTokens, OutputTokens};
use crate::base::error::{Error, Result};
use crate::saved::{Field, Saved, SavedObject};

impl CostModel {
    /// Builds a model from a saved one: an envelope, the form of Python packages before 0.2.0, or
    /// the state alone, as those packages wrote it to `run_config.json`.
    ///
    /// # Errors
    /// If a type is unknown or a field is wrong.
    pub fn from_json(value: &Value) -> Result<Self> {
        Self::from_saved(value)
    }

    /// Whether a saved callback is a cost model, in any form that [`from_json`](Self::from_json)
    /// reads.
    pub fn is_saved(value: &Value) -> bool {
        let is_model =
            |saved: SavedObject| saved.class == Self::CLASS || saved.class == "CostModel";
        Self::is_bare(value) || SavedObject::from_json(value).is_ok_and(is_model)
    }
}

impl Saved for CostModel {
    const CLASS: &'static str = "llmeter.callbacks.cost.model.CostModel";
    const ABOUT: &'static str = "Puts costs on every response and on the run";
    const FIELDS: &'static [Field] = &[
        Field::of_objects(
            "request_dims",
            "costs of each request, by name: InputTokens, OutputTokens, CachedInputTokens, \
             ReasoningTokens, PerRequest",
        ),
        Field::of_objects(
            "run_dims",
            "costs of the run, by name: EndpointTime, SageMakerRTEndpointCompute, \
             SageMakerRTEndpointStorage",
        ),
    ];

    /// Python packages before 0.2.0 wrote it to `run_config.json` without its type.
    fn is_bare(value: &Value) -> bool {
        value.as_object().is_some_and(|object| {
            let is_field = |key: &String| key == "request_dims" || key == "run_dims";
            !object.is_empty() && object.keys().all(is_field)
        })
    }

    fn example() -> Option<Self> {
        let model = Self::new()
            .with_request(InputTokens::example()?)
            .and_then(|model| model.with_request(OutputTokens::new(15.0)?))
            .and_then(|model| model.with_run(EndpointTime::new(12.5)?));
        model.ok()
    }
}

impl Serialize for CostModel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut request, mut run) = (Map::new(), Map::new());
        for (name, dimension) in &self.request_dims {
            let saved = dimension.saved().map_err(S::Error::custom)?;
            request.insert(name.clone(), saved.to_json());
        }
        for (name, dimension) in &self.run_dims {
            let saved = dimension.saved().map_err(S::Error::custom)?;
            run.insert(name.clone(), saved.to_json());
        }
        json!({"request_dims": request, "run_dims": run}).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CostModel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct State {
            #[serde(default)]
            request_dims: Value,
            #[serde(default)]
            run_dims: Value,
        }
        let State {
            request_dims,
            run_dims,
        } = State::deserialize(deserializer)?;
        let build = || {
            let mut model = Self::new();
            for (name, saved) in named("request_dims", request_dims)? {
                let dimension = request_dimension_from_json(&saved)?;
                let class = dimension.saved()?;
                let name = name.unwrap_or_else(|| class.name().to_owned());
                model = model.with_named_request(name, dimension)?;
            }
            for (name, saved) in named("run_dims", run_dims)? {
                let dimension = run_dimension_from_json(&saved)?;
                let class = dimension.saved()?;
                let name = name.unwrap_or_else(|| class.name().to_owned());
                model = model.with_named_run(name, dimension)?;
            }
            Ok(model)
        };
        build().map_err(|reason: Error| serde::de::Error::custom(reason))
    }
}

/// The saved dimensions of one kind: an object by name, or a list without names.
fn named(field: &'static str, dims: Value) -> Result<Vec<(Option<String>, Value)>> {
    match dims {
        Value::Null => Ok(Vec::new()),
        Value::Array(dims) => Ok(dims.into_iter().map(|saved| (None, saved)).collect()),
        Value::Object(dims) => {
            let dimension = |(name, saved)| (Some(String::clone(&name)), typed(name, saved));
            Ok(dims.into_iter().map(dimension).collect())
        }
        other => {
            let expected = "an object of dimensions by name, or a list of them";
            Err(Error::field(field, other, expected))
        }
    }
}

/// A saved dimension, with its name as its type if it names none: so `run_config.json` had them
/// before 0.2.0 of the Python system.
fn typed(class: String, saved: Value) -> Value {
    match saved {
        Value::Object(state) if !state.keys().any(|key| key.starts_with('_')) => {
            SavedObject { class, state }.to_json()
        }
        saved => saved,
    }
}
