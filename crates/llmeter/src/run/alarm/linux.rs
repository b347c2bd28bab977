//! A `timerfd`, which is as punctual as the kernel.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use llmeter_wire::clock::{self, Stamp};

/// Wakes the task that waits for it. One task at a time may wait.
pub(crate) struct Alarm {
    /// `None` where there is none: the runtime's timers serve then.
    timer: Option<AsyncFd<Timer>>,
}

impl Alarm {
    /// An alarm of the runtime that this is called in.
    pub(crate) fn new() -> Self {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).ok();
        #[expect(
            deprecated,
            reason = "what replaces it is unsafe, for descriptors that might be closed while registered; \
                      this one is owned, and nobody else can reach it"
        )]
        let register = |timer| AsyncFd::with_interest(timer, Interest::READABLE);
        let timer = timer.and_then(|timer| register(Timer(timer)).ok());
        Self { timer }
    }

    /// Waits until then.
    pub(crate) async fn sleep_until(&self, due: Stamp) {
        loop {
            let left = due.0 - clock::now().0;
            if left <= 0 {
                return;
            }
            // A time of zero would disarm the timer.
            let at = Duration::from_nanos(due.0.max(1).unsigned_abs());
            let at = Expiration::OneShot(TimeSpec::from_duration(at));
            let is_set = self.timer.as_ref().filter(|timer| {
                let set = timer
                    .get_ref()
                    .0
                    .set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME);
                set.is_ok()
            });
            let ready = match is_set {
                Some(timer) => timer.readable().await,
                None => return tokio::time::sleep(Duration::from_nanos(left.unsigned_abs())).await,
            };
            // Readiness is edge-triggered and setting the timer resets its count, so that there is no
            // need to read it.
            if let Ok(mut ready) = ready {
                ready.clear_ready();
            }
        }
    }
}

struct Timer(TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}
