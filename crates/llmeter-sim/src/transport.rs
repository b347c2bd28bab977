//! A client's connection as bytes with times: plain TCP, or TLS on it.
//!
//! Belongs here: reading with arrivals, writing with the time of the write, TLS or not. What the
//! bytes mean is decided elsewhere.

use std::{
    io,
    pin::{Pin, pin},
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    clock::{self, Time},
    socket::{self, Arrival, Reader, Receiver},
};

/// Room for what one read of a TLS connection gives.
const TLS_READ: usize = 16 << 10;

/// A connection, ready for requests.
#[derive(Debug)]
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TimedSocket>>),
}

/// What TLS runs on: a socket that knows when its last bytes came and went.
#[derive(Debug)]
pub(crate) struct TimedSocket {
    stream: TcpStream,
    receiver: Receiver,
    first_read: Option<Time>,
    last_read: Arrival,
    /// The time immediately before the last call that handed bytes over.
    last_write: Time,
}

impl Transport {
    /// Agrees on TLS with the client. Gives also when the bytes arrived that began and completed the
    /// handshake.
    pub(crate) async fn handshake(
        stream: TcpStream,
        acceptor: &TlsAcceptor,
    ) -> io::Result<(Self, (Time, Time))> {
        let tls = acceptor.accept(TimedSocket::new(stream)).await?;
        let socket = tls.get_ref().0;
        let done = socket.last_read.at;
        let times = (socket.first_read.unwrap_or(done), done);
        Ok((Self::Tls(Box::new(tls)), times))
    }

    /// Whether both sides agreed on HTTP/2; without TLS the client does not ask.
    pub(crate) fn is_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// Appends what has come to `bytes`; nothing if the client has closed. Under TLS the arrival is
    /// that of the record's last byte.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        reader: &Mutex<Reader>,
        bytes: &mut Vec<u8>,
    ) -> Poll<io::Result<Arrival>> {
        match self {
            Self::Plain(stream) => loop {
                ready!(stream.poll_read_ready(cx))?;
                // One thread's tasks alone share the reader: the lock is never contended.
                let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
                match reader.read(stream) {
                    Ok((read, arrival)) => {
                        bytes.extend_from_slice(read);
                        return Poll::Ready(Ok(arrival));
                    }
                    Err(error) if is_to_be_repeated(&error) => {}
                    Err(error) => return Poll::Ready(Err(error)),
                }
            },
            Self::Tls(tls) => {
                bytes.reserve(TLS_READ);
                ready!(pin!(tls.read_buf(bytes)).poll(cx))?;
                Poll::Ready(Ok(tls.get_ref().0.last_read))
            }
        }
    }

    /// Writes all of `bytes` and gives the time immediately before the call that handed the last of
    /// them to the kernel.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<Time> {
        match self {
            Self::Plain(stream) => socket::write(stream, bytes).await,
            Self::Tls(tls) => {
                tls.write_all(bytes).await?;
                tls.flush().await?;
                Ok(tls.get_ref().0.last_write)
            }
        }
    }

    /// Writes some of `bytes`. Gives how many, and the time immediately before the call that handed
    /// the last of them to the kernel: `None` if it does not have them yet.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<(usize, Option<Time>)>> {
        match self {
            Self::Plain(stream) => loop {
                ready!(stream.poll_write_ready(cx))?;
                let stamp = clock::now();
                match stream.try_write(bytes) {
                    Ok(count) => return Poll::Ready(Ok((count, Some(stamp)))),
                    Err(error) if is_to_be_repeated(&error) => {}
                    Err(error) => return Poll::Ready(Err(error)),
                }
            },
            Self::Tls(tls) => {
                let count = ready!(Pin::new(&mut *tls).poll_write(cx, bytes))?;
                let (socket, session) = tls.get_ref();
                let stamp = (!session.wants_write()).then_some(socket.last_write);
                Poll::Ready(Ok((count, stamp)))
            }
        }
    }

    /// Hands everything to the kernel that it does not have yet. Gives the time immediately before
    /// the last call that did; `None` where none is ever needed.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Time>>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(None)),
            Self::Tls(tls) => {
                ready!(Pin::new(&mut *tls).poll_flush(cx))?;
                Poll::Ready(Ok(Some(tls.get_ref().0.last_write)))
            }
        }
    }

    /// Closes the sending side.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

fn is_to_be_repeated(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, WouldBlock};
    matches!(error.kind(), Interrupted | WouldBlock)
}

impl TimedSocket {
    fn new(stream: TcpStream) -> Self {
        let now = clock::now();
        Self {
            stream,
            receiver: Receiver::new(),
            first_read: None,
            last_read: Arrival {
                at: now,
                kernel: false,
            },
            last_write: now,
        }
    }
}

impl AsyncRead for TimedSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            ready!(this.stream.poll_read_ready(cx))?;
            let room = buffer.initialize_unfilled();
            match this.receiver.receive(&this.stream, room) {
                Ok((count, arrival)) => {
                    buffer.advance(count);
                    this.last_read = arrival;
                    this.first_read.get_or_insert(arrival.at);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if is_to_be_repeated(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for TimedSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            ready!(this.stream.poll_write_ready(cx))?;
            let stamp = clock::now();
            match this.stream.try_write(bytes) {
                Ok(count) => {
                    this.last_write = stamp;
                    return Poll::Ready(Ok(count));
                }
                Err(error) if is_to_be_repeated(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
