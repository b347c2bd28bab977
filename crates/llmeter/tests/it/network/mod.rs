//! The ways to a server other than a plain TCP connection, and what is seen of them: Unix sockets,
//! proxies, probes.

mod probes;
mod proxies;
mod unix_socket;
