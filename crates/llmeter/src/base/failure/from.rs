//! What the errors of lower layers are as failures of requests.

use std::io;

use super::{Failure, FailureKind};
use crate::base::foreign::Panic;
use llmeter_wire::content_encoding::DecompressionError;
use llmeter_wire::event_stream::EventStreamError;
use llmeter_wire::framing::FramingError;
use llmeter_wire::http1::HttpError;
use llmeter_wire::http2::Http2Error;
use llmeter_wire::{ConnectError, Phase};

impl From<ConnectError> for Failure {
    fn from(reason: ConnectError) -> Self {
        use ConnectError as E;
        let (kind, phase) = match &reason {
            E::Tcp(_, source) | E::Unix { source, .. } => {
                (FailureKind::of_socket(source), Phase::Connect)
            }
            E::NoProxy { source, .. } => match FailureKind::of_socket(source) {
                FailureKind::LocalLimit => (FailureKind::LocalLimit, Phase::Proxy),
                _ => (FailureKind::Proxy, Phase::Proxy),
            },
            E::Proxy { .. } => (FailureKind::Proxy, Phase::Proxy),
            E::Tls(_) => (FailureKind::Tls, Phase::Tls),
            E::NoHttp2(_) => (FailureKind::NoHttp2, Phase::Tls),
            E::NoAddress => (FailureKind::Dns, Phase::Resolve),
        };
        Self::caused(kind, reason).in_phase(phase)
    }
}

impl From<HttpError> for Failure {
    fn from(reason: HttpError) -> Self {
        let phase = match &reason {
            HttpError::Chunk(_) => Phase::Stream,
            _ => Phase::Head,
        };
        Self::caused(FailureKind::Malformed, reason).in_phase(phase)
    }
}

impl From<Http2Error> for Failure {
    fn from(reason: Http2Error) -> Self {
        let kind = match &reason {
            Http2Error::Ended(_) | Http2Error::Reset(_) => FailureKind::Truncated,
            Http2Error::Broken(_) => FailureKind::Malformed,
        };
        Self::caused(kind, reason)
    }
}

impl From<DecompressionError> for Failure {
    fn from(reason: DecompressionError) -> Self {
        let kind = match &reason {
            DecompressionError::Short(_) => FailureKind::Truncated,
            DecompressionError::TooLarge { .. } => FailureKind::TooLarge,
            _ => FailureKind::Malformed,
        };
        Self::caused(kind, reason).in_phase(Phase::Stream)
    }
}

impl From<FramingError> for Failure {
    fn from(reason: FramingError) -> Self {
        let kind = match &reason {
            FramingError::EventStream(EventStreamError::Incomplete { .. }) => {
                FailureKind::Truncated
            }
            FramingError::TooLarge(_) => FailureKind::TooLarge,
            FramingError::EventStream(_) => FailureKind::Malformed,
        };
        Self::caused(kind, reason).in_phase(Phase::Stream)
    }
}

impl From<Panic> for Failure {
    fn from(Panic(reason): Panic) -> Self {
        let reason = format!("the endpoint's code panicked: {reason}");
        Self::new(FailureKind::Panic, reason)
    }
}

/// For endpoints that carry out requests themselves: `?` on what their sockets say.
impl From<io::Error> for Failure {
    fn from(reason: io::Error) -> Self {
        let kind = match reason.kind() {
            io::ErrorKind::TimedOut => FailureKind::Timeout,
            io::ErrorKind::UnexpectedEof => FailureKind::Truncated,
            _ => match FailureKind::of_socket(&reason) {
                FailureKind::Unreachable => FailureKind::Endpoint,
                kind => kind,
            },
        };
        Self::caused(kind, reason)
    }
}
