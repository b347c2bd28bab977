//! Which packets the kernel copies: a program of its packet filter.

use llmeter_kernel::{HEAD, SockFilter};

/// Which way packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From a server.
    Received,
    /// To a server.
    Sent,
}

/// The operations that are used here.
mod operation {
    pub(super) const LOAD_BYTE: u16 = 0x30;
    pub(super) const LOAD_HALF: u16 = 0x28;
    /// At the index register.
    pub(super) const LOAD_HALF_INDEXED: u16 = 0x48;
    /// Four times the low half of a byte goes to the index register: the length of IPv4's header.
    pub(super) const LOAD_HEADER_LENGTH: u16 = 0xb1;
    pub(super) const LOAD_BYTE_INDEXED: u16 = 0x50;
    /// A number that was kept, and the other way around.
    pub(super) const LOAD_KEPT: u16 = 0x60;
    pub(super) const KEEP: u16 = 0x02;
    pub(super) const AND: u16 = 0x54;
    pub(super) const SHIFT_RIGHT: u16 = 0x74;
    /// Of the index register, and to it.
    pub(super) const ADD_INDEX: u16 = 0x0c;
    pub(super) const SUBTRACT_INDEX: u16 = 0x1c;
    pub(super) const TO_INDEX: u16 = 0x07;
    pub(super) const JUMP_IF_EQUAL: u16 = 0x15;
    pub(super) const JUMP_IF_SET: u16 = 0x45;
    pub(super) const RETURN: u16 = 0x06;
    /// A byte that says which way a packet goes, and the number that stands for out.
    pub(super) const PACKET_TYPE: u32 = 0xffff_f004;
    pub(super) const OUTGOING: u32 = 4;
    /// Two bytes that say which protocol a packet has.
    pub(super) const PROTOCOL: u32 = 0xffff_f000;
}

/// Where a comparison leads.
#[derive(Clone, Copy)]
enum Then {
    Next,
    /// So many operations further.
    Skip(u8),
    /// It is of the servers', if it brings something.
    Look,
    Keep,
    Drop,
}

enum Step {
    Do(u16, u32),
    If(u16, u32, Then, Then),
}

/// The most ports that a program can tell apart; beyond, packets of all ports pass.
const MAX_PORTS: usize = 128;

/// The most bytes of headers: IPv4's, and of TCP's what is looked at.
const IPV4_HEAD: u32 = 60 + 20;

/// Lets through what goes by TCP from one of the ports, or to one, and brings bytes of a stream or opens one:
/// acknowledgements, of which a client sends one for each token, cost more than to pass them over. Later fragments
/// have no port and do not pass; packets of IPv6 with extensions pass, and are looked at when they are read.
pub(super) fn filter(way: Way, ethernet: u16, ports: &[u16]) -> Vec<SockFilter> {
    let program = program(way, ethernet, ports).into_iter();
    program
        .map(|(code, yes, no, value)| SockFilter::new(code, yes, no, value))
        .collect()
}

/// An operation, how far it jumps if so and if not, and its number.
type Operation = (u16, u8, u8, u32);

fn program(way: Way, ethernet: u16, ports: &[u16]) -> Vec<Operation> {
    use Step::{Do, If};
    use Then::{Drop, Keep, Look, Next, Skip};
    use operation::*;

    let mut steps = Vec::new();
    if way == Way::Sent {
        steps.extend([
            Do(LOAD_BYTE, PACKET_TYPE),
            If(JUMP_IF_EQUAL, OUTGOING, Next, Drop),
            Do(LOAD_HALF, PROTOCOL),
            If(JUMP_IF_EQUAL, ethernet.into(), Next, Drop),
        ]);
    }
    let port = match way {
        Way::Received => 0,
        Way::Sent => 2,
    };
    match ethernet {
        super::IPV4 => steps.extend([
            Do(LOAD_BYTE, 9),
            If(JUMP_IF_EQUAL, 6, Next, Drop),
            Do(LOAD_HALF, 6),
            If(JUMP_IF_SET, 0x1fff, Drop, Next),
            Do(LOAD_HEADER_LENGTH, 0),
            Do(LOAD_HALF_INDEXED, port),
        ]),
        _ => steps.extend([
            Do(LOAD_BYTE, 6),
            If(JUMP_IF_EQUAL, 6, Skip(3), Next),
            // Extensions may come before.
            If(JUMP_IF_EQUAL, 0, Keep, Next),
            If(JUMP_IF_EQUAL, 43, Keep, Next),
            If(JUMP_IF_EQUAL, 60, Keep, Drop),
            Do(LOAD_HALF, 40 + port),
        ]),
    }
    if ports.len() <= MAX_PORTS {
        for port in ports {
            steps.push(If(JUMP_IF_EQUAL, u32::from(*port), Look, Next));
        }
        steps.push(Do(RETURN, 0));
    }
    let look = steps.len();
    // TCP's flags, the packet's length (0 of those that the kernel has merged beyond what it can say), and that of
    // the headers.
    let (flags, length, offset) = match ethernet {
        super::IPV4 => (
            Do(LOAD_BYTE_INDEXED, 13),
            Do(LOAD_HALF, 2),
            Do(LOAD_BYTE_INDEXED, 12),
        ),
        _ => (
            Do(LOAD_BYTE, 40 + 13),
            Do(LOAD_HALF, 4),
            Do(LOAD_BYTE, 40 + 12),
        ),
    };
    steps.extend([
        flags,
        If(JUMP_IF_SET, 0b10, Keep, Next),
        length,
        If(JUMP_IF_EQUAL, 0, Keep, Next),
        Do(KEEP, 0),
        offset,
        Do(AND, 0xf0),
        Do(SHIFT_RIGHT, 2),
    ]);
    if ethernet == super::IPV4 {
        steps.push(Do(ADD_INDEX, 0));
    }
    steps.extend([
        Do(TO_INDEX, 0),
        Do(LOAD_KEPT, 0),
        Do(SUBTRACT_INDEX, 0),
        If(JUMP_IF_EQUAL, 0, Drop, Keep),
    ]);
    steps.push(Do(
        RETURN,
        match ethernet {
            super::IPV4 => IPV4_HEAD,
            _ => HEAD as u32,
        },
    ));
    let (keep, drop) = (steps.len() - 1, steps.len());
    steps.push(Do(RETURN, 0));
    let jump = |from: usize, then: Then| match then {
        Next => 0,
        Skip(count) => count,
        Look => (look - from - 1) as u8,
        Keep => (keep - from - 1) as u8,
        Drop => (drop - from - 1) as u8,
    };
    let assemble = |(at, step): (usize, &Step)| match *step {
        Do(code, value) => (code, 0, 0, value),
        If(code, value, yes, no) => (code, jump(at, yes), jump(at, no), value),
    };
    steps.iter().enumerate().map(assemble).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{IPV4, IPV6};

    /// Carries a program out, as the kernel does, for a packet that comes in.
    fn pass(program: &[Operation], packet: &[u8]) -> u32 {
        use operation::*;
        let byte = |at: usize| packet.get(at).map(|byte| u32::from(*byte));
        let half = |at: usize| Some(byte(at)? << 8 | byte(at + 1)?);
        let (mut a, mut x, mut kept, mut at) = (0, 0, 0, 0);
        loop {
            let (code, yes, no, value) = program[at];
            let place = value as usize;
            at += 1;
            let loaded = match code {
                LOAD_BYTE => byte(place),
                LOAD_HALF => half(place),
                LOAD_BYTE_INDEXED => byte(x as usize + place),
                LOAD_HALF_INDEXED => half(x as usize + place),
                LOAD_KEPT => Some(kept),
                LOAD_HEADER_LENGTH => {
                    x = (packet[place] & 0xf).into();
                    x *= 4;
                    Some(a)
                }
                KEEP => {
                    kept = a;
                    Some(a)
                }
                TO_INDEX => {
                    x = a;
                    Some(a)
                }
                AND => Some(a & value),
                SHIFT_RIGHT => Some(a >> value),
                ADD_INDEX => Some(a + x),
                SUBTRACT_INDEX => Some(a - x),
                JUMP_IF_EQUAL | JUMP_IF_SET => {
                    let is_so = match code {
                        JUMP_IF_EQUAL => a == value,
                        _ => a & value != 0,
                    };
                    at += usize::from(if is_so { yes } else { no });
                    Some(a)
                }
                RETURN => return value,
                code => panic!("{code:#x}"),
            };
            let Some(loaded) = loaded else { return 0 };
            a = loaded;
        }
    }

    /// A segment of a server at port 80, with options of IP's and TCP's in words of four bytes.
    fn segment(ethernet: u16, words: (u8, u8), flags: u8, payload: usize) -> Vec<u8> {
        let mut tcp = vec![
            0,
            80,
            200,
            0,
            0,
            0,
            0,
            1,
            0,
            0,
            0,
            1,
            (5 + words.1) << 4,
            flags,
        ];
        tcp.resize(20 + 4 * usize::from(words.1) + payload, 1);
        let mut packet = vec![
            0;
            if ethernet == IPV4 {
                20 + 4 * usize::from(words.0)
            } else {
                40
            }
        ];
        let (at, length) = match ethernet {
            IPV4 => (2, packet.len() + tcp.len()),
            _ => (4, tcp.len()),
        };
        match ethernet {
            IPV4 => (packet[0], packet[9]) = (0x45 + words.0, 6),
            _ => (packet[0], packet[6]) = (0x60, 6),
        }
        packet[at..at + 2].copy_from_slice(&(length as u16).to_be_bytes());
        packet.extend(tcp);
        packet
    }

    #[test]
    fn what_brings_or_opens_something_passes() {
        for ethernet in [IPV4, IPV6] {
            for ports in [vec![80], (1..=100).collect(), (1..=300).collect()] {
                let program = program(Way::Received, ethernet, &ports);
                let passes = |packet: &[u8]| pass(&program, packet) > 0;
                for ip in 0..=10 {
                    for tcp in 0..=10 {
                        let packet = |flags, payload| segment(ethernet, (ip, tcp), flags, payload);
                        assert!(passes(&packet(0x10, 1)));
                        assert!(passes(&packet(0x18, 1400)));
                        assert!(!passes(&packet(0x10, 0)), "an acknowledgement");
                        assert!(passes(&packet(0x12, 0)), "it opens a connection");
                    }
                }
                let mut merged = segment(ethernet, (0, 3), 0x10, 9);
                let at = if ethernet == IPV4 { 2 } else { 4 };
                merged[at..at + 2].fill(0);
                assert!(passes(&merged), "its length is not known");
                let mut other = segment(ethernet, (0, 3), 0x10, 9);
                let port = if ethernet == IPV4 { 20 } else { 40 };
                other[port..port + 2].copy_from_slice(&999_u16.to_be_bytes());
                assert_eq!(passes(&other), ports.len() > MAX_PORTS);
            }
        }
    }
}
