//! Where the bytes go: the addresses of a name, which is resolved once, or a Unix socket.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::error::{Result, SetupError};
use crate::sources::Sources;
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
            Self::Tcp(addresses) => addresses.known.iter().map(|known| known.address).collect(),
            Self::Unix(_) => Vec::new(),
        }
    }

    /// Connects, and tells to which address. `turn` spreads connections over the addresses.
    pub(super) async fn connect(
        &self,
        turn: usize,
        sources: &Sources,
    ) -> Result<(Socket, Option<SocketAddr>), ConnectError> {
        match self {
            Self::Tcp(addresses) => {
                let (stream, address) = addresses.connect(turn, sources).await?;
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
    known: Vec<Known>,
    timeout: Duration,
}

/// One address of a name.
#[derive(Debug)]
struct Known {
    address: SocketAddr,
    /// Whether the last attempt failed.
    is_dead: AtomicBool,
    /// Whether any attempt succeeded.
    was_reached: AtomicBool,
}

/// Whether this machine, not the address, is the reason that there is no connection.
fn is_local(reason: &io::Error, known: &Known) -> bool {
    match reason.kind() {
        // A machine without IPv6 says so, too.
        io::ErrorKind::AddrNotAvailable => {
            known.address.is_ipv4() || known.was_reached.load(Ordering::Relaxed)
        }
        io::ErrorKind::AddrInUse | io::ErrorKind::OutOfMemory => true,
        _ => {
            #[cfg(unix)]
            let codes = {
                use nix::libc::{EMFILE, ENFILE, ENOBUFS, ENOMEM};
                [EMFILE, ENFILE, ENOBUFS, ENOMEM]
            };
            #[cfg(not(unix))]
            let codes: [i32; 0] = [];
            reason
                .raw_os_error()
                .is_some_and(|code| codes.contains(&code))
        }
    }
}

impl Addresses {
    fn new(found: impl IntoIterator<Item = SocketAddr>, timeout: Duration) -> Self {
        let mut known: Vec<Known> = Vec::new();
        for address in found {
            if known.iter().all(|other| other.address != address) {
                known.push(Known {
                    address,
                    is_dead: AtomicBool::new(false),
                    was_reached: AtomicBool::new(false),
                });
            }
        }
        Self { known, timeout }
    }

    async fn connect(
        &self,
        turn: usize,
        sources: &Sources,
    ) -> Result<(TcpStream, SocketAddr), ConnectError> {
        let known = self.known.iter();
        let (failed, mut order): (Vec<_>, Vec<_>) = known
            .filter(|known| sources.reach(&known.address))
            .partition(|known| known.is_dead.load(Ordering::Relaxed));
        if !order.is_empty() {
            let start = turn % order.len();
            order.rotate_left(start);
        }
        order.extend(failed);
        let mut failure = ConnectError::NoAddress;
        let mut left = order.len();
        for known in order {
            left -= 1;
            let address = known.address;
            let attempt = sources.connect(address);
            let result = match left {
                // The last one has all the time that the request has.
                0 => attempt.await,
                _ => match tokio::time::timeout(self.timeout, attempt).await {
                    Ok(result) => result,
                    Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
                },
            };
            match result {
                Ok(stream) => {
                    known.is_dead.store(false, Ordering::Relaxed);
                    known.was_reached.store(true, Ordering::Relaxed);
                    return Ok((stream, address));
                }
                // No other address fares better, and its failure would hide this one.
                Err(reason) if is_local(&reason, known) => {
                    return Err(ConnectError::Tcp(address, reason));
                }
                Err(reason) => {
                    known.is_dead.store(true, Ordering::Relaxed);
                    let reason = match reason.kind() {
                        io::ErrorKind::AddrNotAvailable => io::Error::new(
                            io::ErrorKind::NetworkUnreachable,
                            "this machine has no IPv6 address to connect from",
                        ),
                        _ => reason,
                    };
                    failure = ConnectError::Tcp(address, reason);
                }
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
        addresses
            .connect(turn, &Sources::default())
            .await
            .unwrap()
            .1
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
        let failure = addresses.connect(0, &Sources::default()).await.unwrap_err();
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
        let (route, sources) = (Route::Unix(path), Sources::default());
        let mut second = std::pin::pin!(route.connect(0, &sources));
        let waited = tokio::time::timeout(Duration::from_millis(20), &mut second).await;
        assert!(waited.is_err(), "there is no room: {waited:?}");
        full.accept().unwrap();
        assert!(second.await.is_ok());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn connections_come_from_the_sources_in_turn() {
        let server = listener(1, 0);
        let address = server.local_addr().unwrap();
        let addresses = Addresses::new([address], ADDRESS_TIMEOUT);
        let sources = [5, 6].map(|last| IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)));
        let in_turn = Sources::new(sources.to_vec());
        for turn in 0..4 {
            // The same turn over the server's addresses, as one client has.
            let _stream = addresses.connect(0, &in_turn).await.unwrap();
            let (_, peer) = server.accept().unwrap();
            assert_eq!(peer.ip(), sources[turn % 2]);
        }
    }

    #[tokio::test]
    async fn an_address_of_another_family_than_the_sources_is_passed_over() {
        let server = listener(1, 0).local_addr().unwrap();
        let addresses = Addresses::new([server], ADDRESS_TIMEOUT);
        let v6 = Sources::new(vec!["::1".parse().unwrap()]);
        assert!(matches!(
            addresses.connect(0, &v6).await,
            Err(ConnectError::NoAddress)
        ));
    }

    /// The next address would be refused, and would seem to be the reason.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_this_machine_lacks_is_not_blamed_on_another_address() {
        let alive = listener(1, 0).local_addr().unwrap();
        let mut addresses = Addresses::new([alive, alive], ADDRESS_TIMEOUT);
        addresses.known.push(Known {
            address: "127.0.0.2:1".parse().unwrap(),
            is_dead: AtomicBool::new(true),
            was_reached: AtomicBool::new(false),
        });
        // Nobody has this address (RFC 5737), so that binding to it fails as it does without ports.
        let sources = Sources::new(vec!["192.0.2.1".parse().unwrap()]);
        let failure = addresses.connect(0, &sources).await.unwrap_err();
        let ConnectError::Tcp(address, reason) = &failure else {
            panic!("{failure}");
        };
        assert_eq!(
            (*address, reason.kind()),
            (alive, io::ErrorKind::AddrNotAvailable)
        );
        assert!(!addresses.known[0].is_dead.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_no_panic() {
        let none = Addresses::new([], ADDRESS_TIMEOUT);
        assert!(matches!(
            none.connect(3, &Sources::default()).await,
            Err(ConnectError::NoAddress)
        ));
    }
}
