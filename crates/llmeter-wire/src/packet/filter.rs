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
    Keep,
    Drop,
}

enum Step {
    Do(u16, u32),
    If(u16, u32, Then, Then),
}

/// The most ports that a program can tell apart; beyond, packets of all ports pass.
const MAX_PORTS: usize = 128;

/// Lets through what goes by TCP from one of the ports, or to one. Later fragments have no port and do not
/// pass; packets of IPv6 with extensions pass, and are looked at when they are read.
pub(super) fn filter(way: Way, ethernet: u16, ports: &[u16]) -> Vec<SockFilter> {
    use Step::{Do, If};
    use Then::{Drop, Keep, Next, Skip};
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
            steps.push(If(JUMP_IF_EQUAL, u32::from(*port), Keep, Next));
        }
        steps.push(Do(RETURN, 0));
    }
    steps.push(Do(RETURN, HEAD as u32));
    let (keep, drop) = (steps.len() - 1, steps.len());
    steps.push(Do(RETURN, 0));
    let jump = |from: usize, then: Then| match then {
        Next => 0,
        Skip(count) => count,
        Keep => (keep - from - 1) as u8,
        Drop => (drop - from - 1) as u8,
    };
    let assemble = |(at, step): (usize, &Step)| match *step {
        Do(code, value) => SockFilter::new(code, 0, 0, value),
        If(code, value, yes, no) => SockFilter::new(code, jump(at, yes), jump(at, no), value),
    };
    steps.iter().enumerate().map(assemble).collect()
}
