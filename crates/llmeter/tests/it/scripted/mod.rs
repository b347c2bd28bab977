//! A server that does what a list of steps says, over real sockets.

pub(crate) mod answers;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use llmeter::wire::clock::{self, Stamp};
use llmeter::{InvocationResponse, Load, OpenAiChat, RunConfig, RunResult, Runner};
use serde_json::json;
use socket2::SockRef;

/// Longest time that any run of a test may take: reaching it is a hang.
const HANG: Duration = Duration::from_secs(60);

/// What the server does once a request is read. After the last step it reads the next request.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Writes bytes at once.
    Write(Vec<u8>),
    /// Writes byte by byte, each in a segment of its own.
    Trickle(Vec<u8>),
    /// Does nothing for a while.
    Pause(Duration),
    /// Closes in good order.
    Close,
    /// Writes bytes and closes in one packet.
    WriteAndClose(Vec<u8>),
    /// Closes with a reset.
    Reset,
    /// Keeps the connection open, silently, until the client closes it.
    Hold,
    /// Waits until [`Scripted::release`] was called.
    WaitForRelease,
}

pub(crate) fn write(bytes: impl Into<Vec<u8>>) -> Step {
    Step::Write(bytes.into())
}

/// What the server saw and did.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Bodies of requests, in the order in which they were read.
    pub(crate) requests: Mutex<Vec<String>>,
    /// Connections on which a request came.
    pub(crate) connections: AtomicUsize,
    /// When each write began and when it was done.
    pub(crate) writes: Mutex<Vec<(Stamp, Stamp)>>,
    released: AtomicBool,
}

/// A running scripted server. Its threads end with the connections.
pub(crate) struct Scripted {
    pub(crate) base_url: String,
    pub(crate) seen: Arc<Seen>,
    arrivals: Mutex<Receiver<()>>,
}

impl Scripted {
    /// Answers the first request by the first script, and so on; the last one is for all others.
    pub(crate) fn start(scripts: Vec<Vec<Step>>) -> Self {
        Self::with_reading(scripts, true)
    }

    /// A server that plays its script as soon as a request's head has come, without reading on.
    pub(crate) fn not_reading_bodies(scripts: Vec<Vec<Step>>) -> Self {
        Self::with_reading(scripts, false)
    }

    fn with_reading(scripts: Vec<Vec<Step>>, reads_bodies: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Seen>::default();
        let scripts = Arc::new(scripts);
        let (arrived, arrivals) = channel();
        {
            let seen = seen.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let (seen, scripts, arrived) = (seen.clone(), scripts.clone(), arrived.clone());
                    std::thread::spawn(move || {
                        let stream = stream.unwrap();
                        stream.set_nodelay(true).unwrap();
                        let mut reader = BufReader::new(stream.try_clone().unwrap());
                        let mut is_first = true;
                        while let Some(body) = read_request(&mut reader, reads_bodies) {
                            if std::mem::take(&mut is_first) {
                                seen.connections.fetch_add(1, Ordering::SeqCst);
                            }
                            let number = {
                                let mut requests = seen.requests.lock().unwrap();
                                requests.push(body);
                                requests.len() - 1
                            };
                            arrived.send(()).ok();
                            let script = &scripts[number.min(scripts.len() - 1)];
                            if !play(script, &stream, &seen) {
                                break;
                            }
                        }
                    });
                }
            });
        }
        Self {
            base_url: format!("http://127.0.0.1:{port}/v1"),
            seen,
            arrivals: Mutex::new(arrivals),
        }
    }

    /// Waits until one more request has come.
    pub(crate) fn wait_for_request(&self) {
        let arrivals = self.arrivals.lock().unwrap();
        arrivals.recv_timeout(HANG).expect("a request comes");
    }

    /// Lets all that waits in [`Step::WaitForRelease`] go on, now and later.
    pub(crate) fn release(&self) {
        self.seen.released.store(true, Ordering::SeqCst);
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.requests.lock().unwrap().len()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// A run of one request against this server.
    pub(crate) fn config(&self) -> RunConfig {
        let endpoint = OpenAiChat::builder(&self.base_url, "m").build().unwrap();
        self.config_of(endpoint)
    }

    pub(crate) fn config_of(&self, endpoint: OpenAiChat) -> RunConfig {
        let payload = OpenAiChat::create_payload("one two three", 64, Default::default()).unwrap();
        let mut config = RunConfig::new(Arc::new(endpoint), [payload]);
        config.timeout = Duration::from_secs(20);
        config
    }
}

/// The body of the next request; `None` if there is none.
fn read_request(reader: &mut impl BufRead, reads_bodies: bool) -> Option<String> {
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; if reads_bodies { length } else { 0 }];
    reader.read_exact(&mut body).ok()?;
    Some(String::from_utf8(body).unwrap())
}

/// Plays a script; says whether the connection is still there.
fn play(script: &[Step], mut stream: &TcpStream, seen: &Seen) -> bool {
    for step in script {
        match step {
            // A client that left is not this server's problem.
            Step::Write(bytes) => {
                let begin = clock::now();
                if stream.write_all(bytes).is_err() {
                    return false;
                }
                seen.writes.lock().unwrap().push((begin, clock::now()));
            }
            Step::Trickle(bytes) => {
                for byte in bytes {
                    if stream.write_all(&[*byte]).is_err() {
                        return false;
                    }
                    std::thread::yield_now();
                }
            }
            Step::Pause(time) => std::thread::sleep(*time),
            Step::Close => {
                stream.shutdown(Shutdown::Both).ok();
                return false;
            }
            Step::WriteAndClose(bytes) => {
                #[cfg(target_os = "linux")]
                SockRef::from(stream).set_tcp_cork(true).unwrap();
                stream.write_all(bytes).ok();
                stream.shutdown(Shutdown::Write).ok();
                drain(stream);
                return false;
            }
            Step::Reset => {
                let linger = Some(Duration::ZERO);
                SockRef::from(stream).set_linger(linger).unwrap();
                // The caller drops both handles now, and the last close resets the connection.
                return false;
            }
            Step::Hold => {
                drain(stream);
                return false;
            }
            Step::WaitForRelease => {
                while !seen.released.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }
    true
}

fn drain(mut stream: &TcpStream) {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
}

/// Runs on a thread of its own, so that a hang becomes a failure.
pub(crate) fn run(config: RunConfig) -> RunResult {
    finish(move || Runner::new(config).run_blocking()).expect("the run starts")
}

/// Does some work on a thread of its own, so that a hang becomes a failure.
pub(crate) fn finish<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = channel();
    std::thread::spawn(move || done.send(work()));
    result.recv_timeout(HANG).expect("no hang, and no panic")
}

/// One request to a server that plays these steps.
pub(crate) fn one(steps: Vec<Step>) -> InvocationResponse {
    one_with(steps, |_| {})
}

pub(crate) fn one_with(
    steps: Vec<Step>,
    change: impl FnOnce(&mut RunConfig),
) -> InvocationResponse {
    let server = Scripted::start(vec![steps]);
    let mut config = server.config();
    change(&mut config);
    let mut result = run(config);
    assert_eq!(result.responses.len(), 1);
    result.responses.remove(0)
}

/// So many requests in a row on one client.
pub(crate) fn several(scripts: Vec<Vec<Step>>) -> (Vec<InvocationResponse>, Scripted) {
    let count = scripts.len() as u64;
    let server = Scripted::start(scripts);
    let responses = run(server.config().load(Load::Requests(count))).responses;
    assert_eq!(responses.len() as u64, count);
    (responses, server)
}

/// A payload whose prompt is this text.
pub(crate) fn payload(text: &str) -> llmeter::payload::Payload {
    let payload = json!({"messages": [{"role": "user", "content": text}]});
    payload.as_object().unwrap().clone()
}
