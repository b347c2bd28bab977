//! When each byte arrived, from copies of the packets that brought it (Linux).
//!
//! The kernel keeps one stamp for bytes that it merges before they are read, so that a worker which is
//! behind finds first tokens with the time of later ones. A packet socket shows each packet with a stamp
//! of its own, whatever the worker does meanwhile. Where a stream's bytes are within its packets follows
//! from TCP's sequence numbers.
//!
//! A packet is in the capture's queue before the socket that it belongs to can be read. Nothing waits for
//! the capture, therefore: whoever decodes bytes that were read takes in what is in the queue, and finds
//! all that is needed there.

mod segment;
#[cfg_attr(not(target_os = "linux"), path = "no_socket.rs")]
mod socket;
mod timeline;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use self::socket::CaptureSocket;
use self::timeline::{Part, Timeline};
use crate::clock::{self, Stamp};

/// A connection that brought nothing for so long is forgotten, in nanoseconds. If it brings more, it is
/// placed anew.
const FORGOTTEN_NS: i64 = 300_000_000_000;
/// Connections from which on the forgotten ones are looked for.
const MANY: usize = 20_000;

/// A connection, by its two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Link {
    /// This machine's end.
    pub client: SocketAddr,
    /// The server's, or the proxy's.
    pub server: SocketAddr,
}

impl Link {
    /// The ends as packets have them: an IPv4 address within IPv6 is an IPv4 address.
    pub fn new(client: SocketAddr, server: SocketAddr) -> Self {
        let plain =
            |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        Self {
            client: plain(client),
            server: plain(server),
        }
    }
}

/// Receives copies of what servers send by TCP, and knows when each byte became readable.
#[derive(Debug)]
pub struct PacketCapture {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    sockets: Vec<CaptureSocket>,
    links: HashMap<Link, Known>,
    /// From here on connections that are forgotten are looked for.
    many: usize,
}

#[derive(Debug, Default)]
struct Known {
    timeline: Timeline,
    last: Stamp,
}

/// What a capture can say of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CaptureState {
    /// Packets that were lost because nobody read them in time.
    pub dropped: u64,
    /// Whether the kernel gave it little memory, so that it loses packets easily.
    pub is_small: bool,
}

impl PacketCapture {
    /// Begins to capture what comes from these servers. What was open before is placed when it brings its
    /// next answer.
    ///
    /// # Errors
    /// When the system does not permit it: it takes `CAP_NET_RAW`.
    pub fn open(servers: &[SocketAddr]) -> io::Result<Self> {
        let mut sockets = Vec::new();
        for is_ipv6 in [false, true] {
            let mut ports: Vec<u16> = servers
                .iter()
                .filter(|server| server.ip().to_canonical().is_ipv6() == is_ipv6)
                .map(SocketAddr::port)
                .collect();
            ports.sort_unstable();
            ports.dedup();
            if !ports.is_empty() {
                sockets.push(CaptureSocket::open(is_ipv6, &ports)?);
            }
        }
        Ok(Self {
            inner: Mutex::new(Inner {
                sockets,
                links: HashMap::new(),
                many: MANY,
            }),
        })
    }

    /// Takes in what was captured, and lends what is known of a connection.
    ///
    /// # Errors
    /// When the capture fails.
    pub fn stamps(&self, link: Link) -> io::Result<LinkStamps<'_>> {
        let mut inner = self.inner();
        inner.take_in()?;
        Ok(LinkStamps { inner, link })
    }

    /// What is known of the capture itself.
    pub fn state(&self) -> CaptureState {
        let inner = self.inner();
        let dropped = inner.sockets.iter().map(|socket| u64::from(socket.dropped));
        CaptureState {
            dropped: dropped.sum(),
            is_small: inner.sockets.iter().any(|socket| socket.is_small),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn take_in(&mut self) -> io::Result<()> {
        let Self {
            sockets,
            links,
            many,
        } = self;
        let now = clock::now();
        for socket in sockets {
            socket.read(|segment, at| {
                let known = links
                    .entry(Link::new(segment.to, segment.from))
                    .or_default();
                known.last = at;
                if segment.is_opening {
                    known.timeline.opened(segment.sequence);
                } else if segment.length > 0 {
                    known.timeline.arrived(Part {
                        sequence: segment.sequence,
                        length: segment.length,
                        at,
                    });
                }
            })?;
        }
        if links.len() > *many {
            links.retain(|_, known| now.0 - known.last.0 < FORGOTTEN_NS);
            *many = MANY.max(links.len() * 2);
        }
        Ok(())
    }
}

/// What is known of one connection. Others wait while this is held.
#[derive(Debug)]
pub struct LinkStamps<'a> {
    inner: MutexGuard<'a, Inner>,
    link: Link,
}

impl LinkStamps<'_> {
    /// Says of a connection whose opening was not seen that what arrived first after `since` is the byte
    /// at `position`: nothing was under way then.
    pub fn place(&mut self, position: u64, since: Stamp) {
        if let Some(known) = self.inner.links.get_mut(&self.link) {
            known.timeline.place(position, since);
        }
    }

    /// Whether it is known where the stream begins.
    pub fn is_placed(&self) -> bool {
        let known = self.inner.links.get(&self.link);
        known.is_some_and(|known| known.timeline.is_placed())
    }

    /// Tells where, within the bytes from `from` to `to`, what became readable together ends, and when it
    /// did; the last end is `to`. `false` if not all of it is known. What lies before `from` is forgotten.
    pub fn tell(&mut self, from: u64, to: u64, tell: impl FnMut(u64, Stamp)) -> bool {
        let known = self.inner.links.get_mut(&self.link);
        known.is_some_and(|known| known.timeline.tell(from, to, tell))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// A listener whose packets are captured; `None` where that is not permitted.
    fn captured(address: &str) -> Option<(TcpListener, PacketCapture)> {
        let listener = TcpListener::bind(address).ok()?;
        let server = listener.local_addr().unwrap();
        match PacketCapture::open(&[server]) {
            Ok(capture) => Some((listener, capture)),
            Err(reason) => {
                assert_eq!(reason.kind(), io::ErrorKind::PermissionDenied);
                None
            }
        }
    }

    /// Bytes that the kernel merges, since they are read late, have a time each.
    #[test]
    fn bytes_that_are_read_together_have_times_of_their_own() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Some((listener, capture)) = captured(address) else {
                continue;
            };
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            server.set_nodelay(true).unwrap();
            let mut written = Vec::new();
            for _ in 0..5 {
                let before = clock::now();
                server.write_all(b"token").unwrap();
                written.push((before, clock::now()));
            }
            let mut read = [0; 25];
            client.read_exact(&mut read).unwrap();
            let link = Link::new(client.local_addr().unwrap(), client.peer_addr().unwrap());
            let mut stamps = capture.stamps(link).unwrap();
            let mut told = Vec::new();
            assert!(stamps.tell(0, 25, |end, at| told.push((end, at))));
            let ends: Vec<u64> = told.iter().map(|(end, _)| *end).collect();
            assert_eq!(ends, [5, 10, 15, 20, 25], "{address}");
            for ((_, at), (before, after)) in told.iter().zip(written) {
                // The two clocks are matched to some microseconds.
                let slack = 1_000_000;
                assert!(before.0 - slack <= at.0 && at.0 <= after.0 + slack);
            }
            drop(stamps);
            assert_eq!(capture.state().dropped, 0);
        }
    }

    #[test]
    fn other_ports_are_not_seen() {
        let Some((_listener, capture)) = captured("127.0.0.1:0") else {
            return;
        };
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(other.local_addr().unwrap()).unwrap();
        let link = Link::new(client.local_addr().unwrap(), client.peer_addr().unwrap());
        assert!(!capture.stamps(link).unwrap().is_placed());
    }
}
