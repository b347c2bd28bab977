//! A result turned into something a person reads.
//!
//! Belongs here: tables, charts and pages.
//! Does not belong here: figures (`stats`), terminals and colours (the command line).

pub mod charts;
mod cost;
mod ladder;
mod probe;
mod summary;

pub use cost::cost;
pub use ladder::ladder;
pub use probe::probe;
pub use summary::summary;
