//! The ways to a server other than a plain TCP connection, and what is seen of them: Unix sockets,
//! proxies, probes.

mod probes;
mod proxies;
#[cfg(target_os = "linux")]
mod source_addresses;
mod unix_socket;
