//! The socket that shows a copy of each packet as it arrives.

use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::segment::{HEAD, Segment};
use crate::clock::{self, RealtimeOffset, Stamp};

/// Packets that one call reads.
const BATCH: usize = 256;
/// Memory for packets that were not read yet: enough for half a second of 100,000 a second.
const BUFFER: usize = 128 << 20;
/// A buffer below this does not hold what arrives while nobody reads.
const SMALL_BUFFER: usize = 8 << 20;

#[derive(Debug)]
pub(crate) struct CaptureSocket {
    socket: Socket,
    buffers: Vec<[u8; HEAD]>,
    offset: RealtimeOffset,
    /// Packets that the kernel had no room for.
    pub(crate) dropped: u32,
    /// Whether the kernel gave less memory than was asked for.
    pub(crate) is_small: bool,
}

impl CaptureSocket {
    /// Copies what comes from these ports by TCP, of one family.
    ///
    /// # Errors
    /// When the system does not permit it.
    pub(crate) fn open(is_ipv6: bool, ports: &[u16]) -> io::Result<Self> {
        let kind = match is_ipv6 {
            true => 0x86dd_u16,
            false => 0x0800,
        };
        // By its protocol: such a socket sees each packet once, as it comes in.
        let protocol = Protocol::from(i32::from(kind.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
        socket.attach_filter(&filter(is_ipv6, ports))?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        setsockopt(&socket, sockopt::RxqOvfl, &1)?;
        if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
            socket.set_recv_buffer_size(BUFFER)?;
        }
        let is_small = socket.recv_buffer_size()? < SMALL_BUFFER;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            buffers: vec![[0; HEAD]; BATCH],
            offset: RealtimeOffset::new(),
            dropped: 0,
            is_small,
        })
    }

    /// Reads what there is, and when it arrived.
    ///
    /// # Errors
    /// When the socket fails.
    pub(crate) fn read(&mut self, mut see: impl FnMut(Segment, Stamp)) -> io::Result<()> {
        let now = clock::now();
        loop {
            let heads = self.receive()?;
            for (buffer, (length, realtime_ns)) in self.buffers.iter().zip(&heads) {
                let read = &buffer[..(*length).min(HEAD)];
                // What came before the filter was there has no stamp.
                if let Some(segment) = Segment::parse(read, *length)
                    && *realtime_ns != 0
                {
                    see(segment, self.offset.to_monotonic(*realtime_ns, now));
                }
            }
            if heads.len() < BATCH {
                return Ok(());
            }
        }
    }

    /// Reads some packets into the buffers; gives the length and the stamp of each.
    fn receive(&mut self) -> io::Result<Vec<(usize, i64)>> {
        let control = nix::cmsg_space!(nix::sys::time::TimeSpec, u32);
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, Some(control));
        let mut slices: Vec<_> = self
            .buffers
            .iter_mut()
            .map(|buffer| [IoSliceMut::new(buffer)])
            .collect();
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        let fd = self.socket.as_raw_fd();
        let messages = match recvmmsg(fd, &mut headers, &mut slices, flags, None) {
            Ok(messages) => messages,
            // Nothing there, or the interface went down for a moment.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => return Ok(Vec::new()),
            Err(reason) => return Err(reason.into()),
        };
        let mut heads = Vec::with_capacity(BATCH);
        for message in messages {
            let mut realtime_ns = 0;
            for control in message.cmsgs()? {
                match control {
                    ControlMessageOwned::ScmTimestampns(stamp) => {
                        realtime_ns = stamp.tv_sec() * 1_000_000_000 + stamp.tv_nsec();
                    }
                    ControlMessageOwned::RxqOvfl(dropped) => self.dropped = dropped,
                    _ => {}
                }
            }
            heads.push((message.bytes, realtime_ns));
        }
        Ok(heads)
    }
}

/// The operations of the kernel's packet filter that are used here.
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
}

/// Lets through what comes by TCP from one of the ports. Later fragments have no port and do not pass;
/// packets of IPv6 with extensions pass, and are looked at here.
fn filter(is_ipv6: bool, ports: &[u16]) -> Vec<SockFilter> {
    use operation::{
        JUMP_IF_EQUAL, JUMP_IF_SET, LOAD_BYTE, LOAD_HALF, LOAD_HALF_INDEXED, LOAD_HEADER_LENGTH,
        RETURN,
    };
    // Jumps count the operations that they pass over; the last two are "drop" and "keep".
    let count = ports.len() as u8;
    let step = SockFilter::new;
    let mut program = match is_ipv6 {
        false => vec![
            step(LOAD_BYTE, 0, 0, 9),
            step(JUMP_IF_EQUAL, 0, 4 + count, 6),
            step(LOAD_HALF, 0, 0, 6),
            step(JUMP_IF_SET, 2 + count, 0, 0x1fff),
            step(LOAD_HEADER_LENGTH, 0, 0, 0),
            step(LOAD_HALF_INDEXED, 0, 0, 0),
        ],
        true => vec![
            step(LOAD_BYTE, 0, 0, 6),
            step(JUMP_IF_EQUAL, 3, 0, 6),
            step(JUMP_IF_EQUAL, 4 + count, 0, 0),
            step(JUMP_IF_EQUAL, 3 + count, 0, 43),
            step(JUMP_IF_EQUAL, 2 + count, 1 + count, 60),
            step(LOAD_HALF, 0, 0, 40),
        ],
    };
    for (at, port) in (0u8..).zip(ports) {
        program.push(step(JUMP_IF_EQUAL, count - at, 0, u32::from(*port)));
    }
    program.push(step(RETURN, 0, 0, 0));
    program.push(step(RETURN, 0, 0, u32::MAX));
    program
}
