//! When the bytes of one TCP stream became readable.

use std::collections::VecDeque;

use crate::clock::Stamp;

/// Boundaries that are kept of a stream whose bytes nobody asks for.
const MAX_BOUNDARIES: usize = 1 << 16;
/// Parts that wait for a hole before them.
const MAX_WAITING: usize = 4096;
/// Segments that are kept of a stream whose beginning is not known.
const MAX_UNPLACED: usize = 256;

/// A part of a stream as one packet brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// The sequence number of its first byte.
    pub(crate) sequence: u32,
    pub(crate) length: u32,
    pub(crate) at: Stamp,
}

/// The stream of one connection in one direction. Positions count the stream's bytes from 0.
///
/// A byte is readable once it and all before it have arrived, whatever came twice, late or in parts.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// The sequence number that opened the connection, if that was seen.
    opening: Option<u32>,
    /// The sequence number of the byte at `readable`, once that is known.
    next: Option<u32>,
    /// Bytes that are readable.
    readable: u64,
    /// The ends of what became readable together, in order, and when; `None` where packets are missing.
    boundaries: VecDeque<(u64, Option<Stamp>)>,
    /// Beyond a hole: first byte and end.
    waiting: Vec<(u64, u64)>,
    /// Before the beginning is known.
    unplaced: VecDeque<Part>,
    /// Seconds, summed, that bytes waited for a hole before them, in nanoseconds.
    pub(crate) held_ns: i64,
    /// Since when bytes wait for a hole.
    held_since: Option<Stamp>,
    /// Parts that had come before.
    pub(crate) repeated: u32,
}

impl Timeline {
    /// The stream begins after this sequence number, which opened the connection.
    pub(crate) fn opened(&mut self, sequence: u32) {
        if self.opening == Some(sequence) {
            self.repeated += 1;
            return;
        }
        *self = Self {
            opening: Some(sequence),
            next: Some(sequence.wrapping_add(1)),
            ..Self::default()
        };
    }

    /// Whether it is known where the stream begins.
    pub(crate) fn is_placed(&self) -> bool {
        self.next.is_some()
    }

    /// Bytes that are known to be readable.
    #[cfg(test)]
    fn readable(&self) -> u64 {
        self.readable
    }

    /// The connection was opened before anybody listened. What arrives first after `since`, when nothing
    /// was under way, is the byte at `position`.
    pub(crate) fn place(&mut self, position: u64, since: Stamp) {
        if self.next.is_some() {
            return;
        }
        let parts = std::mem::take(&mut self.unplaced);
        let later = |part: &&Part| part.at >= since;
        let Some(first) = parts.iter().find(later).map(|part| part.sequence) else {
            return;
        };
        // Parts may have changed places on their way.
        let earliest = parts.iter().filter(later).fold(first, |earliest, part| {
            match is_before(part.sequence, earliest) {
                true => part.sequence,
                false => earliest,
            }
        });
        (self.next, self.readable) = (Some(earliest), position);
        for part in parts.iter().filter(later) {
            self.arrived(*part);
        }
    }

    /// A packet arrived.
    pub(crate) fn arrived(&mut self, part: Part) {
        let Some(next) = self.next else {
            if self.unplaced.len() == MAX_UNPLACED {
                self.unplaced.pop_front();
            }
            self.unplaced.push_back(part);
            return;
        };
        let ahead = i64::from(part.sequence.wrapping_sub(next).cast_signed());
        let begin = self.readable as i64 + ahead;
        let end = begin + i64::from(part.length);
        let Ok(end) = u64::try_from(end) else {
            return;
        };
        let begin = u64::try_from(begin).unwrap_or(0);
        if end <= self.readable {
            self.repeated += u32::from(part.length > 0);
            return;
        }
        if begin > self.readable {
            if self.waiting.len() < MAX_WAITING {
                self.waiting.push((begin, end));
                self.held_since.get_or_insert(part.at);
            }
            return;
        }
        let mut readable = end;
        if !self.waiting.is_empty() {
            self.waiting.sort_unstable();
            let reached = self.waiting.iter().fold(readable, |reached, (begin, end)| {
                match *begin <= reached {
                    true => reached.max(*end),
                    false => reached,
                }
            });
            readable = reached;
            self.waiting.retain(|(_, end)| *end > reached);
            if let Some(since) = self.held_since.take() {
                self.held_ns += (part.at.0 - since.0).max(0);
                self.held_since = (!self.waiting.is_empty()).then_some(part.at);
            }
        }
        self.advance(readable, part.at);
    }

    fn advance(&mut self, readable: u64, at: Stamp) {
        let step = (readable - self.readable) as u32;
        self.next = self.next.map(|next| next.wrapping_add(step));
        self.readable = readable;
        if self.boundaries.len() == MAX_BOUNDARIES {
            self.boundaries.pop_front();
        }
        // A clock that steps back must not reorder a stream.
        let last = self.boundaries.back().and_then(|(_, last)| *last);
        self.boundaries
            .push_back((readable, Some(last.map_or(at, |last| at.max(last)))));
    }

    /// The bytes up to `to` were read, although packets of them are missing: none of them will come any more.
    fn skip(&mut self, to: u64) {
        let mut readable = to;
        self.waiting.sort_unstable();
        for (begin, end) in &self.waiting {
            if *begin <= readable {
                readable = readable.max(*end);
            }
        }
        self.waiting.retain(|(_, end)| *end > readable);
        self.held_since = None;
        let step = (readable - self.readable) as u32;
        self.next = self.next.map(|next| next.wrapping_add(step));
        self.readable = readable;
        self.boundaries.push_back((readable, None));
    }

    /// Tells where, within the bytes from `from` to `to`, what became readable together ends, and when it
    /// did; the last end is `to`. Forgets what lies before. `false` if not all of it is known, although the
    /// bytes were read and all packets that were captured have been taken in.
    pub(crate) fn tell(&mut self, from: u64, to: u64, mut tell: impl FnMut(u64, Stamp)) -> bool {
        if self.next.is_none() {
            return false;
        }
        if to > self.readable {
            self.skip(to);
            return false;
        }
        while self.boundaries.front().is_some_and(|(end, _)| *end <= from) {
            self.boundaries.pop_front();
        }
        for (end, at) in &self.boundaries {
            let Some(at) = *at else {
                return false;
            };
            if *end >= to {
                tell(to, at);
                return true;
            }
            tell(*end, at);
        }
        false
    }
}

/// Whether a sequence number comes before another; they go around.
fn is_before(one: u32, other: u32) -> bool {
    one.wrapping_sub(other).cast_signed() < 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(sequence: u32, length: u32, at: i64) -> Part {
        Part {
            sequence,
            length,
            at: Stamp(at),
        }
    }

    fn told(timeline: &mut Timeline, from: u64, to: u64) -> Option<Vec<(u64, i64)>> {
        let mut ends = Vec::new();
        let is_known = timeline.tell(from, to, |end, at| ends.push((end, at.0)));
        is_known.then_some(ends)
    }

    #[test]
    fn bytes_are_readable_once_those_before_them_are() {
        let mut timeline = Timeline::default();
        timeline.opened(u32::MAX - 2);
        timeline.arrived(part(u32::MAX - 1, 4, 10)); // across the end of the numbers
        timeline.arrived(part(8, 4, 20)); // beyond a hole
        timeline.arrived(part(2, 2, 30));
        timeline.arrived(part(2, 2, 35)); // again
        timeline.arrived(part(4, 4, 40)); // fills the hole
        assert_eq!(timeline.readable(), 14);
        assert_eq!((timeline.held_ns, timeline.repeated), (20, 1));
        let ends = vec![(4, 10), (6, 30), (14, 40)];
        assert_eq!(told(&mut timeline, 0, 14), Some(ends));
        assert_eq!(told(&mut timeline, 5, 9), Some(vec![(6, 30), (9, 40)]));
    }

    #[test]
    fn after_packets_that_are_missing_the_next_are_known_again() {
        let mut timeline = Timeline::default();
        timeline.opened(0);
        timeline.arrived(part(1, 4, 10));
        timeline.arrived(part(9, 4, 30)); // the one before it was not captured
        assert_eq!(told(&mut timeline, 0, 4), Some(vec![(4, 10)]));
        assert_eq!(told(&mut timeline, 4, 8), None);
        assert_eq!(
            told(&mut timeline, 8, 12),
            None,
            "held up by what is missing, as far as is known"
        );
        timeline.arrived(part(13, 3, 40));
        assert_eq!(told(&mut timeline, 12, 15), Some(vec![(15, 40)]));
    }

    #[test]
    fn a_stream_that_was_open_before_is_placed_by_its_next_answer() {
        let mut timeline = Timeline::default();
        timeline.arrived(part(500, 10, 5));
        timeline.arrived(part(520, 10, 21)); // overtook the one before it
        timeline.arrived(part(510, 10, 22));
        assert!(!timeline.is_placed());
        timeline.place(100, Stamp(20));
        assert_eq!(told(&mut timeline, 100, 120), Some(vec![(120, 22)]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// However a stream is cut, shuffled and repeated, each byte has the time of the latest first
        /// arrival among itself and the bytes before it.
        #[test]
        fn any_order_gives_the_time_at_which_a_byte_could_be_read(
            first in any::<u32>(),
            lengths in prop::collection::vec(1u32..40, 1..30),
            order in prop::collection::vec((any::<prop::sample::Index>(), 0u32..20), 1..90),
        ) {
            let mut begin = 0u32;
            let parts: Vec<(u32, u32)> = lengths.iter().map(|length| {
                let this = (begin, *length);
                begin += length;
                this
            }).collect();
            let mut timeline = Timeline::default();
            timeline.opened(first);
            let mut arrived = vec![None; begin as usize];
            for (time, (index, overlap)) in order.iter().enumerate() {
                let (from, length) = parts[index.index(parts.len())];
                // Retransmissions are cut otherwise than what they repeat.
                let from = from - overlap.min(&from);
                let length = length.min(begin - from);
                let sequence = first.wrapping_add(1).wrapping_add(from);
                timeline.arrived(part(sequence, length, time as i64));
                for byte in &mut arrived[from as usize..(from + length) as usize] {
                    byte.get_or_insert(time as i64);
                }
            }
            let mut latest = 0;
            let readable: Vec<i64> = arrived.iter().map_while(|at| {
                latest = latest.max((*at)?);
                Some(latest)
            }).collect();
            prop_assert_eq!(timeline.readable(), readable.len() as u64);
            let mut found = Vec::new();
            if !readable.is_empty() {
                let ends = told(&mut timeline, 0, readable.len() as u64).unwrap();
                for (end, at) in ends {
                    found.resize(end as usize, at);
                }
            }
            prop_assert_eq!(found, readable);
        }
    }
}
