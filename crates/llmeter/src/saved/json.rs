//! JSON as the Python system writes it: separators, indentation, escapes, and floats that JSON
//! does not have.

use std::borrow::Cow;
use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::ser::{Formatter, PrettyFormatter};

/// One line: `", "` and `": "` between, everything beyond ASCII as `\uXXXX`.
pub(crate) fn write_inline<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, Inline);
    // Writing JSON values to memory cannot fail.
    let _ = value.serialize(&mut serializer);
}

/// Indented by four, everything beyond ASCII as `\uXXXX`, no newline at the end.
pub(crate) fn to_indented<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let (mut indented, mut out) = (Vec::new(), Vec::new());
    let formatter = PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut indented, formatter);
    // Writing JSON values to memory cannot fail. Only strings hold anything beyond ASCII.
    let _ = value.serialize(&mut serializer);
    let _ = write_ascii(&mut out, &String::from_utf8_lossy(&indented));
    out
}

struct Inline;

impl Formatter for Inline {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        write_ascii(writer, fragment)
    }
}

fn write_ascii<W: ?Sized + io::Write>(writer: &mut W, fragment: &str) -> io::Result<()> {
    if fragment.is_ascii() {
        return writer.write_all(fragment.as_bytes());
    }
    let mut units = [0; 2];
    for character in fragment.chars() {
        if character.is_ascii() {
            writer.write_all(&[character as u8])?;
        } else {
            for unit in character.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
    }
    Ok(())
}

/// Reads JSON; the bare `NaN`, `Infinity` and `-Infinity` of Python become null, and half a
/// surrogate pair becomes the replacement character.
pub(crate) fn read<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    read_with(text, |text| serde_json::from_slice(text))
}

/// [`read`] with the given way to read plain JSON.
pub(crate) fn read_with<T>(
    text: &[u8],
    mut read: impl FnMut(&[u8]) -> serde_json::Result<T>,
) -> serde_json::Result<T> {
    read(text).or_else(|error| match plain(text) {
        Cow::Borrowed(_) => Err(error),
        Cow::Owned(plain) => read(&plain),
    })
}

/// Replaces what Python writes and JSON does not have.
fn plain(text: &[u8]) -> Cow<'_, [u8]> {
    const BARE: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];
    let mut out = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    let mut is_string = false;
    while at < text.len() {
        let rest = &text[at..];
        let (length, replacement): (usize, &[u8]) = match rest[0] {
            b'"' => {
                is_string = !is_string;
                (1, b"")
            }
            b'\\' if is_string => {
                match (escaped_unit(rest), escaped_unit(&rest[6.min(rest.len())..])) {
                    (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (12, b""),
                    (Some(0xd800..=0xdfff), _) => (6, b"\\ufffd"),
                    _ => (2, b""),
                }
            }
            _ if is_string => (1, b""),
            _ => match BARE.iter().find(|bare| rest.starts_with(bare)) {
                Some(bare) => (bare.len(), b"null"),
                None => (1, b""),
            },
        };
        if !replacement.is_empty() {
            out.extend_from_slice(&text[copied..at]);
            out.extend_from_slice(replacement);
            copied = at + length;
        }
        at += length;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(&text[copied..]);
    Cow::Owned(out)
}

/// The UTF-16 unit of a `\uXXXX` at the start of `text`.
fn escaped_unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn written_as_python_does() {
        let value = json!({"a": [1, 2.5, null], "é\n": "日本 😀 \u{7f}", "e": {}, "l": []});
        let mut line = Vec::new();
        write_inline(&mut line, &value);
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "{\"a\": [1, 2.5, null], \"\\u00e9\\n\": \"\\u65e5\\u672c \\ud83d\\ude00 \u{7f}\", \
             \"e\": {}, \"l\": []}"
        );
        assert_eq!(
            String::from_utf8(to_indented(&json!({"a": [1], "e": {}, "é": true}))).unwrap(),
            "{\n    \"a\": [\n        1\n    ],\n    \"e\": {},\n    \"\\u00e9\": true\n}"
        );
    }

    #[test]
    fn floats_that_json_does_not_have_are_null() {
        let value: Value =
            read(br#"{"a": NaN, "b": [-Infinity, Infinity], "c": "NaN \" Infinity \\"}"#).unwrap();
        assert_eq!(
            value,
            json!({"a": null, "b": [null, null], "c": "NaN \" Infinity \\"})
        );
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced() {
        let value: Value =
            read(br#"["\ud800 x", "\ud83d\ude00", "\udc00", "\ud800\ud83d\ude00"]"#).unwrap();
        assert_eq!(value, json!(["\u{fffd} x", "😀", "\u{fffd}", "\u{fffd}😀"]));
    }

    #[test]
    fn what_is_broken_stays_broken() {
        for text in [
            "",
            "{",
            "{\"a\": NaN",
            "\"\\",
            "\"\\ud8",
            "nonsense",
            "{\"a\": Nan}",
        ] {
            assert!(read::<Value>(text.as_bytes()).is_err(), "{text}");
        }
    }
}
