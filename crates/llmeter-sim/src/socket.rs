//! The socket calls that the runtime does not offer.
//!
//! Belongs here: opening the listener, reading bytes together with their arrival, writing bytes
//! together with the time of the write. What the bytes mean is decided elsewhere.

use std::{io, net::SocketAddr};

use crate::clock::{self, Time};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;

/// When bytes came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) at: Time,
    /// Whether the kernel stamped them; if not, `at` is the time after the read.
    pub(crate) kernel: bool,
}

/// A listening socket with a queue long enough for thousands of clients that come at once.
pub(crate) fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // On Windows the option would let another process take the port over.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    // Set here already: the kernel stamps packets only while some socket asks for it, and a
    // request may arrive before its connection is accepted.
    #[cfg(target_os = "linux")]
    stamped::enable(&socket);
    socket.listen(8192)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Makes an accepted connection ready for use.
pub(crate) fn prepare(stream: &TcpStream) {
    // Without it frames would wait for acknowledgements. It fails only on a dead connection,
    // which the first read notices.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    stamped::enable(stream);
}

/// Writes all of `bytes`, in one call if the socket takes them.
///
/// Gives the time immediately before the call that handed over the last byte.
pub(crate) async fn write(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<Time> {
    loop {
        let stamp = clock::now();
        match stream.try_write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) if n >= bytes.len() => return Ok(stamp),
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads with arrival stamps. One per worker thread, because its buffers are shared by all
/// connections of the thread.
#[derive(Debug)]
pub(crate) struct Reader {
    bytes: Box<[u8]>,
    receiver: Receiver,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            bytes: vec![0; 1 << 16].into_boxed_slice(),
            receiver: Receiver::new(),
        }
    }

    /// Reads what is there. No bytes mean that the other side has closed.
    pub(crate) fn read(&mut self, stream: &TcpStream) -> io::Result<(&[u8], Arrival)> {
        let (length, arrival) = self.receiver.receive(stream, &mut self.bytes)?;
        Ok((&self.bytes[..length], arrival))
    }
}

/// Receives bytes together with their arrival.
#[derive(Debug)]
pub(crate) struct Receiver {
    #[cfg(target_os = "linux")]
    stamps: stamped::Stamps,
}

impl Receiver {
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            stamps: stamped::Stamps::new(),
        }
    }

    /// Receives what is there, as far as there is room for it.
    pub(crate) fn receive(
        &mut self,
        stream: &TcpStream,
        bytes: &mut [u8],
    ) -> io::Result<(usize, Arrival)> {
        #[cfg(target_os = "linux")]
        return stream.try_io(tokio::io::Interest::READABLE, || {
            self.stamps.receive(stream, bytes)
        });
        #[cfg(not(target_os = "linux"))]
        {
            let length = stream.try_read(bytes)?;
            let at = clock::now();
            Ok((length, Arrival { at, kernel: false }))
        }
    }
}

#[cfg(target_os = "linux")]
mod stamped {
    use std::{
        io::{self, IoSliceMut},
        os::fd::{AsFd, AsRawFd},
    };

    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, TimestampingFlag, Timestamps, recvmsg, setsockopt, sockopt,
    };

    use super::Arrival;
    use crate::clock::{self, Arrivals};

    /// Asks for software receive stamps. A kernel that refuses leaves the times after the reads.
    pub(super) fn enable(socket: &impl AsFd) {
        let flags = TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
            | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
        let _ = setsockopt(socket, sockopt::Timestamping, &flags);
    }

    /// What it takes to read a stamp.
    #[derive(Debug)]
    pub(super) struct Stamps {
        control: Vec<u8>,
        arrivals: Arrivals,
    }

    impl Stamps {
        pub(super) fn new() -> Self {
            let mut control = nix::cmsg_space!(Timestamps);
            control.resize(control.capacity(), 0);
            Self {
                control,
                arrivals: Arrivals::default(),
            }
        }

        pub(super) fn receive(
            &mut self,
            socket: &impl AsRawFd,
            bytes: &mut [u8],
        ) -> io::Result<(usize, Arrival)> {
            let mut slices = [IoSliceMut::new(bytes)];
            let message = recvmsg::<()>(
                socket.as_raw_fd(),
                &mut slices,
                Some(&mut self.control),
                MsgFlags::empty(),
            )?;
            let realtime = message.cmsgs().ok().and_then(|mut all| {
                all.find_map(|one| match one {
                    ControlMessageOwned::ScmTimestampsns(stamps) => {
                        let time = stamps.system;
                        Some(time.tv_sec() * 1_000_000_000 + time.tv_nsec()).filter(|ns| *ns != 0)
                    }
                    _ => None,
                })
            });
            let stamped = realtime.and_then(|stamp| self.arrivals.time(stamp));
            let arrival = Arrival {
                at: stamped.unwrap_or_else(clock::now),
                kernel: stamped.is_some(),
            };
            Ok((message.bytes, arrival))
        }
    }
}
