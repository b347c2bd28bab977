//! Bytes with times.
//!
//! Belongs here: connections, TLS, HTTP, framing of streams, receive stamps, clocks.
//! Does not belong here: what the bytes mean (`endpoint`), who sends when (`load`), what becomes
//! of an answer (`run`).

pub mod clock;
pub(crate) mod coding;
pub mod event_stream;
pub mod framing;
pub mod http1;
pub mod sse;

mod arrival;
mod connect;
pub(crate) mod http2;
mod insecure;
mod proxy;
mod route;
mod server;
mod socket;
mod stream;

pub(crate) use arrival::LANE;
pub use arrival::{Arrival, StampSource};
pub use connect::{ConnectError, Connection, Dialer, Phase, TlsFacts};
pub use proxy::{EnvironmentProxies, Proxies, Proxy};
pub use server::Server;
pub(crate) use server::{unix_address, unix_base_url};
pub use socket::Socket;
pub use stream::TimedStream;
