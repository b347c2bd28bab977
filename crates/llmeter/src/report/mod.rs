//! A result turned into something a person reads.
//!
//! Belongs here: tables, and later charts and pages.
//! Does not belong here: figures (`stats`), terminals and colours (the command line).

mod cost;
mod ladder;
mod summary;

pub use cost::cost;
pub(crate) use cost::price;
pub use ladder::ladder;
pub use summary::summary;
