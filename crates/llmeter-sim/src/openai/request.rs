//! What a chat completion request asks for, as far as the simulator cares.

use serde_json::{Map, Value};

use super::error::ApiError;

/// A chat completion request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChatRequest {
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    /// Most tokens to generate, reasoning included.
    pub(crate) limit: Option<u32>,
    /// Answers wanted.
    pub(crate) choices: u32,
    pub(crate) prompt_tokens: u64,
    /// The tool that must be called.
    pub(crate) tool: Option<Tool>,
}

/// A tool call to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    /// The argument that is given.
    pub(crate) argument: String,
    /// Whether this tool was asked for by name, which the finish reason tells.
    pub(crate) named: bool,
    /// Whether the API sends a call in one piece.
    pub(crate) at_once: bool,
}

/// As on the real API.
const MAX_CHOICES: u32 = 128;

impl ChatRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let value: Value =
            serde_json::from_slice(body).map_err(|error| ApiError::not_json(&error))?;
        let Value::Object(request) = &value else {
            return Err(ApiError::wrong_type("body", "an object", &value));
        };
        let model = match present(request, "model") {
            None => {
                return Err(ApiError::invalid(400, "you must provide a model parameter"));
            }
            Some(Value::String(model)) => model.clone(),
            Some(other) => return Err(ApiError::wrong_type("model", "a string", other)),
        };
        let prompt_tokens = prompt_tokens(request)?;
        let stream = flag(request, "stream", "stream")?;
        Ok(Self {
            model,
            stream,
            include_usage: include_usage(request, stream)?,
            limit: match count(request, "max_completion_tokens", u32::MAX)? {
                None => count(request, "max_tokens", u32::MAX)?,
                limit => limit,
            },
            choices: count(request, "n", MAX_CHOICES)?.unwrap_or(1),
            prompt_tokens,
            tool: tool(request)?,
        })
    }
}

/// A member that is there and not null.
pub(crate) fn present<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

pub(crate) fn flag(object: &Map<String, Value>, name: &str, param: &str) -> Result<bool, ApiError> {
    match present(object, name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(ApiError::wrong_type(param, "a boolean", other)),
    }
}

pub(crate) fn count(
    object: &Map<String, Value>,
    name: &str,
    most: u32,
) -> Result<Option<u32>, ApiError> {
    let Some(value) = present(object, name) else {
        return Ok(None);
    };
    if !value.is_i64() && !value.is_u64() {
        return Err(ApiError::wrong_type(name, "an integer", value));
    }
    let out_of_range = |bound: &str, code| {
        ApiError::invalid(
            400,
            format!("Invalid '{name}': integer {bound}, but got {value} instead."),
        )
        .param(name)
        .code(code)
    };
    match value.as_u64() {
        None | Some(0) => Err(out_of_range(
            "below minimum value. Expected a value >= 1",
            "integer_below_min_value",
        )),
        Some(count) => match u32::try_from(count) {
            Ok(count) if count <= most => Ok(Some(count)),
            _ => Err(out_of_range(
                &format!("above maximum value. Expected a value <= {most}"),
                "integer_above_max_value",
            )),
        },
    }
}

fn include_usage(request: &Map<String, Value>, stream: bool) -> Result<bool, ApiError> {
    match present(request, "stream_options") {
        None => Ok(false),
        Some(Value::Object(_)) if !stream => Err(ApiError::invalid(
            400,
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        )
        .param("stream_options")),
        Some(Value::Object(options)) => {
            flag(options, "include_usage", "stream_options.include_usage")
        }
        Some(other) => Err(ApiError::wrong_type("stream_options", "an object", other)),
    }
}

/// Whitespace-separated words in all texts of all messages.
fn prompt_tokens(request: &Map<String, Value>) -> Result<u64, ApiError> {
    let messages = match present(request, "messages") {
        None => return Err(ApiError::missing("messages")),
        Some(Value::Array(messages)) => messages,
        Some(other) => {
            return Err(ApiError::wrong_type(
                "messages",
                "an array of objects",
                other,
            ));
        }
    };
    if messages.is_empty() {
        return Err(ApiError::invalid(
            400,
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an \
             empty array instead.",
        )
        .param("messages")
        .code("empty_array"));
    }
    let words = |text: &str| text.split_whitespace().count() as u64;
    let mut tokens = 0;
    for (index, message) in messages.iter().enumerate() {
        let Value::Object(message) = message else {
            let param = format!("messages[{index}]");
            return Err(ApiError::wrong_type(&param, "an object", message));
        };
        check_role(message, index)?;
        let param = || format!("messages[{index}].content");
        match present(message, "content") {
            Some(Value::String(text)) => tokens += words(text),
            Some(Value::Array(parts)) => {
                for part in parts {
                    if !part.is_object() {
                        return Err(ApiError::wrong_type(&param(), "an array of objects", part));
                    }
                    tokens += part.get("text").and_then(Value::as_str).map_or(0, words);
                }
            }
            // A message that calls a tool has none.
            None if message.get("role").is_some_and(|role| role == "assistant") => {}
            None => return Err(ApiError::missing(&param())),
            Some(other) => {
                let expected = "one of a string or array of objects";
                return Err(ApiError::wrong_type(&param(), expected, other));
            }
        }
    }
    Ok(tokens)
}

fn check_role(message: &Map<String, Value>, index: usize) -> Result<(), ApiError> {
    const ROLES: [&str; 6] = [
        "system",
        "assistant",
        "user",
        "function",
        "tool",
        "developer",
    ];
    let param = format!("messages[{index}].role");
    match present(message, "role") {
        None => Err(ApiError::missing(&param)),
        Some(Value::String(role)) if ROLES.contains(&role.as_str()) => Ok(()),
        Some(Value::String(role)) => Err(ApiError::wrong_value(
            &param,
            &format!("'{role}'. Supported values are: '{}'.", ROLES.join("', '")),
        )),
        Some(other) => Err(ApiError::wrong_type(&param, "a string", other)),
    }
}

/// The tool that the request insists on. A tool that may be called is not.
fn tool(request: &Map<String, Value>) -> Result<Option<Tool>, ApiError> {
    let tools = match present(request, "tools") {
        None => &[][..],
        Some(Value::Array(tools)) => tools,
        Some(other) => return Err(ApiError::wrong_type("tools", "an array of objects", other)),
    };
    let mut functions = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        let function = tool.get("function");
        match function.and_then(|function| function.get("name")) {
            Some(Value::String(name)) => functions.push((name, function)),
            _ => {
                return Err(ApiError::missing(&format!("tools[{index}].function.name")));
            }
        }
    }
    let wanted = match present(request, "tool_choice") {
        None => return Ok(None),
        Some(Value::String(mode)) if mode == "none" || mode == "auto" => return Ok(None),
        Some(Value::String(mode)) if mode == "required" => None,
        Some(choice @ Value::Object(_)) => match choice.pointer("/function/name") {
            Some(Value::String(name)) => Some(name),
            _ => return Err(ApiError::missing("tool_choice.function.name")),
        },
        Some(Value::String(mode)) => {
            return Err(ApiError::wrong_value(
                "tool_choice",
                &format!("'{mode}'. Supported values are: 'none', 'auto', and 'required'."),
            ));
        }
        Some(other) => {
            let expected = "one of a string or an object";
            return Err(ApiError::wrong_type("tool_choice", expected, other));
        }
    };
    if functions.is_empty() {
        return Err(ApiError::wrong_value(
            "tool_choice",
            "'tool_choice' is only allowed when 'tools' are specified.",
        ));
    }
    let found = functions
        .iter()
        .find(|(name, _)| wanted.is_none_or(|wanted| wanted == *name));
    let Some((name, function)) = found else {
        let missing = wanted.map_or("", String::as_str);
        return Err(ApiError::wrong_value(
            "tool_choice",
            &format!("Tool choice '{missing}' not found in 'tools' parameter."),
        ));
    };
    // The first text argument, so that a caller which reads its arguments finds one.
    let argument = function
        .and_then(|function| function.pointer("/parameters/properties"))
        .and_then(Value::as_object)
        .and_then(|properties| {
            properties
                .iter()
                .find(|(_, schema)| schema.get("type").is_some_and(|kind| kind == "string"))
        })
        .map_or("input", |(name, _)| name);
    Ok(Some(Tool {
        name: (*name).clone(),
        argument: argument.to_owned(),
        named: wanted.is_some(),
        at_once: false,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(extra: Value) -> Result<ChatRequest, ApiError> {
        let mut request = json!({
            "model": "m",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": [
                    {"type": "text", "text": " one\ntwo  three "},
                    {"type": "image_url", "image_url": {"url": "data:,a b"}},
                ]},
            ],
        });
        for (name, value) in extra.as_object().unwrap() {
            request[name] = value.clone();
        }
        ChatRequest::parse(request.to_string().as_bytes())
    }

    #[test]
    fn prompts_are_counted_in_words() {
        let request = with(json!({})).unwrap();
        assert_eq!(request.prompt_tokens, 5);
        assert_eq!(
            (request.stream, request.limit, request.choices),
            (false, None, 1)
        );
    }

    #[test]
    fn the_newer_limit_wins() {
        let limit = |extra| with(extra).unwrap().limit;
        assert_eq!(limit(json!({"max_tokens": 5})), Some(5));
        assert_eq!(
            limit(json!({"max_tokens": 5, "max_completion_tokens": 6})),
            Some(6)
        );
        assert_eq!(limit(json!({"max_tokens": null})), None);
    }

    #[test]
    fn a_required_tool_is_the_first_and_a_named_one_itself() {
        let tools = json!([
            {"type": "function", "function": {"name": "a"}},
            {"type": "function", "function": {"name": "b", "parameters": {"properties": {
                "n": {"type": "integer"}, "city": {"type": "string"}}}}},
        ]);
        let tool = |choice: Value| {
            with(json!({"tools": tools, "tool_choice": choice}))
                .unwrap()
                .tool
        };
        assert_eq!(tool(json!("auto")), None);
        let first = tool(json!("required")).unwrap();
        assert_eq!(
            (first.name.as_str(), first.argument.as_str(), first.named),
            ("a", "input", false)
        );
        let named = tool(json!({"type": "function", "function": {"name": "b"}})).unwrap();
        assert_eq!(
            (named.name.as_str(), named.argument.as_str(), named.named),
            ("b", "city", true)
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (json!({"model": null}), None, None),
            (json!({"model": 1}), Some("model"), Some("invalid_type")),
            (
                json!({"messages": null}),
                Some("messages"),
                Some("missing_required_parameter"),
            ),
            (
                json!({"messages": "hi"}),
                Some("messages"),
                Some("invalid_type"),
            ),
            (
                json!({"messages": []}),
                Some("messages"),
                Some("empty_array"),
            ),
            (
                json!({"messages": [1]}),
                Some("messages[0]"),
                Some("invalid_type"),
            ),
            (
                json!({"messages": [{"content": "x"}]}),
                Some("messages[0].role"),
                Some("missing_required_parameter"),
            ),
            (
                json!({"messages": [{"role": "bot", "content": "x"}]}),
                Some("messages[0].role"),
                Some("invalid_value"),
            ),
            (
                json!({"messages": [{"role": "user", "content": 4}]}),
                Some("messages[0].content"),
                Some("invalid_type"),
            ),
            (
                json!({"stream": "yes"}),
                Some("stream"),
                Some("invalid_type"),
            ),
            (
                json!({"max_tokens": 1.5}),
                Some("max_tokens"),
                Some("invalid_type"),
            ),
            (
                json!({"max_tokens": -1}),
                Some("max_tokens"),
                Some("integer_below_min_value"),
            ),
            (
                json!({"n": 129}),
                Some("n"),
                Some("integer_above_max_value"),
            ),
            (
                json!({"stream_options": {"include_usage": true}}),
                Some("stream_options"),
                None,
            ),
            (
                json!({"tool_choice": "required"}),
                Some("tool_choice"),
                Some("invalid_value"),
            ),
        ];
        for (extra, param, code) in cases {
            let error = with(extra.clone()).unwrap_err();
            assert_eq!(error.status, 400, "{extra}");
            assert_eq!(
                (error.param.as_deref(), error.code),
                (param, code),
                "{extra}"
            );
        }
        let error = ChatRequest::parse(b"{\"model\": \"m\",\n oops}").unwrap_err();
        assert!(
            error.message.contains("line 2 column 2"),
            "{}",
            error.message
        );
    }
}
