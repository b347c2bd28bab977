//! Where the bytes go: the addresses of a name, which is resolved once, or a Unix socket.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::error::{Result, SetupError};
use crate::{ConnectError, Socket};

/// How long an address is waited for while there are others to try.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a Unix socket is left alone that has no room for another connection.
#[cfg(unix)]
const FULL_PAUSE: Duration = Duration::from_millis(1);

/// Where to connect.
#[derive(Debug)]
pub(super) enum Route {
    Tcp(Addresses),
    Unix(PathBuf),
}

impl Route {
    /// Resolves a name, blocking.
    pub(super) fn resolve(host: &str, port: u16) -> Result<Self> {
        let unresolved = |source: io::Error| SetupError::Unresolved {
            host: host.to_owned(),
            source,
        };
        let found = (host, port).to_socket_addrs().map_err(unresolved)?;
        let addresses = Addresses::new(found, ADDRESS_TIMEOUT);
        match addresses.known.is_empty() {
            true => Err(unresolved(io::Error::other("it has no address"))),
            false => Ok(Self::Tcp(addresses)),
        }
    }

    /// The addresses, of which a Unix socket has none.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        match self {
            Self::Tcp(addresses) => addresses.known.iter().map(|known| known.0).collect(),
            Self::Unix(_) => Vec::new(),
        }
    }

    /// Connects, and tells to which address. `turn` spreads connections over the addresses.
    pub(super) async fn connect(
        &self,
        turn: usize,
    ) -> Result<(Socket, Option<SocketAddr>), ConnectError> {
        match self {
            Self::Tcp(addresses) => {
                let (stream, address) = addresses.connect(turn).await?;
                // A request is one write, so that Nagle's delay would only ever hurt.
                stream.set_nodelay(true).ok();
                Ok((stream.into(), Some(address)))
            }
            #[cfg(unix)]
            Self::Unix(path) => loop {
                match tokio::net::UnixStream::connect(path).await {
                    Ok(stream) => return Ok((stream.into(), None)),
                    // As many wait as the server takes: where TCP would wait, this fails.
                    Err(reason) if reason.kind() == std::io::ErrorKind::WouldBlock => {
                        tokio::time::sleep(FULL_PAUSE).await;
                    }
                    Err(source) => {
                        let path = path.clone();
                        return Err(ConnectError::Unix { path, source });
                    }
                }
            },
            #[cfg(not(unix))]
            Self::Unix(_) => Err(ConnectError::NoAddress),
        }
    }
}

/// The addresses of one name. One that cannot be reached is passed over from then on, as long as
/// there is another that can.
#[derive(Debug)]
pub(super) struct Addresses {
    /// Each with whether the last attempt failed.
    known: Vec<(SocketAddr, AtomicBool)>,
    timeout: Duration,
}

impl Addresses {
    fn new(found: impl IntoIterator<Item = SocketAddr>, timeout: Duration) -> Self {
        let mut known: Vec<(SocketAddr, AtomicBool)> = Vec::new();
        for address in found {
            if known.iter().all(|(other, _)| *other != address) {
                known.push((address, AtomicBool::new(false)));
            }
        }
        Self { known, timeout }
    }

    async fn connect(&self, turn: usize) -> Result<(TcpStream, SocketAddr), ConnectError> {
        let (failed, mut order): (Vec<_>, Vec<_>) = self
            .known
            .iter()
            .partition(|(_, is_dead)| is_dead.load(Ordering::Relaxed));
        if !order.is_empty() {
            let start = turn % order.len();
            order.rotate_left(start);
        }
        order.extend(failed);
        let mut failure = ConnectError::NoAddress;
        let mut left = order.len();
        for (address, is_dead) in order {
            left -= 1;
            let attempt = TcpStream::connect(address);
            let result = match left {
                // The last one has all the time that the request has.
                0 => attempt.await,
                _ => match tokio::time::timeout(self.timeout, attempt).await {
                    Ok(result) => result,
                    Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
                },
            };
            is_dead.store(result.is_err(), Ordering::Relaxed);
            match result {
                Ok(stream) => return Ok((stream, *address)),
                Err(reason) => failure = ConnectError::Tcp(*address, reason),
            }
        }
        Err(failure)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, TcpListener};

    use super::*;

    /// Whole 127/8 is the loopback device's, on Linux.
    fn listener(last: u8, port: u16) -> TcpListener {
        TcpListener::bind((IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), port)).unwrap()
    }

    async fn reached(addresses: &Addresses, turn: usize) -> SocketAddr {
        addresses.connect(turn).await.unwrap().1
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn connections_are_spread_over_all_addresses() {
        let first = listener(1, 0);
        let port = first.local_addr().unwrap().port();
        let servers = [first, listener(2, port), listener(3, port)];
        let all = servers
            .each_ref()
            .map(|server| server.local_addr().unwrap());
        // A resolver may name an address twice.
        let addresses = Addresses::new(all.into_iter().chain(all), ADDRESS_TIMEOUT);
        for turn in 0..7 {
            assert_eq!(reached(&addresses, turn).await, all[turn % 3]);
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_address_where_nobody_listens_is_passed_over_until_somebody_does() {
        let alive = listener(1, 0);
        let port = alive.local_addr().unwrap().port();
        let alive = [alive, listener(3, port)].map(|server| (server.local_addr().unwrap(), server));
        let dead = listener(2, port).local_addr().unwrap();
        let addresses = Addresses::new([alive[0].0, dead, alive[1].0], ADDRESS_TIMEOUT);
        assert_eq!(
            reached(&addresses, 1).await,
            alive[1].0,
            "the one after the dead one"
        );
        // It is known now, and the turns go over the two others.
        for turn in 0..4 {
            assert_eq!(reached(&addresses, turn).await, alive[turn % 2].0);
        }
        let [one, other] = alive.map(|(address, server)| {
            drop(server);
            address
        });
        let revived = listener(2, port);
        assert_eq!(reached(&addresses, 0).await, dead, "better than nothing");
        assert_eq!(
            reached(&addresses, 1).await,
            dead,
            "and now the first choice"
        );
        drop(revived);
        let failure = addresses.connect(0).await.unwrap_err();
        let is_known =
            |address| matches!(&failure, ConnectError::Tcp(failed, _) if *failed == address);
        assert!([one, other, dead].into_iter().any(is_known), "{failure}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_address_that_does_not_answer_is_left_for_the_next() {
        // The kernel drops what asks for a connection when as many wait as a server takes.
        let silent =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        silent
            .bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())
            .unwrap();
        silent.listen(0).unwrap();
        let address = silent.local_addr().unwrap().as_socket().unwrap();
        let waiting = std::net::TcpStream::connect(address).unwrap();
        let alive = listener(2, 0);
        let addresses = Addresses::new(
            [address, alive.local_addr().unwrap()],
            Duration::from_millis(50),
        );
        assert_eq!(reached(&addresses, 0).await, alive.local_addr().unwrap());
        drop(waiting);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_unix_socket_without_room_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("full.sock");
        let full =
            socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        full.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
        full.listen(0).unwrap();
        let _first = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let route = Route::Unix(path);
        let mut second = std::pin::pin!(route.connect(0));
        let waited = tokio::time::timeout(Duration::from_millis(20), &mut second).await;
        assert!(waited.is_err(), "there is no room: {waited:?}");
        full.accept().unwrap();
        assert!(second.await.is_ok());
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_no_panic() {
        let none = Addresses::new([], ADDRESS_TIMEOUT);
        assert!(matches!(
            none.connect(3).await,
            Err(ConnectError::NoAddress)
        ));
    }
}
