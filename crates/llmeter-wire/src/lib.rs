//! Bytes with times.
//!
//! Belongs here: connections, proxies, TLS, HTTP/1.1 and HTTP/2, framing of streams, receive stamps,
//! clocks, and hiding secrets in what servers say.
//! Does not belong here: what the bytes mean, who sends when, settings and files.
//!
//! | module | what lives there |
//! | --- | --- |
//! | [`clock`] | the one place that reads a clock |
//! | [`http1`], [`http2`] | responses, however their bytes are split |
//! | [`framing`], [`sse`], [`event_stream`] | the frames of a streaming response |
//! | [`content_encoding`] | decompression |
//! | [`packet`] | when each byte arrived, from copies of the packets |
//! | [`redaction`] | hides secrets |

pub mod clock;
pub mod content_encoding;
pub mod event_stream;
pub mod framing;
pub mod http1;
pub mod http2;
pub mod packet;
pub mod redaction;
pub mod sse;

mod arrival;
mod connect;
mod error;
mod head;
mod insecure;
mod network;
mod phase;
mod portions;
mod proxy;
mod route;
mod server;
mod socket;
mod sources;
mod stream;
mod tls_error;
mod trust;

pub use arrival::{Arrival, StampSource, WORKER, WorkerState};
pub use connect::{ConnectError, Connection, Dialer, TlsInfo};
pub use error::{Result, SetupError};
pub use head::{HttpRequest, ResponseHead};
pub use network::NetworkState;
pub use phase::Phase;
pub use proxy::{EnvironmentProxies, Proxies, Proxy};
pub use server::{Server, unix_address, unix_base_url};
pub use socket::Socket;
pub use stream::TimedStream;
pub use tls_error::{TlsErrorKind, tls_words};
pub use trust::share_tls_provider;
