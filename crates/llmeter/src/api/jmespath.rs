//! JMESPath: where a text or a count is within JSON of an unknown shape.

mod bounds;

use std::borrow::Cow;
use std::fmt;

use jmespath::Variable;
use serde_json::{Map, Value};

use super::json_frames::number;
use crate::base::error::{Error, Result};
use crate::base::foreign::{self, Panic};
use crate::base::setting::Setting;

/// Characters of an expression that an error shows.
const MAX_SHOWN: usize = 200;

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
    /// When `text`, the place of a `part`, is no JMESPath expression, or one beyond the limits.
    pub(super) fn new(part: &str, text: &str) -> Result<Self> {
        let refuse = |reason: String| {
            let expected = format!("a JMESPath expression like choices[0].text ({reason})");
            let shown: String = text.chars().take(MAX_SHOWN).collect();
            let more = if shown.len() < text.len() { "…" } else { "" };
            Error::invalid(Setting::Jmespath, format!("{part}={shown}{more}"), expected)
        };
        bounds::check_text(text).map_err(refuse)?;
        let compiled = foreign::catch_panic(|| jmespath::compile(text))
            .map_err(|Panic(reason)| refuse(reason))?
            .map_err(|reason| refuse(reason.reason.to_string()))?;
        bounds::check(compiled.as_ast()).map_err(refuse)?;
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
                let found = foreign::catch_panic(|| compiled.search(value)).ok()?.ok()?;
                let mut room = bounds::MAX_FOUND;
                Cow::Owned(taken(&found, &mut room)?)
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

/// What the library found, unless it is more than there is room for.
fn taken(found: &Variable, room: &mut usize) -> Option<Value> {
    let size = match found {
        Variable::String(text) => text.len(),
        _ => 1,
    };
    *room = room.checked_sub(size)?;
    Some(match found {
        Variable::Null => Value::Null,
        Variable::Bool(truth) => Value::Bool(*truth),
        Variable::Number(number) => Value::Number(number.clone()),
        Variable::String(text) => Value::String(text.clone()),
        Variable::Array(list) => {
            let list = list.iter().map(|item| taken(item, room));
            Value::Array(list.collect::<Option<_>>()?)
        }
        Variable::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| {
                *room = room.checked_sub(name.len())?;
                Some((name.clone(), taken(value, room)?))
            });
            Value::Object(fields.collect::<Option<Map<_, _>>>()?)
        }
        Variable::Expref(_) => return None,
    })
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
    fn hostile_expressions_are_refused() {
        for text in [
            "[".repeat(20_000),
            "!".repeat(20_000),
            "a.".repeat(20_000),
            format!("@{}", " | [@, @]".repeat(40)),
            "a".repeat(20_000),
        ] {
            let error = Path::new("text", &text).unwrap_err().to_string();
            assert!(error.starts_with("jmespath text="), "{error}");
            assert!(error.len() < 500, "{error}");
        }
    }

    #[test]
    fn what_is_found_has_a_limit() {
        let value = json!({"a": vec!["x".repeat(1 << 10); 1 << 10]});
        assert!(Path::new("p", "[a, a][]").unwrap().find(&value).is_some());
        let most = Path::new("p", "[a, a, a, a] | [@, @, @, @] | [@, @][]").unwrap();
        assert_eq!(most.find(&value), None);
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
