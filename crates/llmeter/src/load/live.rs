//! A load that is changed while it is carried out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::Schedule;
use super::profile::Profile;

/// What of a load can be changed while it is carried out, and what it begins with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lever {
    /// The arrival rate, per second.
    Rate(f64),
    /// Clients, each with one request in flight.
    Clients(usize),
}

impl Lever {
    pub(crate) fn value(self) -> f64 {
        match self {
            Self::Rate(rate) => rate,
            Self::Clients(clients) => clients as f64,
        }
    }
}

/// A schedule in the form that can be changed, and what of it can.
pub type Adjustable = (Lever, Arc<dyn Schedule>);

/// The level of a load under way: what it begins with, and every change.
///
/// Changes are appended and never altered, so that workers read them without a lock: one atomic read where
/// there are no new ones. They have one writer. Each takes effect at a time that is still to come when it is
/// appended; so all workers know of it by then, and carry out the same schedule.
#[derive(Debug)]
pub(crate) struct Live {
    first: f64,
    /// When each change takes effect, in nanoseconds after the run's start, and the level from then on.
    changes: Box<[(AtomicU64, AtomicU64)]>,
    count: AtomicUsize,
}

impl Live {
    /// Changes of one run, at most.
    pub(crate) const MAX: usize = 1_000;

    pub(crate) fn new(lever: Lever) -> Self {
        Self {
            first: lever.value(),
            changes: (0..Self::MAX).map(|_| Default::default()).collect(),
            count: AtomicUsize::new(0),
        }
    }

    /// Appends a change, which is not before the last one. Whether there is room for it.
    pub(crate) fn push(&self, at: Duration, level: f64) -> bool {
        let count = self.len();
        let Some((time, value)) = self.changes.get(count) else {
            return false;
        };
        let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        time.store(at, Ordering::Relaxed);
        value.store(level.to_bits(), Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Release);
        true
    }

    /// How many changes there are.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// The changes from the so-manieth on: when each takes effect, and the level from then on.
    pub(crate) fn changes_from(&self, first: usize) -> impl Iterator<Item = (Duration, f64)> + '_ {
        let known = self.changes[..self.len()].iter().skip(first);
        known.map(|(time, level)| {
            let time = Duration::from_nanos(time.load(Ordering::Relaxed));
            (time, f64::from_bits(level.load(Ordering::Relaxed)))
        })
    }

    /// The level over time, as far as it is known now. The last one has no end.
    pub(crate) fn profile(&self) -> Profile {
        let mut pieces = Vec::with_capacity(self.len() + 1);
        let (mut begin, mut level) = (0.0, self.first);
        for (at, next) in self.changes_from(0) {
            let at = at.as_secs_f64();
            pieces.push((at - begin, level, level));
            (begin, level) = (at, next);
        }
        pieces.push((f64::INFINITY, level, level));
        Profile::new(pieces)
    }

    /// The highest level so far.
    pub(crate) fn highest(&self) -> f64 {
        let levels = self.changes_from(0).map(|(_, level)| level);
        levels.fold(self.first, f64::max)
    }

    /// The integral of the level over the first so many seconds.
    pub(crate) fn area(&self, seconds: f64) -> f64 {
        let (mut begin, mut level, mut area) = (0.0, self.first, 0.0);
        for (at, next) in self.changes_from(0) {
            let at = at.as_secs_f64().min(seconds);
            area += level * (at - begin);
            (begin, level) = (at, next);
        }
        area + level * (seconds - begin).max(0.0)
    }

    /// The interval between changes in which a moment is, from 1 on; `None` while there are no changes.
    pub(crate) fn interval(&self, at: Duration) -> Option<u32> {
        let count = self.len();
        if count == 0 {
            return None;
        }
        let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        let passed =
            self.changes[..count].partition_point(|(time, _)| time.load(Ordering::Relaxed) <= at);
        Some(passed as u32 + 1)
    }

    /// Whether a client that knew so many changes has to leave by then: it is beyond the level of one of
    /// those since.
    pub(crate) fn has_left(&self, client: u32, known: usize, now: Duration) -> bool {
        self.changes_from(known)
            .any(|(at, level)| at <= now && f64::from(client) >= level)
    }

    /// The clients that begin with changes from the so-manieth on, in order: when, which, and how many
    /// changes there are with theirs.
    pub(crate) fn joining(&self, first: usize) -> Vec<(Duration, u64, usize)> {
        let before = first
            .checked_sub(1)
            .and_then(|last| self.changes_from(last).next());
        let mut level = before.map_or(self.first, |(_, level)| level) as u64;
        let mut joining = Vec::new();
        for (number, (at, next)) in self.changes_from(first).enumerate() {
            let next = next as u64;
            joining.extend((level..next).map(|client| (at, client, first + number + 1)));
            level = next;
        }
        joining
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::load::{Arrivals, OpenLoop, Session, WorkerShare};

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_level_holds_until_the_next_change() {
        let live = Live::new(Lever::Clients(2));
        assert_eq!((live.interval(seconds(5.0)), live.highest()), (None, 2.0));
        for (at, level) in [(1.0, 4.0), (3.0, 1.0), (3.0, 3.0)] {
            assert!(live.push(seconds(at), level));
        }
        let intervals = [0.0, 1.0, 2.9, 3.0].map(|at| live.interval(seconds(at)));
        assert_eq!(intervals, [Some(1), Some(2), Some(2), Some(4)]);
        assert_eq!((live.highest(), live.area(4.0)), (4.0, 2.0 + 8.0 + 3.0));
        assert_eq!(live.area(2.0), 2.0 + 4.0);
        let joining: Vec<_> = live
            .joining(0)
            .into_iter()
            .map(|(_, client, known)| (client, known))
            .collect();
        assert_eq!(joining, [(2, 1), (3, 1), (1, 3), (2, 3)]);
        assert_eq!(
            live.joining(2),
            [(seconds(3.0), 1, 3), (seconds(3.0), 2, 3)]
        );
        // The first client stays; who came with the last change does, too.
        assert!(!live.has_left(0, 0, seconds(9.0)));
        assert!(live.has_left(1, 0, seconds(3.0)) && !live.has_left(1, 0, seconds(2.9)));
        assert!(!live.has_left(1, 3, seconds(9.0)));
    }

    #[test]
    fn there_is_room_for_so_many_changes() {
        let live = Live::new(Lever::Rate(1.0));
        for number in 0..Live::MAX {
            assert!(live.push(seconds(number as f64), 2.0));
        }
        assert!(!live.push(seconds(1e6), 3.0));
        assert_eq!((live.len(), live.highest()), (Live::MAX, 2.0));
    }

    /// The arrivals of all workers, each of which asks for the level whenever it takes one.
    fn walk(schedule: &dyn Schedule, live: &Live, workers: usize, until: f64) -> Vec<Duration> {
        let mut all = Vec::new();
        for worker in 0..workers {
            let sessions = schedule.sessions(WorkerShare { worker, workers });
            let profile = live.profile();
            let times = sessions.map_while(|session: Session| session.arrival_by(&profile));
            all.extend(times.take_while(|at| at.as_secs_f64() < until));
        }
        all.sort();
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn arrivals_follow_the_changes_and_workers_share_them(
            seed in any::<u64>(),
            workers in 1_usize..5,
            first in 1.0..50.0,
            levels in proptest::collection::vec(prop_oneof![Just(0.0), 1.0..200.0], 1..5),
        ) {
            let whole = OpenLoop {
                rate: Profile::constant(first),
                arrivals: Arrivals::Constant,
                payloads: 1,
                data: None,
                seed,
                warmup: 0,
                warmup_time: None,
                requests: None,
                duration: Some(seconds(1.0)),
                stage_ends: Vec::new(),
                conversations: None,
                max_requests: None,
                is_adjustable: false,
            };
            let (lever, schedule) = whole.adjustable().unwrap();
            let live = Live::new(lever);
            let before = walk(&*schedule, &live, 1, 1.0);
            for (number, level) in levels.iter().enumerate() {
                live.push(seconds(1.0 + number as f64), *level);
            }
            let end = 1.0 + levels.len() as f64;
            let one = walk(&*schedule, &live, 1, end);
            // What was due before the first change stays.
            prop_assert_eq!(&one[..before.len()], &before[..]);
            prop_assert_eq!(&walk(&*schedule, &live, workers, end), &one);
            // Evenly at each rate, and never two at once where it changes.
            for (number, level) in levels.iter().enumerate() {
                let from = 1.0 + number as f64;
                let within = one.iter().filter(|at| (from..from + 1.0).contains(&at.as_secs_f64()));
                prop_assert!((within.count() as f64 - level).abs() <= 1.0);
            }
            let fastest = levels.iter().copied().fold(first, f64::max);
            for pair in one.windows(2) {
                let gap = (pair[1] - pair[0]).as_secs_f64();
                prop_assert!(gap > 1.0 / fastest - 1e-6, "{gap} at {fastest}/s");
            }
        }
    }
}
