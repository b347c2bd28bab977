//! The runtime's timers, late by up to two milliseconds, which the lateness of sending shows.

use std::time::Duration;

use llmeter_wire::clock::{self, Stamp};

/// Wakes the task that waits for it.
pub(crate) struct Alarm;

impl Alarm {
    /// An alarm of the runtime that this is called in.
    pub(crate) fn new() -> Self {
        Self
    }

    /// Waits until then.
    pub(crate) async fn sleep_until(&self, due: Stamp) {
        let left = due.seconds_since(clock::now());
        if left > 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(left)).await;
        }
    }
}
