//! The addresses of this machine that connections come from.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpSocket, TcpStream};

/// Addresses of this machine to connect from, in turn; none leaves the choice to the system.
#[derive(Debug, Default)]
pub(super) struct Sources {
    addresses: Vec<IpAddr>,
    next: AtomicUsize,
}

impl Sources {
    pub(super) fn new(addresses: Vec<IpAddr>) -> Self {
        let next = AtomicUsize::new(0);
        Self { addresses, next }
    }

    /// Whether a connection to `address` can be made from one of them.
    pub(super) fn reach(&self, address: &SocketAddr) -> bool {
        self.addresses.is_empty() || self.of_family(address).next().is_some()
    }

    fn of_family(&self, address: &SocketAddr) -> impl Iterator<Item = IpAddr> + Clone {
        let is_ipv4 = address.is_ipv4();
        let addresses = self.addresses.iter().copied();
        addresses.filter(move |source| source.is_ipv4() == is_ipv4)
    }

    pub(super) async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let sources = self.of_family(&address);
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(source) = sources.clone().nth(turn % sources.count().max(1)) else {
            return TcpStream::connect(address).await;
        };
        let socket = match source {
            IpAddr::V4(_) => TcpSocket::new_v4(),
            IpAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        share_ports(&socket);
        socket.bind(SocketAddr::new(source, 0))?;
        socket.connect(address).await
    }
}

/// Lets connections to different addresses have the same local port, as they have without a source
/// address: without it, binding takes a port for itself.
#[cfg(target_os = "linux")]
fn share_ports(socket: &TcpSocket) {
    use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
    if let Err(reason) = setsockopt(socket, IpBindAddressNoPort, &true) {
        tracing::debug!(%reason, "each connection takes a local port for itself");
    }
}

#[cfg(not(target_os = "linux"))]
fn share_ports(_: &TcpSocket) {}
