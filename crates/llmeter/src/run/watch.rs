//! Whoever looks at responses while a run is under way, and may have seen enough.

use std::fmt;

use crate::InvocationResponse;

/// Looks at a run's responses. It is asked on the collector's thread, so that it must be quick.
#[doc(hidden)]
pub trait ResponseWatch: fmt::Debug + Send + Sync {
    /// A response of the run, in the order in which they are recorded; tells whether that is enough.
    fn note(&self, response: &InvocationResponse) -> bool;
}
