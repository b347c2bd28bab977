//! The points of a run at which callbacks are called.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The points of a run at which callbacks are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// Once, before anything is opened or written.
    BeforeRun,
    /// Before each request.
    BeforeInvoke,
    /// After each response.
    AfterInvoke,
    /// Once, when the run's files are written. Summary and statistics are written again afterwards.
    AfterRun,
}

impl Hook {
    /// All of them, in the order of a run.
    pub const ALL: &'static [Self] = &[
        Self::BeforeRun,
        Self::BeforeInvoke,
        Self::AfterInvoke,
        Self::AfterRun,
    ];

    /// The name of the trait's method.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeRun => "before_run",
            Self::BeforeInvoke => "before_invoke",
            Self::AfterInvoke => "after_invoke",
            Self::AfterRun => "after_run",
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
