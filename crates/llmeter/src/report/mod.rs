//! A result turned into something a person reads.
//!
//! Belongs here: tables, charts and pages.
//! Does not belong here: figures (`stats`), terminals and colours (the command line).

pub mod charts;
mod cost;
mod notes;
mod probe;
mod summary;
mod sweep;

pub use cost::cost;
pub use notes::notes;
pub use probe::probe;
pub use summary::summary;
pub use sweep::sweep;
