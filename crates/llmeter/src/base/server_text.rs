//! What servers say: JSON, read leniently, and excerpts of texts.

use std::borrow::Cow;

use serde_json::Value;

use super::shown::one_line;

/// Characters of a server's text that an error message quotes.
const EXCERPT: usize = 200;

/// JSON that may hold invalid UTF-8 and halves of surrogate pairs; both become U+FFFD.
pub(crate) fn lenient_json(data: &[u8]) -> Result<Value, String> {
    let text = String::from_utf8_lossy(data);
    serde_json::from_str(&text).or_else(|error| {
        let Cow::Owned(text) = without_lone_surrogates(&text) else {
            return Err(error.to_string());
        };
        serde_json::from_str(&text).map_err(|error| error.to_string())
    })
}

/// Replaces `\uD800`…`\uDFFF` escapes that are not pairs by `\uFFFD`.
fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    let unit = |at: usize| -> Option<u16> {
        let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(next) = text.get(at..).and_then(|rest| rest.find('\\')) {
        at += next;
        at += match unit(at) {
            Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => {
                out.push_str(&text[copied..at]);
                out.push_str("\\ufffd");
                copied = at + 6;
                6
            }
            // The character after a backslash may be a backslash; it is one byte or not an escape.
            _ => 2,
        };
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// A server's text as an error message quotes it.
pub(crate) fn excerpt(data: &[u8]) -> String {
    // No more of it than an excerpt can need: a character is at most four bytes.
    let ends = 32 * EXCERPT;
    if data.len() <= 2 * ends {
        return one_line(&String::from_utf8_lossy(data), EXCERPT);
    }
    let beginning = String::from_utf8_lossy(&data[..ends]);
    let end = String::from_utf8_lossy(&data[data.len() - ends..]);
    one_line(&format!("{beginning} … {end}"), EXCERPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_one_short_line() {
        assert_eq!(excerpt(b" a\n\n b\tc "), "a b c");
        assert_eq!(excerpt(b"\xff\x1b[2J"), "\u{fffd}\\x1b[2J");
        for length in [1000, 10 << 20] {
            let long = format!("a{}z", "ä".repeat(length));
            let shown = excerpt(long.as_bytes());
            assert_eq!(shown.chars().count(), EXCERPT, "{shown}");
            assert!(shown.starts_with('a') && shown.ends_with('z'), "{shown}");
        }
    }
}
