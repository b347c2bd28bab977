//! Failures of callbacks, as a result keeps them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::hook::Hook;

/// How often one hook of one callback failed during a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackFailure {
    /// The callback's type, without its module.
    pub callback: String,
    /// Which hook.
    pub hook: Hook,
    /// How often.
    pub count: u64,
    /// The first failure's reason.
    pub first: String,
}

impl fmt::Display for CallbackFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} failed in {}", self.callback, self.hook)?;
        match self.count {
            1 => write!(formatter, ": {}", self.first),
            count => write!(formatter, " {count} times, first: {}", self.first),
        }
    }
}
