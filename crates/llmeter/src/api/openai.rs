//! What the APIs of OpenAI have in common.

use serde_json::{Value, json};

use super::*;

/// Names and addresses of all of them.
pub(super) const SPEC: ApiSpec = ApiSpec {
    provider: "openai",
    key_variable: Some("OPENAI_API_KEY"),
    address_variables: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
    plain_headers: &["openai-beta"],
    // Where the OpenAI SDK goes when no base URL is given.
    saved_base_url: Some("https://api.openai.com/v1/"),
    example_base_url: "http://localhost:8000/v1",
    ..ApiSpec::DEFAULT
};

/// The organization and the project that are charged.
pub(super) fn headers(setup: &EndpointSetup) -> Vec<(&'static str, String)> {
    let organization = setup.own_text("organization");
    [
        ("OpenAI-Organization", organization),
        ("OpenAI-Project", setup.project.as_deref()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?.to_owned())))
    .collect()
}

/// The fields of a saved endpoint, with `switches` that are the API's own.
pub(super) fn saved_fields(switches: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
    let mut fields = unset(&["model_id", "endpoint_name", "provider"]);
    fields.extend_from_slice(switches);
    fields.extend(unset(&[
        "project",
        "organization",
        "base_url",
        "max_retries",
    ]));
    fields.push(("timeout", sdk_timeout()));
    fields
}

/// What every request says beside its prompt.
pub(super) fn prepare(payload: &mut Payload, model: Option<&str>, streaming: bool) {
    set_model(payload, model);
    payload.insert("stream".into(), json!(streaming));
}

/// Asks for the usage at the end of a stream, unless the payload has `stream_options`: null leaves
/// them out, for servers that refuse them.
pub(super) fn ask_for_usage(payload: &mut Payload, streaming: bool) {
    match payload.get("stream_options") {
        Some(Value::Null) => drop(payload.remove("stream_options")),
        None if streaming => {
            payload.insert("stream_options".into(), json!({"include_usage": true}));
        }
        _ => {}
    }
}

/// The text of a field that is a text or a list of texts, each on a line; `None` for token ids.
pub(super) fn plain_texts(field: Option<&Value>) -> Option<String> {
    match field? {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            Some(texts?.join("\n"))
        }
        _ => None,
    }
}
