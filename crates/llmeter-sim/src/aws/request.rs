//! What a request asks for, as far as the simulator cares.

use serde_json::{Map, Value};

use super::{Operation, error};
use crate::openai::{ApiError, ChatRequest, Tool};

/// Reads a request's body. `model` comes from the path.
pub(crate) fn parse(
    operation: Operation,
    model: String,
    body: &[u8],
) -> Result<ChatRequest, ApiError> {
    let invalid = |message: String| error(400, "ValidationException", message);
    let value: Value = serde_json::from_slice(body)
        .map_err(|reason| invalid(format!("The request body is not valid JSON: {reason}")))?;
    let Value::Object(request) = &value else {
        return Err(invalid("The request body is not an object".to_owned()));
    };
    let mut prompt_tokens = 0;
    let limit = match operation {
        Operation::SageMaker { .. } => {
            let inputs = request
                .get("inputs")
                .ok_or_else(|| invalid("The request has no 'inputs'".to_owned()))?;
            count_words(inputs, &mut prompt_tokens);
            value.pointer("/parameters/max_new_tokens")
        }
        Operation::Converse { .. } => {
            messages(request, &mut prompt_tokens).map_err(invalid)?;
            value.pointer("/inferenceConfig/maxTokens")
        }
        Operation::Invoke { .. } => {
            messages(request, &mut prompt_tokens).map_err(invalid)?;
            request.get("max_tokens")
        }
    };
    let limit = match limit {
        None | Some(Value::Null) => None,
        Some(limit) => Some(
            limit
                .as_u64()
                .and_then(|limit| u32::try_from(limit).ok())
                .filter(|limit| *limit > 0)
                .ok_or_else(|| {
                    invalid(format!(
                        "Value {limit} at the limit of tokens failed to satisfy constraint: \
                         Member must be greater than or equal to 1"
                    ))
                })?,
        ),
    };
    Ok(ChatRequest {
        model,
        stream: operation.is_stream(),
        include_usage: true,
        limit,
        choices: 1,
        prompt_tokens,
        tool: match operation {
            Operation::Converse { .. } => tool(&value),
            _ => None,
        },
    })
}

fn messages(request: &Map<String, Value>, tokens: &mut u64) -> Result<(), String> {
    let Some(Value::Array(messages)) = request.get("messages") else {
        return Err("The request has no list 'messages'".to_owned());
    };
    if messages.is_empty() {
        return Err("A conversation must have at least one message".to_owned());
    }
    for message in messages {
        count_words(&message["content"], tokens);
    }
    count_words(request.get("system").unwrap_or(&Value::Null), tokens);
    Ok(())
}

/// Words of a text, of the texts in blocks, or of a list of either.
fn count_words(value: &Value, tokens: &mut u64) {
    match value {
        Value::String(text) => *tokens += text.split_whitespace().count() as u64,
        Value::Array(list) => list.iter().for_each(|item| count_words(item, tokens)),
        Value::Object(block) => {
            if let Some(text) = block.get("text") {
                count_words(text, tokens);
            }
        }
        _ => {}
    }
}

/// The tool that Converse must call.
fn tool(request: &Value) -> Option<Tool> {
    let choice = request.pointer("/toolConfig/toolChoice")?;
    let tools = request.pointer("/toolConfig/tools")?.as_array()?;
    let named = choice.pointer("/tool/name").and_then(Value::as_str);
    if named.is_none() && choice.get("any").is_none() {
        return None;
    }
    let specs = tools.iter().filter_map(|tool| tool.get("toolSpec"));
    let name_of = |spec: &Value| spec.get("name")?.as_str().map(str::to_owned);
    let mut specs = specs.filter(|spec| named.is_none_or(|name| spec["name"] == name));
    let spec = specs.next()?;
    let properties = spec.pointer("/inputSchema/json/properties");
    let argument = properties
        .and_then(Value::as_object)
        .and_then(|properties| properties.keys().next());
    Some(Tool {
        name: name_of(spec)?,
        argument: argument.map_or_else(|| "input".to_owned(), Clone::clone),
        named: named.is_some(),
        at_once: false,
    })
}
