//! A connected socket: TCP, or Unix's.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncWrite, Interest};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::packet::Link;

/// A connected socket.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket, of whose bytes the kernel keeps no receive stamps.
    #[cfg(unix)]
    Unix(UnixStream),
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

#[cfg(unix)]
impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

/// The same call on whichever stream it is.
macro_rules! of_either {
    ($socket:expr, $stream:ident => $call:expr) => {
        match $socket {
            Socket::Tcp($stream) => $call,
            #[cfg(unix)]
            Socket::Unix($stream) => $call,
        }
    };
}

impl Socket {
    /// Whether the kernel can stamp what arrives.
    pub(super) fn has_stamps(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    /// The two ends of a connection by TCP.
    pub(super) fn link(&self) -> Option<Link> {
        match self {
            Self::Tcp(stream) => {
                let (client, server) = (stream.local_addr().ok()?, stream.peer_addr().ok()?);
                Some(Link::new(client, server))
            }
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }

    pub(super) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_either!(self, stream => stream.poll_read_ready(context))
    }

    /// A read that the runtime does not see; `WouldBlock` clears the readiness.
    pub(super) fn try_read_with(&self, read: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        of_either!(self, stream => stream.try_io(Interest::READABLE, read))
    }

    #[cfg(not(unix))]
    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        of_either!(self, stream => stream.try_read(buffer))
    }

    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        of_either!(self, stream => Pin::new(stream).poll_write(context, bytes))
    }

    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_either!(self, stream => Pin::new(stream).poll_shutdown(context))
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Socket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        of_either!(self, stream => stream.as_fd())
    }
}

#[cfg(unix)]
impl std::os::fd::AsRawFd for Socket {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        of_either!(self, stream => stream.as_raw_fd())
    }
}
