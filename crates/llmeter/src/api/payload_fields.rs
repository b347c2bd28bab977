//! Where payloads have what every API has somewhere: the prompt, and the limit on generated tokens.

use std::sync::LazyLock;

use serde_json::Value;

use super::APIS;
use crate::payload::Payload;

/// The limit on generated tokens that a payload of any API sets, over all its choices; the highest
/// of several limits, `None` without any.
///
/// ```
/// let payload = serde_json::json!({"options": {"num_predict": 64}});
/// let limit = payload.as_object().and_then(llmeter::api::output_limit);
/// assert_eq!(limit, Some(64));
/// ```
pub fn output_limit(payload: &Payload) -> Option<u64> {
    let fields = APIS.iter().flat_map(|api| api.spec().limit_fields);
    let limits = fields.filter_map(|path| {
        let (first, rest) = path.split_first()?;
        rest.iter()
            .try_fold(payload.get(*first)?, |value, name| value.get(name))?
            .as_u64()
    });
    let choices = ["n", "best_of"].iter();
    let choices = choices.filter_map(|name| payload.get(*name).and_then(Value::as_u64));
    let choices = choices.max().unwrap_or(1).max(1);
    Some(limits.max()?.saturating_mul(choices))
}

/// The fields in which payloads of all APIs have their prompt, in the order in which a model reads
/// them: system texts first.
pub fn prompt_fields() -> &'static [&'static str] {
    static FIELDS: LazyLock<Vec<&str>> = LazyLock::new(|| {
        let system = APIS.iter().flat_map(|api| api.spec().system_fields);
        let prompt = APIS.iter().flat_map(|api| api.spec().prompt_fields);
        let mut fields: Vec<&str> = Vec::new();
        for field in system.chain(prompt) {
            if !fields.contains(field) {
                fields.push(field);
            }
        }
        fields
    });
    &FIELDS
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::ApiMode;

    #[test]
    fn limits_are_found_where_the_apis_have_them() {
        for (payload, limit) in [
            (json!({"messages": []}), None),
            (json!({"max_tokens": null}), None),
            (json!({"max_tokens": 5}), Some(5)),
            (
                json!({"max_tokens": 5, "max_completion_tokens": 7}),
                Some(7),
            ),
            (json!({"parameters": {"max_new_tokens": 3}}), Some(3)),
            (
                json!({"generation_config": {"max_output_tokens": 6}}),
                Some(6),
            ),
            (json!({"max_output_tokens": 8}), Some(8)),
            (json!({"max_tokens": 5, "n": 4}), Some(20)),
        ] {
            assert_eq!(
                output_limit(payload.as_object().unwrap()),
                limit,
                "{payload}"
            );
        }
    }

    #[test]
    fn what_an_api_makes_has_its_limit_and_its_prompt_where_it_says() {
        for mode in ApiMode::all().filter(|mode| mode.name != "openai-embeddings") {
            let payload = mode.create_payload("Hello", 17).unwrap();
            assert_eq!(output_limit(&payload), Some(17), "{}", mode.name);
            let mut fields = mode.api.spec().prompt_fields.iter();
            assert!(
                fields.any(|field| payload.contains_key(*field)),
                "{}",
                mode.name
            );
        }
    }
}
