//! Stopping a run early without losing what it measured.

use std::sync::Arc;

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Run,
    /// Send nothing more; wait for what is in flight.
    Drain,
    /// Give up what is in flight.
    Cut,
}

/// A handle that stops a run from any thread.
///
/// The first [`stop`](Self::stop) ends sending at once; what is in flight may finish within the
/// run's grace time and is then cut off.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<watch::Sender<Level>>);

impl Default for Interrupt {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Level::Run)))
    }
}

impl Interrupt {
    /// A handle that has not been used.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends nothing more.
    pub fn stop(&self) {
        self.raise(Level::Drain);
    }

    /// Gives up what is in flight, too.
    pub fn cut(&self) {
        self.raise(Level::Cut);
    }

    /// Whether the run is to send nothing more.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow() != Level::Run
    }

    /// Waits for [`stop`](Self::stop).
    pub(crate) async fn stopped(&self) {
        self.reached(Level::Drain).await;
    }

    /// Waits for [`cut`](Self::cut).
    pub(crate) async fn was_cut(&self) {
        self.reached(Level::Cut).await;
    }

    /// Stops `other` as this one is stopped, from here on. Never returns.
    pub(crate) async fn pass_on_to(&self, other: &Interrupt) {
        self.stopped().await;
        other.stop();
        self.was_cut().await;
        other.cut();
        std::future::pending::<()>().await;
    }

    fn raise(&self, to: Level) {
        self.0.send_if_modified(|level| {
            let is_higher = to > *level;
            *level = to.max(*level);
            is_higher
        });
    }

    async fn reached(&self, wanted: Level) {
        // The sender lives in `self`, so that waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|level| *level >= wanted).await;
    }
}
