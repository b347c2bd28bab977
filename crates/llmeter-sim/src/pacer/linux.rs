//! One `timerfd` for all tasks of a thread: a runtime's own timers tick in milliseconds.

use std::{
    cmp::Ordering,
    collections::BinaryHeap,
    io,
    os::fd::{AsFd, AsRawFd, RawFd},
    sync::{Arc, Mutex, PoisonError},
    task::Waker,
    time::Duration,
};

use crate::clock::{self, Time};
use nix::sys::{
    time::TimeSpec,
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};
use tokio::io::{Interest, unix::AsyncFd};

/// Shortest time between two alarms. Under load whatever falls due within it is woken in one go,
/// which keeps the system calls for waking far below those for writing.
const GRAIN_NS: i64 = 250_000;

/// The alarm clock of one worker thread.
#[derive(Debug)]
pub(crate) struct Pacer {
    timer: AsyncFd<Timer>,
    // One thread's tasks alone come here: the lock is never contended.
    queue: Mutex<Queue>,
}

#[derive(Debug)]
struct Queue {
    sleepers: BinaryHeap<Sleeper>,
    /// What the timer is set to; `i64::MAX` when it is not.
    armed: i64,
    /// No alarm before this time.
    not_before: i64,
}

#[derive(Debug)]
struct Sleeper {
    due: Time,
    waker: Waker,
}

impl Pacer {
    /// An alarm clock for the runtime that this is called in, which runs it as a task.
    pub(crate) fn start() -> io::Result<Arc<Self>> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = Timer(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?);
        #[expect(
            deprecated,
            reason = "what replaces it is unsafe, for descriptors that might be closed while \
                      registered; this one is owned, and nobody else can reach it"
        )]
        let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
        let pacer = Arc::new(Self {
            timer,
            queue: Mutex::new(Queue {
                sleepers: BinaryHeap::new(),
                armed: i64::MAX,
                not_before: 0,
            }),
        });
        tokio::spawn(Arc::clone(&pacer).run());
        Ok(pacer)
    }

    /// Wakes `waker` at `due` or soon after, and maybe at other times too.
    pub(crate) fn wake_at(&self, due: Time, waker: &Waker) {
        let mut queue = self.lock();
        queue.sleepers.push(Sleeper {
            due,
            waker: waker.clone(),
        });
        if due.0 < queue.armed {
            self.arm(&mut queue);
        }
    }

    async fn run(self: Arc<Self>) {
        let mut due = Vec::new();
        while let Ok(mut ready) = self.timer.readable().await {
            // Readiness is edge-triggered and setting the timer resets its count, so that there
            // is no need to read it.
            ready.clear_ready();
            self.take_due(&mut due);
            due.drain(..).for_each(Waker::wake);
        }
    }

    fn take_due(&self, due: &mut Vec<Waker>) {
        let now = clock::now();
        let mut queue = self.lock();
        while let Some(first) = queue.sleepers.peek_mut() {
            if first.due > now {
                break;
            }
            due.push(std::collections::binary_heap::PeekMut::pop(first).waker);
        }
        queue.not_before = now.0 + GRAIN_NS;
        queue.armed = i64::MAX;
        self.arm(&mut queue);
    }

    fn arm(&self, queue: &mut Queue) {
        let Some(first) = queue.sleepers.peek() else {
            return;
        };
        let at = first.due.0.max(queue.not_before);
        if at >= queue.armed {
            return;
        }
        // A time of zero would disarm the timer.
        let time = TimeSpec::from_duration(Duration::from_nanos(at.max(1).unsigned_abs()));
        let set = self.timer.get_ref().0.set(
            Expiration::OneShot(time),
            TimerSetTimeFlags::TFD_TIMER_ABSTIME,
        );
        match set {
            Ok(()) => queue.armed = at,
            // Impossible for a valid timer and time; the next sleeper tries again.
            Err(error) => tracing::error!(%error, "setting the timer failed"),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Timer(TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl PartialEq for Sleeper {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Sleeper {}

impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The earliest is the greatest, because a heap gives its greatest first.
impl Ord for Sleeper {
    fn cmp(&self, other: &Self) -> Ordering {
        other.due.cmp(&self.due)
    }
}
