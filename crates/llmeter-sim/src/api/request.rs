//! What requests ask for, as far as the simulator cares, and reading it from JSON.

use serde_json::{Map, Value};

use super::Route;
use super::error::ApiError;
use super::prompt::Prompt;

/// A request for generated content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiRequest {
    pub(crate) model: String,
    pub(crate) stream: bool,
    /// Whether a stream tells its token counts.
    pub(crate) include_usage: bool,
    /// The maximum of tokens to generate, reasoning included.
    pub(crate) limit: Option<u32>,
    /// Completions wanted.
    pub(crate) choices: u32,
    pub(crate) prompt: Prompt,
    /// The tool that must be called.
    pub(crate) tool: Option<Tool>,
}

impl ApiRequest {
    /// A request for one choice that is as its path says, tells its token counts, has no limit and
    /// insists on no tool.
    pub(super) fn new(route: &Route, prompt: Prompt) -> Self {
        Self {
            model: route.model.clone(),
            stream: route.stream,
            include_usage: true,
            limit: None,
            choices: 1,
            prompt,
            tool: None,
        }
    }
}

/// A tool call to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    /// The argument that is given.
    pub(crate) argument: String,
    /// Whether this tool was asked for by name, which the finish reason tells.
    pub(crate) named: bool,
}

impl Tool {
    /// The first tool of a list, or the one that is wanted, whose name and schema are there.
    pub(super) fn pick<'a>(
        tools: impl IntoIterator<Item = &'a Value>,
        [name, schema]: [&str; 2],
        wanted: Option<&str>,
    ) -> Option<Self> {
        let named = |tool: &'a Value| Some((tool.pointer(name)?.as_str()?, tool.pointer(schema)));
        let mut found = tools.into_iter().filter_map(named);
        let (name, schema) = found.find(|found| wanted.is_none_or(|wanted| wanted == found.0))?;
        Some(Self {
            name: name.to_owned(),
            argument: text_argument(schema),
            named: wanted.is_some(),
        })
    }
}

/// A member that is there and not null.
pub(super) fn present<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

pub(super) fn flag(object: &Map<String, Value>, name: &str) -> Result<bool, ApiError> {
    match present(object, name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(ApiError::wrong_type(name, "a boolean", other)),
    }
}

/// A number of at least 1.
pub(super) fn count(
    object: &Map<String, Value>,
    name: &str,
    max: u32,
) -> Result<Option<u32>, ApiError> {
    let Some(value) = present(object, name) else {
        return Ok(None);
    };
    if !value.is_i64() && !value.is_u64() {
        return Err(ApiError::wrong_type(name, "an integer", value));
    }
    let out_of_range = |bound: &str, code| {
        let message = format!("Invalid '{name}': integer {bound}, but got {value} instead.");
        ApiError::new(400, message).param(name).code(code)
    };
    match value.as_u64() {
        None | Some(0) => Err(out_of_range(
            "below minimum value. Expected a value >= 1",
            "integer_below_min_value",
        )),
        Some(count) => match u32::try_from(count) {
            Ok(count) if count <= max => Ok(Some(count)),
            _ => Err(out_of_range(
                &format!("above maximum value. Expected a value <= {max}"),
                "integer_above_max_value",
            )),
        },
    }
}

/// An object that may be missing.
pub(super) fn section<'a>(
    request: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a Map<String, Value>>, ApiError> {
    match present(request, name) {
        None => Ok(None),
        Some(Value::Object(section)) => Ok(Some(section)),
        Some(other) => Err(ApiError::wrong_type(name, "an object", other)),
    }
}

/// The limit in an object that may be missing.
pub(super) fn limit_in(
    request: &Map<String, Value>,
    name: &str,
    limit: &str,
) -> Result<Option<u32>, ApiError> {
    let section = section(request, name)?;
    section.map_or(Ok(None), |section| count(section, limit, u32::MAX))
}

/// A text that must be there.
pub(super) fn required_text(request: &Map<String, Value>, name: &str) -> Result<String, ApiError> {
    match present(request, name) {
        None => Err(ApiError::missing(name)),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(ApiError::wrong_type(name, "a string", other)),
    }
}

/// The objects of a list that must be there and not be empty.
pub(super) fn required_list<'a>(
    request: &'a Map<String, Value>,
    name: &str,
) -> Result<&'a [Value], ApiError> {
    let wrong_type = |value| Err(ApiError::wrong_type(name, "an array of objects", value));
    match present(request, name) {
        None => Err(ApiError::missing(name)),
        Some(Value::Array(list)) if list.is_empty() => {
            Err(ApiError::wrong_value(name, "at least one is required."))
        }
        Some(Value::Array(list)) => match list.iter().find(|value| !value.is_object()) {
            Some(other) => wrong_type(other),
            None => Ok(list),
        },
        Some(other) => wrong_type(other),
    }
}

/// The first text among a schema's properties, so that a caller which reads its arguments finds one.
fn text_argument(schema: Option<&Value>) -> String {
    let is_text = |schema: &Value| {
        let kind = schema.get("type").and_then(Value::as_str);
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case("string"))
    };
    schema
        .and_then(|schema| schema.get("properties")?.as_object())
        .and_then(|properties| properties.iter().find(|(_, schema)| is_text(schema)))
        .map_or_else(|| "input".to_owned(), |(name, _)| name.clone())
}
