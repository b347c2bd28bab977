//! The simulator's own clock.
//!
//! It shares no code with the clock of the meter, whose accuracy is judged by what the simulator
//! logs: a fault in code that both use would cancel out. All times are nanoseconds of the
//! monotonic clock, on Unix `CLOCK_MONOTONIC`, which all processes of a machine share.
//!
//! The kernel stamps received bytes by the realtime clock. The meter keeps the distance of the two
//! clocks for a while. [`Arrivals`] keeps nothing to translate by: it takes the age of the bytes on
//! the realtime clock right after each read, and counts back from the monotonic clock's present.

use std::time::Duration;

use jiff::Timestamp;

/// A point of the monotonic clock, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(pub(crate) i64);

impl Time {
    /// Before everything that happens.
    pub(crate) const BEGINNING: Self = Self(i64::MIN);

    /// So many nanoseconds later.
    pub(crate) fn plus(self, nanoseconds: i64) -> Self {
        Self(self.0.saturating_add(nanoseconds))
    }

    /// The time left until this point; none if it has passed.
    #[cfg_attr(
        target_os = "linux",
        expect(dead_code, reason = "Linux has a timer for points in time")
    )]
    pub(crate) fn left(self) -> Duration {
        let nanoseconds = self.0.saturating_sub(now().0).max(0);
        Duration::from_nanos(nanoseconds.unsigned_abs())
    }
}

/// The present.
#[inline]
pub(crate) fn now() -> Time {
    Time(monotonic())
}

/// The wall clock's present, for dates.
pub(crate) fn wall() -> Timestamp {
    Timestamp::now()
}

#[cfg(unix)]
#[inline]
fn monotonic() -> i64 {
    nanoseconds(nix::time::ClockId::CLOCK_MONOTONIC)
}

#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "this is the simulator's clock")]
fn monotonic() -> i64 {
    use std::{sync::LazyLock, time::Instant};
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_nanos() as i64
}

/// The time of a system clock.
#[cfg(unix)]
#[inline]
fn nanoseconds(clock: nix::time::ClockId) -> i64 {
    // Every system has the two clocks that are asked for.
    clock
        .now()
        .map_or(0, |time| Duration::from(time).as_nanos() as i64)
}

/// Translates the kernel's receive stamps.
#[cfg(target_os = "linux")]
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// The last pair of readings.
    last: Option<Reading>,
}

/// Both clocks at one moment.
#[cfg(target_os = "linux")]
#[derive(Debug, Clone, Copy)]
struct Reading {
    monotonic: i64,
    realtime: i64,
    /// How far apart in time the two were read, at most.
    uncertainty: i64,
}

#[cfg(target_os = "linux")]
impl Reading {
    /// Reads the clocks anew until they are read close together, but for a few times only.
    fn take() -> Self {
        const CLOSE: i64 = 500;
        let mut best = Self::once();
        for _ in 0..3 {
            if best.uncertainty <= CLOSE {
                break;
            }
            let next = Self::once();
            if next.uncertainty < best.uncertainty {
                best = next;
            }
        }
        best
    }

    fn once() -> Self {
        let before = monotonic();
        let realtime = nanoseconds(nix::time::ClockId::CLOCK_REALTIME);
        let after = monotonic();
        Self {
            monotonic: before + (after - before) / 2,
            realtime,
            uncertainty: after - before,
        }
    }

    /// Whether somebody set the realtime clock between two readings: whether they differ by more
    /// than the clock is ever slewed by, which is 500 millionths.
    fn is_step(self, since: Self) -> bool {
        let passed = self.monotonic - since.monotonic;
        let drift = (self.realtime - since.realtime) - passed;
        drift.abs() > passed / 2_000 + self.uncertainty + since.uncertainty + 100_000
    }
}

#[cfg(target_os = "linux")]
impl Arrivals {
    /// When bytes arrived that the kernel stamped with this time of the realtime clock, right after
    /// they were read; `None` if the clock was set meanwhile.
    pub(crate) fn time(&mut self, stamp: i64) -> Option<Time> {
        let reading = Reading::take();
        let last = self.last.replace(reading);
        if last.is_some_and(|last| reading.is_step(last)) {
            return None;
        }
        // Bytes are not younger than their reading.
        let age = (reading.realtime - stamp).max(0);
        Some(Time(reading.monotonic - age))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use llmeter_wire::clock as meter;

    use super::*;

    /// The meter's clock and this one say the same of the same moment, as exactly as this host can
    /// read two clocks at once.
    #[test]
    fn the_meters_clock_and_this_one_agree() {
        let mut arrivals = Arrivals::default();
        let mut offset = meter::RealtimeOffset::new();
        let mut closest = i64::MAX;
        for _ in 0..200 {
            let first = meter::now();
            let own = now();
            let last = meter::now();
            assert!(
                first.0 <= own.0 && own.0 <= last.0,
                "{first:?} {own:?} {last:?}"
            );

            let reading = Reading::take();
            let own = arrivals.time(reading.realtime).unwrap();
            let meters = offset.to_monotonic(reading.realtime, meter::now());
            let apart = (own.0 - meters.0).abs();
            closest = closest.min(apart);
        }
        // Of 200 at least one is not torn apart by whoever else runs here.
        assert!(closest < 10_000, "{closest} ns");
    }

    #[test]
    fn bytes_are_as_old_as_the_realtime_clock_says() {
        let mut arrivals = Arrivals::default();
        let before = Reading::take();
        let time = arrivals.time(before.realtime - 5_000_000).unwrap();
        let after = now();
        let earliest = before.monotonic - 5_000_000 - 100_000;
        assert!(
            (earliest..=after.0 - 4_900_000).contains(&time.0),
            "{before:?} {time:?}"
        );
        // A stamp from the future is one of now.
        let now = arrivals.time(before.realtime + 60_000_000_000).unwrap();
        assert!(now >= after, "{now:?} {after:?}");
    }

    #[test]
    fn a_clock_that_was_set_is_noticed_and_one_that_is_slewed_is_not() {
        let since = Reading {
            monotonic: 0,
            realtime: 0,
            uncertainty: 100,
        };
        let after = |realtime_gain: i64| Reading {
            monotonic: 1_000_000_000,
            realtime: 1_000_000_000 + realtime_gain,
            uncertainty: 100,
        };
        for gain in [0, 400_000, -400_000] {
            assert!(!after(gain).is_step(since), "{gain}");
        }
        for gain in [5_000_000, -5_000_000, -60_000_000_000] {
            assert!(after(gain).is_step(since), "{gain}");
        }
        let mut arrivals = Arrivals::default();
        let stepped = Reading {
            realtime: Reading::take().realtime - 3_600_000_000_000,
            ..Reading::take()
        };
        arrivals.last = Some(stepped);
        assert_eq!(arrivals.time(stepped.realtime), None);
        assert!(arrivals.time(Reading::take().realtime).is_some());
    }
}
