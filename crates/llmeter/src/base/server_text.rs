//! What servers say: JSON, read leniently, and the beginnings of texts.

use std::borrow::Cow;

use serde_json::Value;

/// Characters of a server's text that an error message quotes.
const EXCERPT: usize = 160;

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

/// The beginning of a server's text, on one line.
pub(crate) fn excerpt(data: &[u8]) -> String {
    // A character is at most four bytes; a cut one at the end is dropped with the rest.
    let head = &data[..data.len().min(4 * EXCERPT)];
    let text = String::from_utf8_lossy(head);
    let mut out: String = text
        .trim()
        .chars()
        .take(EXCERPT)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if head.len() < data.len() || text.trim().chars().count() > EXCERPT {
        out.push('…');
    }
    out
}
