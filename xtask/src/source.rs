//! What the tokens of Rust sources tell: modules, re-exports and imports.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// A path that a file uses, from the root of its crate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Import {
    /// The line on which it stands, counted from 1.
    pub(crate) line: usize,
    /// Its names, at least one.
    pub(crate) path: Vec<String>,
}

/// A name, `::`, or a single character of anything else.
#[derive(Debug)]
pub(crate) struct Token {
    text: String,
    line: usize,
}

/// The code of a source, without comments, literals and what only tests see.
pub(crate) fn code(source: &str) -> Result<Vec<Token>> {
    let stream: TokenStream = source.parse().map_err(|reason| anyhow!("{reason}"))?;
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    Ok(tokens)
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let line = tree.span().start().line;
        let mut push = |text: &str, line| {
            let text = text.to_owned();
            tokens.push(Token { text, line });
        };
        match tree {
            TokenTree::Ident(name) => push(&name.to_string(), line),
            TokenTree::Literal(_) => {}
            TokenTree::Punct(mark) if mark.as_char() == '#' => {
                if let Some(TokenTree::Group(attribute)) = trees.peek()
                    && is_for_tests(attribute.stream())
                {
                    let is_end = |tree: &TokenTree| match tree {
                        TokenTree::Punct(mark) => matches!(mark.as_char(), ';' | ','),
                        TokenTree::Group(body) => body.delimiter() == Delimiter::Brace,
                        _ => false,
                    };
                    // The item, to its semicolon, its comma or the end of its body.
                    trees.find(is_end);
                }
            }
            TokenTree::Punct(mark) => {
                let is_pair = mark.as_char() == ':' && mark.spacing() == Spacing::Joint;
                match is_pair && trees.next().is_some() {
                    true => push("::", line),
                    false => push(&mark.as_char().to_string(), line),
                }
            }
            TokenTree::Group(group) => {
                let [open, close] = match group.delimiter() {
                    Delimiter::Parenthesis => ["(", ")"],
                    Delimiter::Brace => ["{", "}"],
                    Delimiter::Bracket => ["[", "]"],
                    Delimiter::None => ["", ""],
                };
                push(open, line);
                flatten(group.stream(), tokens);
                let (text, line) = (close.to_owned(), group.span_close().start().line);
                tokens.push(Token { text, line });
            }
        }
    }
}

/// Whether an attribute is a `cfg` that only tests meet.
fn is_for_tests(attribute: TokenStream) -> bool {
    let mut tokens = Vec::new();
    flatten(attribute, &mut tokens);
    let texts: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
    texts.first() == Some(&"cfg")
        && texts.contains(&"test")
        && !texts.windows(3).any(|three| three == ["not", "(", "test"])
}

/// The modules that a file declares.
pub(crate) fn modules(tokens: &[Token]) -> Vec<String> {
    let declarations = tokens.windows(3).filter(|three| three[0].text == "mod");
    declarations.map(|three| three[1].text.clone()).collect()
}

/// The modules, or crates, from which a file re-exports names: `Runner` is of `run`.
pub(crate) fn exports(tokens: &[Token]) -> BTreeMap<String, String> {
    let mut exports = BTreeMap::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.text == "use" {
            for path in tree(tokens, at + 1).0 {
                if let (Some(first), Some(last)) = (path.first(), path.last()) {
                    exports.insert(last.clone(), first.clone());
                }
            }
        }
    }
    exports
}

/// The paths in a file of the module `module` that lead out of it, from the root of the crate.
pub(crate) fn imports(tokens: &[Token], module: &[String]) -> Vec<Import> {
    let mut imports = Vec::new();
    // Modules in braces, with the depth at which each ends.
    let mut inner: Vec<(String, usize)> = Vec::new();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "{" => {
                depth += 1;
                if at >= 2 && tokens[at - 2].text == "mod" {
                    inner.push((tokens[at - 1].text.clone(), depth));
                }
            }
            "}" => {
                if inner.last().is_some_and(|(_, end)| *end == depth) {
                    inner.pop();
                }
                depth = depth.saturating_sub(1);
            }
            "crate" | "super" if !(at > 0 && tokens[at - 1].text == "::") => {
                let (paths, end) = tree(tokens, at);
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
fn tree(tokens: &[Token], start: usize) -> (Vec<Vec<String>>, usize) {
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
        path.push(token.text.clone());
        at += 1;
        match tokens.get(at).map(|token| token.text.as_str()) {
            Some("::") => at += 1,
            // The name after `as` is the one that others see.
            Some("as") => {
                path.extend(tokens.get(at + 1).map(|token| token.text.clone()));
                at += 2;
                break;
            }
            _ => break,
        }
    }
    (vec![path], at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(source: &str, module: &[&str]) -> Vec<String> {
        let module: Vec<String> = module.iter().map(|name| (*name).to_owned()).collect();
        let found = imports(&code(source).unwrap(), &module);
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
