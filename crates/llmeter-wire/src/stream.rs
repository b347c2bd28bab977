//! A stream that knows when its bytes came and went.

use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Socket;
use crate::arrival::{Arrival, StampSource, WORKER};
use crate::clock::{self, Stamp};
use crate::network::{NetworkState, Told};
use crate::packet::Link;
use crate::portions::Portions;

/// A stream with a stamp for the first write since [`arm`](Self::arm) and for the last read.
///
/// TLS runs on top of it, so that the stamps are those of the encrypted bytes: a record is readable
/// when its last byte has arrived.
#[derive(Debug)]
pub struct TimedStream {
    socket: Socket,
    stamps: StampSource,
    first_write: Option<Stamp>,
    /// Bytes that were written before it.
    first_position: u64,
    last_write: Option<Stamp>,
    last_read: Arrival,
    /// Bytes that were read from the socket, and written to it.
    received: u64,
    sent: u64,
    told: Told,
    /// The two ends, if packets are looked for.
    link: Option<Box<Link>>,
    /// What was read and is given on in portions.
    portions: Option<Box<Portions>>,
    /// When the socket was last known to hold no bytes.
    drained: Stamp,
}

impl TimedStream {
    /// Wraps a connected socket, and asks the kernel for receive stamps if `stamps` says so.
    /// A kernel that refuses is no error: arrivals then say that they are not the kernel's.
    pub fn new(socket: impl Into<Socket>, stamps: StampSource) -> Self {
        let socket = socket.into();
        let stamps = match socket.has_stamps() {
            true => stamps,
            false => StampSource::User,
        };
        if stamps != StampSource::User {
            ask_for_stamps(&socket);
        }
        let link = match stamps {
            StampSource::Packet => socket.link().map(Box::new),
            StampSource::Auto | StampSource::Kernel | StampSource::User => None,
        };
        Self {
            socket,
            stamps,
            first_write: None,
            first_position: 0,
            last_write: None,
            last_read: Arrival::default(),
            received: 0,
            sent: 0,
            told: Told::default(),
            link,
            portions: None,
            drained: clock::now(),
        }
    }

    /// Makes the kernel keep few bytes of what has not been read, about so many. A kernel that refuses is
    /// no error.
    pub fn limit_receive_buffer(&self, bytes: usize) {
        #[cfg(unix)]
        {
            use nix::sys::socket::{setsockopt, sockopt::RcvBuf};
            let _ = setsockopt(&self.socket, RcvBuf, &bytes);
        }
        #[cfg(not(unix))]
        let _ = bytes;
    }

    /// The two ends, if packets are looked for.
    pub fn link(&self) -> Option<Link> {
        self.link.as_deref().copied()
    }

    /// From here on no read gives more than the rest of one record of TLS, so that what each record brings
    /// can be told apart.
    pub(crate) fn give_records(&mut self) {
        if self.link.is_some() {
            self.portions = Some(Box::new(Portions::of_tls()));
        }
    }

    /// Forgets the first write: the next one is the beginning of a request.
    pub fn arm(&mut self) {
        self.first_write = None;
    }

    /// When the first write since [`arm`](Self::arm) was handed to the kernel.
    pub fn first_write(&self) -> Option<Stamp> {
        self.first_write
    }

    /// Bytes that the connection had carried to the peer before that write; those of TLS and HTTP count.
    pub fn first_position(&self) -> u64 {
        self.first_position
    }

    /// What TCP knows of the connection, and what happened on it since this was last asked. A system call.
    pub fn network(&mut self) -> Option<NetworkState> {
        self.told.state(&self.socket)
    }

    /// Whether the bytes of the last read arrived before anything was written since [`arm`](Self::arm), so
    /// that they are no response to it. Only the kernel's stamps tell. What arrives within the call that
    /// writes may be the response: a peer on this machine answers before that call returns.
    pub fn is_early(&self) -> bool {
        let arrival = self.last_read;
        arrival.is_kernel && self.first_write.is_some_and(|sent| arrival.at < sent)
    }

    /// When the last bytes went either way: immediately before the write that handed them to the
    /// kernel, or when they arrived. `None` if none have.
    pub fn last_exchange(&self) -> Option<Stamp> {
        let arrived = (self.last_read != Arrival::default()).then_some(self.last_read.at);
        self.last_write.max(arrived)
    }

    /// When the bytes of the last read arrived.
    pub fn last_read(&self) -> Arrival {
        self.last_read
    }

    /// Whether an idle connection is still usable: nothing has arrived and it is not closed.
    ///
    /// This asks the kernel: what the runtime knows may be old.
    #[cfg(unix)]
    pub fn is_idle(&self) -> bool {
        use nix::sys::socket::{MsgFlags, recv};
        use std::os::fd::AsRawFd;
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        recv(self.socket.as_raw_fd(), &mut [0; 1], flags) == Err(nix::errno::Errno::EAGAIN)
    }

    /// Whether an idle connection is still usable: nothing has arrived and it is not closed.
    #[cfg(not(unix))]
    pub fn is_idle(&self) -> bool {
        let mut byte = [0; 1];
        matches!(self.socket.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Arrival)> {
        let capacity = buffer.len();
        let mut received = None;
        let tried = self.socket.try_read_with(|| {
            let read = self.receive_now(buffer)?;
            received = Some(read);
            // A short read has emptied the socket. Saying so here clears the readiness, which
            // spares the read that would only learn that there is nothing more.
            if 0 < read.0 && read.0 < capacity {
                Err(io::ErrorKind::WouldBlock.into())
            } else {
                Ok(())
            }
        });
        match received {
            Some(read) => Ok(read),
            None => tried.and(Err(io::ErrorKind::WouldBlock.into())),
        }
    }

    #[cfg(target_os = "linux")]
    fn receive_now(&self, buffer: &mut [u8]) -> io::Result<(usize, Arrival)> {
        use std::os::fd::AsRawFd;
        match self.stamps {
            StampSource::Auto | StampSource::Kernel | StampSource::Packet => {
                WORKER.with(|worker| worker.receive(self.socket.as_raw_fd(), buffer, self.drained))
            }
            StampSource::User => self.receive_plainly(buffer),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn receive_now(&self, buffer: &mut [u8]) -> io::Result<(usize, Arrival)> {
        self.receive_plainly(buffer)
    }

    fn receive_plainly(&self, buffer: &mut [u8]) -> io::Result<(usize, Arrival)> {
        #[cfg(unix)]
        let count = {
            use std::os::fd::AsRawFd;
            nix::sys::socket::recv(
                self.socket.as_raw_fd(),
                buffer,
                nix::sys::socket::MsgFlags::empty(),
            )?
        };
        #[cfg(not(unix))]
        let count = self.socket.try_read(buffer)?;
        Ok((
            count,
            WORKER.with(|worker| worker.arrival_now(self.drained)),
        ))
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(mut portions) = this.portions.take() else {
            return this.poll_receive(context, buffer);
        };
        let read = match portions.is_empty() {
            true => portions.fill(|buffer| this.poll_receive(context, buffer)),
            false => Poll::Ready(Ok(())),
        };
        if let Poll::Ready(Ok(())) = read {
            portions.give(buffer);
            this.last_read.position = this.received - portions.left() as u64;
        }
        this.portions = Some(portions);
        read
    }
}

impl TimedStream {
    /// Reads from the socket.
    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self;
        loop {
            ready!(this.socket.poll_read_ready(context))?;
            match this.receive(buffer.initialize_unfilled()) {
                Ok((count, mut arrival)) => {
                    this.received += count as u64;
                    arrival.position = this.received;
                    if count < buffer.remaining() {
                        this.drained = arrival.read();
                    }
                    buffer.advance(count);
                    this.last_read = arrival;
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let before = clock::now();
        let written = ready!(this.socket.poll_write(context, bytes))?;
        this.last_write = Some(before);
        if this.first_write.is_none() {
            this.first_write = Some(before);
            this.first_position = this.sent;
            // A response cannot arrive before its request has left.
            this.drained = before;
        }
        this.sent += written as u64;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().socket.poll_shutdown(context)
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use tokio::io::AsyncReadExt;

    use super::*;

    /// How well the realtime and the monotonic clock are matched, in nanoseconds.
    const MATCH: i64 = 1_000_000;

    async fn pair(stamps: StampSource) -> (TimedStream, std::net::TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (tcp, _) = listener.accept().await.unwrap();
        (TimedStream::new(tcp, stamps), peer)
    }

    #[tokio::test]
    async fn kernel_stamps_are_of_the_arrival_and_not_of_the_read() {
        let (mut stream, mut peer) = pair(StampSource::Kernel).await;
        let mut buffer = [0; 16];
        // The kernel begins to stamp soon after the first socket asks for it, not at once.
        let deadline = clock::now().after(Duration::from_secs(10));
        while !stream.last_read().is_kernel && clock::now() < deadline {
            peer.write_all(b"?").unwrap();
            assert_eq!(stream.read(&mut buffer).await.unwrap(), 1);
        }
        for text in [b"one", b"two"] {
            let before = clock::now();
            peer.write_all(text).unwrap();
            let after = clock::now();
            std::thread::sleep(Duration::from_millis(20));
            assert_eq!(stream.read(&mut buffer).await.unwrap(), 3);
            let arrival = stream.last_read();
            assert!(arrival.is_kernel);
            let at = arrival.at.0;
            assert!(
                before.0 - MATCH <= at && at <= after.0 + MATCH,
                "{before:?} {at}"
            );
            assert!(arrival.delay_ns > 18_000_000, "{arrival:?}");
        }
    }

    #[tokio::test]
    async fn without_kernel_stamps_the_time_is_that_of_the_read() {
        let (mut stream, mut peer) = pair(StampSource::User).await;
        peer.write_all(b"one").unwrap();
        std::thread::sleep(Duration::from_millis(20));
        let before = clock::now();
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 3);
        let arrival = stream.last_read();
        assert!(!arrival.is_kernel);
        assert!(before <= arrival.at && arrival.at <= clock::now());
    }

    #[tokio::test]
    async fn the_first_write_since_arming_is_stamped() {
        use tokio::io::AsyncWriteExt;
        let (mut stream, _peer) = pair(StampSource::Kernel).await;
        assert_eq!(stream.first_write(), None);
        stream.write_all(b"one").await.unwrap();
        let first = stream.first_write().unwrap();
        stream.write_all(b"two").await.unwrap();
        assert_eq!(stream.first_write(), Some(first));
        stream.arm();
        assert_eq!(stream.first_write(), None);
        let before = clock::now();
        stream.write_all(b"three").await.unwrap();
        assert!(stream.first_write().unwrap() >= before);
    }

    #[tokio::test]
    async fn only_what_came_before_the_first_write_is_early() {
        use tokio::io::AsyncWriteExt;
        let (mut stream, _peer) = pair(StampSource::Kernel).await;
        stream.write_all(b"one").await.unwrap();
        let sent = stream.first_write().unwrap();
        for (is_kernel, nanoseconds, is_early) in [
            (true, -1, true),
            (true, 0, false),
            (true, 1, false),
            (false, -1, false),
        ] {
            stream.last_read = Arrival {
                at: Stamp(sent.0 + nanoseconds),
                is_kernel,
                ..Arrival::default()
            };
            assert_eq!(stream.is_early(), is_early, "{is_kernel} {nanoseconds}");
        }
    }

    /// The runtime does not know of what has just arrived; the kernel does.
    #[tokio::test]
    async fn a_stream_is_idle_until_anything_arrives() {
        let (stream, mut peer) = pair(StampSource::Kernel).await;
        assert!(stream.is_idle());
        peer.write_all(b"x").unwrap();
        // Never would be a hang: the loop has no point at which the runtime could learn of it.
        while stream.is_idle() {}
        let (stream, peer) = pair(StampSource::Kernel).await;
        drop(peer);
        while stream.is_idle() {}
    }
}

/// A socket that receives nothing and keeps the kernel stamping. It begins to stamp some time after
/// the first socket asks, and ends after the last one is gone: without this one, the first packets
/// of a run could go without.
#[derive(Debug)]
pub(super) struct StampKeeper(
    #[expect(dead_code, reason = "it is there to be held")] Option<UdpSocket>,
);

impl StampKeeper {
    pub(super) fn new(stamps: StampSource) -> Self {
        let wanted = (stamps != StampSource::User).then(|| UdpSocket::bind("127.0.0.1:0").ok());
        Self(wanted.flatten().inspect(ask_for_stamps))
    }
}

#[cfg(target_os = "linux")]
fn ask_for_stamps(socket: &impl std::os::fd::AsFd) {
    use nix::sys::socket::{TimestampingFlag, setsockopt, sockopt::Timestamping};
    let flags = TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
    if let Err(reason) = setsockopt(socket, Timestamping, &flags) {
        tracing::debug!(%reason, "the kernel gives no receive stamps");
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_for_stamps<T>(_: &T) {}
