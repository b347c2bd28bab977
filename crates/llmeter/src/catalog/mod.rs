//! Which runs and experiments there are below a folder.
//!
//! Belongs here: finding them by their small files, keeping what those say for the next time, choosing and
//! ordering.
//! Does not belong here: responses (`result`), what an experiment says (`experiment`), tables and pages
//! (`report`).

mod cache;
mod choose;
mod entry;
mod facts;
mod figures;
mod scan;

pub use choose::{Filter, Order, SortKey, parse_since};
pub use entry::{Entry, EntryKind, EntryState};
pub use figures::RunFigures;
pub use scan::Catalog;
