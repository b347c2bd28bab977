//! What is done for a request, in order.

/// What is done for a request, in order: what a failure happened in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// The request is made: callbacks, body, signature.
    Prepare,
    /// The name of the server, or of the proxy, is resolved.
    Resolve,
    /// TCP, or the Unix socket, connects.
    Connect,
    /// The proxy is connected to, and asked for a tunnel to the server.
    Proxy,
    /// The TLS handshake, and the agreement on HTTP/2.
    Tls,
    /// The request is written.
    Send,
    /// The request is sent; status and headers are waited for.
    Head,
    /// Status and headers are there; the first generated content is waited for.
    FirstToken,
    /// The rest of the response is received.
    Stream,
    /// What has come is decoded.
    Decode,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Self; 10] = [
        Self::Prepare,
        Self::Resolve,
        Self::Connect,
        Self::Proxy,
        Self::Tls,
        Self::Send,
        Self::Head,
        Self::FirstToken,
        Self::Stream,
        Self::Decode,
    ];

    /// The name that files have, like `first_token`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Send => "send",
            Self::Head => "head",
            Self::FirstToken => "first_token",
            Self::Stream => "stream",
            Self::Decode => "decode",
        }
    }

    /// The phase of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == name)
    }
}
