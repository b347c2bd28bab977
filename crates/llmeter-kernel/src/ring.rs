//! A socket that shows the head of each packet.

use std::io;

use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use crate::memory::{SLOT, SharedSlots};

/// The most bytes of a packet that are shown, from its IP header on.
pub const HEAD: usize = SLOT - BEFORE;

/// The kernel's header, the addresses of the link and their alignment.
const BEFORE: usize = 80;
/// Where the packet's type is in the addresses, which follow the header of 32 bytes.
const PACKET_TYPE: usize = 32 + 10;

/// A packet as the kernel shows it.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Its first bytes, from the IP header on.
    pub head: &'a [u8],
    /// Its bytes in all.
    pub length: usize,
    /// When it came or left, in nanoseconds of the realtime clock.
    pub realtime_ns: i64,
    /// Whether this machine sends it.
    pub is_outgoing: bool,
}

/// Copies of packets' heads in memory that is shared with the kernel.
#[derive(Debug)]
pub struct PacketRing {
    slots: SharedSlots,
    next: usize,
    dropped: u64,
}

impl PacketRing {
    /// Copies packets of an Ethernet protocol (`ETH_P_IP`, …) that pass the filter, into so many slots of 256
    /// bytes. With `ETH_P_ALL` those that this machine sends are among them.
    ///
    /// # Errors
    /// When the system does not permit it, which takes `CAP_NET_RAW`, or has no memory.
    pub fn open(protocol: u16, filter: &[SockFilter], slots: usize) -> io::Result<Self> {
        let protocol = Protocol::from(i32::from(protocol.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
        // What comes before the filter is there is dropped when the ring is made.
        socket.attach_filter(filter)?;
        Ok(Self {
            slots: SharedSlots::new(socket, slots)?,
            next: 0,
            dropped: 0,
        })
    }

    /// Shows what has come. At most as many as there are slots, so that it ends whatever comes meanwhile.
    /// Returns how many those were.
    pub fn read(&mut self, mut see: impl FnMut(Frame<'_>)) -> usize {
        for count in 0..self.slots.count() {
            if !self.slots.take(self.next, |slot| see(frame(slot))) {
                return count;
            }
            self.next = (self.next + 1) % self.slots.count();
        }
        self.slots.count()
    }

    /// Packets that found no slot, since nobody read those before them.
    pub fn dropped(&mut self) -> u64 {
        self.dropped += u64::from(self.slots.dropped().unwrap_or(0));
        self.dropped
    }
}

/// `struct tpacket2_hdr` and `struct sockaddr_ll` of the kernel's `if_packet.h`.
fn frame(slot: &[u8; SLOT]) -> Frame<'_> {
    let word = |at: usize| u32::from_ne_bytes([slot[at], slot[at + 1], slot[at + 2], slot[at + 3]]);
    let half = |at: usize| usize::from(u16::from_ne_bytes([slot[at], slot[at + 1]]));
    let (length, kept, begin) = (word(4) as usize, word(8) as usize, half(14));
    let end = (begin + kept).min(SLOT);
    Frame {
        head: slot.get(begin..end).unwrap_or_default(),
        length,
        realtime_ns: i64::from(word(16)) * 1_000_000_000 + i64::from(word(20)),
        is_outgoing: slot[PACKET_TYPE] == libc::PACKET_OUTGOING,
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    const KEEP_ALL: SockFilter = SockFilter::new(0x06, 0, 0, u32::MAX);

    /// A ring; `None` where that is not permitted.
    fn ring(slots: usize) -> Option<PacketRing> {
        match PacketRing::open(libc::ETH_P_IP as u16, &[KEEP_ALL], slots) {
            Ok(ring) => Some(ring),
            Err(reason) => {
                assert_eq!(reason.kind(), io::ErrorKind::PermissionDenied);
                eprintln!("skipped: packets cannot be captured: {reason}");
                None
            }
        }
    }

    #[test]
    fn packets_are_shown_in_order_and_go_around() {
        let Some(mut ring) = ring(1) else {
            return;
        };
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = sender.local_addr().unwrap().port();
        let mut seen = Vec::new();
        let slots = ring.slots.count();
        for number in 0..3 * slots as u32 {
            let payload = [&number.to_be_bytes()[..], &[7; 400]].concat();
            sender
                .send_to(&payload, receiver.local_addr().unwrap())
                .unwrap();
            ring.read(|frame| {
                let is_ours = frame.head[9] == 17 && frame.head[20..22] == port.to_be_bytes();
                if is_ours {
                    assert_eq!((frame.length, frame.head.len()), (432, HEAD));
                    assert!(!frame.is_outgoing && frame.realtime_ns > 1_600_000_000_000_000_000);
                    seen.push(u32::from_be_bytes(frame.head[28..32].try_into().unwrap()));
                }
            });
        }
        assert_eq!(seen, (0..3 * slots as u32).collect::<Vec<_>>());
    }

    #[test]
    fn what_finds_no_slot_is_counted() {
        let Some(mut ring) = ring(1) else {
            return;
        };
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..ring.slots.count() + 10 {
            sender
                .send_to(b"?", receiver.local_addr().unwrap())
                .unwrap();
        }
        assert!(ring.dropped() >= 10);
        assert_eq!(ring.read(|_| {}), ring.slots.count());
    }
}
