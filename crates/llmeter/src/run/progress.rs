//! What a run tells while it goes on.

use serde_json::{Map, Value};

/// A run's state, a few times a second.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Responses recorded so far, failed ones included, warm-up excluded.
    pub recorded: u64,
    /// Responses that a count-bound run will have.
    pub planned: Option<u64>,
    /// Seconds since the run began; 0 while it warms up.
    pub elapsed: f64,
    /// Seconds that a time-bound run sends.
    pub duration: Option<f64>,
    /// Whether only warm-up requests have been sent yet.
    pub is_warming_up: bool,
    /// Whether the run was stopped and waits for what is in flight.
    pub is_stopping: bool,
    /// The statistics so far, named as in `stats.json`.
    pub stats: Map<String, Value>,
}

/// Receives progress updates. Called on the recorder's thread: must return quickly.
pub trait Observer: Send + Sync {
    /// About twice a second, and once at the end.
    fn progress(&self, progress: &Progress);
}

impl<F: Fn(&Progress) + Send + Sync> Observer for F {
    fn progress(&self, progress: &Progress) {
        self(progress);
    }
}
