//! A server that answers its requests by scripts, one after another, whatever they ask.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

use super::Transport;
use crate::http::{self, BodyDecoder};

/// A request as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The method; empty without HTTP.
    pub method: String,
    /// Path and query, as sent; empty without HTTP.
    pub target: String,
    /// The body; without HTTP all that came.
    pub body: Vec<u8>,
}

/// What the server does once a request has come. After the last step it reads the next request.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Write(Vec<u8>),
    /// Writes byte by byte.
    ByteByByte(Vec<u8>),
    /// Writes line by line, with a pause after each.
    LineByLine(Vec<u8>),
    /// Closes the connection.
    Close,
    /// Says nothing more until the client leaves.
    FallSilent,
}

/// The pause after a line of a slow head.
const PAUSE: Duration = Duration::from_millis(10);

/// What came.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) requests: Vec<Request>,
    /// Connections on which a request came.
    pub(super) connections: usize,
}

/// The server at work. Dropping it stops its listening; connections end with their clients.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    transport: Transport,
    scripts: Vec<Vec<Step>>,
    seen: Mutex<Seen>,
    stopped: AtomicBool,
}

impl Server {
    /// Answers the first request by the first script, and so on; the last one is for all others.
    pub(super) fn start(transport: Transport, scripts: Vec<Vec<Step>>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            transport,
            scripts,
            seen: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if of_thread.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&of_thread);
                // A client that has left is not this server's problem.
                thread::spawn(move || shared.serve(&stream).ok());
            }
        });
        Ok(Self { address, shared })
    }

    /// Takes what came so far.
    pub(super) fn seen(&self) -> Seen {
        let mut seen = self.shared.seen.lock();
        std::mem::take(seen.as_deref_mut().unwrap_or(&mut Seen::default()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // Wakes the listener, which then sees that it is over.
        TcpStream::connect(self.address).ok();
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut unread = Vec::new();
        let mut is_first = true;
        while let Some(request) = self.read(stream, &mut unread)? {
            let number = {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.connections += usize::from(std::mem::take(&mut is_first));
                seen.requests.push(request);
                seen.requests.len() - 1
            };
            let script = self.scripts.get(number).or(self.scripts.last());
            for step in script.into_iter().flatten() {
                play(step, stream)?;
            }
        }
        Ok(())
    }

    /// The next request; `None` if the client closed before it was complete.
    fn read(&self, mut stream: &TcpStream, unread: &mut Vec<u8>) -> io::Result<Option<Request>> {
        let mut buffer = [0; 16 << 10];
        loop {
            if let Some(request) = self.transport.take(unread)? {
                return Ok(Some(request));
            }
            match stream.read(&mut buffer)? {
                0 => return Ok(None),
                count => unread.extend_from_slice(&buffer[..count]),
            }
        }
    }
}

impl Transport {
    /// Takes a request out of what has come, if it is complete.
    fn take(self, unread: &mut Vec<u8>) -> io::Result<Option<Request>> {
        let complete = match self {
            Self::Tcp(is_complete) => {
                return Ok(is_complete(unread).then(|| Request {
                    body: std::mem::take(unread),
                    ..Request::default()
                }));
            }
            Self::Http => http::parse_head(unread).map_err(rejected)?,
        };
        let Some((head, length)) = complete else {
            return Ok(None);
        };
        let mut body = BodyDecoder::new(head.framing);
        let used = body.feed(&unread[length..]).map_err(rejected)?;
        if !body.is_done() {
            return Ok(None);
        }
        unread.drain(..length + used);
        Ok(Some(Request {
            method: head.method,
            target: head.target,
            body: body.into_body(),
        }))
    }
}

fn rejected(reject: http::Reject) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{reject:?}"))
}

fn play(step: &Step, mut stream: &TcpStream) -> io::Result<()> {
    match step {
        Step::Write(bytes) => stream.write_all(bytes),
        Step::ByteByByte(bytes) => bytes.iter().try_for_each(|byte| {
            stream.write_all(std::slice::from_ref(byte))?;
            thread::yield_now();
            Ok(())
        }),
        Step::LineByLine(bytes) => {
            bytes
                .split_inclusive(|byte| *byte == b'\n')
                .try_for_each(|line| {
                    stream.write_all(line)?;
                    thread::sleep(PAUSE);
                    Ok(())
                })
        }
        Step::Close => {
            stream.shutdown(Shutdown::Both)?;
            Err(io::ErrorKind::ConnectionAborted.into())
        }
        Step::FallSilent => {
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer)? > 0 {}
            Err(io::ErrorKind::ConnectionAborted.into())
        }
    }
}
