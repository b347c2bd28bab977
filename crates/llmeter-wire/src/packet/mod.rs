//! When each byte arrived, from copies of the packets that brought it (Linux).
//!
//! The kernel keeps one stamp for bytes that it merges before they are read, so that a worker which is
//! behind finds first tokens with the time of later ones. A packet socket shows each packet with a stamp
//! of its own, whatever the worker does meanwhile. Where a stream's bytes are within its packets follows
//! from TCP's sequence numbers.
//!
//! A packet is in the capture's ring before the socket that it belongs to can be read. No worker waits for
//! the capture, therefore: a thread of its own empties the ring every 10 ms, and whoever decodes bytes that were
//! read asks it for what has come by then.

#[cfg(target_os = "linux")]
mod filter;
mod segment;
#[cfg_attr(not(target_os = "linux"), path = "no_tap.rs")]
mod tap;
mod timeline;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustc_hash::FxHashMap;

use self::tap::Tap;
use self::timeline::{Part, Timeline};
use crate::clock::{self, Stamp};

/// A connection that brought nothing for so long is forgotten, in nanoseconds. If it brings more, it is
/// placed anew.
const FORGOTTEN_NS: i64 = 300_000_000_000;
/// Connections from which on the forgotten ones are looked for.
const MANY: usize = 20_000;
/// How long the capture's thread sleeps, unless it is asked.
const NAP: Duration = Duration::from_millis(10);
/// Packets that wait for whoever wants to know of them, at most: some 100 MB.
const MAX_WAITING: usize = 1 << 20;
/// Packets that wait to be read, at most: those of a second, if 130,000 come in one. They take 256 bytes each.
const MAX_ROOM: usize = 128 * 1024;
/// The same, at least.
const MIN_ROOM: usize = 4 * 1024;
/// How many packets there is room for, for each stream: those of half a second at 8 ms a token.
const ROOM_OF_STREAM: usize = 64;
/// How long the thread is waited for that reads packets. It needs a core for a moment only.
const PATIENCE: Duration = Duration::from_secs(1);

/// Numbers of Ethernet's protocols.
#[cfg(target_os = "linux")]
const IPV4: u16 = 0x0800;
#[cfg(target_os = "linux")]
const IPV6: u16 = 0x86dd;

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

/// What one packet says.
#[derive(Debug, Clone, Copy)]
struct Record {
    link: Link,
    is_sent: bool,
    /// Whether it opens this direction of the connection.
    is_opening: bool,
    sequence: u32,
    length: u32,
    at: Stamp,
}

/// Receives copies of what goes between this machine and servers by TCP, and knows when each byte of what
/// they send became readable, and when what is sent to them left.
#[derive(Debug)]
pub struct PacketCapture {
    shared: Arc<Shared>,
    links: Mutex<Links>,
    thread: Option<JoinHandle<()>>,
}

/// What the capture's thread and those share who want to know.
#[derive(Debug, Default)]
struct Shared {
    intake: Mutex<Intake>,
    has_read: Condvar,
}

#[derive(Debug, Default)]
struct Intake {
    records: Vec<Record>,
    /// All packets are here that came before this.
    until: Stamp,
    is_awaited: bool,
    dropped: u64,
    /// Packets that nobody wanted to know of for so long that there was no room for more.
    overflowed: u64,
    is_over: bool,
}

#[derive(Debug, Default)]
struct Links {
    known: FxHashMap<Link, Known>,
    /// From here on connections that are forgotten are looked for.
    many: usize,
    /// Room for records, to be used again.
    records: Vec<Record>,
}

#[derive(Debug, Default)]
struct Known {
    received: Timeline,
    sent: Timeline,
    last: Stamp,
}

impl PacketCapture {
    /// Begins to capture what comes from these servers by so many streams at a time; `None` if that is not
    /// known. What was open before is placed when it brings its next answer.
    ///
    /// # Errors
    /// When the system does not permit it: it takes `CAP_NET_RAW`.
    pub fn open(servers: &[SocketAddr], streams: Option<usize>) -> io::Result<Self> {
        let room = streams.map_or(MAX_ROOM / 4, |streams| {
            streams.saturating_mul(ROOM_OF_STREAM)
        });
        let room = room.clamp(MIN_ROOM, MAX_ROOM);
        let mut taps = Vec::new();
        for is_ipv6 in [false, true] {
            let mut ports: Vec<u16> = servers
                .iter()
                .filter(|server| server.ip().to_canonical().is_ipv6() == is_ipv6)
                .map(SocketAddr::port)
                .collect();
            ports.sort_unstable();
            ports.dedup();
            if !ports.is_empty() {
                taps.push(Tap::open(is_ipv6, &ports, room)?);
            }
        }
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new().name("packets".to_owned());
        let thread = {
            let shared = shared.clone();
            thread.spawn(move || shared.keep_reading(taps))?
        };
        Ok(Self {
            shared,
            links: Mutex::new(Links {
                many: MANY,
                ..Links::default()
            }),
            thread: Some(thread),
        })
    }

    /// Lends what is known of a connection, with all that had come by `read`; `None` if nothing is.
    /// Others wait meanwhile.
    pub fn look<R>(
        &self,
        link: Link,
        read: Stamp,
        look: impl FnOnce(&mut LinkStamps<'_>) -> R,
    ) -> Option<R> {
        self.await_packets(read);
        let mut links = lock(&self.links);
        links.take_in(&self.shared);
        let known = links.known.get_mut(&link)?;
        Some(look(&mut LinkStamps { known }))
    }

    /// Packets that were lost because nobody read them in time.
    pub fn dropped(&self) -> u64 {
        let intake = lock(&self.shared.intake);
        intake.dropped + intake.overflowed
    }

    /// Waits until all packets are read that had come by then.
    fn await_packets(&self, read: Stamp) {
        let mut intake = lock(&self.shared.intake);
        while intake.until < read && !intake.is_over {
            intake.is_awaited = true;
            if let Some(thread) = &self.thread {
                thread.thread().unpark();
            }
            let waited = self.shared.has_read.wait_timeout(intake, PATIENCE);
            let (locked, time) = waited.unwrap_or_else(PoisonError::into_inner);
            intake = locked;
            if time.timed_out() {
                return;
            }
        }
    }
}

impl Drop for PacketCapture {
    fn drop(&mut self) {
        lock(&self.shared.intake).is_over = true;
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// The capture's thread. It keeps packets and looks at none, so that it is done in a moment and those
    /// that come meanwhile find room.
    fn keep_reading(&self, mut taps: Vec<Tap>) {
        let mut records = Vec::new();
        loop {
            let begun = clock::now();
            for tap in &mut taps {
                tap.read(|record| records.push(record));
            }
            let dropped = taps.iter_mut().map(Tap::dropped).sum();
            let mut intake = lock(&self.intake);
            if intake.records.is_empty() {
                std::mem::swap(&mut intake.records, &mut records);
            } else {
                let room = MAX_WAITING.saturating_sub(intake.records.len());
                intake.overflowed += records.len().saturating_sub(room) as u64;
                records.truncate(room);
                intake.records.append(&mut records);
            }
            intake.until = begun;
            intake.dropped = dropped;
            if std::mem::take(&mut intake.is_awaited) {
                self.has_read.notify_all();
            }
            if intake.is_over {
                return;
            }
            drop(intake);
            std::thread::park_timeout(NAP);
        }
    }
}

impl Links {
    fn take_in(&mut self, shared: &Shared) {
        std::mem::swap(&mut self.records, &mut lock(&shared.intake).records);
        for record in self.records.drain(..) {
            let known = self.known.entry(record.link).or_default();
            known.last = record.at;
            let timeline = match record.is_sent {
                false => &mut known.received,
                true => &mut known.sent,
            };
            if record.is_opening {
                timeline.opened(record.sequence);
            } else if record.length > 0 {
                timeline.arrived(Part {
                    sequence: record.sequence,
                    length: record.length,
                    at: record.at,
                });
            }
        }
        if self.known.len() > self.many {
            let now = clock::now();
            self.known
                .retain(|_, known| now.0 - known.last.0 < FORGOTTEN_NS);
            self.many = MANY.max(self.known.len() * 2);
        }
    }
}

/// What was missing on the way for some time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Holes {
    /// Seconds that bytes waited for others before them, summed.
    pub waited: f64,
    /// Segments of which all had come before.
    pub repeated: u32,
}

/// What is known of one connection.
#[derive(Debug)]
pub struct LinkStamps<'a> {
    known: &'a mut Known,
}

impl LinkStamps<'_> {
    /// Says of a connection whose opening was not seen that what arrived first after `since` is the byte
    /// at `position`: nothing was under way then.
    pub fn place(&mut self, position: u64, since: Stamp) {
        self.known.received.place(position, since);
    }

    /// Whether it is known where the stream begins.
    pub fn is_placed(&self) -> bool {
        self.known.received.is_placed()
    }

    /// Tells where, within the bytes from `from` to `to`, what became readable together ends, and when it
    /// did; the last end is `to`. `false` if not all of it is known. What lies before `from` is forgotten.
    pub fn tell(&mut self, from: u64, to: u64, tell: impl FnMut(u64, Stamp)) -> bool {
        self.known.received.tell(from, to, tell)
    }

    /// What happened on the way of what was received since this was last asked.
    pub fn take_holes(&mut self) -> Holes {
        let received = &mut self.known.received;
        Holes {
            waited: std::mem::take(&mut received.held_ns) as f64 * 1e-9,
            repeated: std::mem::take(&mut received.repeated),
        }
    }

    /// When the byte of what is sent left that has this position.
    pub fn left(&mut self, position: u64) -> Option<Stamp> {
        let mut left = None;
        self.known
            .sent
            .tell(position, position + 1, |_, at| left = Some(at));
        left
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        match PacketCapture::open(&[server], Some(1)) {
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
            let mut told = Vec::new();
            let is_known = capture.look(link, clock::now(), |stamps| {
                stamps.tell(0, 25, |end, at| told.push((end, at)))
            });
            assert_eq!(is_known, Some(true));
            let ends: Vec<u64> = told.iter().map(|(end, _)| *end).collect();
            assert_eq!(ends, [5, 10, 15, 20, 25], "{address}");
            for ((_, at), (before, after)) in told.iter().zip(written) {
                // The two clocks are matched to some microseconds.
                let slack = 1_000_000;
                assert!(before.0 - slack <= at.0 && at.0 <= after.0 + slack);
            }
            assert_eq!(capture.dropped(), 0);
        }
    }

    /// Requests leave within the call that writes them, unless the kernel is behind.
    #[test]
    fn the_time_at_which_bytes_leave_is_known() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Some((listener, capture)) = captured(address) else {
                continue;
            };
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            client.set_nodelay(true).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            let mut written = Vec::new();
            for _ in 0..3 {
                let before = clock::now();
                client.write_all(b"request").unwrap();
                written.push((before, clock::now()));
            }
            server.read_exact(&mut [0; 21]).unwrap();
            let link = Link::new(client.local_addr().unwrap(), client.peer_addr().unwrap());
            for (position, (before, after)) in [0, 7, 14].into_iter().zip(written) {
                let left = capture.look(link, clock::now(), |stamps| stamps.left(position));
                let left = left.flatten().unwrap();
                let slack = 1_000_000;
                assert!(before.0 - slack <= left.0 && left.0 <= after.0 + slack);
            }
            let later = capture.look(link, clock::now(), |stamps| stamps.left(21));
            assert_eq!(later, Some(None), "nothing was sent after them");
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
        assert_eq!(capture.look(link, clock::now(), |_| {}), None);
    }
}
