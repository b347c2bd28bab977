//! Bytes inside JSON: an object with the one key `__llmeter_bytes__`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Payload;

const MARKER: &str = "__llmeter_bytes__";

/// The bytes that a value stands for, if it is a bytes object.
pub fn bytes_of(value: &Value) -> Option<Vec<u8>> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    STANDARD.decode(object.get(MARKER)?.as_str()?).ok()
}

/// The value that stands for bytes.
pub fn bytes_value(bytes: &[u8]) -> Value {
    json!({ MARKER: STANDARD.encode(bytes) })
}

/// The path of the first bytes marker within a payload.
pub(crate) fn bytes_within(fields: &Payload) -> Option<String> {
    if fields.len() == 1 && fields.contains_key(MARKER) {
        return Some(String::new());
    }
    fields.iter().find_map(|(key, value)| {
        let path = bytes_within_value(value)?;
        Some(format!(
            "{key}{}{path}",
            if path.is_empty() { "" } else { "." }
        ))
    })
}

fn bytes_within_value(value: &Value) -> Option<String> {
    match value {
        Value::Object(fields) => bytes_within(fields),
        Value::Array(list) => list.iter().enumerate().find_map(|(index, value)| {
            let path = bytes_within_value(value)?;
            Some(format!(
                "{index}{}{path}",
                if path.is_empty() { "" } else { "." }
            ))
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        for bytes in [&b""[..], b"\xff\x00abc"] {
            assert_eq!(bytes_of(&bytes_value(bytes)).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn only_an_object_with_exactly_that_key_is_bytes() {
        assert_eq!(
            bytes_of(&json!({"__llmeter_bytes__": "eA==", "k": 1})),
            None
        );
        assert_eq!(bytes_of(&json!({"__llmeter_bytes__": "not base64!"})), None);
        assert_eq!(bytes_of(&json!({"__llmeter_bytes__": 1})), None);
        assert_eq!(bytes_of(&json!("eA==")), None);
    }
}
