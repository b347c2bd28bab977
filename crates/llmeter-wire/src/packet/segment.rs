//! The head of a TCP segment within an IP packet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const TCP: u8 = 6;
const SYN: u8 = 0b10;

/// What a segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) sequence: u32,
    /// Bytes of the stream.
    pub(crate) length: u32,
    /// Whether it opens its direction of a connection.
    pub(crate) is_opening: bool,
}

impl Segment {
    /// Reads the first bytes of an IP packet that has so many in all. `None` if it is no TCP segment, or
    /// no first fragment of one.
    pub(crate) fn parse(bytes: &[u8], packet: usize) -> Option<Self> {
        let (from, to, tcp, total) = match bytes.first()? >> 4 {
            4 => ipv4(bytes, packet)?,
            6 => ipv6(bytes, packet)?,
            _ => return None,
        };
        let head = bytes.get(tcp..tcp + 14)?;
        let offset = usize::from(head[12] >> 4) * 4;
        let length = total.checked_sub(tcp + offset)?;
        Some(Self {
            from: SocketAddr::new(from, number(head, 0)),
            to: SocketAddr::new(to, number(head, 2)),
            sequence: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            length: u32::try_from(length).ok()?,
            is_opening: head[13] & SYN != 0,
        })
    }
}

fn number(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Addresses, where TCP begins, and the packet's length. That of packets which the kernel has merged beyond
/// what the header can say is 0 there.
fn ipv4(bytes: &[u8], packet: usize) -> Option<(IpAddr, IpAddr, usize, usize)> {
    let header = bytes.get(..20)?;
    let begin = usize::from(header[0] & 0xf) * 4;
    let is_later_fragment = number(header, 6) & 0x1fff != 0;
    if header[9] != TCP || is_later_fragment || begin < 20 {
        return None;
    }
    let address = |at: usize| {
        IpAddr::from(Ipv4Addr::new(
            header[at],
            header[at + 1],
            header[at + 2],
            header[at + 3],
        ))
    };
    let total = match number(header, 2) {
        0 => packet,
        total => total.into(),
    };
    Some((address(12), address(16), begin, total))
}

fn ipv6(bytes: &[u8], packet: usize) -> Option<(IpAddr, IpAddr, usize, usize)> {
    let header = bytes.get(..40)?;
    let address = |at: usize| {
        let bytes: [u8; 16] = header[at..at + 16].try_into().ok()?;
        Some(IpAddr::from(Ipv6Addr::from(bytes)))
    };
    let total = match number(header, 4) {
        0 => packet,
        payload => 40 + usize::from(payload),
    };
    let (mut next, mut begin) = (header[6], 40);
    // Hop-by-hop options, routing and destination options may come before.
    while matches!(next, 0 | 43 | 60) {
        let extension = bytes.get(begin..begin + 2)?;
        next = extension[0];
        begin += (usize::from(extension[1]) + 1) * 8;
    }
    let (from, to) = (address(8)?, address(24)?);
    (next == TCP).then_some((from, to, begin, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many bytes as are shown of a packet.
    const HEAD: usize = 176;

    fn tcp(flags: u8) -> Vec<u8> {
        let mut bytes = vec![0x1f, 0x90, 0xc0, 0x00, 1, 2, 3, 4, 0, 0, 0, 0, 0x80, flags];
        bytes.resize(32, 0); // with twelve bytes of options
        bytes
    }

    #[test]
    fn ports_numbers_and_lengths_are_read() {
        let mut packet = vec![
            0x46, 0, 0, 66, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ];
        packet.extend([1, 1, 1, 1]); // an option
        packet.extend(tcp(0b1_1000));
        let segment = Segment::parse(&packet, 66).unwrap();
        assert_eq!(segment.from, "10.0.0.1:8080".parse().unwrap());
        assert_eq!(segment.to, "10.0.0.2:49152".parse().unwrap());
        assert_eq!((segment.sequence, segment.length), (0x0102_0304, 10));
        assert!(!segment.is_opening);
        // Merged beyond 64 KiB.
        (packet[2], packet[3]) = (0, 0);
        let merged = Segment::parse(&packet, 100_056).unwrap();
        assert_eq!(merged.length, 100_000);
        packet[7] = 1;
        assert_eq!(Segment::parse(&packet, 66), None, "a later fragment");
    }

    #[test]
    fn extensions_of_ipv6_are_passed_over() {
        let mut packet = vec![0x60, 0, 0, 0, 0, 45, 60, 64];
        packet.extend([0; 15]);
        packet.push(1);
        packet.extend([0; 15]);
        packet.push(2);
        packet.extend([6, 0, 0, 0, 0, 0, 0, 0]);
        packet.extend(tcp(0b1_0010));
        let segment = Segment::parse(&packet, 85).unwrap();
        assert_eq!(segment.from, "[::1]:8080".parse().unwrap());
        assert_eq!(segment.to, "[::2]:49152".parse().unwrap());
        assert_eq!((segment.length, segment.is_opening), (5, true));
    }

    #[test]
    fn anything_else_is_no_segment() {
        assert_eq!(Segment::parse(&[], 0), None);
        assert_eq!(Segment::parse(&[0x45; 19], 19), None);
        for length in 0..HEAD {
            // Nothing is read beyond what there is.
            let _ = Segment::parse(&[0x60; HEAD][..length], length);
            let _ = Segment::parse(&[0x45; HEAD][..length], length);
        }
    }
}
