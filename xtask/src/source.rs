//! What can be read from Rust sources as text: modules, re-exports and imports.

use std::collections::BTreeMap;

/// A path that a file uses, from the root of its crate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Import {
    /// The line on which it stands, counted from 1.
    pub(crate) line: usize,
    /// Its names, at least one.
    pub(crate) path: Vec<String>,
}

/// The code of a source: comments, texts and what only tests see are blanks. Lines stay where they
/// are.
pub(crate) fn code(source: &str) -> String {
    without_tests(&without_texts(source))
}

/// The modules that a file declares.
pub(crate) fn modules(code: &str) -> Vec<String> {
    let tokens = tokens(code);
    let declarations = tokens.windows(3).filter(|three| three[0].text == "mod");
    declarations.map(|three| three[1].text.to_owned()).collect()
}

/// The modules, or crates, from which a file re-exports names: `Runner` is of `run`.
pub(crate) fn exports(code: &str) -> BTreeMap<String, String> {
    let tokens = tokens(code);
    let mut exports = BTreeMap::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.text == "use" {
            for path in tree(&tokens, at + 1).0 {
                if let (Some(first), Some(last)) = (path.first(), path.last()) {
                    exports.insert(last.clone(), first.clone());
                }
            }
        }
    }
    exports
}

/// The paths in a file of the module `module` that lead out of it, from the root of the crate.
pub(crate) fn imports(code: &str, module: &[String]) -> Vec<Import> {
    let tokens = tokens(code);
    let mut imports = Vec::new();
    // Modules in braces, with the depth at which each ends.
    let mut inner: Vec<(String, usize)> = Vec::new();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.text {
            "{" => {
                depth += 1;
                if at >= 2 && tokens[at - 2].text == "mod" {
                    inner.push((tokens[at - 1].text.to_owned(), depth));
                }
            }
            "}" => {
                if inner.last().is_some_and(|(_, end)| *end == depth) {
                    inner.pop();
                }
                depth = depth.saturating_sub(1);
            }
            "crate" | "super" if !(at > 0 && tokens[at - 1].text == "::") => {
                let (paths, end) = tree(&tokens, at);
                let here = module.iter().chain(inner.iter().map(|(name, _)| name));
                let here: Vec<&String> = here.collect();
                imports.extend(paths.into_iter().filter_map(|path| {
                    let path = from_root(&path, &here)?;
                    let line = token.line;
                    Some(Import { line, path })
                }));
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    imports
}

/// A path as it is from the root; `None` if that is the root itself.
fn from_root(path: &[String], here: &[&String]) -> Option<Vec<String>> {
    let mut names: Vec<String> = here.iter().map(|name| (*name).clone()).collect();
    for name in path {
        match name.as_str() {
            "crate" => names.clear(),
            "super" => {
                names.pop();
            }
            "self" | "*" => {}
            name => names.push(name.to_owned()),
        }
    }
    (!names.is_empty()).then_some(names)
}

/// The paths that begin at a token, and the token after them: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn tree(tokens: &[Token<'_>], start: usize) -> (Vec<Vec<String>>, usize) {
    let mut path = Vec::new();
    let mut at = start;
    while let Some(token) = tokens.get(at) {
        if token.text == "{" {
            let mut paths = Vec::new();
            at += 1;
            while tokens.get(at).is_some_and(|token| token.text != "}") {
                let (below, end) = tree(tokens, at);
                let whole = below.into_iter().map(|rest| [path.clone(), rest].concat());
                paths.extend(whole);
                at = end.max(at + 1);
                if tokens.get(at).is_some_and(|token| token.text == ",") {
                    at += 1;
                }
            }
            return (paths, at + 1);
        }
        path.push(token.text.to_owned());
        at += 1;
        match tokens.get(at).map(|token| token.text) {
            Some("::") => at += 1,
            // The name after `as` is the one that others see.
            Some("as") => {
                path.extend(tokens.get(at + 1).map(|token| token.text.to_owned()));
                at += 2;
                break;
            }
            _ => break,
        }
    }
    (vec![path], at)
}

#[derive(Debug, Clone, Copy)]
struct Token<'s> {
    text: &'s str,
    line: usize,
}

/// Names, `::`, and single characters of anything else.
fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (line, text) in code.lines().enumerate() {
        let line = line + 1;
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                _ if is_name(first) => rest.find(|c| !is_name(c)).unwrap_or(rest.len()),
                ':' if rest.starts_with("::") => 2,
                _ => first.len_utf8(),
            };
            let (text, after) = rest.split_at(length);
            tokens.push(Token { text, line });
            rest = after.trim_start();
        }
    }
    tokens
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Puts blanks in place of comments and of what is between quotes.
fn without_texts(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => quoted(rest),
            'r' if !out.ends_with(is_name) || out.ends_with('b') => match raw_text(rest) {
                Some(length) => length,
                None => {
                    out.push(first);
                    rest = &rest[1..];
                    continue;
                }
            },
            '\'' => match character(rest) {
                Some(length) => length,
                None => {
                    // A lifetime.
                    out.push(first);
                    rest = &rest[1..];
                    continue;
                }
            },
            _ => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
        };
        let (text, after) = rest.split_at(length);
        out.extend(text.chars().map(|c| if c == '\n' { c } else { ' ' }));
        rest = after;
    }
    out
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of a text in quotes that may have escapes.
fn quoted(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of `r"…"` and `r#"…"#`; `None` for a name that begins with r.
fn raw_text(text: &str) -> Option<usize> {
    let hashes = text[1..].len() - text[1..].trim_start_matches('#').len();
    text[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = 2 + hashes;
    let length = text[start..].find(&end)?;
    Some(start + length + end.len())
}

/// The length of a character in quotes; `None` for a lifetime.
fn character(text: &str) -> Option<usize> {
    let inner = &text[1..];
    if inner.starts_with('\\') {
        return Some(2 + inner[2..].find('\'')? + 2);
    }
    let first = inner.chars().next()?.len_utf8();
    inner[first..].starts_with('\'').then_some(first + 2)
}

/// Puts blanks in place of items that only tests see.
fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    let mut from = 0;
    while let Some(found) = out[from..].find("#[cfg(") {
        let start = from + found;
        from = start + 1;
        let Some(end) = out[start..].find(']').map(|end| start + end + 1) else {
            break;
        };
        let condition = &out[start..end];
        let is_test = tokens(condition).iter().any(|token| token.text == "test")
            && !condition.contains("not(test");
        if !is_test {
            continue;
        }
        let end = end + item(&out[end..]);
        let blank: String = out[start..end]
            .chars()
            .flat_map(|c| std::iter::repeat_n(if c == '\n' { c } else { ' ' }, c.len_utf8()))
            .collect();
        out.replace_range(start..end, &blank);
    }
    out
}

/// The length of an item: to its semicolon or comma, or to the brace that closes its body.
fn item(code: &str) -> usize {
    let mut depth = 0;
    for (at, character) in code.char_indices() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' => depth -= 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            ';' | ',' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(source: &str, module: &[&str]) -> Vec<String> {
        let module: Vec<String> = module.iter().map(|name| (*name).to_owned()).collect();
        let found = imports(&code(source), &module);
        found
            .into_iter()
            .map(|import| import.path.join("::"))
            .collect()
    }

    #[test]
    fn paths_are_told_from_the_root() {
        let source = "use crate::{a::{B, c::D as E}, f};\n\
                      use super::g;\n\
                      fn h() -> crate::i::J { super::super::k() }\n\
                      mod inner { use super::l; use super::super::super::m; }\n\
                      pub(in crate::x) struct S;";
        assert_eq!(
            paths(source, &["x", "y"]),
            [
                "a::B",
                "a::c::D::E",
                "f",
                "x::g",
                "i::J",
                "k",
                "x::y::l",
                "m",
                "x"
            ]
        );
    }

    #[test]
    fn comments_texts_and_tests_are_no_code() {
        let source = "/// crate::a\n/* crate::b /* */ crate::c */\n\
                      const D: &str = \"\\\" crate::d\"; const E: &str = r#\" \" crate::e\"#;\n\
                      const Q: char = '\"'; const R: &'static [u8] = br\"crate::r\";\n\
                      #[cfg(test)] use crate::f;\n\
                      #[cfg(all(test, unix))]\nmod tests { fn t() { crate::g() } }\n\
                      #[cfg(not(test))] use crate::h;\n\
                      use crate::last;";
        assert_eq!(paths(source, &["x"]), ["h", "last"]);
    }
}
