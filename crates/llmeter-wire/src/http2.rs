//! HTTP/2 over a connection, one request at a time.
//!
//! The `h2` crate speaks the protocol. It is driven read by read, and what a read brought is taken
//! before the next one is made, so that every frame has the time of the read that completed it.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use http::uri::Authority;
use http::{HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::clock::Stamp;
use crate::http1::MAX_HEAD;
use crate::network::NetworkState;
use crate::packet::Link;
use crate::portions::Portions;
use crate::{Arrival, ConnectError, Connection, ResponseHead};

/// Bytes that a server may send before it has to wait: more than a response has, so that it never
/// waits for the meter.
const WINDOW: u32 = 16 << 20;
/// The maximum of header lines of a request.
const MAX_REQUEST_HEADERS: usize = 256;

/// How a response of HTTP/1 begins.
const HTTP1: &[u8] = b"HTTP/1.";

/// A connection that speaks HTTP/2, ready for a request.
pub struct Http2 {
    driver: h2::client::Connection<ReadGate, Bytes>,
    sender: SendRequest<Bytes>,
    line: Arc<Mutex<SharedConnection>>,
    scheme: &'static str,
    is_over: bool,
    link: Option<Link>,
    is_plain: bool,
}

/// What the connection and its user share.
#[derive(Debug, Default)]
struct SharedConnection {
    /// Whether `h2` may read; one read at a time.
    may_read: bool,
    has_read: bool,
    /// The next write is the beginning of a request.
    is_armed: bool,
    first_write: Option<Stamp>,
    first_position: u64,
    last_read: Arrival,
    /// Whether the state of the network is asked for, and what it is.
    asks_network: bool,
    network: Option<NetworkState>,
    /// The first bytes that the server sent.
    begin: Vec<u8>,
}

/// A connection that gives one read at a time.
struct ReadGate {
    connection: Connection,
    /// Gives frame by frame, where packets tell when each arrived.
    portions: Option<Portions>,
    line: Arc<Mutex<SharedConnection>>,
}

/// One request and its response.
pub struct Exchange {
    response: Option<ResponseFuture>,
    head: Option<ResponseHead>,
    body: Option<RecvStream>,
    is_done: bool,
}

/// Why a response is not complete.
#[derive(Debug, thiserror::Error)]
pub enum Http2Error {
    /// The connection ended, or the server has not begun to work on the request and never will.
    #[error("{0}")]
    Ended(String),
    /// The server ended this response.
    #[error("the server reset the request: {0}")]
    Reset(Reason),
    /// What the server sends is no HTTP/2.
    #[error("{0}")]
    Broken(String),
}

/// How a server shows that it does not speak HTTP/2.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoHttp2 {
    /// It does not agree to it in the TLS handshake.
    #[error("it did not agree to it")]
    NotAgreed,
    /// It says nothing for so many seconds.
    #[error("HTTP/2's preface was sent, and it sent no SETTINGS within {0} s")]
    Silent(f64),
    /// It closes the connection.
    #[error("it closed the connection after HTTP/2's preface")]
    Closed,
    /// It answers in HTTP/1.
    #[error("it answered HTTP/2's preface in HTTP/1.1")]
    Http1,
    /// It answers in something else.
    #[error("what it sent is no HTTP/2: {0}")]
    Broken(String),
}

impl From<NoHttp2> for ConnectError {
    fn from(reason: NoHttp2) -> Self {
        Self::NoHttp2(reason)
    }
}

/// What came of driving a connection.
enum Drive {
    Read,
    Over(Option<h2::Error>),
}

fn lock(line: &Mutex<SharedConnection>) -> MutexGuard<'_, SharedConnection> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Http2 {
    /// Exchanges what comes before the first request.
    ///
    /// # Errors
    /// When the server does not speak HTTP/2.
    pub async fn open(connection: Connection) -> Result<Self, ConnectError> {
        let scheme = match connection.protocol() {
            None => scheme(false),
            Some(b"h2") => scheme(true),
            Some(_) => return Err(NoHttp2::NotAgreed.into()),
        };
        let line = Arc::new(Mutex::new(SharedConnection::default()));
        let (link, is_plain) = (connection.link(), connection.is_plain());
        let gate = ReadGate {
            portions: (link.is_some() && is_plain).then(Portions::of_http2),
            connection,
            line: line.clone(),
        };
        let seen = line.clone();
        let refused = |reason: h2::Error| match lock(&seen).begin.as_slice() {
            begin if begin.starts_with(HTTP1) => NoHttp2::Http1,
            [] => NoHttp2::Closed,
            _ => NoHttp2::Broken(reason.to_string()),
        };
        let (sender, driver) = h2::client::Builder::new()
            .enable_push(false)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_header_list_size(MAX_HEAD as u32)
            .handshake(gate)
            .await
            .map_err(refused)?;
        let mut http2 = Self {
            driver,
            sender,
            line,
            scheme,
            is_over: false,
            link,
            is_plain,
        };
        // The server's first frame tells whether it understands.
        match poll_fn(|context| http2.poll_drive(context)).await {
            Drive::Read => Ok(http2),
            Drive::Over(Some(reason)) => Err(refused(reason).into()),
            Drive::Over(None) => Err(NoHttp2::Closed.into()),
        }
    }

    /// Whether the idle connection can carry another request. Takes in what has come meanwhile.
    pub async fn is_usable(&mut self) -> bool {
        poll_fn(|context| {
            loop {
                match self.poll_drive(context) {
                    Poll::Pending => break,
                    Poll::Ready(Drive::Read) => {}
                    Poll::Ready(Drive::Over(_)) => return Poll::Ready(false),
                }
            }
            let ready = self.sender.poll_ready(context);
            Poll::Ready(matches!(ready, Poll::Ready(Ok(()))))
        })
        .await
    }

    /// Sends a request, given in the form of HTTP/1.1.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn send(&mut self, request: &[u8]) -> Result<Exchange, Http2Error> {
        let (request, body) = translate(self.scheme, request)
            .ok_or_else(|| Http2Error::Broken("the request cannot be sent by HTTP/2".to_owned()))?;
        let mut line = lock(&self.line);
        line.is_armed = true;
        line.first_write = None;
        drop(line);
        let sent = self.sender.send_request(request, body.is_empty());
        let (response, mut stream) = sent.map_err(Http2Error::of)?;
        if !body.is_empty() {
            // The crate keeps it until the server has room.
            stream.send_data(body, true).map_err(Http2Error::of)?;
        }
        Ok(Exchange {
            response: Some(response),
            head: None,
            body: None,
            is_done: false,
        })
    }

    /// Sends and reads on; ready after one read. Body bytes are appended to `body`.
    ///
    /// # Errors
    /// When the response will not be complete. What came before is in `exchange` and `body`.
    pub fn poll_exchange(
        &mut self,
        exchange: &mut Exchange,
        body: &mut Vec<u8>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Http2Error>> {
        let driven = self.poll_drive(context);
        // A read's frames may come in parts: what follows a ping waits until that is answered.
        let before = (exchange.head.is_some(), body.len());
        let taken = exchange.take(body, context);
        let is_unchanged = !exchange.is_done && before == (exchange.head.is_some(), body.len());
        match driven {
            // It knows better than the stream why both have ended.
            Poll::Ready(Drive::Over(Some(reason))) if !exchange.is_done => {
                Poll::Ready(Err(Http2Error::of(reason)))
            }
            _ if taken.is_err() => Poll::Ready(taken),
            Poll::Pending if is_unchanged => Poll::Pending,
            Poll::Ready(Drive::Over(_)) if !exchange.is_done => {
                let reason = "the server closed the connection".to_owned();
                Poll::Ready(Err(Http2Error::Ended(reason)))
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    /// When the last request's first byte was handed to the kernel.
    pub fn first_write(&self) -> Option<Stamp> {
        lock(&self.line).first_write
    }

    /// Bytes that went to the peer before that.
    pub fn first_position(&self) -> u64 {
        lock(&self.line).first_position
    }

    /// What TCP knows of the connection, and what happened on it since this was last asked. A system call.
    pub async fn network(&mut self) -> Option<NetworkState> {
        if self.is_over {
            return None;
        }
        poll_fn(|context| {
            let mut line = lock(&self.line);
            (line.may_read, line.asks_network, line.network) = (false, true, None);
            drop(line);
            // The crate has the socket, and lets nobody at it but when it reads.
            self.is_over = Pin::new(&mut self.driver).poll(context).is_ready();
            let mut line = lock(&self.line);
            line.asks_network = false;
            Poll::Ready(line.network.take())
        })
        .await
    }

    /// When the bytes of the last read arrived.
    pub fn last_read(&self) -> Arrival {
        lock(&self.line).last_read
    }

    /// The two ends, if packets are looked for.
    pub fn link(&self) -> Option<Link> {
        self.link
    }

    /// Whether frames lie in the packets as they are, and not in records that are readable as a whole.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Writes what is to be written, and makes at most one read.
    fn poll_drive(&mut self, context: &mut Context<'_>) -> Poll<Drive> {
        if self.is_over {
            return Poll::Ready(Drive::Over(None));
        }
        let mut line = lock(&self.line);
        line.may_read = true;
        line.has_read = false;
        drop(line);
        match Pin::new(&mut self.driver).poll(context) {
            Poll::Ready(result) => {
                self.is_over = true;
                Poll::Ready(Drive::Over(result.err()))
            }
            Poll::Pending if lock(&self.line).has_read => Poll::Ready(Drive::Read),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Exchange {
    /// The response's head, once it is there.
    pub fn head(&self) -> Option<&ResponseHead> {
        self.head.as_ref()
    }

    /// Whether the response is complete.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// Takes what has come.
    fn take(&mut self, body: &mut Vec<u8>, context: &mut Context<'_>) -> Result<(), Http2Error> {
        if let Some(response) = &mut self.response
            && let Poll::Ready(response) = Pin::new(response).poll(context)
        {
            let (parts, stream) = response.map_err(Http2Error::of)?.into_parts();
            let mut head = ResponseHead::new(parts.status.as_u16());
            for (name, value) in &parts.headers {
                head.add(name.as_str(), value.as_bytes());
            }
            self.head = Some(head);
            self.body = Some(stream);
            self.response = None;
        }
        let Some(stream) = &mut self.body else {
            return Ok(());
        };
        while let Poll::Ready(data) = stream.poll_data(context) {
            let Some(data) = data else {
                // Trailers, if there are any, say nothing that is recorded.
                self.is_done = true;
                break;
            };
            let data = data.map_err(Http2Error::of)?;
            body.extend_from_slice(&data);
            let released = stream.flow_control().release_capacity(data.len());
            released.map_err(Http2Error::of)?;
        }
        Ok(())
    }
}

impl Http2Error {
    fn of(reason: h2::Error) -> Self {
        match reason.reason() {
            Some(Reason::REFUSED_STREAM) if reason.is_reset() => {
                Self::Ended("the server refused the request".to_owned())
            }
            Some(Reason::NO_ERROR) if reason.is_go_away() => {
                Self::Ended("the server is about to close the connection".to_owned())
            }
            Some(code) if reason.is_reset() => Self::Reset(code),
            _ if reason.is_io() => Self::Ended(reason.to_string()),
            _ => Self::Broken(reason.to_string()),
        }
    }
}

fn scheme(is_encrypted: bool) -> &'static str {
    match is_encrypted {
        true => "https",
        false => "http",
    }
}

/// Names and values of the headers that a request, given in the form of HTTP/1.1, is sent with:
/// `:scheme` and `:authority` first, without `:method` and `:path`. `None` if it cannot be sent.
pub fn headers(is_encrypted: bool, request: &[u8]) -> Option<Vec<(String, String)>> {
    let (request, _) = translate(scheme(is_encrypted), request)?;
    let pseudo = [
        (":scheme", request.uri().scheme_str()),
        (
            ":authority",
            request.uri().authority().map(Authority::as_str),
        ),
    ];
    let pseudo = pseudo
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.unwrap_or_default().to_owned()));
    let named = request.headers().iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    Some(pseudo.chain(named).collect())
}

/// A request of HTTP/1.1 as one of HTTP/2, and its body. `None` if it cannot be one.
fn translate(scheme: &str, request: &[u8]) -> Option<(http::Request<()>, Bytes)> {
    let mut lines = [httparse::EMPTY_HEADER; MAX_REQUEST_HEADERS];
    let mut parsed = httparse::Request::new(&mut lines);
    let length = match parsed.parse(request) {
        Ok(httparse::Status::Complete(length)) => length,
        _ => return None,
    };
    let mut translated = http::Request::new(());
    *translated.version_mut() = http::Version::HTTP_2;
    *translated.method_mut() = parsed.method?.parse().ok()?;
    let is_host = |name: &str| name.eq_ignore_ascii_case("host");
    let host = parsed.headers.iter().find(|line| is_host(line.name))?;
    let host = std::str::from_utf8(host.value).ok()?;
    *translated.uri_mut() = format!("{scheme}://{host}{}", parsed.path?).parse().ok()?;
    for line in parsed.headers.iter() {
        // HTTP/2 says these in other ways.
        let is_of_http1 = is_host(line.name)
            || line.name.eq_ignore_ascii_case("connection")
            || line.name.eq_ignore_ascii_case("transfer-encoding");
        if is_of_http1 {
            continue;
        }
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        let mut value = HeaderValue::from_bytes(line.value).ok()?;
        // Nothing that prints or keeps headers may keep what could be a secret.
        value.set_sensitive(name != http::header::CONTENT_TYPE);
        translated.headers_mut().append(name, value);
    }
    Some((translated, Bytes::copy_from_slice(&request[length..])))
}

impl AsyncRead for ReadGate {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut line = lock(&this.line);
        if std::mem::take(&mut line.asks_network) {
            line.network = this.connection.network();
        }
        if !line.may_read {
            // Nothing wakes the task for this: whoever drives the connection comes back by itself.
            return Poll::Pending;
        }
        drop(line);
        let before = buffer.filled().len();
        let left = match &mut this.portions {
            None => {
                ready!(Pin::new(&mut this.connection).poll_read(context, buffer))?;
                0
            }
            Some(portions) => {
                if portions.is_empty() {
                    let connection = &mut this.connection;
                    ready!(
                        portions.fill(|buffer| Pin::new(connection).poll_read(context, buffer))
                    )?;
                }
                portions.give(buffer);
                portions.left()
            }
        };
        let mut line = lock(&this.line);
        if line.begin.len() < HTTP1.len() {
            let missing = HTTP1.len() - line.begin.len();
            let read = buffer.filled()[before..].iter().take(missing);
            line.begin.extend(read);
        }
        line.may_read = false;
        line.has_read = true;
        line.last_read = this.connection.last_read();
        line.last_read.position -= left as u64;
        Poll::Ready(Ok(()))
    }
}

impl ReadGate {
    fn arm(&mut self) {
        if std::mem::take(&mut lock(&self.line).is_armed) {
            self.connection.arm();
        }
    }

    fn note(&self) {
        let mut line = lock(&self.line);
        line.first_write = self.connection.first_write();
        line.first_position = self.connection.first_position();
    }
}

impl AsyncWrite for ReadGate {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.arm();
        let written = Pin::new(&mut this.connection).poll_write(context, bytes);
        this.note();
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.connection).poll_flush(context);
        if !lock(&this.line).is_armed {
            this.note();
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().connection).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_the_same_in_both_versions() {
        let bytes = b"POST /v1/chat?x=1 HTTP/1.1\r\nHost: api.example.com:8443\r\n\
            Content-Type: application/json\r\nAuthorization: Bearer sk-secret\r\n\
            Content-Length: 2\r\n\r\n{}";
        let (request, body) = translate("https", bytes).unwrap();
        assert_eq!(request.method(), http::Method::POST);
        assert_eq!(
            request.uri().to_string(),
            "https://api.example.com:8443/v1/chat?x=1"
        );
        let names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["content-type", "authorization", "content-length"]);
        assert_eq!(request.headers()["authorization"], "Bearer sk-secret");
        assert_eq!(&body[..], b"{}");
        assert!(!format!("{request:?}").contains("sk-secret"));
    }

    #[test]
    fn what_is_no_request_is_not_sent() {
        assert!(translate("http", b"POST / HTTP/1.1\r\n").is_none());
        assert!(
            translate("http", b"POST / HTTP/1.1\r\n\r\n").is_none(),
            "no host"
        );
    }
}
