//! A server for tests that does what a script says, over real sockets: TCP, TLS or a Unix socket.
//!
//! A script is a list of [`Step`]s for one request: bytes, written together or one by one, pauses,
//! the several ways of ending a connection. Once it is played, the server reads the next request
//! on the connection, unless the request said `Connection: close` or is one of HTTP/1.0. What it is
//! sent is recorded.
//!
//! ```
//! use std::io::{Read, Write};
//! use llmeter_testing::{ScriptedServer, Step};
//!
//! let server = ScriptedServer::respond(|request| {
//!     vec![
//!         Step::write(format!("HTTP/1.1 200 OK\r\n\r\nyou asked for {}", request.target)),
//!         Step::Close,
//!     ]
//! })
//! .start()?;
//! let mut stream = std::net::TcpStream::connect(server.address())?;
//! stream.write_all(b"GET /a HTTP/1.1\r\n\r\n")?;
//! let mut response = String::new();
//! stream.read_to_string(&mut response)?;
//! assert!(response.ends_with("you asked for /a"));
//! assert_eq!(server.requests()[0].method, "GET");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Belongs here: reading requests, playing scripts. Does not belong here: what an API says, and
//! whatever else is llmeter's.

mod play;
mod request;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
#[cfg(unix)]
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

pub use request::Request;

use play::Socket;

/// What the server does once it has read a request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Step {
    /// Writes bytes in one call.
    Write(Vec<u8>),
    /// Writes byte by byte, each in a segment of its own.
    Trickle(Vec<u8>),
    /// Writes bytes again and again, as fast as the client reads, until it is gone.
    Flood(Vec<u8>),
    /// Does nothing for a while.
    Pause(Duration),
    /// Waits until [`ScriptedServer::release`] was called.
    WaitForRelease,
    /// Closes the connection.
    Close,
    /// Writes bytes, closes the sending side in the same packet where the system can, and keeps the
    /// receiving side until the client closes.
    WriteAndClose(Vec<u8>),
    /// Closes the connection with a reset.
    Reset,
    /// Says nothing more until the client closes the connection.
    Hold,
}

impl Step {
    /// Writes bytes in one call.
    pub fn write(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Write(bytes.into())
    }
}

/// When a request is complete.
#[derive(Debug, Clone, Copy)]
enum Reading {
    Http,
    HttpHead,
    Bytes(fn(&[u8]) -> bool),
}

type Respond = dyn Fn(&Request) -> Vec<Step> + Send + Sync;
type AroundWrites = dyn Fn(&mut dyn FnMut()) + Send + Sync;

/// A server before its start.
pub struct Builder {
    respond: Box<Respond>,
    around_writes: Box<AroundWrites>,
    reading: Reading,
    tls: Option<Arc<rustls::ServerConfig>>,
}

/// A scripted server at work. Dropping it stops its listening; connections end with their clients.
pub struct ScriptedServer {
    place: Place,
    shared: Arc<Shared>,
    /// How many requests were waited for.
    awaited: Mutex<usize>,
}

enum Place {
    Tcp(SocketAddr),
    #[cfg(unix)]
    Unix(PathBuf),
}

struct Shared {
    settings: Builder,
    seen: Mutex<Seen>,
    changed: Condvar,
    stopped: AtomicBool,
}

#[derive(Default)]
struct Seen {
    requests: Vec<Request>,
    /// Connections on which a request came.
    connections: usize,
    is_released: bool,
}

impl ScriptedServer {
    /// A server that plays the first script for the first request, and so on; the last script is
    /// for all further requests.
    pub fn play(scripts: Vec<Vec<Step>>) -> Builder {
        Self::respond(move |request| {
            let script = scripts.get(request.number).or(scripts.last());
            script.cloned().unwrap_or_default()
        })
    }

    /// A server whose script for each request `respond` makes.
    pub fn respond(respond: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static) -> Builder {
        Builder {
            respond: Box::new(respond),
            around_writes: Box::new(|write| write()),
            reading: Reading::Http,
            tls: None,
        }
    }

    /// Where it listens.
    ///
    /// # Panics
    /// If that is a Unix socket.
    pub fn address(&self) -> SocketAddr {
        match &self.place {
            Place::Tcp(address) => *address,
            #[cfg(unix)]
            Place::Unix(path) => panic!("the server listens at {}", path.display()),
        }
    }

    /// The requests so far, in the order in which they were read.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.seen).requests.clone()
    }

    /// How many connections brought a request.
    pub fn connections(&self) -> usize {
        lock(&self.shared.seen).connections
    }

    /// Waits until one more request has come than the last time; `false` if it does not come in
    /// time.
    #[must_use]
    pub fn wait_for_request(&self, timeout: Duration) -> bool {
        let mut awaited = lock(&self.awaited);
        *awaited += 1;
        let seen = lock(&self.shared.seen);
        let missing = |seen: &mut Seen| seen.requests.len() < *awaited;
        let changed = &self.shared.changed;
        let waited = changed.wait_timeout_while(seen, timeout, missing);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Lets all that waits in [`Step::WaitForRelease`] go on, now and later.
    pub fn release(&self) {
        lock(&self.shared.seen).is_released = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // Wakes the listener, which then sees that it is over.
        match &self.place {
            Place::Tcp(address) => drop(TcpStream::connect(address)),
            #[cfg(unix)]
            Place::Unix(path) => drop(UnixStream::connect(path)),
        }
    }
}

impl Builder {
    /// Plays scripts as soon as the head of a request has come, and does not read on.
    #[must_use]
    pub fn not_reading_bodies(mut self) -> Self {
        self.reading = Reading::HttpHead;
        self
    }

    /// Speaks no HTTP: a request is complete when `is_complete` says so of all that has come.
    #[must_use]
    pub fn reading(mut self, is_complete: fn(&[u8]) -> bool) -> Self {
        self.reading = Reading::Bytes(is_complete);
        self
    }

    /// Writes each [`Step::Write`] where `around` calls its argument, which is to be done once.
    #[must_use]
    pub fn around_writes(
        mut self,
        around: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static,
    ) -> Self {
        self.around_writes = Box::new(around);
        self
    }

    /// Speaks TLS. A client that leaves during the handshake is forgotten.
    #[must_use]
    pub fn tls(mut self, config: Arc<rustls::ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Starts the server at a free port of this machine.
    ///
    /// # Errors
    /// When the system refuses to listen.
    pub fn start(self) -> io::Result<ScriptedServer> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let place = Place::Tcp(listener.local_addr()?);
        Ok(self.serve(place, move || Ok(Socket::Tcp(listener.accept()?.0))))
    }

    /// Starts the server at a Unix socket.
    ///
    /// # Errors
    /// When the system refuses to listen.
    #[cfg(unix)]
    pub fn start_at(self, path: &Path) -> io::Result<ScriptedServer> {
        let listener = UnixListener::bind(path)?;
        let place = Place::Unix(path.to_owned());
        Ok(self.serve(place, move || Ok(Socket::Unix(listener.accept()?.0))))
    }

    fn serve(
        self,
        place: Place,
        accept: impl Fn() -> io::Result<Socket> + Send + 'static,
    ) -> ScriptedServer {
        let shared = Arc::new(Shared {
            settings: self,
            seen: Mutex::default(),
            changed: Condvar::new(),
            stopped: AtomicBool::new(false),
        });
        let of_listener = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok(socket) = accept() {
                if of_listener.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&of_listener);
                // A client that has left is not this server's problem.
                thread::spawn(move || shared.serve(socket).ok());
            }
        });
        ScriptedServer {
            place,
            shared,
            awaited: Mutex::new(0),
        }
    }
}

impl Shared {
    fn serve(&self, socket: Socket) -> io::Result<()> {
        let socket = match &self.settings.tls {
            Some(config) => socket.encrypted(config)?,
            None => socket,
        };
        let mut socket = socket;
        socket.prepare()?;
        let mut unread = Vec::new();
        let mut number = None;
        while let Some(mut request) =
            Request::read(&mut socket, &mut unread, self.settings.reading)?
        {
            let keep_alive = request.keeps_connection();
            {
                let mut seen = lock(&self.seen);
                let number = *number.get_or_insert(seen.connections);
                seen.connections = seen.connections.max(number + 1);
                request.connection = number;
                request.number = seen.requests.len();
                seen.requests.push(request.clone());
            }
            self.changed.notify_all();
            for step in (self.settings.respond)(&request) {
                match step {
                    Step::WaitForRelease => self.wait_for_release(),
                    Step::Write(bytes) => {
                        let mut written = Ok(());
                        (self.settings.around_writes)(&mut || written = socket.write(&bytes));
                        written?;
                    }
                    step => socket.play(&step)?,
                }
            }
            if !keep_alive {
                return socket.play(&Step::Close);
            }
        }
        Ok(())
    }

    fn wait_for_release(&self) {
        let seen = lock(&self.seen);
        let released = self.changed.wait_while(seen, |seen| !seen.is_released);
        drop(released);
    }
}

/// A thread that panicked has done no harm to what it recorded.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn ask(server: &ScriptedServer, request: &str) -> String {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        // Ends with the connection.
        stream.read_to_string(&mut response).unwrap();
        response
    }

    #[test]
    fn the_connection_ends_after_a_response_to_who_asked_for_that() {
        let response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        let server = ScriptedServer::play(vec![vec![Step::write(response)]]);
        let server = server.start().unwrap();
        for request in [
            "GET /a HTTP/1.1\r\nconnection: CLOSE\r\n\r\n",
            "GET /b HTTP/1.0\r\n\r\n",
            "POST /c HTTP/1.1\r\nConnection: te, close\r\nContent-Length: 2\r\n\r\nho",
        ] {
            assert_eq!(ask(&server, request), response, "{request}");
        }
        assert_eq!(server.connections(), 3);
    }
}
