//! How a response came that did not come as asked for.

/// How a successful response came, if not with its content piece by piece as generated.
///
/// What it says decides which figures the response is part of: see the fields of
/// [`InvocationResponse`](super::InvocationResponse).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// There is no content. It is in no latency.
    Empty,
    /// A stream was asked for, and the response came as one document. It has no time to first token.
    NonStreaming,
    /// All content of a stream came in one burst: it was held back on the way, or the server does not
    /// send as it generates. It has no ITL and no TPOT.
    Buffered,
}

impl Delivery {
    const ALL: [Self; 3] = [Self::Empty, Self::NonStreaming, Self::Buffered];

    /// The name that files have.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NonStreaming => "non_streaming",
            Self::Buffered => "buffered",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }
}

/// Share of a response's time within which all of a burst comes.
const BURST_SHARE: f64 = 0.01;
/// Seconds between the content frames of a burst, on average: no model generates as fast.
const BURST_GAP: f64 = 1e-4;

/// Fewer frames than that may come close together by chance.
const MIN_BURST: u32 = 8;

/// Whether content that came from `first` to `last`, in seconds from sending, in so many frames, came in
/// one burst: all at once, or within a hundredth of the response's time and 0.1 ms from frame to frame
/// at most. One frame is a burst if it brings more than one token.
pub(crate) fn is_burst(first: f64, last: f64, frames: u32, tokens: Option<u64>) -> bool {
    let span = last - first;
    match frames {
        0 => false,
        1 => tokens > Some(1),
        _ if span <= 0.0 => true,
        _ => {
            frames >= MIN_BURST
                && span <= last * BURST_SHARE
                && span <= f64::from(frames - 1) * BURST_GAP
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again() {
        for one in Delivery::ALL {
            assert_eq!(Delivery::from_name(one.as_str()), Some(one));
        }
        assert_eq!(Delivery::from_name("carrier pigeon"), None);
    }

    #[test]
    fn a_burst_is_faster_than_any_model() {
        for (first, last, frames, tokens, expected) in [
            (0.5, 0.5, 2, Some(2), true),
            (0.5, 0.5, 1, Some(1), false),
            (0.5, 0.5, 1, None, false),
            (0.5, 0.5, 0, None, false),
            // All tokens in one frame.
            (0.5, 0.5, 1, Some(10), true),
            // A buffered body in several packets.
            (1.0, 1.002, 50, Some(50), true),
            // Two tokens of a model at 2,000 tokens a second, and by chance closer.
            (0.2, 0.2005, 2, Some(2), false),
            (0.2, 0.20005, 2, Some(2), false),
            // As many as would fit the pace, but not the share: a server that is that fast.
            (0.0003, 0.0013, 50, Some(50), false),
        ] {
            let found = is_burst(first, last, frames, tokens);
            assert_eq!(found, expected, "{first} {last} {frames}");
        }
    }
}
