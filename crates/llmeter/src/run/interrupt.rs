//! Stopping a run early without losing what it measured.

use std::sync::Arc;

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Run,
    /// Send nothing more; wait for what is in flight.
    Drain,
    /// Abandon what is in flight.
    Abort,
}

/// A handle that stops a run from any thread.
///
/// The first [`stop`](Self::stop) ends sending at once; what is in flight may finish within the
/// run's grace time and is then aborted.
#[derive(Debug, Clone)]
pub struct Interrupt {
    level: Arc<watch::Sender<Level>>,
    /// What stops this one, too.
    outer: Option<Arc<watch::Sender<Level>>>,
}

impl Default for Interrupt {
    fn default() -> Self {
        Self {
            level: Arc::new(watch::Sender::new(Level::Run)),
            outer: None,
        }
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

    /// Abandons what is in flight, too.
    pub fn abort(&self) {
        self.raise(Level::Abort);
    }

    /// Whether the run is to send nothing more.
    pub fn is_stopped(&self) -> bool {
        let is_raised = |level: &watch::Sender<Level>| *level.borrow() != Level::Run;
        is_raised(&self.level) || self.outer.as_deref().is_some_and(is_raised)
    }

    /// A handle for one run among those that this one stops. Stopping it leaves the others alone.
    pub(crate) fn for_one_run(&self) -> Self {
        Self {
            outer: Some(self.level.clone()),
            ..Self::default()
        }
    }

    /// Waits for [`stop`](Self::stop).
    pub(crate) async fn stopped(&self) {
        reached(&self.level, Level::Drain).await;
    }

    /// Waits for [`abort`](Self::abort).
    pub(crate) async fn aborted(&self) {
        reached(&self.level, Level::Abort).await;
    }

    /// Takes over what the outer handle is told, from here on: those who wait for this one learn
    /// of it. Never returns.
    pub(crate) async fn follow(&self) {
        if let Some(outer) = &self.outer {
            reached(outer, Level::Drain).await;
            self.stop();
            reached(outer, Level::Abort).await;
            self.abort();
        }
        std::future::pending::<()>().await;
    }

    fn raise(&self, to: Level) {
        self.level.send_if_modified(|level| {
            let is_higher = to > *level;
            *level = to.max(*level);
            is_higher
        });
    }
}

async fn reached(level: &watch::Sender<Level>, wanted: Level) {
    // The sender is borrowed, so that waiting cannot fail.
    let _ = level.subscribe().wait_for(|level| *level >= wanted).await;
}
