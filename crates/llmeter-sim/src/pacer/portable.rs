//! The runtime's own timers, exact to a millisecond.

use std::{io, sync::Arc, task::Waker, time::Duration};

use llmeter_wire::clock::{self, Stamp};

/// The alarm clock of one worker thread.
#[derive(Debug)]
pub(crate) struct Pacer;

impl Pacer {
    /// An alarm clock for the runtime that this is called in.
    pub(crate) fn start() -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self))
    }

    /// Wakes `waker` at `due` or soon after.
    pub(crate) fn wake_at(&self, due: Stamp, waker: &Waker) {
        let left = due.0.saturating_sub(clock::now().0).max(0);
        let waker = waker.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_nanos(left.unsigned_abs())).await;
            waker.wake();
        });
    }
}
