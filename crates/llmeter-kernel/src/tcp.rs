//! What TCP knows of a connection: `struct tcp_info` of the kernel's `tcp.h`.
#![allow(unsafe_code, reason = "one call, below")]

use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What TCP knows of a connection. It takes no privilege to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpInfo {
    /// The smoothed round-trip time, in microseconds. 0 before there is one.
    pub round_trip_us: u32,
    /// The shortest round-trip time of late, in microseconds (Linux 4.6).
    pub min_round_trip_us: Option<u32>,
    /// Segments that this machine sent again, since the connection was opened.
    pub retransmissions: u32,
    /// Segments that came before one that was missing, since the connection was opened (Linux 5.4).
    pub out_of_order: Option<u32>,
}

impl TcpInfo {
    /// Asks the kernel.
    ///
    /// # Errors
    /// When the socket is none of TCP's.
    pub fn of(socket: BorrowedFd<'_>) -> io::Result<Self> {
        // SAFETY: the structure is numbers alone, each of which may be 0.
        let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
        let mut length = size_of_val(&info) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes, which the structure has; both outlive the call.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                (&raw mut info).cast(),
                &raw mut length,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // An older kernel knows less.
        let known = |offset: usize, value: u32| (offset + 4 <= length as usize).then_some(value);
        let min_round_trip = known(offset_of!(libc::tcp_info, tcpi_min_rtt), info.tcpi_min_rtt);
        Ok(Self {
            round_trip_us: info.tcpi_rtt,
            // The kernel's word for none.
            min_round_trip_us: min_round_trip.filter(|time| *time != u32::MAX),
            retransmissions: info.tcpi_total_retrans,
            out_of_order: known(
                offset_of!(libc::tcp_info, tcpi_rcv_ooopack),
                info.tcpi_rcv_ooopack,
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_connection_has_a_round_trip_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(b"?").unwrap();
        server.read_exact(&mut [0]).unwrap();
        server.write_all(b"!").unwrap();
        client.read_exact(&mut [0]).unwrap();
        let info = TcpInfo::of(client.as_fd()).unwrap();
        assert!(info.round_trip_us > 0);
        assert!(info.min_round_trip_us.unwrap() <= info.round_trip_us);
        assert_eq!(info.retransmissions, 0);
        assert_eq!(info.out_of_order, Some(0));
    }

    #[test]
    fn other_sockets_have_none() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(TcpInfo::of(socket.as_fd()).is_err());
    }
}
