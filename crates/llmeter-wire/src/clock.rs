//! The one place that reads a clock.
//!
//! Stamps are nanoseconds of the system's monotonic clock. The kernel stamps packets with the
//! realtime clock; [`RealtimeOffset`] translates, re-sampling the distance between the two often
//! enough that clock discipline cannot move it noticeably in between.

use std::time::Duration;

use jiff::Timestamp;

/// A point of the monotonic clock, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp(pub i64);

impl Stamp {
    /// Seconds from `earlier` to this stamp; negative if `earlier` is later.
    pub fn seconds_since(self, earlier: Stamp) -> f64 {
        (self.0 - earlier.0) as f64 / 1e9
    }

    /// This stamp moved later by `duration`.
    pub fn after(self, duration: Duration) -> Stamp {
        Stamp(
            self.0
                .saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)),
        )
    }
}

/// The monotonic clock's present.
#[cfg(unix)]
#[inline]
pub fn now() -> Stamp {
    Stamp(read(nix::time::ClockId::CLOCK_MONOTONIC))
}

/// The monotonic clock's present.
#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn now() -> Stamp {
    use std::{sync::OnceLock, time::Instant};
    static ANCHOR: OnceLock<Instant> = OnceLock::new();
    Stamp(ANCHOR.get_or_init(Instant::now).elapsed().as_nanos() as i64)
}

/// The wall clock's present in whole microseconds, as files hold it, for records and file names;
/// never for durations.
pub fn wall() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

#[cfg(unix)]
#[inline]
fn read(clock: nix::time::ClockId) -> i64 {
    match clock.now() {
        Ok(time) => time.tv_sec() * 1_000_000_000 + time.tv_nsec(),
        // clock_gettime fails only for clocks that the system does not have.
        Err(_) => 0,
    }
}

/// The distance from the realtime to the monotonic clock, kept fresh.
#[cfg(unix)]
#[derive(Debug)]
pub struct RealtimeOffset {
    /// Monotonic minus realtime, in nanoseconds.
    offset: i64,
    sampled: Stamp,
    steps: u32,
}

#[cfg(unix)]
impl RealtimeOffset {
    /// Clock discipline slews by at most 500 ppm: 5 µs in this time.
    const MAX_AGE_NS: i64 = 10_000_000;
    /// A change beyond any slew within [`Self::MAX_AGE_NS`]: the realtime clock was set.
    const STEP_NS: i64 = 1_000_000;

    /// Samples the two clocks.
    pub fn new() -> Self {
        let (offset, sampled) = Self::sample();
        Self {
            offset,
            sampled,
            steps: 0,
        }
    }

    /// The monotonic stamp of a realtime nanosecond count, `now` being the present.
    #[inline]
    pub fn to_monotonic(&mut self, realtime_ns: i64, now: Stamp) -> Stamp {
        if now.0 - self.sampled.0 > Self::MAX_AGE_NS {
            self.resample(now);
        }
        Stamp(realtime_ns + self.offset)
    }

    /// How often the realtime clock was seen to jump by more than a millisecond.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    #[cold]
    fn resample(&mut self, now: Stamp) {
        let idle = now.0 - self.sampled.0;
        let (offset, sampled) = Self::sample();
        // Slewing may have moved the offset by 500 ppm of the time since the last sample.
        if (offset - self.offset).abs() > Self::STEP_NS + idle / 2_000 {
            self.steps += 1;
        }
        self.offset = offset;
        self.sampled = sampled;
    }

    /// Reads realtime between two monotonic reads, and keeps the tightest of a few tries.
    fn sample() -> (i64, Stamp) {
        let mut best: Option<(i64, i64, Stamp)> = None;
        for _ in 0..3 {
            let before = now();
            let realtime = read(nix::time::ClockId::CLOCK_REALTIME);
            let after = now();
            let width = after.0 - before.0;
            if best.is_none_or(|(narrowest, ..)| width < narrowest) {
                best = Some((width, before.0 + width / 2 - realtime, after));
            }
        }
        best.map_or((0, Stamp(0)), |(_, offset, at)| (offset, at))
    }
}

#[cfg(unix)]
impl Default for RealtimeOffset {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn realtime_translates_to_the_present() {
        let mut offset = RealtimeOffset::new();
        let before = now();
        let translated = offset.to_monotonic(read(nix::time::ClockId::CLOCK_REALTIME), now());
        let after = now();
        // Two vdso reads apart, but the thread may be preempted between them.
        assert!(translated.0 >= before.0 - 1_000_000 && translated.0 <= after.0 + 1_000_000);
    }

    #[test]
    fn a_stamp_counts_seconds() {
        let start = Stamp(1_000);
        assert_eq!(
            start
                .after(Duration::from_millis(1500))
                .seconds_since(start),
            1.5
        );
        assert_eq!(
            start.seconds_since(start.after(Duration::from_secs(2))),
            -2.0
        );
    }
}
