//! A local page with the runs below a folder.
//!
//! Belongs here: the server of this machine alone, what it lets in, what it answers, and the page itself.
//! Does not belong here: what runs there are (`catalog`), reports (`report`), how a file of responses grows
//! (`result`).
//!
//! Nothing here is on the path of a measurement: its threads yield to those of a run.

mod answer;
mod connection;
mod follow;
mod guard;
mod made;
mod series;
mod server;
mod shelf;
mod strangers;

pub use server::{ViewSettings, Viewer};
