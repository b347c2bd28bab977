//! OpenAI's vocabularies, packed: as tiktoken-rs holds them they would take 7 MB of the binary.
//!
//! A vocabulary is a list of tokens, each of which is a byte or two earlier tokens in a row. A file
//! has the ranks of the first halves and then of the second halves, three planes of bytes each,
//! compressed by zlib. A byte is its own first half, and has [`NO_HALF`] for a second.

use std::io::Read;
use std::sync::LazyLock;

use flate2::read::ZlibDecoder;
use tiktoken_rs::CoreBPE;

/// The second half of a single byte.
const NO_HALF: usize = 0xff_ffff;

/// Bytes of a rank.
const PLANES: usize = 3;

const WORDS: &str =
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s";

const CL100K_WORDS: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s";

pub(super) fn r50k() -> &'static CoreBPE {
    static ENCODING: LazyLock<CoreBPE> = LazyLock::new(|| encoding(ranked(R50K), WORDS));
    &ENCODING
}

/// As r50k, and runs of spaces after its special token.
pub(super) fn p50k() -> &'static CoreBPE {
    static ENCODING: LazyLock<CoreBPE> = LazyLock::new(|| {
        let spaces = (2..=25).map(|length| (vec![b' '; length], 50_255 + length as u32));
        encoding(ranked(R50K).chain(spaces), WORDS)
    });
    &ENCODING
}

pub(super) fn cl100k() -> &'static CoreBPE {
    static ENCODING: LazyLock<CoreBPE> = LazyLock::new(|| encoding(ranked(CL100K), CL100K_WORDS));
    &ENCODING
}

pub(super) fn o200k() -> &'static CoreBPE {
    static ENCODING: LazyLock<CoreBPE> =
        LazyLock::new(|| encoding(ranked(O200K), tiktoken_rs::O200K_BASE_PAT_STR));
    &ENCODING
}

const R50K: &[u8] = include_bytes!("vocabularies/r50k.zlib");
const CL100K: &[u8] = include_bytes!("vocabularies/cl100k.zlib");
const O200K: &[u8] = include_bytes!("vocabularies/o200k.zlib");

#[expect(
    clippy::expect_used,
    reason = "vocabularies and patterns are constants, and tested"
)]
fn encoding(tokens: impl Iterator<Item = (Vec<u8>, u32)>, words: &str) -> CoreBPE {
    CoreBPE::new(tokens.collect(), Default::default(), words).expect("the pattern is valid")
}

/// The tokens of a packed vocabulary, with their ranks.
fn ranked(packed: &[u8]) -> impl Iterator<Item = (Vec<u8>, u32)> {
    unpacked(packed).into_iter().zip(0..)
}

#[expect(clippy::expect_used, reason = "vocabularies are constants, and tested")]
fn unpacked(packed: &[u8]) -> Vec<Vec<u8>> {
    let mut planes = Vec::new();
    ZlibDecoder::new(packed)
        .read_to_end(&mut planes)
        .expect("the vocabulary is whole");
    let count = planes.len() / (2 * PLANES);
    let half = |side: usize, token: usize| {
        (0..PLANES).fold(0, |rank, plane| {
            let byte = planes[(side * PLANES + plane) * count + token];
            rank | usize::from(byte) << (8 * plane)
        })
    };
    let mut tokens: Vec<Vec<u8>> = Vec::with_capacity(count);
    for token in 0..count {
        let (first, second) = (half(0, token), half(1, token));
        tokens.push(match second {
            NO_HALF => vec![first as u8],
            _ => [tokens[first].as_slice(), &tokens[second]].concat(),
        });
    }
    tokens
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    /// The tokens of an encoding, without special ones.
    fn tokens(encoding: &CoreBPE, count: u32) -> Vec<Vec<u8>> {
        (0..count)
            .map(|rank| encoding.decode_bytes(&[rank]).unwrap())
            .collect()
    }

    fn packed(tokens: &[Vec<u8>]) -> Vec<u8> {
        let ranks: HashMap<&[u8], usize> = tokens
            .iter()
            .enumerate()
            .map(|(rank, token)| (token.as_slice(), rank))
            .collect();
        let halves: Vec<(usize, usize)> = tokens
            .iter()
            .map(|token| {
                if let [byte] = token.as_slice() {
                    return (usize::from(*byte), NO_HALF);
                }
                // Of all ways to divide it, the one with the earliest halves is packed best.
                let ways = (1..token.len()).filter_map(|middle| {
                    Some((*ranks.get(&token[..middle])?, *ranks.get(&token[middle..])?))
                });
                ways.min_by_key(|(first, second)| *first.max(second))
                    .unwrap()
            })
            .collect();
        let mut packer = ZlibEncoder::new(Vec::new(), Compression::best());
        for side in [
            |half: &(usize, usize)| half.0,
            |half: &(usize, usize)| half.1,
        ] {
            for plane in 0..PLANES {
                let bytes: Vec<u8> = halves
                    .iter()
                    .map(|half| (side(half) >> (8 * plane)) as u8)
                    .collect();
                packer.write_all(&bytes).unwrap();
            }
        }
        packer.finish().unwrap()
    }

    /// With LLMETER_PACK_VOCABULARIES set, the files are written anew.
    #[test]
    fn packed_vocabularies_are_those_of_tiktoken() {
        for (name, theirs, count, ours) in [
            ("r50k", tiktoken_rs::r50k_base().unwrap(), 50_256, R50K),
            (
                "cl100k",
                tiktoken_rs::cl100k_base().unwrap(),
                100_256,
                CL100K,
            ),
            ("o200k", tiktoken_rs::o200k_base().unwrap(), 199_998, O200K),
        ] {
            let theirs = tokens(&theirs, count);
            if std::env::var_os("LLMETER_PACK_VOCABULARIES").is_some() {
                let folder = concat!(
                    env!("CARGO_MANIFEST_DIR"),
                    "/src/payload/tokenizer/tiktoken"
                );
                let file = format!("{folder}/vocabularies/{name}.zlib");
                std::fs::write(file, packed(&theirs)).unwrap();
            } else {
                assert!(unpacked(ours) == theirs, "{name}");
            }
        }
    }
}
