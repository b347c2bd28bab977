//! Starting and stopping the server, and dealing out its connections.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::{mpsc, watch},
};

use crate::{
    clock::{self, Time},
    config::SimConfig,
    connection::Connection,
    error::SimError,
    pacer::Pacer,
    shared::Shared,
    socket::{self, Reader},
    tls,
    truth::{TruthLog, TruthRecord, TruthWriter},
};

/// A pause after a failed accept, which mostly means that the process has no file
/// descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// The simulated LLM server.
#[derive(Debug)]
pub struct Simulator;

impl Simulator {
    /// Starts a server on threads of its own. It responds as soon as this returns.
    ///
    /// # Errors
    /// When a setting is out of its range, the address is taken, the truth file cannot be created
    /// or the system refuses threads or descriptors.
    pub fn start(config: SimConfig) -> Result<RunningSimulator, SimError> {
        config.validate()?;
        let address = SocketAddr::new(config.host, config.port);
        let bind = |source| SimError::Bind { address, source };
        let listener = socket::listen(address).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let path = config.truth.as_deref();
        let (truth, writer) = TruthLog::open(config.keep_truth, path, config.overwrite_truth)?;
        let count = config.threads;
        let (acceptor, certificate) = match &config.tls {
            None => (None, None),
            Some(certificate) => {
                let (acceptor, made) = tls::acceptor(certificate, config.host)?;
                (Some(acceptor), made)
            }
        };
        let shared = Arc::new(Shared::new(config, truth, acceptor));

        let (stop, _) = watch::channel(false);
        // From here on an early return stops what has been started.
        let mut running = RunningSimulator {
            address,
            certificate,
            shared: Some(Arc::clone(&shared)),
            stop: Arc::new(stop),
            threads: Vec::with_capacity(count),
            writer,
        };
        let failed = |what| move |source| SimError::Runtime { what, source };
        let mut workers = Vec::with_capacity(count);
        for _ in 0..count {
            let worker = Worker::new(Arc::clone(&shared)).map_err(failed("event loop"))?;
            workers.push(worker);
        }
        let peers = workers.iter().map(|worker| worker.peer.clone()).collect();
        if let Some(first) = workers.first() {
            first.accept(listener, peers).map_err(failed("listener"))?;
        }
        for (index, worker) in workers.into_iter().enumerate() {
            let stop = running.stop.subscribe();
            let thread = thread::Builder::new()
                .name(format!("sim-worker-{index}"))
                .spawn(move || worker.run(stop))
                .map_err(failed("thread"))?;
            running.threads.push(thread);
        }
        Ok(running)
    }
}

/// A server at work. Dropping it stops it.
#[derive(Debug)]
pub struct RunningSimulator {
    address: SocketAddr,
    /// The certificate that was made, as PEM.
    certificate: Option<String>,
    /// `None` once stopped.
    shared: Option<Arc<Shared>>,
    stop: Arc<watch::Sender<bool>>,
    threads: Vec<JoinHandle<()>>,
    writer: Option<TruthWriter>,
}

/// Stops a server from elsewhere, such as a signal handler's thread.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<watch::Sender<bool>>);

impl Stopper {
    /// Tells the server to stop and does not wait for it.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl RunningSimulator {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What an OpenAI client takes as base URL.
    pub fn base_url(&self) -> String {
        let is_encrypted = self.shared.as_ref().is_some_and(|it| it.tls.is_some());
        let scheme = if is_encrypted { "https" } else { "http" };
        format!("{scheme}://{}/v1", self.address)
    }

    /// The certificate that it made for [`Certificate::Made`], as PEM. A client that trusts it as an
    /// authority's trusts the server.
    ///
    /// [`Certificate::Made`]: crate::Certificate::Made
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// The truth about all requests so far, in the order in which their responses ended.
    ///
    /// Whoever has read a response to its end finds its record here. Empty unless
    /// [`SimConfig::keep_truth`] is set.
    pub fn truth(&self) -> Vec<TruthRecord> {
        self.shared
            .as_ref()
            .map_or_else(Vec::new, |shared| shared.truth.kept())
    }

    /// HTTP requests with a complete response, errors included, deliberately broken ones not.
    pub fn requests_served(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.responses())
    }

    /// A handle that can stop this server while [`wait`](Self::wait) waits for it.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.stop))
    }

    /// Breaks off what is under way, closes all connections and completes the truth file.
    ///
    /// # Errors
    /// When the truth file could not be written, or a worker had broken down.
    pub fn stop(mut self) -> Result<(), SimError> {
        self.stop.send_replace(true);
        self.finish()
    }

    /// Waits until a [`Stopper`] stops the server, and completes the truth file.
    ///
    /// # Errors
    /// As for [`stop`](Self::stop).
    pub fn wait(mut self) -> Result<(), SimError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), SimError> {
        let mut result = Ok(());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                result = Err(SimError::Runtime {
                    what: "worker",
                    source: io::Error::other("the thread panicked"),
                });
            }
        }
        // The writer ends when the last holder of the log has gone.
        self.shared = None;
        match self.writer.take() {
            Some(writer) => writer.finish().and(result),
            None => result,
        }
    }
}

impl Drop for RunningSimulator {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Err(error) = self.finish() {
            tracing::error!(%error, "stopping the simulator");
        }
    }
}

/// A thread's share of the server.
#[derive(Debug)]
struct Worker {
    runtime: Runtime,
    /// Takes in connections accepted elsewhere.
    peer: mpsc::UnboundedSender<Accepted>,
}

/// A connection, and when it was accepted.
type Accepted = (std::net::TcpStream, Time);

impl Worker {
    fn new(shared: Arc<Shared>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (peer, mut arrivals) = mpsc::unbounded_channel();
        let inside = runtime.enter();
        let pacer = Pacer::start()?;
        let reader = Arc::new(Mutex::new(Reader::new()));
        tokio::spawn(async move {
            while let Some((stream, accepted)) = arrivals.recv().await {
                match TcpStream::from_std(stream) {
                    Ok(stream) => {
                        let (shared, pacer) = (Arc::clone(&shared), Arc::clone(&pacer));
                        let reader = Arc::clone(&reader);
                        let served = Connection::serve(stream, accepted, shared, pacer, reader);
                        tokio::spawn(served);
                    }
                    Err(error) => tracing::warn!(%error, "taking over a connection"),
                }
            }
        });
        drop(inside);
        Ok(Self { runtime, peer })
    }

    /// Makes this worker the one that accepts connections, for itself and its peers in turn.
    fn accept(
        &self,
        listener: std::net::TcpListener,
        peers: Vec<mpsc::UnboundedSender<Accepted>>,
    ) -> io::Result<()> {
        let _inside = self.runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        tokio::spawn(async move {
            for peer in peers.iter().cycle() {
                let accepted = loop {
                    match listener.accept().await {
                        Ok((stream, _)) => {
                            let accepted = clock::now();
                            break stream.into_std().map(|stream| (stream, accepted));
                        }
                        Err(error) => {
                            tracing::warn!(%error, "accepting a connection");
                            tokio::time::sleep(ACCEPT_PAUSE).await;
                        }
                    }
                };
                match accepted {
                    // Fails only when the server is being stopped.
                    Ok(accepted) => drop(peer.send(accepted)),
                    Err(error) => tracing::warn!(%error, "handing a connection over"),
                }
            }
        });
        Ok(())
    }

    fn run(self, mut stop: watch::Receiver<bool>) {
        // An error means that the sender has gone, which is as good as a stop. Dropping the
        // runtime drops all its connections.
        let _ = self.runtime.block_on(stop.wait_for(|stop| *stop));
    }
}
