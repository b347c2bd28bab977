//! When a worker that has read everything waits a moment before it looks again.
//!
//! At a hundred thousand tokens a second a worker that sleeps until something comes is woken for every other token,
//! which costs more than to read it. Where each packet has a stamp of its own, tokens lose nothing by waiting, so
//! that the worker lets some come and reads them together. It does so only while much comes and by streams
//! that leave gaps: a client that waits for one answer after the other, or a stream as fast as it can be, would be
//! slowed down.

use std::time::Duration;

use crate::clock::Stamp;

/// How long a worker waits.
const NAP: Duration = Duration::from_micros(50);
const NAP_NS: i64 = NAP.as_nanos() as i64;
/// How exact the kernel's timer is asked to be, in nanoseconds. Without that it takes twice as long.
#[cfg(target_os = "linux")]
const SLACK_NS: u64 = 1_000;
/// Reads that are judged together.
const WINDOW: u32 = 256;
/// The longest time that they take, if naps are to be of use: a read for each nap.
const WINDOW_NS: i64 = WINDOW as i64 * NAP_NS;
/// A read so soon after the one before of its stream, in nanoseconds, is one of a stream without gaps.
const DENSE_NS: i64 = 20 * NAP_NS;
/// Of those in a window, the most with which a worker naps: some streams end with several frames at once.
const MAX_DENSE: u32 = WINDOW / 8;

/// What a worker has read of late, and what it is to do.
#[derive(Debug, Default)]
pub(crate) struct Naps {
    /// When the reads began that are counted.
    since: Stamp,
    reads: u32,
    dense: u32,
    is_worth_it: bool,
    /// When the worker has something to do, whatever comes.
    due: Stamp,
    is_exact: bool,
}

impl Naps {
    /// A read at `now` brought bytes of a stream that was empty so long before, in nanoseconds.
    pub(crate) fn note_read(&mut self, now: Stamp, gap_ns: i64) {
        self.reads += 1;
        self.dense += u32::from(gap_ns < DENSE_NS);
        if self.reads == WINDOW {
            let is_busy = now.0 - self.since.0 < WINDOW_NS;
            self.is_worth_it = is_busy && self.dense <= MAX_DENSE;
            (self.since, self.reads, self.dense) = (now, 0, 0);
        }
    }

    /// The worker is to be awake then.
    pub(crate) fn expect(&mut self, due: Stamp) {
        self.due = due;
    }

    /// Whether a worker that has nothing to do now waits a moment before it looks.
    pub(crate) fn is_wanted(&mut self, now: Stamp) -> bool {
        // A load that has ended fills no window.
        self.is_worth_it &= now.0 - self.since.0 < 2 * WINDOW_NS;
        self.is_worth_it && !(now.0..now.0 + 2 * NAP_NS).contains(&self.due.0)
    }

    /// Waits.
    pub(crate) fn nap(&mut self) {
        if !std::mem::replace(&mut self.is_exact, true) {
            // A kernel that refuses makes naps longer.
            #[cfg(target_os = "linux")]
            let _ = nix::sys::prctl::set_timerslack(SLACK_NS);
        }
        std::thread::sleep(NAP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    /// After reads every so many nanoseconds, of which each `dense`th is soon after the one before it.
    fn is_wanted(every: i64, reads: i64, dense: i64) -> bool {
        let mut naps = Naps::default();
        let mut now = Stamp(MS);
        for read in 0..reads {
            now.0 += every;
            let gap = match read % dense {
                0 => MS / 2,
                _ => 10 * MS,
            };
            naps.note_read(now, gap);
        }
        naps.is_wanted(now)
    }

    #[test]
    fn only_much_of_many_streams_is_worth_a_nap() {
        assert!(is_wanted(10_000, 1000, 20));
        assert!(!is_wanted(10_000, 200, 20), "not known yet");
        assert!(!is_wanted(60_000, 1000, 20), "little comes");
        assert!(!is_wanted(10_000, 1000, 1), "one stream, or short answers");
        assert!(!is_wanted(10_000, 1000, 4), "many bursts");
    }

    #[test]
    fn what_ends_and_what_is_due_end_it() {
        let mut naps = Naps::default();
        let mut now = Stamp(MS);
        for _ in 0..2 * WINDOW {
            now.0 += 10_000;
            naps.note_read(now, 10 * MS);
        }
        assert!(naps.is_wanted(now));
        naps.expect(Stamp(now.0 + NAP_NS));
        assert!(!naps.is_wanted(now));
        naps.expect(Stamp(now.0 + 3 * NAP_NS));
        assert!(naps.is_wanted(now));
        naps.expect(Stamp(now.0 - 1));
        assert!(naps.is_wanted(now), "it was late already");
        assert!(!naps.is_wanted(Stamp(now.0 + 2 * WINDOW_NS)));
    }
}
