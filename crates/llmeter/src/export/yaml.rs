//! JSON values as YAML 1.2.

use std::fmt::Write;

use serde_json::Value;

/// A value as a document in block style. Texts are quoted as in JSON, which YAML reads alike.
pub(super) fn document(value: &Value) -> String {
    let mut text = String::new();
    block(&mut text, value, 0);
    text
}

fn block(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let _ = write!(text, "{:indent$}{}:", "", name(key));
                nested(text, value, indent + 2);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let _ = write!(text, "{:indent$}-", "");
                nested(text, item, indent + 2);
            }
        }
        scalar => {
            let _ = writeln!(text, "{:indent$}{scalar}", "");
        }
    }
}

/// A value behind its key or dash.
fn nested(text: &mut String, value: &Value, indent: usize) {
    let is_scalar = match value {
        Value::Object(entries) => entries.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    };
    if is_scalar {
        let _ = writeln!(text, " {value}");
    } else {
        text.push('\n');
        block(text, value, indent);
    }
}

/// A key, quoted unless it is a plain word.
fn name(key: &str) -> String {
    let is_plain = key.starts_with(|c: char| c.is_ascii_lowercase())
        && key
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !matches!(
            key,
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    match is_plain {
        true => key.to_owned(),
        false => Value::from(key).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_in_block_style() {
        let value = json!({
            "run": {"uid": "a: \"b\"\n# c", "time": {}, "p0p1": 1.5},
            "no": [1, {"x y": null}, []],
        });
        let expected = "run:\n  uid: \"a: \\\"b\\\"\\n# c\"\n  time: {}\n  p0p1: 1.5\n\
                        \"no\":\n  - 1\n  -\n    \"x y\": null\n  - []\n";
        assert_eq!(document(&value), expected);
    }
}
