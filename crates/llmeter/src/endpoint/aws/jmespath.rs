//! JMESPath: where a text or a count is within JSON of an unknown shape.

use std::fmt;

use serde_json::Value;

use crate::error::{Error, Result};

/// A compiled expression.
#[derive(Clone)]
pub(in crate::endpoint) struct Path {
    text: String,
    compiled: jmespath::Expression<'static>,
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl Path {
    /// # Errors
    /// When `text`, the setting `field`, is no JMESPath expression.
    pub(in crate::endpoint) fn new(field: &'static str, text: &str) -> Result<Self> {
        let compiled = jmespath::compile(text).map_err(|reason| {
            let reason = reason.reason;
            let expected = format!("a JMESPath expression like choices[0].text ({reason})");
            Error::invalid(field, text, expected)
        })?;
        Ok(Self {
            text: text.to_owned(),
            compiled,
        })
    }

    pub(in crate::endpoint) fn text(&self) -> &str {
        &self.text
    }

    fn find(&self, value: &Value) -> Option<Value> {
        let found = self.compiled.search(value).ok()?;
        serde_json::to_value(&*found).ok()
    }

    /// The text that is found; the texts of a list are put together.
    pub(in crate::endpoint) fn find_text(&self, value: &Value) -> Option<String> {
        self.find_texts(value).map(|texts| texts.concat())
    }

    /// The texts that are found: one, or those of a list.
    pub(in crate::endpoint) fn find_texts(&self, value: &Value) -> Option<Vec<String>> {
        match self.find(value)? {
            Value::String(text) => Some(vec![text]),
            Value::Array(list) => {
                let texts = list.into_iter().filter_map(|item| match item {
                    Value::String(text) => Some(text),
                    _ => None,
                });
                Some(texts.collect())
            }
            _ => None,
        }
    }

    /// The count that is found.
    pub(in crate::endpoint) fn find_count(&self, value: &Value) -> Option<u64> {
        let found = self.find(value)?;
        let count = found.as_f64()?;
        // The cast saturates; no count comes near the limit.
        (count.is_finite() && count >= 0.0).then(|| count.round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_and_counts_are_found() {
        let path = |text: &str| Path::new("p", text).unwrap();
        let value = json!({"a-b": {"n": 3}, "m": [{"c": [{"t": "x"}]}, {"c": [{"t": "y"}, {}]}]});
        assert_eq!(path("\"a-b\".n").find_count(&value), Some(3));
        assert_eq!(
            path("m[].c[].t").find_texts(&value),
            Some(vec!["x".into(), "y".into()])
        );
        assert_eq!(path("nothing").find_text(&value), None);
        assert_eq!(path("m").find_count(&value), None);
        let error = Path::new("generated_text_jmespath", "a[")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("generated_text_jmespath: a[ "), "{error}");
    }
}
