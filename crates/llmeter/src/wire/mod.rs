//! Bytes with times.
//!
//! Belongs here: connections, TLS, HTTP, framing of streams, receive stamps, clocks.
//! Does not belong here: what the bytes mean (`endpoint`), who sends when (`load`), what becomes
//! of an answer (`run`).

pub mod clock;
pub mod sse;

mod server;

pub use server::Server;
