//! The ways to a server other than a plain TCP connection: Unix sockets, proxies.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test helper may panic")]

#[path = "../scripted/mod.rs"]
mod scripted;
mod unix_socket;
