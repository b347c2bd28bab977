//! Tells by a few looks at a text that no part of a secret is in it, in one pass for both forms.
//!
//! A part of letters and digits alone is found among the letters and digits of a text, whatever is
//! between them: any part has a piece of four of them at a place that is a multiple of [`STEP`], and
//! more of them around it. A part with marks is found by its marks, which are rare in most texts: three
//! more symbols of it are before its first or after it.

use std::ops::Range;
use std::sync::LazyLock;

use super::needles::PART;

/// Symbols of a piece.
const PIECE: usize = 4;
/// Of so many places one is looked at.
const STEP: usize = PART - PIECE + 1;
/// Bytes that are looked at together.
const BLOCK: usize = 512;

/// Letters and digits in one case; 0 for all others.
static LETTERS: [u8; 256] = {
    let mut letters = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let letter = byte as u8;
        if letter.is_ascii_alphanumeric() {
            letters[byte] = letter.to_ascii_lowercase();
        }
        byte += 1;
    }
    letters
};

/// What two bytes leave of letters and digits.
#[derive(Clone, Copy, Default)]
struct Pair {
    letters: [u8; 2],
    count: u8,
}

/// Those of any two bytes, which halves the time that it takes to drop the others.
static PAIRS: LazyLock<Box<[Pair; 1 << 16]>> = LazyLock::new(|| {
    let mut pairs = Box::new([Pair::default(); 1 << 16]);
    for (bytes, left) in (0..=u16::MAX).zip(pairs.iter_mut()) {
        for letter in bytes.to_le_bytes().map(|byte| LETTERS[usize::from(byte)]) {
            if letter != 0 {
                left.letters[usize::from(left.count)] = letter;
                left.count += 1;
            }
        }
    }
    pairs
});

pub(super) struct Filter {
    /// Pieces of parts without marks.
    plain: Pieces,
    /// Pieces of parts with marks.
    marked: Pieces,
    /// Bytes other than letters and digits in the latter, by which they are found.
    marks: Vec<u8>,
    /// What a byte is where marks count; 0 if it does not.
    symbols: [u8; 256],
    /// What is next to a mark in a part: before it, after it.
    neighbours: [[bool; 256]; 2],
    is_empty: bool,
}

impl Filter {
    /// For parts of letters, digits and these marks.
    pub(super) fn new(marks: impl IntoIterator<Item = u8>) -> Self {
        let mut symbols = LETTERS;
        for mark in marks {
            symbols[usize::from(mark)] = mark.to_ascii_lowercase();
        }
        Self {
            plain: Pieces::default(),
            marked: Pieces::default(),
            marks: Vec::new(),
            symbols,
            neighbours: [[false; 256]; 2],
            is_empty: true,
        }
    }

    /// Adds a part, in normal form.
    pub(super) fn add(&mut self, part: &[u8]) {
        self.is_empty = false;
        if part.iter().all(u8::is_ascii_alphanumeric) {
            self.plain.add(part);
            return;
        }
        self.marked.add(part);
        for (at, byte) in part.iter().enumerate() {
            if byte.is_ascii_alphanumeric() {
                continue;
            }
            if !self.marks.contains(byte) {
                self.marks.push(*byte);
            }
            let next_to = [at.checked_sub(1), Some(at + 1)];
            for (known, at) in self.neighbours.iter_mut().zip(next_to) {
                if let Some(neighbour) = at.and_then(|at| part.get(at)) {
                    known[usize::from(*neighbour)] = true;
                }
            }
        }
    }

    /// Whether parts may be in these bytes. Most texts without any end here.
    pub(super) fn may_be_in(&self, bytes: &[u8]) -> bool {
        !self.is_empty && (self.finds_plain(bytes) || self.finds_marked(bytes))
    }

    fn finds_plain(&self, bytes: &[u8]) -> bool {
        let pairs = &**PAIRS;
        let mut buffer = [0; 2 * BLOCK + 1];
        let mut kept = 0;
        for block in bytes.chunks(BLOCK) {
            let (whole, rest) = block.as_chunks();
            for pair in whole {
                let left = pairs[usize::from(u16::from_le_bytes(*pair))];
                let at = kept & (2 * BLOCK - 1);
                buffer[at..at + 2].copy_from_slice(&left.letters);
                kept += usize::from(left.count);
            }
            for byte in rest {
                let letter = LETTERS[usize::from(*byte)];
                buffer[kept] = letter;
                kept += usize::from(letter != 0);
            }
            if self.plain.find_in(&buffer[..kept]) {
                return true;
            }
            // A part may lie across the end.
            let over = kept.min(PART - 1);
            buffer.copy_within(kept - over..kept, 0);
            kept = over;
        }
        false
    }

    fn finds_marked(&self, bytes: &[u8]) -> bool {
        self.marks.chunks(3).any(|marks| {
            let is_around = |at| self.is_marked_around(bytes, at);
            match *marks {
                [one] => memchr::memchr_iter(one, bytes).any(is_around),
                [one, two] => memchr::memchr2_iter(one, two, bytes).any(is_around),
                [one, two, three, ..] => {
                    memchr::memchr3_iter(one, two, three, bytes).any(is_around)
                }
                [] => false,
            }
        })
    }

    /// Whether there may be a part with the mark that is at this place.
    fn is_marked_around(&self, bytes: &[u8], at: usize) -> bool {
        let symbol = |byte: &u8| self.symbols[usize::from(*byte)];
        let counts = |symbol: &u8| *symbol != 0;
        let mut before = bytes[..at].iter().rev().map(symbol).filter(counts);
        let mut after = bytes[at + 1..].iter().map(symbol).filter(counts);
        let next_to = [before.next(), after.next()];
        let [is_before, is_after] = [0, 1].map(|side| {
            let neighbour: Option<u8> = next_to[side];
            neighbour.is_some_and(|symbol| self.neighbours[side][usize::from(symbol)])
        });
        if !is_before && !is_after {
            return false;
        }
        let mut around = [0; 2 * PART - 1];
        let (mut first, mut last) = (PART - 1, PART - 1);
        around[first] = symbol(&bytes[at]);
        for symbol in next_to[0].into_iter().chain(before).take(PART - 1) {
            first -= 1;
            around[first] = symbol;
        }
        for symbol in next_to[1].into_iter().chain(after).take(PART - 1) {
            last += 1;
            around[last] = symbol;
        }
        self.marked.is_part_in(&around[first..=last])
    }
}

/// Which pieces parts have, by their hash: one bit each. Those of one secret fill some half a percent.
struct Pieces(Box<[u64; TABLE]>);

/// A power of two. Small enough to stay in a core's nearest cache.
const TABLE: usize = 1 << 11;
/// Symbols of a text that are looked at together, and how many of them that takes.
const STRIDE: usize = 4 * STEP;
const STRIDE_LOOK: usize = 14;

impl Default for Pieces {
    fn default() -> Self {
        Self(Box::new([0; TABLE]))
    }
}

impl Pieces {
    fn add(&mut self, part: &[u8]) {
        for piece in part.windows(PIECE).filter_map(<[u8]>::first_chunk) {
            let (word, bit) = place(u32::from_le_bytes(*piece));
            self.0[word] |= 1 << bit;
        }
    }

    /// 1 if it is a piece.
    fn has(&self, piece: u32) -> u64 {
        let (word, bit) = place(piece);
        self.0[word] >> bit & 1
    }

    /// Whether the first symbols are a piece.
    fn has_first_of(&self, symbols: &[u8]) -> bool {
        let piece = symbols.first_chunk().copied().map(u32::from_le_bytes);
        piece.is_some_and(|piece| self.has(piece) != 0)
    }

    fn find_in(&self, symbols: &[u8]) -> bool {
        let mut at = 0;
        while let Some(look) = symbols[at..].first_chunk::<STRIDE_LOOK>() {
            let [low, high] = halves(look);
            let pieces = [low, low >> (8 * STEP), high, high >> (8 * STEP)];
            let found = pieces
                .iter()
                .fold(0, |found, piece| found | self.has(*piece as u32));
            if found != 0 && self.is_part_at(symbols, at..at + STRIDE) {
                return true;
            }
            at += STRIDE;
        }
        self.is_part_at(symbols, at..symbols.len())
    }

    /// Whether a part is around one of these places.
    fn is_part_at(&self, symbols: &[u8], places: Range<usize>) -> bool {
        places.step_by(STEP).any(|at| {
            let from = at.saturating_sub(STEP - 1);
            let to = symbols.len().min(at + PIECE + STEP - 1);
            self.has_first_of(&symbols[at..]) && self.is_part_in(&symbols[from..to])
        })
    }

    /// Whether there are as many pieces in a row as the shortest part has.
    fn is_part_in(&self, symbols: &[u8]) -> bool {
        let mut in_a_row = 0;
        symbols.windows(PIECE).any(|piece| {
            in_a_row = if self.has_first_of(piece) {
                in_a_row + 1
            } else {
                0
            };
            in_a_row >= STEP
        })
    }
}

/// The first eight bytes and the last eight, which begin two steps later.
fn halves(look: &[u8; STRIDE_LOOK]) -> [u64; 2] {
    [look.first_chunk(), look.last_chunk()].map(|half| half.copied().map_or(0, u64::from_le_bytes))
}

/// Where a piece is in the table.
fn place(piece: u32) -> (usize, u32) {
    let hash = piece.wrapping_mul(0x9E37_79B1) >> (u32::BITS - (TABLE * 64).trailing_zeros());
    ((hash / 64) as usize, hash % 64)
}
