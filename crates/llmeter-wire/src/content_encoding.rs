//! Undoing the compression of a response's body, read by read.

use flate2::{Decompress, FlushDecompress, Status};

/// Largest body that is unpacked.
const MAX_DECOMPRESSED: u64 = 256 * 1024 * 1024;
/// A body may be this large whatever it was packed into.
const ALWAYS_ALLOWED: u64 = 8 * 1024 * 1024;
/// Beyond that, at most this many bytes for each that came. Model responses shrink to a tenth or
/// a fiftieth; what shrinks to a thousandth was made to fill memory.
const MAX_RATIO: u64 = 200;
/// How much is unpacked at a time.
const STEP: usize = 32 * 1024;
/// The window of zlib's inflate: the largest.
const WINDOW_BITS: u8 = 15;

/// Why a packed body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecompressionError {
    /// It is not what it is said to be.
    #[error("the response is not valid {0}: {1}")]
    Broken(&'static str, String),
    /// It unpacks to more than a response can be.
    #[error(
        "the response decompresses from {taken} bytes of {coding} to more than {made} bytes, which exceeds \
         the limit"
    )]
    TooLarge {
        /// The encoding's name.
        coding: &'static str,
        /// Compressed bytes so far.
        taken: u64,
        /// Bytes that they unpacked to.
        made: u64,
    },
    /// It ended before the end of what was packed.
    #[error("the {0} data is truncated")]
    Short(&'static str),
}

/// Whether a coding is one that [`Decompressor`] undoes, or none at all.
pub fn is_readable(coding: &str) -> bool {
    coding.eq_ignore_ascii_case("identity") || coding == "*" || Decompressor::of(coding).is_some()
}

/// Unpacks one body.
#[derive(Debug)]
pub struct Decompressor {
    name: &'static str,
    state: Option<Decompress>,
    is_over: bool,
    taken: u64,
    made: u64,
}

impl Decompressor {
    /// What undoes a content coding; `None` if nothing here does.
    pub fn of(coding: &str) -> Option<Self> {
        let is = |name: &str| coding.eq_ignore_ascii_case(name);
        let (name, state) = match () {
            () if is("gzip") || is("x-gzip") => ("gzip", Some(Decompress::new_gzip(WINDOW_BITS))),
            // Its first byte tells whether it is what the standard says or what some servers send.
            () if is("deflate") => ("deflate", None),
            () => return None,
        };
        Some(Self {
            name,
            state,
            is_over: false,
            taken: 0,
            made: 0,
        })
    }

    /// Unpacks what came, and hands it on in parts.
    ///
    /// # Errors
    /// When it cannot be unpacked, or grows too large. What was unpacked before was handed on.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        mut on_plain: impl FnMut(&[u8]),
    ) -> Result<(), DecompressionError> {
        let mut plain = Vec::with_capacity(STEP);
        while let Some(first) = bytes.first() {
            let state = self
                .state
                .get_or_insert_with(|| Decompress::new(is_zlib(*first)));
            if self.is_over {
                // Packed parts may follow one another.
                *state = Decompress::new_gzip(WINDOW_BITS);
                self.is_over = false;
                if self.name != "gzip" {
                    return Err(self.broken("it goes on after its end"));
                }
            }
            loop {
                let (taken, made) = (state.total_in(), state.total_out());
                plain.clear();
                let status = state.decompress_vec(bytes, &mut plain, FlushDecompress::Sync);
                let (taken, made) = (state.total_in() - taken, state.total_out() - made);
                bytes = &bytes[usize::try_from(taken).unwrap_or(0)..];
                self.taken += taken;
                self.made += made;
                if !plain.is_empty() {
                    on_plain(&plain);
                }
                let status = match status {
                    Ok(status) => status,
                    Err(reason) => {
                        let reason = reason.to_string();
                        return Err(DecompressionError::Broken(self.name, reason));
                    }
                };
                let allowed = self.taken.saturating_mul(MAX_RATIO);
                if self.made > MAX_DECOMPRESSED || self.made > allowed.max(ALWAYS_ALLOWED) {
                    return Err(DecompressionError::TooLarge {
                        coding: self.name,
                        taken: self.taken,
                        made: self.made,
                    });
                }
                if status == Status::StreamEnd {
                    self.is_over = true;
                    break;
                }
                if taken == 0 && made == 0 {
                    break;
                }
            }
            if !self.is_over && !bytes.is_empty() {
                return Err(self.broken("it cannot be read on"));
            }
        }
        Ok(())
    }

    /// Tells whether the body may end here.
    ///
    /// # Errors
    /// When it may not.
    pub fn finish(&self) -> Result<(), DecompressionError> {
        match self.is_over || self.taken == 0 {
            true => Ok(()),
            false => Err(DecompressionError::Short(self.name)),
        }
    }

    fn broken(&self, reason: &str) -> DecompressionError {
        DecompressionError::Broken(self.name, reason.to_owned())
    }
}

/// Whether a deflated body that begins so has zlib's header, which the standard asks for. Without it
/// the low bits are a block's kind, and a usual one is never followed by these.
fn is_zlib(first: u8) -> bool {
    first & 0x0F == 8
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    fn packed(coding: &str, text: &[u8]) -> Vec<u8> {
        let level = Compression::default();
        match coding {
            "gzip" => {
                let mut packer = GzEncoder::new(Vec::new(), level);
                packer.write_all(text).unwrap();
                packer.finish().unwrap()
            }
            "zlib" => {
                let mut packer = ZlibEncoder::new(Vec::new(), level);
                packer.write_all(text).unwrap();
                packer.finish().unwrap()
            }
            _ => {
                let mut packer = DeflateEncoder::new(Vec::new(), level);
                packer.write_all(text).unwrap();
                packer.finish().unwrap()
            }
        }
    }

    fn unpacked(coding: &str, pieces: &[&[u8]]) -> Result<Vec<u8>, DecompressionError> {
        let mut unpacker = Decompressor::of(coding).unwrap();
        let mut plain = Vec::new();
        for piece in pieces {
            unpacker.feed(piece, |part| plain.extend_from_slice(part))?;
        }
        unpacker.finish()?;
        Ok(plain)
    }

    #[test]
    fn what_is_flushed_is_there_at_once() {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        let mut unpacker = Decompressor::of("GZIP").unwrap();
        for text in ["one", "two", "three"] {
            packer.write_all(text.as_bytes()).unwrap();
            packer.flush().unwrap();
            let bytes = std::mem::take(packer.get_mut());
            let mut plain = Vec::new();
            unpacker
                .feed(&bytes, |part| plain.extend_from_slice(part))
                .unwrap();
            assert_eq!(plain, text.as_bytes());
        }
        assert_eq!(unpacker.finish(), Err(DecompressionError::Short("gzip")));
        unpacker
            .feed(&packer.finish().unwrap(), |_| panic!("nothing more"))
            .unwrap();
        assert_eq!(unpacker.finish(), Ok(()));
    }

    #[test]
    fn gzip_may_consist_of_several_pieces() {
        let both = [packed("gzip", b"one"), packed("gzip", b" two")].concat();
        assert_eq!(unpacked("gzip", &[&both]).unwrap(), b"one two");
        let deflated = packed("zlib", b"one").repeat(2);
        assert!(matches!(
            unpacked("deflate", &[&deflated]),
            Err(DecompressionError::Broken("deflate", _))
        ));
    }

    #[test]
    fn what_is_broken_is_told() {
        let mut wrong_sum = packed("gzip", b"some words");
        let last = wrong_sum.len() - 5;
        wrong_sum[last] ^= 1;
        for bytes in [&b"plain text"[..], &wrong_sum] {
            let error = unpacked("gzip", &[bytes]).unwrap_err();
            assert!(
                matches!(error, DecompressionError::Broken("gzip", _)),
                "{error}"
            );
        }
        let half = &packed("gzip", b"some words")[..12];
        assert_eq!(
            unpacked("gzip", &[half]),
            Err(DecompressionError::Short("gzip"))
        );
        assert_eq!(
            unpacked("gzip", &[]).unwrap(),
            b"",
            "an empty body is no gzip, but empty"
        );
    }

    #[test]
    fn a_bomb_is_refused_before_it_fills_memory() {
        let bomb = packed("gzip", &vec![0; 12 << 20]);
        let mut made = 0;
        let mut unpacker = Decompressor::of("gzip").unwrap();
        let error = unpacker.feed(&bomb, |part| made += part.len()).unwrap_err();
        assert!(
            matches!(error, DecompressionError::TooLarge { .. }),
            "{error}"
        );
        assert!(made <= (ALWAYS_ALLOWED as usize) + STEP, "{made}");
        // As much that hardly shrinks is no bomb.
        let much = vec![7; ALWAYS_ALLOWED as usize + (1 << 20)];
        let mut packer = GzEncoder::new(Vec::new(), Compression::none());
        packer.write_all(&much).unwrap();
        let packed = packer.finish().unwrap();
        assert!(unpacked("gzip", &[&packed]).unwrap() == much);
    }

    #[test]
    fn codings() {
        for coding in ["gzip", "x-gzip", "Deflate", "identity", "*"] {
            assert!(is_readable(coding), "{coding}");
        }
        for coding in ["br", "zstd", "gzip, gzip", ""] {
            assert!(!is_readable(coding), "{coding}");
        }
    }

    proptest! {
        #[test]
        fn bodies_are_the_same_however_they_are_split(
            text in proptest::collection::vec(any::<u8>(), 0..3000),
            cuts in proptest::collection::vec(0usize..3000, 0..6),
        ) {
            for coding in ["gzip", "zlib", "raw"] {
                let bytes = packed(coding, &text);
                let mut cuts: Vec<_> = cuts.iter().copied().filter(|cut| *cut < bytes.len()).collect();
                cuts.extend([0, bytes.len()]);
                cuts.sort_unstable();
                let pieces: Vec<_> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
                let name = if coding == "gzip" { "gzip" } else { "deflate" };
                prop_assert_eq!(unpacked(name, &pieces).unwrap(), text.clone());
            }
        }

        #[test]
        fn any_bytes_end_in_an_error_or_not_but_end(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = unpacked("gzip", &[&bytes]);
            let _ = unpacked("deflate", &[&bytes]);
        }
    }
}
