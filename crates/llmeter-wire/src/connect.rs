//! Opening connections: name resolution, TCP or a Unix socket, a proxy's tunnel, TLS.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::arrival::{Arrival, StampSource};
use crate::clock::{self, Stamp};
use crate::error::{Result, SetupError};
use crate::http2::NoHttp2;
use crate::network::NetworkState;
use crate::packet::{Link, PacketCapture};
use crate::route::Route;
use crate::sources::Sources;
use crate::stream::StampKeeper;
use crate::tls_error::{self, TlsErrorKind};
use crate::trust;
use crate::{Phase, Proxy, Server, TimedStream};

/// Opens connections to one server whose name was resolved once.
#[derive(Clone)]
pub struct Dialer {
    route: Arc<Route>,
    /// The URL of the proxy that the route leads to, without credentials.
    proxy: Option<Arc<str>>,
    /// The proxy that is asked for a tunnel to this server.
    tunnel: Option<Arc<(Proxy, Server)>>,
    time_to_resolve: Option<f64>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    stamps: StampSource,
    sources: Arc<Sources>,
    /// With packet stamps.
    capture: Option<Arc<PacketCapture>>,
    _keeper: Arc<StampKeeper>,
}

/// A connection that is ready for a request.
#[derive(Debug)]
pub struct Connection {
    transport: Transport,
    /// The address at the other end: the server's or the proxy's. A Unix socket has none.
    pub address: Option<SocketAddr>,
    /// Seconds to open the connection: TCP's, and a proxy's way to an https server.
    pub time_to_connect: f64,
    /// Seconds of the TLS handshake, if there was one.
    pub time_to_tls: Option<f64>,
}

#[derive(Debug)]
enum Transport {
    Plain(TimedStream),
    Tls(Box<TlsStream<TimedStream>>),
}

/// What a TLS handshake agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    /// The version, like `TLS 1.3`.
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// The protocol that was chosen by ALPN, if one was.
    pub alpn: Option<String>,
}

impl Dialer {
    /// Resolves the name of the server, or of the proxy that leads to it, and prepares TLS with the
    /// system's trusted certificates. Blocks while it resolves.
    ///
    /// # Errors
    /// When the name does not resolve, or the system has no trusted certificates for TLS.
    pub fn new(server: &Server, proxy: Option<&Proxy>, stamps: StampSource) -> Result<Self> {
        Self::with_tls(server, proxy, stamps, trust::system)
    }

    /// As [`new`](Self::new), but trusts the certificates in a PEM file instead of the system's: those of
    /// authorities, and the server's own.
    ///
    /// # Errors
    /// When the name does not resolve, or the file cannot be read or holds no certificate.
    pub fn with_ca_file(
        server: &Server,
        proxy: Option<&Proxy>,
        stamps: StampSource,
        file: &Path,
    ) -> Result<Self> {
        Self::with_tls(server, proxy, stamps, || trust::file(file))
    }

    /// As [`new`](Self::new), but takes any certificate, so that anybody could be the server.
    ///
    /// # Errors
    /// When the name does not resolve.
    pub fn insecure(server: &Server, proxy: Option<&Proxy>, stamps: StampSource) -> Result<Self> {
        Self::with_tls(server, proxy, stamps, trust::any)
    }

    fn with_tls(
        server: &Server,
        proxy: Option<&Proxy>,
        stamps: StampSource,
        config: impl FnOnce() -> Result<rustls::ClientConfig>,
    ) -> Result<Self> {
        let start = clock::now();
        let route = match (&server.socket, proxy) {
            (Some(path), _) => Route::Unix(path.clone()),
            (None, Some(proxy)) => Route::resolve(&proxy.host, proxy.port)?,
            (None, None) => Route::resolve(&server.host, server.port)?,
        };
        let resolved = clock::now();
        let host = proxy.map_or(&server.host, |proxy| &proxy.host);
        let is_resolved = matches!(route, Route::Tcp(_)) && host.parse::<IpAddr>().is_err();
        let time_to_resolve = is_resolved.then(|| resolved.seconds_since(start));
        let tls = if server.tls {
            let name = ServerName::try_from(server.host.clone()).map_err(|source| {
                SetupError::ServerName {
                    host: server.host.clone(),
                    source,
                }
            })?;
            Some((TlsConnector::from(Arc::new(config()?)), name))
        } else {
            None
        };
        let proxy = proxy.filter(|_| server.socket.is_none());
        let asked = proxy.filter(|_| server.tls);
        Ok(Self {
            route: Arc::new(route),
            proxy: proxy.map(|proxy| proxy.shown().into()),
            tunnel: asked.map(|proxy| Arc::new((proxy.clone(), server.clone()))),
            time_to_resolve,
            tls,
            stamps,
            sources: Arc::default(),
            capture: None,
            _keeper: Arc::new(StampKeeper::new(stamps)),
        })
    }

    /// Seconds that the name of the server, or of the proxy, took to resolve; `None` where an
    /// address or a Unix socket is given.
    pub fn time_to_resolve(&self) -> Option<f64> {
        self.time_to_resolve
    }

    /// The addresses that the name stands for.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.route.addresses()
    }

    /// Captures what all of these servers send from here on, by so many streams at a time; `None` if that is
    /// not known. Connections that are opened later have packet stamps.
    ///
    /// # Errors
    /// When the system does not permit it.
    pub fn capture_packets(dialers: &mut [Self], streams: Option<usize>) -> Result<()> {
        let addresses: Vec<SocketAddr> = dialers.iter().flat_map(Self::addresses).collect();
        if addresses.is_empty() {
            return Ok(());
        }
        let capture = PacketCapture::open(&addresses, streams).map_err(SetupError::Capture)?;
        let capture = Arc::new(capture);
        for dialer in dialers {
            dialer.stamps = StampSource::Packet;
            dialer.capture = Some(capture.clone());
        }
        Ok(())
    }

    /// The capture of the packets that its connections bring, with packet stamps; all of a run share one.
    pub fn capture(&self) -> Option<&Arc<PacketCapture>> {
        self.capture.as_ref()
    }

    /// Connects from these addresses of this machine, in turn; each has ports of its own. None leaves
    /// the choice to the system, and so does a Unix socket.
    ///
    /// # Errors
    /// When one is not this machine's, or none is of the server's family.
    pub fn from_addresses(mut self, sources: &[IpAddr]) -> Result<Self> {
        if sources.is_empty() {
            return Ok(self);
        }
        for &address in sources {
            UdpSocket::bind((address, 0))
                .map_err(|source| SetupError::SourceAddress { address, source })?;
        }
        self.sources = Arc::new(Sources::new(sources.to_vec()));
        match self.addresses().as_slice() {
            [server, others @ ..]
                if !self.sources.reach(server)
                    && !others.iter().any(|other| self.sources.reach(other)) =>
            {
                let server = server.ip();
                Err(SetupError::SourceFamily { server })
            }
            _ => Ok(self),
        }
    }

    /// Asks for HTTP/2 where TLS lets a client ask; without TLS nothing is to be asked.
    #[must_use]
    pub fn for_http2(mut self) -> Self {
        self.tls = self.tls.map(|(connector, name)| {
            let mut config = rustls::ClientConfig::clone(connector.config());
            config.alpn_protocols = vec![b"h2".to_vec()];
            (TlsConnector::from(Arc::new(config)), name)
        });
        self
    }

    /// Opens a connection. `turn` spreads connections over the server's addresses; an address that
    /// cannot be reached is followed by the next, and is passed over from then on.
    ///
    /// # Errors
    /// The last address's reason.
    pub async fn dial(&self, turn: usize) -> Result<Connection, ConnectError> {
        self.dial_with_phases(turn, |_| {}).await
    }

    /// As [`dial`](Self::dial), and tells each phase as it begins.
    ///
    /// # Errors
    /// As [`dial`](Self::dial).
    pub async fn dial_with_phases(
        &self,
        turn: usize,
        mut on_phase: impl FnMut(Phase),
    ) -> Result<Connection, ConnectError> {
        on_phase(match self.proxy {
            Some(_) => Phase::Proxy,
            None => Phase::Connect,
        });
        let start = clock::now();
        let connected = self.route.connect(turn, &self.sources).await;
        let (socket, address) = connected.map_err(|reason| self.at_the_proxy(reason))?;
        let mut stream = TimedStream::new(socket, self.stamps);
        if let Some(tunnel) = &self.tunnel {
            let (proxy, server) = &**tunnel;
            proxy.open_tunnel(&mut stream, server).await?;
        }
        let open = clock::now();
        let time_to_connect = open.seconds_since(start);
        let (transport, time_to_tls) = match &self.tls {
            None => (Transport::Plain(stream), None),
            Some((connector, name)) => {
                on_phase(Phase::Tls);
                stream.arm();
                stream.give_records();
                let tls = connector
                    .connect(name.clone(), stream)
                    .await
                    .map_err(ConnectError::of_tls)?;
                // From the first word to the last, so that neither the work around them nor a wait for a
                // core counts.
                let stream = tls.get_ref().0;
                let begun = stream.first_write().unwrap_or(open);
                let done = stream.last_exchange().unwrap_or_else(clock::now);
                (
                    Transport::Tls(Box::new(tls)),
                    Some(done.seconds_since(begun)),
                )
            }
        };
        Ok(Connection {
            transport,
            address,
            time_to_connect,
            time_to_tls,
        })
    }

    /// A failure to connect says so if it is the proxy that cannot be reached.
    fn at_the_proxy(&self, reason: ConnectError) -> ConnectError {
        match (&self.proxy, reason) {
            (Some(proxy), ConnectError::Tcp(_, source)) => ConnectError::NoProxy {
                proxy: (**proxy).to_owned(),
                source,
            },
            (_, reason) => reason,
        }
    }
}

/// Why no connection could be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// TCP failed.
    #[error("cannot connect to {0}: {1}")]
    Tcp(SocketAddr, #[source] io::Error),
    /// Nobody listens at the Unix socket.
    #[error("cannot connect to unix:{path}: {source}", path = .path.display())]
    Unix {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The proxy that leads to the server cannot be reached.
    #[error("cannot connect to the proxy {proxy}: {source}")]
    NoProxy {
        /// The proxy's URL, without credentials.
        proxy: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The proxy did not open a tunnel to the server.
    #[error("the proxy {proxy} did not open a tunnel to {server}: {reason}")]
    Proxy {
        /// The proxy's URL, without credentials.
        proxy: String,
        /// The server's host and port.
        server: String,
        /// What the proxy responded, and what to do about it.
        reason: String,
    },
    /// The TLS handshake failed.
    #[error("TLS handshake failed: {}", tls_error::described(.0))]
    Tls(#[source] io::Error),
    /// The server speaks no HTTP/2, which was asked for.
    #[error("the server does not speak HTTP/2 ({0})")]
    NoHttp2(#[source] NoHttp2),
    /// The host has no address.
    #[error("the host has no address")]
    NoAddress,
}

impl ConnectError {
    /// What was wrong with a TLS handshake, if the peer let it be known.
    pub fn tls_error_kind(&self) -> Option<TlsErrorKind> {
        match self {
            Self::Tls(reason) => TlsErrorKind::of(reason),
            _ => None,
        }
    }

    /// A server may end the handshake because it cannot agree to the protocol that was asked for.
    fn of_tls(reason: io::Error) -> Self {
        use rustls::{AlertDescription, Error};
        let inner = reason.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(
                Error::NoApplicationProtocol
                | Error::AlertReceived(AlertDescription::NoApplicationProtocol),
            ) => NoHttp2::NotAgreed.into(),
            _ => Self::Tls(reason),
        }
    }
}

impl Connection {
    fn socket(&self) -> &TimedStream {
        match &self.transport {
            Transport::Plain(stream) => stream,
            Transport::Tls(tls) => tls.get_ref().0,
        }
    }

    /// What the TLS handshake agreed on, if there was one.
    pub fn tls(&self) -> Option<TlsInfo> {
        let Transport::Tls(tls) = &self.transport else {
            return None;
        };
        let agreed = tls.get_ref().1;
        let named = |name: Option<&str>| name.unwrap_or("unknown").replace('_', ".");
        let alpn = agreed.alpn_protocol();
        Some(TlsInfo {
            version: named(
                agreed
                    .protocol_version()
                    .and_then(|version| version.as_str()),
            )
            .replace("TLSv1.", "TLS 1."),
            cipher: agreed
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or("unknown")
                .to_owned(),
            alpn: alpn.map(|name| String::from_utf8_lossy(name).into_owned()),
        })
    }

    /// The protocol that client and server agreed on; `None` without TLS, empty without agreement.
    pub fn protocol(&self) -> Option<&[u8]> {
        match &self.transport {
            Transport::Plain(_) => None,
            Transport::Tls(tls) => Some(tls.get_ref().1.alpn_protocol().unwrap_or_default()),
        }
    }

    fn socket_mut(&mut self) -> &mut TimedStream {
        match &mut self.transport {
            Transport::Plain(stream) => stream,
            Transport::Tls(tls) => tls.get_mut().0,
        }
    }

    /// Forgets the first write: the next one is the beginning of a request.
    pub fn arm(&mut self) {
        self.socket_mut().arm();
    }

    /// Bytes that went to the peer before the [first write](Self::first_write).
    pub fn first_position(&self) -> u64 {
        self.socket().first_position()
    }

    /// What TCP knows of the connection, and what happened on it since this was last asked. A system call.
    pub fn network(&mut self) -> Option<NetworkState> {
        self.socket_mut().network()
    }

    /// When the first write since [`arm`](Self::arm) was handed to the kernel.
    pub fn first_write(&self) -> Option<Stamp> {
        self.socket().first_write()
    }

    /// Makes the kernel keep few bytes of what has not been read, about so many, so that a peer feels it
    /// when nothing is read. A kernel that refuses is no error.
    pub fn limit_receive_buffer(&self, bytes: usize) {
        self.socket().limit_receive_buffer(bytes);
    }

    /// Whether the bytes of the last read arrived before what was written since [`arm`](Self::arm) had
    /// left, so that they are no response to it. Only the kernel's stamps tell.
    pub fn is_early(&self) -> bool {
        self.socket().is_early()
    }

    /// When the bytes of the last read arrived.
    pub fn last_read(&self) -> Arrival {
        self.socket().last_read()
    }

    /// The two ends, if packets are looked for.
    pub fn link(&self) -> Option<Link> {
        self.socket().link()
    }

    /// Whether what is read lies in the packets as it is, and not in records that are readable as a whole.
    pub fn is_plain(&self) -> bool {
        matches!(self.transport, Transport::Plain(_))
    }

    /// Whether the idle connection can carry another request. A TLS server that sends anything
    /// while idle (a session ticket, a close) makes it look unusable; a new one is then opened.
    pub fn is_idle(&self) -> bool {
        self.socket().is_idle()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Tls(tls) if tls.get_ref().0.link().is_some() => {
                // A read of the stream would go on to the next records, whose times are others.
                let record = ready!(Pin::new(&mut *tls).poll_fill_buf(context));
                let record = record.map_err(tls_error::in_words)?;
                let length = record.len().min(buffer.remaining());
                buffer.put_slice(&record[..length]);
                Pin::new(tls).consume(length);
                Poll::Ready(Ok(()))
            }
            Transport::Tls(tls) => Pin::new(tls)
                .poll_read(context, buffer)
                .map_err(tls_error::in_words),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Tls(tls) => Pin::new(tls)
                .poll_write(context, bytes)
                .map_err(tls_error::in_words),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(context),
            Transport::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}
