//! What the fuzz targets try, and what must hold whatever a server sends or a file holds.
//!
//! The first byte of an input says how the rest arrives: its lowest three bits are the number of
//! bytes that follow, each the place of a cut between two reads, as a share of the body in 256ths.
//! Texts can so be written by hand: `0` stands for one read, `2@p` for three. The further bits mean
//! different things to different targets.
//!
//! Run folders, templates, expressions and conditions are taken as they are.
//!
//! Every other target feeds the body as it is cut, in one piece, and byte by byte: the outcome must be
//! the same.

mod decoding;
mod event_stream;
mod framing;
mod given;
mod http;

pub use decoding::Decoding;
pub use event_stream::event_stream;
pub use framing::framing;
pub use given::{SavedFolder, condition, expression, template};
pub use http::http_response;

/// Of an API that answers in both ways: the answer comes whole. `p` instead of `0`.
const WHOLE: u8 = 0x40;
/// The answer has an error's status (`8` instead of `0`, `x` instead of `p`). To the target
/// `event_stream`: checksums are as they are, instead of being put right.
const FAILED: u8 = 0x08;

/// A server's bytes and the reads that bring them.
struct Input<'a> {
    flags: u8,
    body: &'a [u8],
    cuts: &'a [u8],
}

impl<'a> Input<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let (&flags, rest) = bytes.split_first()?;
        let (cuts, body) = rest.split_at_checked(usize::from(flags & 7))?;
        Some(Self { flags, body, cuts })
    }

    fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The ways in which a body is fed: in one piece, as the input says, and byte by byte.
    fn ways<'b>(&self, body: &'b [u8]) -> [Vec<&'b [u8]>; 3] {
        let mut places: Vec<_> = self
            .cuts
            .iter()
            .map(|&cut| usize::from(cut) * body.len() / 256)
            .chain([0, body.len()])
            .collect();
        places.sort_unstable();
        let cut = places
            .windows(2)
            .filter(|ends| ends[0] < ends[1])
            .map(|ends| &body[ends[0]..ends[1]]);
        [vec![body], cut.collect(), body.chunks(1).collect()]
    }
}

/// Panics unless all ways gave the same.
fn assert_same<T: PartialEq + std::fmt::Debug>(outcomes: [T; 3]) -> T {
    let [whole, cut, bytewise] = outcomes;
    assert_eq!(whole, cut, "in one piece, and as the input cuts it");
    assert_eq!(whole, bytewise, "in one piece, and byte by byte");
    whole
}
