//! The JSON Schemas under `docs/schema`, and a check against the part of JSON Schema that they use.

use std::fs;
use std::path::Path;

use serde_json::Value;

fn schema(name: &str) -> Value {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema");
    serde_json::from_slice(&fs::read(docs.join(name)).unwrap()).unwrap()
}

/// Asserts that `stats.json` and every line of `responses.jsonl` of a folder obey the schemas.
#[track_caller]
pub(crate) fn assert_obeyed(folder: &Path) {
    let stats = fs::read(folder.join("stats.json")).unwrap();
    check(
        &schema("stats.schema.json"),
        &serde_json::from_slice(&stats).unwrap(),
        "stats.json",
    );
    let lines = fs::read_to_string(folder.join("responses.jsonl")).unwrap();
    let schema = schema("response.schema.json");
    for line in lines.lines() {
        check(
            &schema,
            &serde_json::from_str(line).unwrap(),
            "responses.jsonl",
        );
    }
}

#[track_caller]
fn check(schema: &Value, value: &Value, place: &str) {
    let is_of_type = |name: &Value| match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("unknown type {other}"),
    };
    match &schema["type"] {
        Value::Null => {}
        Value::Array(types) => {
            assert!(
                types.iter().any(is_of_type),
                "{place}: {value} is none of {types:?}"
            );
        }
        name => assert!(is_of_type(name), "{place}: {value} is no {name}"),
    }
    if let (Some(minimum), Some(number)) = (schema["minimum"].as_f64(), value.as_f64()) {
        assert!(number >= minimum, "{place}: {number}");
    }
    if let Some(object) = value.as_object() {
        for key in schema["required"].as_array().into_iter().flatten() {
            assert!(
                object.contains_key(key.as_str().unwrap()),
                "{place} lacks {key}"
            );
        }
        for (key, value) in object {
            let property = schema["properties"].get(key);
            let property = property.unwrap_or(&schema["additionalProperties"]);
            check(property, value, &format!("{place}, {key}"));
        }
    }
    for item in value.as_array().into_iter().flatten() {
        check(&schema["items"], item, place);
    }
}
