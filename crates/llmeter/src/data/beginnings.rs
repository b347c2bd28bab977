//! How much of its beginning a prompt shares with those before it.

use std::collections::BTreeSet;
use std::ops::Bound;

/// Bytes of texts that are kept for comparison.
const MAX_BYTES: usize = 512 << 20;

/// The texts of prompts, in their order, in which the most alike are neighbours.
#[derive(Debug, Default)]
pub(super) struct Beginnings {
    texts: BTreeSet<Box<str>>,
    bytes: usize,
    /// Texts that were not kept.
    left_out: u64,
}

impl Beginnings {
    /// The longest beginning of a text that a text before it has, too, in whole words.
    pub(super) fn longest<'t>(&self, text: &'t str) -> &'t str {
        let before = (Bound::Unbounded, Bound::Included(text));
        let after = (Bound::Included(text), Bound::Unbounded);
        let before = self.texts.range::<str, _>(before).next_back();
        let after = self.texts.range::<str, _>(after).next();
        let neighbours = before.into_iter().chain(after);
        let common = neighbours.map(|other| common(text, other)).max();
        &text[..common.unwrap_or(0)]
    }

    /// Takes a text for those after it.
    pub(super) fn add(&mut self, text: String) {
        match self.bytes + text.len() > MAX_BYTES {
            true => self.left_out += 1,
            false => {
                self.bytes += text.len();
                self.texts.insert(text.into());
            }
        }
    }

    /// What is to be said if prompts were not compared with all.
    pub(super) fn note(&self) -> Option<String> {
        (self.left_out > 0).then(|| {
            format!(
                "shared prefixes are counted too low: {} of the prompts did not fit into the {} MiB of those \
                 that others are compared with",
                self.left_out,
                MAX_BYTES >> 20
            )
        })
    }
}

/// Bytes that two texts have in common at their beginnings, without a part of a word.
pub(super) fn common(one: &str, other: &str) -> usize {
    let bytes = one.as_bytes().iter().zip(other.as_bytes());
    let mut equal = bytes.take_while(|(one, other)| one == other).count();
    while !(one.is_char_boundary(equal) && other.is_char_boundary(equal)) {
        equal -= 1;
    }
    let ends = |text: &str| {
        let next = text[equal..].chars().next();
        next.is_none_or(char::is_whitespace)
    };
    match ends(one) && ends(other) {
        true => equal,
        false => one[..equal].rfind(char::is_whitespace).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_common_beginning_is_in_whole_words() {
        let mut beginnings = Beginnings::default();
        assert_eq!(beginnings.longest("the cat sat"), "");
        for text in ["the cat sat", "the dog ran", "a cow", "\u{e8}"] {
            beginnings.add(text.to_owned());
        }
        for (text, shared) in [
            ("the cat sat down", "the cat sat"),
            ("the cat sang", "the cat"),
            ("the cat sat", "the cat sat"),
            ("the d", "the"),
            ("a cow", "a cow"),
            ("b", ""),
            ("\u{e9}", ""),
        ] {
            assert_eq!(beginnings.longest(text), shared, "{text}");
        }
        assert_eq!(beginnings.note(), None);
    }
}
