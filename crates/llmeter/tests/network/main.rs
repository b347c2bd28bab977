//! The ways to a server other than a plain TCP connection, and what is seen of them: Unix sockets,
//! proxies, probes.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test helper may panic")]

mod probes;
mod proxies;
#[path = "../scripted/mod.rs"]
mod scripted;
mod unix_socket;
