//! The text that the simulated model speaks: one word a token, so that counting words counts
//! tokens.

/// Plain words that need no escaping in JSON, a power of two of them.
#[rustfmt::skip]
const WORDS: [&str; 64] = [
    "the", "river", "keeps", "moving", "under", "a", "pale", "morning",
    "light", "and", "every", "stone", "along", "its", "bank", "has",
    "been", "turned", "by", "patient", "water", "until", "nothing", "sharp",
    "remains", "people", "who", "walk", "there", "often", "say", "that",
    "time", "feels", "slower", "near", "bridge", "where", "old", "trees",
    "lean", "over", "to", "listen", "some", "bring", "bread", "for",
    "ducks", "others", "only", "their", "thoughts", "but", "all", "of",
    "them", "leave", "with", "something", "small", "they", "did", "not",
];

/// The word of a request's token.
#[inline]
fn word(seed: u64, token: u32) -> &'static str {
    let index = seed.wrapping_add(u64::from(token)) as usize % WORDS.len();
    WORDS[index]
}

/// Appends a run of tokens; all but the text's first begin with a space.
#[inline]
pub(crate) fn append(out: &mut Vec<u8>, seed: u64, tokens: std::ops::Range<u32>) {
    for token in tokens {
        if token > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word(seed, token).as_bytes());
    }
}

/// A run of tokens as a text.
pub(crate) fn run(seed: u64, tokens: std::ops::Range<u32>) -> String {
    let mut out = Vec::new();
    append(&mut out, seed, tokens);
    String::from_utf8_lossy(&out).into_owned()
}

/// A whole text.
pub(crate) fn text(seed: u64, tokens: u32) -> String {
    run(seed, 0..tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_plain_and_count_as_tokens() {
        assert!(
            WORDS
                .iter()
                .all(|word| word.bytes().all(|b| b.is_ascii_lowercase()))
        );
        assert_eq!(text(7, 150).split_whitespace().count(), 150);
        assert!(
            text(7, 3).starts_with("morning light and"),
            "{}",
            text(7, 3)
        );
        assert_ne!(text(1, 5), text(2, 5));
    }
}
