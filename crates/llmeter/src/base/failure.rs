//! Why a request failed: a kind to match on, and a text for people.
//!
//! A failure is made where it happens and stays a value. Its text is for people only: code matches
//! on the kind, the phase and the cause.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use super::shown::cut;
use llmeter_wire::http2::NoHttp2;
use llmeter_wire::{ConnectError, Phase, TlsErrorKind};

mod from;

/// Longest name of a kind that is taken over from a file.
const MAX_NAME: usize = 40;
/// Characters of a text that are kept: a server may send megabytes for an error.
const MAX_MESSAGE: usize = 4000;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// What kind of failure a request met.
        ///
        /// Each has a name in files: `error_kind` in `responses.jsonl`, `failed_requests-KIND` in
        /// the statistics.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum FailureKind {
            $($(#[$doc])* $kind,)*
        }

        impl FailureKind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The name that files have, like `connection_refused`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// Nobody listens at the address.
    ConnectionRefused = "connection_refused",
    /// The address, or the Unix socket, cannot be reached.
    Unreachable = "unreachable",
    /// The host's name does not resolve.
    Dns = "dns",
    /// The proxy cannot be reached, or opens no tunnel.
    Proxy = "proxy",
    /// The TLS handshake failed.
    Tls = "tls",
    /// HTTP/2 was asked for, and the server does not speak it.
    NoHttp2 = "no_http2",
    /// This machine has no local port, file descriptor or buffer left: the meter's own fault.
    LocalLimit = "local_limit",
    /// The run's timeout ended the request; the phase says what it was waiting for.
    Timeout = "timeout",
    /// The server responded with an HTTP error status.
    HttpStatus = "http_status",
    /// The server asks for fewer requests or tokens: status 429, or an error of AWS's to that end.
    Throttled = "throttled",
    /// A response that had begun as a success reports an error.
    ServerError = "server_error",
    /// The response ended before it was complete.
    Truncated = "truncated",
    /// The connection closed before a response began.
    NoResponse = "no_response",
    /// The response is not what the protocol or the API prescribes.
    Malformed = "malformed_response",
    /// The response is a web page.
    WebPage = "web_page",
    /// The response is compressed in a way that cannot be read.
    ContentEncoding = "content_encoding",
    /// The response, or a part of it that must be kept whole, is larger than what is accepted.
    TooLarge = "too_large",
    /// The response is empty.
    Empty = "empty_response",
    /// An endpoint of the user's own says so.
    Endpoint = "endpoint",
    /// Code of the endpoint panicked.
    Panic = "panic",
    /// A callback failed, so that the request was not sent.
    Callback = "callback",
    /// The run closed the request on purpose, as a user who goes away does (`cancel`). It is counted apart
    /// from failures.
    Cancelled = "cancelled",
    /// The run was interrupted.
    Interrupted = "interrupted",
    /// Anything else: a kind of a newer version, or a file that names none.
    Other = "other",
}

impl FailureKind {
    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }

    /// Whether no connection could be opened. The request can be sent again then.
    pub fn is_connecting(self) -> bool {
        matches!(
            self,
            Self::ConnectionRefused
                | Self::Unreachable
                | Self::Dns
                | Self::Proxy
                | Self::Tls
                | Self::NoHttp2
                | Self::LocalLimit
        )
    }

    /// What a failure to open a socket means.
    fn of_socket(reason: &io::Error) -> Self {
        match reason.kind() {
            _ if LocalResource::lacking(reason).is_some() => Self::LocalLimit,
            io::ErrorKind::ConnectionRefused => Self::ConnectionRefused,
            _ => Self::Unreachable,
        }
    }
}

/// What a connection takes of this machine, and may be used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LocalResource {
    /// Local ports, of which each connection to one address takes another.
    Ports,
    /// Open files, of which each connection is one.
    Files,
    /// Memory of the kernel's for sockets.
    Buffers,
}

impl LocalResource {
    /// What is lacking if a socket cannot be opened for this reason.
    fn lacking(reason: &io::Error) -> Option<Self> {
        match reason.kind() {
            // The second is what binding to a source address says.
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => return Some(Self::Ports),
            io::ErrorKind::OutOfMemory => return Some(Self::Buffers),
            _ => {}
        }
        #[cfg(unix)]
        {
            use nix::libc::{EMFILE, ENFILE, ENOBUFS, ENOMEM};
            match reason.raw_os_error()? {
                EMFILE | ENFILE => Some(Self::Files),
                ENOBUFS | ENOMEM => Some(Self::Buffers),
                _ => None,
            }
        }
        #[cfg(not(unix))]
        None
    }

    /// Its name in a sentence.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ports => "free local port",
            Self::Files => "file descriptor",
            Self::Buffers => "memory for sockets",
        }
    }

    /// What to do when it is used up. Settings are in backticks.
    pub(crate) fn remedy(self) -> &'static str {
        match self {
            Self::Ports => {
                "keep connections (`connections` keep), widen net.ipv4.ip_local_port_range, give more \
                 addresses with `source_address`, or wait a minute: closed connections keep their ports \
                 in TIME_WAIT"
            }
            Self::Files => "raise the limit of open files (ulimit -n), or use fewer `clients`",
            Self::Buffers => {
                "use fewer `clients`, or raise the kernel's limits (net.ipv4.tcp_mem, the container's \
                 memory)"
            }
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Whether the next request may fare better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// It may.
    Passing,
    /// One with the same payload does not.
    OfPayload,
    /// It does not: somebody has to change something first.
    Lasting,
}

/// Why a request failed.
///
/// ```
/// use llmeter::{Failure, FailureKind, InvocationResponse, Phase};
///
/// fn waited_in_vain(response: &InvocationResponse) -> bool {
///     response.error.as_ref().is_some_and(|failure| {
///         failure.kind() == FailureKind::Timeout && failure.phase() == Some(Phase::FirstToken)
///     })
/// }
///
/// let failure = Failure::new(FailureKind::Timeout, "timed out after 5 s");
/// let response = InvocationResponse {
///     error: Some(failure.in_phase(Phase::FirstToken)),
///     ..InvocationResponse::default()
/// };
/// assert!(waited_in_vain(&response));
/// assert_eq!(response.error.unwrap().to_string(), "timed out after 5 s");
/// ```
///
/// Two failures are equal if they say the same; their causes are not compared.
#[derive(Debug, Clone)]
pub struct Failure(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: FailureKind,
    /// What a newer version calls the kind.
    name: Option<Box<str>>,
    phase: Option<Phase>,
    status: Option<u16>,
    /// What the server's own code for the failure says.
    outlook: Option<Outlook>,
    message: String,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure in one's own words. They end up in files: keep secrets out of them.
    ///
    /// One that is longer than any reader has patience for loses its middle.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if let Cow::Owned(shorter) = cut(&message, MAX_MESSAGE) {
            message = shorter;
        }
        Self(Box::new(Inner {
            kind,
            name: None,
            phase: None,
            status: None,
            outlook: None,
            message,
            cause: None,
        }))
    }

    /// A failure in the words of its cause.
    pub fn caused(kind: FailureKind, cause: impl Error + Send + Sync + 'static) -> Self {
        Self::new(kind, cause.to_string()).with_cause(cause)
    }

    /// The same with what caused it.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.0.cause = Some(Arc::new(cause));
        self
    }

    /// The same in a phase.
    #[must_use]
    pub fn in_phase(mut self, phase: Phase) -> Self {
        self.0.phase = Some(phase);
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> FailureKind {
        self.0.kind
    }

    /// The kind's name, also of one that only a newer version knows.
    pub fn kind_name(&self) -> &str {
        match &self.0.name {
            Some(name) => name,
            None => self.0.kind.as_str(),
        }
    }

    /// The kind's name for files; none if none is known.
    pub(crate) fn recorded_kind(&self) -> Option<&str> {
        let is_known = self.0.kind != FailureKind::Other || self.0.name.is_some();
        is_known.then(|| self.kind_name())
    }

    /// What was done when it happened, if that is known.
    pub fn phase(&self) -> Option<Phase> {
        self.0.phase
    }

    /// The HTTP status, if it is no success.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// What this machine has no more of, if that is why the request failed.
    pub fn lacking(&self) -> Option<LocalResource> {
        let reason = || LocalResource::lacking(self.cause()?);
        match self.0.kind {
            FailureKind::LocalLimit => Some(reason().unwrap_or(LocalResource::Ports)),
            _ => None,
        }
    }

    /// Whether the next request may fare better.
    pub(crate) fn outlook(&self) -> Outlook {
        let is_certificate = || {
            let problem = self.cause().and_then(ConnectError::tls_error_kind);
            problem.is_some_and(|problem| problem != TlsErrorKind::Alert)
        };
        let is_silent = || {
            let reason = self.cause();
            matches!(reason, Some(ConnectError::NoHttp2(NoHttp2::Silent(_))))
        };
        match (self.0.kind, self.0.status) {
            (FailureKind::NoHttp2, _) if is_silent() => Outlook::Passing,
            (FailureKind::HttpStatus, Some(400 | 413 | 415 | 422)) => Outlook::OfPayload,
            (FailureKind::HttpStatus, Some(300..400 | 401..408 | 410 | 411 | 501 | 505)) => {
                Outlook::Lasting
            }
            (FailureKind::Dns | FailureKind::NoHttp2 | FailureKind::ContentEncoding, _) => {
                Outlook::Lasting
            }
            (FailureKind::Tls, _) if is_certificate() => Outlook::Lasting,
            (FailureKind::ServerError, _) => self.0.outlook.unwrap_or(Outlook::Passing),
            _ => Outlook::Passing,
        }
    }

    /// Sets what the code says that the server has for the failure.
    pub(crate) fn foresee(&mut self, outlook: Option<Outlook>) {
        self.0.outlook = outlook;
    }

    /// What people are told.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The first cause of this type. Causes are not in files, so that a loaded result has none.
    pub fn cause<T: Error + 'static>(&self) -> Option<&T> {
        let mut next: Option<&(dyn Error + 'static)> = match &self.0.cause {
            Some(cause) => Some(&**cause),
            None => None,
        };
        while let Some(error) = next {
            let found = error.downcast_ref();
            if found.is_some() {
                return found;
            }
            // What an I/O error wraps is not its source: it stands for it.
            let wrapped = error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref);
            next = match wrapped {
                Some(wrapped) => Some(wrapped),
                None => error.source(),
            };
        }
        None
    }

    /// Sets the phase and the status of the response. A status of success says nothing here.
    pub(crate) fn locate(&mut self, phase: Option<Phase>, status: Option<u16>) {
        self.0.phase = phase;
        self.0.status = status.filter(|status| !(200..300).contains(status));
    }

    /// Hides secrets in the text. Causes that have some in theirs are dropped.
    pub(crate) fn redact(&mut self, hide: impl Fn(&str) -> Cow<'_, str>) {
        let inner = &mut *self.0;
        inner.message = hide(&inner.message).into_owned();
        inner.cause.take_if(|cause| {
            let text = format!("{cause:?} {cause}");
            hide(&text) != text
        });
    }

    /// The failure of a line of `responses.jsonl`. A line of an older version names no kind; its
    /// status may tell.
    pub(crate) fn from_file(
        message: String,
        kind: Option<&str>,
        phase: Option<&str>,
        status: Option<u16>,
    ) -> Self {
        let is_name = |name: &&str| {
            let is_letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
            (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_letter)
        };
        let mut failure = Self::new(FailureKind::Other, message);
        failure.locate(phase.and_then(Phase::from_name), status);
        let known = kind.and_then(FailureKind::from_name);
        match (known, kind.filter(is_name), failure.0.status) {
            (Some(known), ..) => failure.0.kind = known,
            (None, Some(name), _) => failure.0.name = Some(name.into()),
            (None, None, Some(429)) => failure.0.kind = FailureKind::Throttled,
            (None, None, Some(_)) => failure.0.kind = FailureKind::HttpStatus,
            (None, None, None) => {}
        }
        failure
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let cause: &(dyn Error + 'static) = &**self.0.cause.as_ref()?;
        // What says the same is not said twice.
        match cause.to_string() == self.0.message {
            true => cause.source(),
            false => Some(cause),
        }
    }
}

impl PartialEq for Failure {
    fn eq(&self, other: &Self) -> bool {
        let (one, other) = (&*self.0, &*other.0);
        (one.kind, &one.name, one.phase, &one.message)
            == (other.kind, &other.name, other.phase, &other.message)
    }
}

#[cfg(test)]
mod tests;
