//! The JSON Schema of configuration files.

use serde_json::{Map, Value, json};

use super::RunSettings;
use crate::api::ApiMode;
use crate::base::setting::{Setting, SettingKind};

impl RunSettings {
    /// The JSON Schema of a configuration file, whose keys are written with hyphens.
    pub fn json_schema() -> Value {
        let properties = Setting::ALL.iter().map(|setting| {
            let mut schema = form(setting.kind());
            schema.insert("description".to_owned(), setting.help().into());
            (setting.name().replace('_', "-"), schema.into())
        });
        let mut properties = Map::from_iter(properties);
        let mut of_workload = properties.clone();
        let name = json!({"type": "string", "description": "Name of the class of workload"});
        let share = json!({
            "oneOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}],
            "description": "Its part of the load of the whole, in the ratio of all shares",
        });
        of_workload.insert("name".to_owned(), name);
        of_workload.insert("share".to_owned(), share);
        let workload = json!({
            "type": "array",
            "description": "Classes of workload that run side by side: the settings above are defaults of each",
            "items": {
                "type": "object",
                "properties": of_workload,
                "required": ["name"],
                "additionalProperties": false,
            },
        });
        properties.insert("workload".to_owned(), workload);
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "llmeter run settings",
            "description": "A TOML file for llmeter run --config.",
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

fn form(kind: SettingKind) -> Map<String, Value> {
    let text = || json!({"type": "string"});
    let list = || json!({"type": "array", "items": text()});
    let schema = match kind {
        SettingKind::Text | SettingKind::File => text(),
        SettingKind::Texts | SettingKind::Files | SettingKind::Conditions | SettingKind::Calls => {
            json!({"oneOf": [text(), list()]})
        }
        SettingKind::Count => json!({"type": "integer", "minimum": 0}),
        SettingKind::CountOrTime => {
            json!({"oneOf": [{"type": "integer", "minimum": 0}, text()]})
        }
        SettingKind::Number => json!({"type": "number"}),
        SettingKind::Time => json!({"oneOf": [text(), {"type": "number", "minimum": 0}]}),
        SettingKind::Switch => json!({"type": "boolean"}),
        SettingKind::Choice(names) => json!({"enum": names}),
        SettingKind::Api => json!({"enum": ApiMode::all().map(|api| api.name).collect::<Vec<_>>()}),
        SettingKind::Expressions => {
            json!({"oneOf": [{"type": "object", "additionalProperties": text()}, list()]})
        }
        SettingKind::Fields => json!({"oneOf": [{"type": "object"}, text(), list()]}),
        SettingKind::Grammar(_) => {
            json!({"oneOf": [text(), {"type": "number"}, {"type": "array"}]})
        }
        SettingKind::Address => json!({"oneOf": [text(), {"type": "boolean"}]}),
        SettingKind::Tables => json!({"type": "array", "items": {
            "type": "object",
            "properties": {"type": text(), "file": text()},
        }}),
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}
