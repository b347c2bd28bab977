//! Numbers in JSON that stay as they are written, whatever a 64-bit integer or a float can hold.
//!
//! A number whose text would change (`123456789012345678901`, `1e400`, `0.10`) is an object with the one
//! key `__llmeter_number__` inside llmeter, and a number again wherever a payload is written.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::{Number, Value, json};

const MARKER: &str = "__llmeter_number__";

/// The text of a number that is kept as it is written; `None` for any other value.
pub fn number_of(value: &Value) -> Option<&str> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    let text = object.get(MARKER)?.as_str()?;
    is_number(text).then_some(text)
}

/// The value that stands for a number of JSON, given as text; `None` if it is none.
///
/// ```
/// use llmeter::payload::{number_of, number_value};
///
/// assert_eq!(number_value("0.5"), Some(0.5.into()));
/// let large = number_value("123456789012345678901").unwrap();
/// assert_eq!(number_of(&large), Some("123456789012345678901"));
/// assert_eq!(number_value("many"), None);
/// ```
pub fn number_value(text: &str) -> Option<Value> {
    if !is_number(text) {
        return None;
    }
    match is_kept(text) {
        true => serde_json::from_str(text).ok(),
        false => Some(json!({ MARKER: text })),
    }
}

/// Reads JSON whose numbers are to stay as they are written.
///
/// # Errors
/// If the text is no JSON; line and column are those of the text.
pub fn read_json(text: &str) -> serde_json::Result<Value> {
    match marked(text) {
        Cow::Borrowed(text) => serde_json::from_str(text),
        Cow::Owned(marked) => {
            serde_json::from_str::<IgnoredAny>(text)?;
            serde_json::from_str(&marked)
        }
    }
}

/// A JSON document with its marked numbers as they were written, in whatever layout.
pub fn plain_numbers(json: String) -> String {
    match unmarked(&json) {
        Cow::Borrowed(_) => json,
        Cow::Owned(plain) => plain,
    }
}

/// JSON with objects in the place of the numbers that would change.
pub(crate) fn marked(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let (mut out, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let end = end_of_number(bytes, at);
                let number = &text[at..end];
                if !is_kept(number) && is_number(number) {
                    out.push_str(&text[copied..at]);
                    out.push_str(&json!({ MARKER: number }).to_string());
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    finished(text, out, copied)
}

/// A document without markers. Within a string, a quote has a backslash before it, so that what is
/// looked for is never part of a text.
pub(crate) fn unmarked(json: &str) -> Cow<'_, str> {
    let key = format!("\"{MARKER}\"");
    let (mut out, mut copied) = (String::new(), 0);
    for (at, _) in json.match_indices(&key) {
        let Some(start) = json[..at].trim_end().strip_suffix('{').map(str::len) else {
            continue;
        };
        let rest = json[at + key.len()..].trim_start();
        let rest = rest.strip_prefix(':').map(str::trim_start);
        let Some((number, rest)) = rest
            .and_then(|rest| rest.strip_prefix('"'))
            .and_then(|rest| rest.split_once('"'))
        else {
            continue;
        };
        if let Some(rest) = rest.trim_start().strip_prefix('}')
            && start >= copied
            && is_number(number)
        {
            out.push_str(&json[copied..start]);
            out.push_str(number);
            copied = json.len() - rest.len();
        }
    }
    finished(json, out, copied)
}

/// JSON with marked numbers in the values of some keys alone.
pub(crate) fn marked_within<'t>(json: &'t str, keys: &[&str]) -> Cow<'t, str> {
    let (mut out, mut copied) = (String::new(), 0);
    for key in keys {
        let quoted = format!("\"{key}\"");
        let Some(at) = json[copied..].find(&quoted) else {
            continue;
        };
        let start = copied + at + quoted.len();
        let end = end_of_value(json.as_bytes(), start);
        if let Cow::Owned(marked) = marked(&json[start..end]) {
            out.push_str(&json[copied..start]);
            out.push_str(&marked);
            copied = end;
        }
    }
    finished(json, out, copied)
}

fn finished(text: &str, mut out: String, copied: usize) -> Cow<'_, str> {
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// The place after the string that begins at `start`.
fn end_of_string(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = json.get(at) {
        at += match byte {
            b'\\' => 2,
            b'"' => return at + 1,
            _ => 1,
        };
    }
    json.len()
}

/// The place after the value that follows `start`, within an object.
pub(crate) fn end_of_value(json: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => {
                at = end_of_string(json, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' if depth == 0 => return at,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    json.len()
}

fn end_of_number(json: &[u8], start: usize) -> usize {
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let mut rest = json[start..].iter();
    start
        + rest
            .position(|byte| !is_part(byte))
            .unwrap_or(json.len() - start)
}

fn is_number(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    begins
        && text.ends_with(|c: char| c.is_ascii_digit())
        && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Whether a number is written as it was read.
fn is_kept(text: &str) -> bool {
    let is_short_count =
        text.len() < 18 && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    is_short_count
        || serde_json::from_str::<Number>(text).is_ok_and(|number| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_come_out_as_they_went_in() {
        for text in [
            "0",
            "1.0",
            "-0",
            "0.10",
            "1e5",
            "1E+05",
            "1e-05",
            "1e400",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775809",
            "123456789012345678901234567890",
            "0.1234567890123456789",
            r#"{"a": [1e400, {"b": -0.0}], "text": "1e400 \" {\"__llmeter_number__\": \"2\"}"}"#,
        ] {
            let value = read_json(text).unwrap();
            let compact = plain_numbers(value.to_string());
            assert_eq!(compact.replace(' ', ""), text.replace(' ', ""));
            let pretty = plain_numbers(serde_json::to_string_pretty(&value).unwrap());
            assert_eq!(read_json(&pretty).unwrap(), value);
        }
    }

    #[test]
    fn numbers_that_need_no_help_are_numbers() {
        assert_eq!(
            read_json(r#"{"max_tokens": 5, "temperature": 0.7, "n": 1.0, "seed": -3}"#).unwrap(),
            json!({"max_tokens": 5, "temperature": 0.7, "n": 1.0, "seed": -3})
        );
        assert_eq!(number_of(&json!({"__llmeter_number__": "x"})), None);
        assert_eq!(number_of(&json!({"__llmeter_number__": "1 "})), None);
        assert_eq!(number_of(&json!({"__llmeter_number__": "1", "k": 2})), None);
    }

    #[test]
    fn other_fields_keep_plain_numbers() {
        let line =
            r#"{"text": "\"payload\": 1e5", "payload": {"a": [1e5]}, "prompt": 0.10, "b": 1e5}"#;
        assert_eq!(
            marked_within(line, &["payload", "prompt"]),
            r#"{"text": "\"payload\": 1e5", "payload": {"a": [{"__llmeter_number__":"1e5"}]}, "prompt": {"__llmeter_number__":"0.10"}, "b": 1e5}"#
        );
        assert!(matches!(marked_within(line, &["b "]), Cow::Borrowed(_)));
    }

    #[test]
    fn errors_are_at_the_place_that_the_user_wrote() {
        let error = read_json(r#"{"a": 1e400, "b": nope}"#).unwrap_err();
        assert_eq!((error.line(), error.column()), (1, 20));
        assert!(read_json("{\"a\": 1e400").unwrap_err().is_eof());
        assert!(read_json("01").is_err());
        assert!(read_json("-").is_err());
    }

    proptest! {
        #[test]
        fn marking_changes_nothing_that_is_written(text in "[-+0-9.eE,\\[\\]{}:\"\\\\a ]{0,24}") {
            let marked = marked(&text);
            prop_assert_eq!(&*unmarked(&marked), text.as_str());
        }
    }
}
