//! A payload's own limit on generated tokens.

use serde_json::Value;

use super::Payload;

/// Where the APIs have it.
const PLACES: [&[&str]; 12] = [
    &["max_completion_tokens"],
    &["max_tokens"],
    &["max_output_tokens"],
    &["max_new_tokens"],
    &["max_tokens_to_sample"],
    &["maxTokens"],
    &["max_gen_len"],
    &["n_predict"],
    &["inferenceConfig", "maxTokens"],
    &["parameters", "max_new_tokens"],
    &["generationConfig", "maxOutputTokens"],
    &["options", "num_predict"],
];

/// The most tokens that an answer to the payload can have, over all its choices; the highest of
/// several limits, `None` without any.
pub(crate) fn output_limit(payload: &Payload) -> Option<u64> {
    let limit = PLACES.iter().filter_map(|place| {
        let (first, rest) = place.split_first()?;
        rest.iter()
            .try_fold(payload.get(*first)?, |value, key| value.get(key))?
            .as_u64()
    });
    let choices = ["n", "best_of"].iter();
    let choices = choices.filter_map(|key| payload.get(*key).and_then(Value::as_u64));
    Some(
        limit
            .max()?
            .saturating_mul(choices.max().unwrap_or(1).max(1)),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
            (json!({"inferenceConfig": {"maxTokens": 9}}), Some(9)),
            (json!({"parameters": {"max_new_tokens": 3}}), Some(3)),
            (json!({"max_tokens": 5, "n": 4}), Some(20)),
        ] {
            assert_eq!(
                output_limit(payload.as_object().unwrap()),
                limit,
                "{payload}"
            );
        }
    }
}
