//! JMESPath: where a text or a count is within JSON of an unknown shape.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use super::json_frames::number;
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;

/// A compiled expression.
#[derive(Clone)]
pub(super) struct Path {
    text: String,
    lookup: Lookup,
}

#[derive(Clone)]
enum Lookup {
    /// Names and indices alone, as in `choices[0].delta.content`: followed where the value lies.
    /// Frames are mostly asked for these, and the library would copy each frame first.
    Steps(Vec<Step>),
    Expression(jmespath::Expression<'static>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(usize),
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl Path {
    /// No expression: it finds no text and no count.
    #[cfg(feature = "aws")]
    pub(super) const UNSET: Self = Self {
        text: String::new(),
        lookup: Lookup::Steps(Vec::new()),
    };

    /// # Errors
    /// When `text`, the place of a `part`, is no JMESPath expression.
    pub(super) fn new(part: &str, text: &str) -> Result<Self> {
        let compiled = jmespath::compile(text).map_err(|reason| {
            let reason = reason.reason;
            let expected = format!("a JMESPath expression like choices[0].text ({reason})");
            Error::invalid(Setting::Jmespath, format!("{part}={text}"), expected)
        })?;
        Ok(Self {
            text: text.to_owned(),
            lookup: match steps(text) {
                Some(steps) => Lookup::Steps(steps),
                None => Lookup::Expression(compiled),
            },
        })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What is found; `None` for nothing and for null.
    pub(super) fn find<'v>(&self, value: &'v Value) -> Option<Cow<'v, Value>> {
        let found = match &self.lookup {
            Lookup::Steps(steps) => {
                let mut at = value;
                for step in steps {
                    at = match step {
                        Step::Field(name) => at.as_object()?.get(name)?,
                        Step::Index(index) => at.as_array()?.get(*index)?,
                    };
                }
                Cow::Borrowed(at)
            }
            Lookup::Expression(compiled) => {
                let found = compiled.search(value).ok()?;
                Cow::Owned(serde_json::to_value(&*found).ok()?)
            }
        };
        Some(found).filter(|found| !found.is_null())
    }

    /// The text that is found; the texts of a list are put together.
    pub(super) fn find_text<'v>(&self, value: &'v Value) -> Option<Cow<'v, str>> {
        match self.find(value)? {
            Cow::Borrowed(Value::String(text)) => Some(Cow::Borrowed(text)),
            found => texts(&found).map(|texts| Cow::Owned(texts.concat())),
        }
    }

    /// The texts that are found: one, or those of a list, whose items may be blocks with a `text`.
    pub(super) fn find_texts(&self, value: &Value) -> Option<Vec<String>> {
        self.find(value).and_then(|found| texts(&found))
    }

    /// The count that is found.
    pub(super) fn find_count(&self, value: &Value) -> Option<u64> {
        number(&*self.find(value)?)
    }
}

fn texts(found: &Value) -> Option<Vec<String>> {
    match found {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(list) => {
            let texts = list
                .iter()
                .filter_map(|item| item.as_str().or_else(|| item.get("text")?.as_str()));
            Some(texts.map(str::to_owned).collect())
        }
        _ => None,
    }
}

/// The steps of an expression of names and indices from the front; `None` for any other.
fn steps(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = text;
    loop {
        if let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']')?;
            if steps.is_empty() || !index.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            steps.push(Step::Index(index.parse().ok()?));
            rest = after;
        } else {
            if !steps.is_empty() {
                rest = rest.strip_prefix('.')?;
            }
            let name = match rest.strip_prefix('"') {
                Some(inner) => inner.split_once('"')?.0,
                None => {
                    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                    &rest[..end]
                }
            };
            let quotes = if rest.starts_with('"') { 2 } else { 0 };
            if name.is_empty() || name.contains('\\') {
                return None;
            }
            steps.push(Step::Field(name.to_owned()));
            rest = &rest[name.len() + quotes..];
        }
        if rest.is_empty() {
            return Some(steps);
        }
    }
}

/// As JMESPath has it: null, false and whatever is empty are not. Nor is the number 0, with which
/// some APIs say that there was no error, and which is not true in Python either.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
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
        assert_eq!(path("m[0].c[0].t").find_text(&value).unwrap(), "x");
        assert_eq!(path("nothing").find_text(&value), None);
        assert_eq!(path("m").find_count(&value), None);
        let error = Path::new("text", "a[").unwrap_err().to_string();
        assert!(error.starts_with("jmespath text=a[: "), "{error}");
    }

    #[test]
    fn only_names_and_indices_are_followed() {
        let field = |name: &str| Step::Field(name.to_owned());
        assert_eq!(
            steps("a[0][12].\"b c\".d_1"),
            Some(vec![
                field("a"),
                Step::Index(0),
                Step::Index(12),
                field("b c"),
                field("d_1")
            ])
        );
        for text in [
            "", "a.", ".a", "[0]", "a[]", "a[-1]", "a[*].b", "a || b", "a.b(c)", "a . b", "@",
            "\"a\\n\"", "a[0]b", "a[?b]", "`1`", "'a'",
        ] {
            assert_eq!(steps(text), None, "{text}");
        }
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0u64..100).prop_map(Value::from),
            "[a-c]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec(("[ab]", inner), 0..3)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn steps_find_what_the_library_finds(
            value in json_value(),
            text in "[ab]([.][ab]|\\[[01]\\]|[.]\"[ab]\"){0,4}",
        ) {
            let path = Path::new("p", &text).unwrap();
            prop_assert!(matches!(path.lookup, Lookup::Steps(_)));
            let library = jmespath::compile(&text).unwrap().search(&value).unwrap();
            let library = serde_json::to_value(&*library).unwrap();
            let found = path.find(&value).map(Cow::into_owned);
            prop_assert_eq!(found.unwrap_or(Value::Null), library);
        }
    }
}
