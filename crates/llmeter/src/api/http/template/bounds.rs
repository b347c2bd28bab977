//! What a template may cost: it may come from a saved folder or a file of somebody else.
//!
//! Fuel bounds steps and texts. It does not see what lists hold, nor how deep they are, so that is
//! bounded by the code itself, before it is parsed: every binding is a chance to double a value.

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};

use crate::payload::plain_numbers;

/// Bytes of a template.
pub(super) const MAX_TEMPLATE: usize = 4 << 20;
/// Bytes of a template's code: what is between `{{` and `}}`, and between `{%` and `%}`.
pub(super) const MAX_CODE: usize = 16 << 10;
/// Brackets that a template's code opens. Values are nested no deeper.
pub(super) const MAX_BRACKETS: usize = 256;
/// How many times its variables a template may be able to make of them in a list.
pub(super) const MAX_GROWTH: u64 = 256;
/// Bytes that values of a template may have together, unless they are few times the payload.
pub(super) const MAX_VALUES: u64 = 256 << 20;
/// How many times the payload is always allowed.
pub(super) const ALWAYS_ALLOWED: u64 = 4;
/// Work of filling a template once. One unit is a step, or 64 bytes of text.
pub(super) const FUEL: u64 = 1 << 20;
/// Bytes of variables from which a template gets a unit more for each.
pub(super) const FUEL_PER_BYTE_FROM: u64 = 256 << 10;
/// Stack of the thread that parses: code within [`MAX_CODE`] cannot exhaust it.
pub(super) const PARSER_STACK: usize = 256 << 20;

/// Filters and functions that make much of little, and are of no use in a body.
const FILTERS: [&str; 10] = [
    "batch", "chain", "format", "groupby", "indent", "map", "pprint", "slice", "sum", "zip",
];
const FUNCTIONS: [&str; 4] = ["debug", "dict", "namespace", "range"];

/// Leaves an environment with what is bounded.
pub(super) fn restrict(environment: &mut Environment<'_>) {
    for filter in FILTERS {
        environment.remove_filter(filter);
    }
    for function in FUNCTIONS {
        environment.remove_global(function);
    }
    environment.add_filter("times", times);
    environment.add_filter("tojson", to_json);
    environment.set_fuel(Some(FUEL));
}

/// `*` for numbers alone: that of texts and lists repeats them.
fn times(value: &Value, factor: &Value) -> Result<Value, Error> {
    let refuse = || Error::new(ErrorKind::InvalidOperation, "times takes two numbers");
    if [value, factor].map(Value::kind) != [ValueKind::Number; 2] {
        return Err(refuse());
    }
    if let (Ok(value), Ok(factor)) = (i64::try_from(value.clone()), i64::try_from(factor.clone())) {
        let product = i128::from(value) * i128::from(factor);
        return Ok(i64::try_from(product).map_or(Value::from(product as f64), Value::from));
    }
    let number = |value: &Value| f64::try_from(value.clone()).map_err(|_| refuse());
    Ok(Value::from(number(value)? * number(factor)?))
}

/// A value as JSON. White space, of which an indentation could have much, means nothing in it.
fn to_json(value: &Value, _: Rest<Value>, _: Kwargs) -> Result<Value, Error> {
    json(value).map(Value::from_safe_string)
}

/// A value as JSON, with numbers as they were written.
pub(super) fn json(value: &Value) -> Result<String, Error> {
    serde_json::to_string(value)
        .map(plain_numbers)
        .map_err(|reason| Error::new(ErrorKind::BadSerialization, reason.to_string()))
}

/// How many times its variables a template may be able to make of them.
///
/// # Errors
/// What is accepted instead, if its code is beyond a limit.
pub(super) fn growth(template: &str) -> Result<u64, String> {
    if template.len() > MAX_TEMPLATE {
        return Err(format!("a template of at most {MAX_TEMPLATE} bytes"));
    }
    let (mut code, mut brackets) = (0, 0);
    let (mut bound, mut shown) = (1u64, 1u64);
    let mut rest = template;
    while let Some(tag) = next_tag(&mut rest) {
        code += tag.code.len();
        let scanned = scan(tag.code);
        brackets += scanned.brackets;
        if scanned.multiplies {
            return Err("a template without *; write {{ number | times(2) }}".to_owned());
        }
        if tag.is_block && scanned.is_recursive {
            return Err("a template without recursive loops".to_owned());
        }
        let factor = 1 + scanned.repeats;
        match tag.is_block {
            true => bound = bound.saturating_mul(factor),
            false => shown = shown.max(factor),
        }
    }
    if code > MAX_CODE {
        return Err(format!("a template with at most {MAX_CODE} bytes of code"));
    }
    if brackets > MAX_BRACKETS {
        return Err(format!(
            "a template whose code opens at most {MAX_BRACKETS} brackets"
        ));
    }
    let growth = bound.saturating_mul(shown);
    if growth > MAX_GROWTH {
        let expected =
            "a template that makes no more of its variables (fewer + and commas in its code)";
        return Err(expected.to_owned());
    }
    Ok(growth)
}

struct Tag<'a> {
    /// Whether it is `{% … %}`, which may bind names.
    is_block: bool,
    code: &'a str,
}

/// The next tag of a template; takes it and what is before it away. Ends where minijinja sees it
/// end: at the closing mark outside texts and brackets.
fn next_tag<'a>(rest: &mut &'a str) -> Option<Tag<'a>> {
    loop {
        *rest = &rest[rest.find('{')? + 1..];
        let (is_block, after) = match rest.as_bytes().first()? {
            b'{' => (false, &rest[1..]),
            b'%' => (true, &rest[1..]),
            b'#' => {
                let end = rest.find("#}").map_or(rest.len(), |end| end + 2);
                *rest = &rest[end..];
                continue;
            }
            _ => continue,
        };
        let code = after.strip_prefix(['-', '+']).unwrap_or(after);
        let end = tag_end(code, if is_block { "%}" } else { "}}" });
        let tag = Tag {
            is_block,
            code: &code[..end],
        };
        *rest = code.get(end + 2..).unwrap_or("");
        if is_block && is_tag(tag.code, "raw") {
            *rest = after_raw(rest);
            continue;
        }
        return Some(tag);
    }
}

/// Whether a tag is this word alone.
fn is_tag(code: &str, word: &str) -> bool {
    let code = code.strip_suffix(['-', '+']).unwrap_or(code);
    code.trim() == word
}

/// What follows the tag that ends raw text.
fn after_raw(text: &str) -> &str {
    let mut rest = text;
    while let Some(open) = rest.find("{%") {
        rest = &rest[open + 2..];
        let code = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        if let Some(end) = code.find("%}")
            && is_tag(&code[..end], "endraw")
        {
            return &code[end + 2..];
        }
    }
    ""
}

fn tag_end(code: &str, close: &str) -> usize {
    let bytes = code.as_bytes();
    let (mut at, mut depth) = (0, 0i32);
    while at < bytes.len() {
        if depth == 0 && bytes[at..].starts_with(close.as_bytes()) {
            return at;
        }
        match bytes[at] {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            b'"' | b'\'' => at = text_end(bytes, at),
            _ => {}
        }
        at += 1;
    }
    code.len()
}

/// The closing quote of the text that opens here, or the end.
fn text_end(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while at < bytes.len() && bytes[at] != bytes[open] {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at
}

#[derive(Default)]
struct Scanned {
    brackets: usize,
    /// Places from which on one value may be in two: `+`, and commas outside calls.
    repeats: u64,
    multiplies: bool,
    is_recursive: bool,
}

fn scan(code: &str) -> Scanned {
    let bytes = code.as_bytes();
    let mut scanned = Scanned::default();
    let mut calls = Vec::new();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii();
    let mut before = b' ';
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        match byte {
            b'(' | b'[' | b'{' => {
                scanned.brackets += 1;
                calls.push(byte == b'(' && is_name(before));
            }
            b')' | b']' | b'}' => {
                calls.pop();
            }
            b',' if calls.last() != Some(&true) => scanned.repeats += 1,
            // That of `+%}` trims white space.
            b'+' if at + 1 < bytes.len() => scanned.repeats += 1,
            b'*' => scanned.multiplies = true,
            b'r' if bytes[at..].starts_with(b"recursive") => scanned.is_recursive = true,
            b'"' | b'\'' => at = text_end(bytes, at),
            _ => {}
        }
        before = byte;
        at += 1;
    }
    scanned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_told_from_text_as_the_parser_does() {
        fn code(mut template: &str) -> Vec<&str> {
            std::iter::from_fn(|| next_tag(&mut template).map(|tag| tag.code)).collect()
        }
        assert_eq!(code("{\"a\": {{ b }}, {é{%- if c -%}"), [" b ", " if c -"]);
        assert_eq!(
            code("{# {{ a }} #}{{ '}}' ~ \"\\\"}}\" }}x"),
            [" '}}' ~ \"\\\"}}\" "]
        );
        assert_eq!(code("{{ {'a': {'b': c}} }}"), [" {'a': {'b': c}} "]);
        assert_eq!(
            code("{% raw %}{{ ' {% endrawx %}{%- endraw +%}{{ a }}"),
            [" a "]
        );
        assert_eq!(code("{{ a"), [" a"]);
        assert!(code("{").is_empty());
    }

    #[test]
    fn growth_is_what_bindings_can_make() {
        assert_eq!(growth("{\"a\": [{{ b }}, 1, 2]}"), Ok(1));
        assert_eq!(growth("{% set a = b | replace('x', 'y') %}{{ a }}"), Ok(1));
        assert_eq!(growth("{% set a = [b, b] %}{{ [a, a, {'x': a}] }}"), Ok(6));
        assert!(growth(&"{% set a = [a, a] %}".repeat(9)).is_err());
        assert!(growth(&"{% set a = a + a %}".repeat(9)).is_err());
        assert!(growth(&"{% for a in a, a %}".repeat(9)).is_err());
        assert!(growth("{{ a * 9 }}").unwrap_err().contains("times"));
        assert_eq!(growth("{{ '*' }} 2 * 3"), Ok(1));
    }
}
