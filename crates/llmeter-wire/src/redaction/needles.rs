//! What is searched for in normal forms: the parts of secrets.

use std::collections::HashSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::filter::Filter;
use super::normal;

/// Parts of so many characters are hidden: they do not occur by chance.
pub(super) const PART: usize = 6;
/// The same of letters that may be words, like `localhost`.
const WORDY_PART: usize = 10;
/// The same of letters and digits between which something else may be.
const SPACED_PART: usize = 7;
/// Digits of parts in hexadecimal and decimal numbers: hashes and times look alike.
const HEX_PART: usize = 12;
const HEX_PREFIXED_PART: usize = 15;
const DECIMAL_PART: usize = 15;
/// A run of so many small letters is taken for a word, whatever is around it.
const WORD: usize = 10;

/// Characters that never count: they quote, escape or fill.
pub(super) fn is_dropped(byte: u8) -> bool {
    !byte.is_ascii_graphic() || matches!(byte, b'"' | b'\'' | b'`' | b'\\')
}

/// Parts of secrets in one normal form.
#[derive(Clone)]
pub(super) struct Needles {
    /// What a byte is in this form; 0 if it does not count.
    symbols: [u8; 256],
    /// Windows of some lengths, each packed with its length.
    windows: HashSet<u128>,
    lengths: Vec<usize>,
}

impl Needles {
    /// A form in which letters and digits count, and those of other bytes.
    fn new(counts: impl Fn(u8) -> bool) -> Self {
        let mut symbols = [0; 256];
        for byte in 0..=u8::MAX {
            if byte.is_ascii_alphanumeric() || counts(byte) {
                symbols[usize::from(byte)] = byte.to_ascii_lowercase();
            }
        }
        Self {
            symbols,
            windows: HashSet::new(),
            lengths: Vec::new(),
        }
    }

    fn symbols(&self, bytes: &[u8]) -> Vec<u8> {
        let symbols = bytes.iter().map(|byte| self.symbols[usize::from(*byte)]);
        symbols.filter(|symbol| *symbol != 0).collect()
    }

    /// Adds windows of this length, of text in normal form.
    fn add(
        &mut self,
        filter: &mut Filter,
        symbols: &[u8],
        length: usize,
        is_wanted: impl Fn(usize) -> bool,
    ) {
        for (at, window) in symbols.windows(length).enumerate() {
            if is_wanted(at) && self.windows.insert(packed(window)) {
                filter.add(window);
                if !self.lengths.contains(&length) {
                    self.lengths.push(length);
                }
            }
        }
    }

    /// Marks the bytes that parts are made of.
    pub(super) fn mark(&self, bytes: &[u8], mut mark: impl FnMut(usize, usize)) {
        let (mut found, mut places) = (Vec::new(), Vec::new());
        for (at, byte) in bytes.iter().enumerate() {
            let symbol = self.symbols[usize::from(*byte)];
            if symbol != 0 {
                found.push(symbol);
                places.push(at);
            }
        }
        for &length in &self.lengths {
            for (at, window) in found.windows(length).enumerate() {
                if self.windows.contains(&packed(window)) {
                    mark(places[at], places[at + length - 1]);
                }
            }
        }
    }
}

fn packed(window: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    let length = window.len().min(15);
    bytes[..length].copy_from_slice(&window[..length]);
    bytes[15] = length as u8;
    u128::from_le_bytes(bytes)
}

/// All parts of all secrets, in the two forms in which they are searched, and the filter of both.
pub(super) fn needles(secrets: &[&str]) -> ([Needles; 2], Filter) {
    let undone: Vec<Vec<u8>> = secrets.iter().map(|text| normal::undone(text)).collect();
    let mut marks = HashSet::new();
    for secret in undone.iter().map(Vec::as_slice) {
        marks.extend(
            secret
                .iter()
                .copied()
                .filter(|byte| !byte.is_ascii() || !is_dropped(*byte)),
        );
    }
    let mut filter = Filter::new(marks.iter().copied());
    // With the marks that secrets have, and without: those may be separators, too.
    let mut marked = Needles::new(|byte| marks.contains(&byte));
    let mut plain = Needles::new(|_| false);
    for (raw, undone) in secrets.iter().zip(&undone) {
        let wordy = Wordy::new(undone, &marked);
        let whole = marked.symbols(undone);
        marked.add(&mut filter, &whole, PART, |at| !wordy.is_word(at, PART));
        marked.add(&mut filter, &whole, WORDY_PART, |_| true);
        if (PART..WORDY_PART).contains(&whole.len()) {
            marked.add(&mut filter, &whole, whole.len(), |_| true);
        }
        let wordy = Wordy::new(undone, &plain);
        let letters = plain.symbols(undone);
        plain.add(&mut filter, &letters, SPACED_PART, |at| {
            !wordy.is_word(at, SPACED_PART)
        });
        plain.add(&mut filter, &letters, WORDY_PART, |_| true);
        if (SPACED_PART..WORDY_PART).contains(&letters.len()) {
            plain.add(&mut filter, &letters, letters.len(), |_| true);
        }
        for (text, length) in encodings(raw.as_bytes()) {
            let symbols = plain.symbols(text.as_bytes());
            plain.add(&mut filter, &symbols, length, |_| true);
        }
    }
    ([marked, plain], filter)
}

/// A text in base64 at all offsets, in hexadecimal and in decimal numbers, with the lengths of parts.
fn encodings(raw: &[u8]) -> Vec<(String, usize)> {
    let mut all = Vec::new();
    for offset in 0..3 {
        let mut bytes = vec![0; offset];
        bytes.extend_from_slice(raw);
        let text = STANDARD_NO_PAD.encode(&bytes);
        // What does not depend on the neighbours.
        let (from, to) = ((offset * 8).div_ceil(6), bytes.len() * 8 / 6);
        all.push((
            text.get(from..to).unwrap_or_default().to_owned(),
            SPACED_PART,
        ));
    }
    let [mut hex, mut prefixed, mut decimal] = [const { String::new() }; 3];
    for byte in raw {
        // Writing to a text cannot fail.
        let _ = write!(hex, "{byte:02x}");
        let _ = write!(prefixed, "0x{byte:02x}");
        let _ = write!(decimal, "{byte}");
    }
    all.extend([
        (hex, HEX_PART),
        (prefixed, HEX_PREFIXED_PART),
        (decimal, DECIMAL_PART),
    ]);
    all
}

/// Which parts of a secret may be words, and stand in texts for themselves.
struct Wordy {
    /// For each symbol: whether it is part of a word.
    words: Vec<bool>,
}

impl Wordy {
    fn new(secret: &[u8], form: &Needles) -> Self {
        let kept = secret
            .iter()
            .copied()
            .filter(|byte| form.symbols[usize::from(*byte)] != 0);
        let kept: Vec<u8> = kept.collect();
        let letters: Vec<u8> = kept
            .iter()
            .copied()
            .filter(u8::is_ascii_alphanumeric)
            .collect();
        // Where capitals and digits come and go, it is no text.
        let changes = letters.windows(2).filter(|pair| {
            let [one, other] = [pair[0], pair[1]];
            one.is_ascii_digit() != other.is_ascii_digit()
                || (one.is_ascii_lowercase() && other.is_ascii_uppercase())
        });
        let is_text = changes.count() * 5 <= letters.len();
        let is_small = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_punctuation();
        let mut words = vec![false; kept.len()];
        let mut at = 0;
        while at < kept.len() {
            let run = kept[at..].iter().take_while(|byte| is_small(byte)).count();
            let is_word = is_text || run >= WORD;
            words[at..at + run].fill(is_word);
            // A capital may begin a word, and a text may be all capitals.
            let is_capital = is_text && kept.get(at + run).is_some_and(u8::is_ascii_uppercase);
            if let Some(word) = words.get_mut(at + run) {
                *word = is_capital;
            }
            at += run + 1;
        }
        Self { words }
    }

    fn is_word(&self, at: usize, length: usize) -> bool {
        self.words[at..at + length].iter().all(|is_word| *is_word)
    }
}
