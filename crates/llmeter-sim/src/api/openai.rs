//! What the APIs of the OpenAI family share: errors, prompts, usage, the list of models.

use serde_json::{Map, Value, json};

use super::error::{ApiError, Refusal};
use super::frames::sse;
use super::prompt::Prompt;
use super::request::{flag, present};
use super::{ApiInfo, Completion, Finish, unescaped};

/// As on the real API.
pub(super) const MAX_CHOICES: u32 = 128;
/// As on the real API: inputs of a request for embeddings. Here it is the limit of prompts, too, and
/// of the completions of all of them.
pub(super) const MAX_INPUTS: u32 = 2048;

/// What most APIs have in common.
pub(super) const ABOUT: ApiInfo = ApiInfo {
    names: &[],
    id_prefix: "",
    id_header: None,
    has_id: true,
    stream_type: "text/event-stream; charset=utf-8",
    finish_reason: None,
    counts_input: true,
    tells_times: false,
    calls_in_one_chunk: false,
    frame: |out, event, data| sse(out, event, data),
    refusal,
    stream_error: None,
};

pub(crate) fn refusal(error: &ApiError) -> Refusal {
    let kind = error.kind.unwrap_or(match error.status {
        500.. => "server_error",
        _ => "invalid_request_error",
    });
    let error_object = json!({
        "message": error.message,
        "type": kind,
        "param": error.param,
        "code": error.code,
    });
    Refusal::new(error.status, json!({"error": error_object}))
}

/// What a path of the list of models says; `None` if it is none.
pub(crate) fn models(path: &str, model: &str, created: i64) -> Option<Result<Value, ApiError>> {
    let path = super::local(path);
    let own = json!({"id": model, "object": "model", "created": created, "owned_by": "llmeter"});
    if path == "/models" {
        return Some(Ok(json!({"object": "list", "data": [own]})));
    }
    let name = unescaped(path.strip_prefix("/models/")?);
    Some(match name == model {
        true => Ok(own),
        false => Err(ApiError::unknown_model(&name)),
    })
}

pub(super) fn include_usage(request: &Map<String, Value>, stream: bool) -> Result<bool, ApiError> {
    match present(request, "stream_options") {
        None => Ok(false),
        Some(Value::Object(_)) if !stream => {
            let message =
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
            Err(ApiError::new(400, message).param("stream_options"))
        }
        Some(Value::Object(options)) => flag(options, "include_usage"),
        Some(other) => Err(ApiError::wrong_type("stream_options", "an object", other)),
    }
}

/// The prompts in a field: one text or list of token ids, or a list of such, at most [`MAX_INPUTS`].
pub(super) fn prompts<'a>(
    request: &'a Map<String, Value>,
    name: &str,
) -> Result<&'a [Value], ApiError> {
    let expected = "a string, an array of strings, an array of integers, or an array of those";
    let is_tokens = |value: &Value| {
        let list = value.as_array();
        list.is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_u64))
    };
    match present(request, name) {
        None => Err(ApiError::missing(name)),
        Some(prompt @ Value::String(_)) => Ok(std::slice::from_ref(prompt)),
        Some(prompt) if is_tokens(prompt) => Ok(std::slice::from_ref(prompt)),
        Some(Value::Array(list)) if list.is_empty() => Err(ApiError::wrong_value(
            name,
            "input cannot be an empty array.",
        )),
        Some(Value::Array(list)) if list.len() > MAX_INPUTS as usize => {
            let length = list.len();
            let message = format!(
                "Invalid '{name}': array too long. Expected an array with maximum length \
                 {MAX_INPUTS}, but got an array with length {length} instead."
            );
            let error = ApiError::new(400, message).param(name);
            Err(error.code("array_above_max_length"))
        }
        Some(Value::Array(list)) if list.iter().all(|one| one.is_string() || is_tokens(one)) => {
            Ok(list)
        }
        Some(other) => Err(ApiError::wrong_type(name, expected, other)),
    }
}

/// The words of texts, and token ids, one prompt after the other.
pub(super) fn prompt(prompts: &[Value]) -> Prompt {
    let mut prompt = Prompt::default();
    for one in prompts {
        match one {
            Value::Array(ids) => ids
                .iter()
                .filter_map(Value::as_u64)
                .for_each(|id| prompt.add_id(id)),
            text => prompt.add(Some(text)),
        }
    }
    prompt
}

pub(super) fn usage(completion: &Completion) -> Value {
    let mut usage = json!({
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.output_tokens(),
        "total_tokens": completion.total_tokens(),
    });
    if completion.cached_tokens > 0 {
        usage["prompt_tokens_details"] = json!({"cached_tokens": completion.cached_tokens});
    }
    usage
}

pub(super) fn finish_reason(completion: &Completion) -> &'static str {
    match completion.finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_of_an_error_has_all_four_fields() {
        assert_eq!(
            refusal(&ApiError::missing("model")).body,
            json!({"error": {
                "message": "Missing required parameter: 'model'.",
                "type": "invalid_request_error",
                "param": "model",
                "code": "missing_required_parameter",
            }})
        );
    }
}
