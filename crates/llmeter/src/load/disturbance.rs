//! What is done to a share of the requests: they are cancelled, or their responses are read slowly.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::base::setting::{CANCEL, READ_RATE};

/// A share of the requests is closed before it is done, as by users who go away.
///
/// ```
/// use llmeter::load::Cancellation;
///
/// let cancellation: Cancellation = "5%@2s".parse()?;
/// assert_eq!((cancellation.share, cancellation.after.as_secs()), (0.05, 2));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cancellation {
    /// Which share of the requests, above 0 and up to 1.
    pub share: f64,
    /// How long after its sending began, connecting included, a request is closed, if it has not ended.
    pub after: Duration,
}

/// The responses of a share of the requests are read slowly, as by users with a slow connection.
///
/// ```
/// use llmeter::load::SlowReaders;
///
/// let slow: SlowReaders = "20KB/s@10%".parse()?;
/// assert_eq!((slow.bytes_per_second, slow.share), (20_000, 0.1));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlowReaders {
    /// How many bytes of a response are read in a second, 1 or more.
    pub bytes_per_second: u32,
    /// Which share of the requests, above 0 and up to 1.
    pub share: f64,
}

/// Sizes with their names, the longest first.
const UNITS: [(&str, f64); 5] = [
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("KB", 1e3),
    ("MB", 1e6),
    ("B", 1.0),
];

impl Cancellation {
    /// When the so-manieth request of a client is closed, if it is one of those. The seed decides.
    pub(crate) fn of(self, seed: u64, client: u32, sequence: u64) -> Option<Duration> {
        is_chosen(self.share, seed, client, sequence).then_some(self.after)
    }
}

impl SlowReaders {
    /// How fast the response of the so-manieth request of a client is read, if it is one of those. The seed
    /// decides, and not as with cancellations.
    pub(crate) fn of(self, seed: u64, client: u32, sequence: u64) -> Option<u32> {
        is_chosen(self.share, !seed, client, sequence).then_some(self.bytes_per_second)
    }
}

/// Whether a request is among a share of all.
fn is_chosen(share: f64, seed: u64, client: u32, sequence: u64) -> bool {
    let request = u64::from(client) << 32 ^ sequence;
    let mixed = mix(mix(seed) ^ request);
    // 53 bits are a number from 0 to below 1.
    ((mixed >> 11) as f64 / (1_u64 << 53) as f64) < share
}

/// Makes close numbers unlike each other: the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// `5%`, or `0.05`.
fn share(text: &str) -> Option<f64> {
    let share = match text.trim().strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok()? / 100.0,
        None => text.trim().parse().ok()?,
    };
    (share > 0.0 && share <= 1.0).then_some(share)
}

impl FromStr for Cancellation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (of, after) = text.split_once('@')?;
            let share = share(of)?;
            let after = humantime::parse_duration(after.trim()).ok()?;
            (!after.is_zero()).then_some(Self { share, after })
        };
        parse().ok_or_else(|| CANCEL.to_owned())
    }
}

impl FromStr for SlowReaders {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (rate, share) = match text.split_once('@') {
                Some((rate, of)) => (rate, share(of)?),
                None => (text, 1.0),
            };
            let size = rate.trim().strip_suffix("/s")?.trim();
            let mut units = UNITS.iter();
            let (count, bytes) =
                units.find_map(|(unit, bytes)| Some((size.strip_suffix(unit)?, bytes)))?;
            let count: f64 = count.trim().parse().ok()?;
            let bytes = (count * bytes).round();
            (1.0..=f64::from(u32::MAX))
                .contains(&bytes)
                .then_some(Self {
                    bytes_per_second: bytes as u32,
                    share,
                })
        };
        parse().ok_or_else(|| READ_RATE.to_owned())
    }
}

impl fmt::Display for Cancellation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = humantime::format_duration(self.after);
        write!(formatter, "{}@{after}", self.share)
    }
}

impl fmt::Display for SlowReaders {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}B/s@{}", self.bytes_per_second, self.share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_times_and_sizes_are_read_and_written() {
        let cancel: Cancellation = "5%@2s".parse().unwrap();
        assert_eq!(cancel.to_string().parse(), Ok(cancel));
        for (text, bytes, share) in [
            ("20KB/s", 20_000, 1.0),
            ("1.5 KiB/s @ 10%", 1536, 0.1),
            ("300 B/s@0.5", 300, 0.5),
            ("2MB/s@100%", 2_000_000, 1.0),
        ] {
            let slow: SlowReaders = text.parse().unwrap();
            assert_eq!((slow.bytes_per_second, slow.share), (bytes, share));
            assert_eq!(slow.to_string().parse(), Ok(slow));
        }
        for text in ["", "5%", "0%@2s", "101%@2s", "5%@0s", "5@2s", "x%@2s"] {
            assert!(text.parse::<Cancellation>().is_err(), "{text}");
        }
        for text in [
            "",
            "20",
            "20KB",
            "0B/s",
            "20KB/s@0%",
            "5GB/s",
            "nanB/s",
            "20kb/s",
        ] {
            assert!(text.parse::<SlowReaders>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_seed_decides_which_requests_are_chosen_and_they_are_the_share() {
        let cancel: Cancellation = "10%@1s".parse().unwrap();
        let chosen = |seed: u64| -> Vec<bool> {
            let requests = (0..100_u32).flat_map(|client| (0..200).map(move |turn| (client, turn)));
            requests
                .map(|(client, turn)| cancel.of(seed, client, turn).is_some())
                .collect()
        };
        let count = |seed| chosen(seed).iter().filter(|is_chosen| **is_chosen).count();
        // 20,000 of 10 %: the standard deviation is 42.
        assert!((1_800..2_200).contains(&count(0)), "{}", count(0));
        assert!((1_800..2_200).contains(&count(7)), "{}", count(7));
        assert_eq!(chosen(3), chosen(3));
        assert_ne!(chosen(3), chosen(4));
        // Slow readers are others.
        let slow: SlowReaders = "1KB/s@10%".parse().unwrap();
        let both = (0..20_000)
            .filter(|turn| cancel.of(0, 0, *turn).is_some() && slow.of(0, 0, *turn).is_some());
        assert!((100..300).contains(&both.count()));
    }
}
