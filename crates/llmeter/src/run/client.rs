//! One client: a connection, and one request after the other on it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::sync::{Barrier, Semaphore};

use crate::endpoint::{Answer, Endpoint, Way};
use crate::load::ClientPlan;
use crate::run::Interrupt;
use crate::run::capture::{Backlog, Capture, Ending, Segment};
use crate::run::prepare::Prepared;
use crate::wire::clock::{self, Stamp};
use crate::wire::http1::{HttpError, ResponseReader};
use crate::wire::{ConnectError, Connection, Dialer, LANE};

/// Connections that one run opens at the same time: more would overflow the accept queues of usual
/// servers, whose dropped packets look like slow connects.
const CONNECTING_AT_ONCE: usize = 128;

/// How often a client looks whether the recorder has caught up.
const BACKLOG_POLL: Duration = Duration::from_millis(1);

/// What all clients of a run share.
pub(crate) struct Session {
    endpoint: Arc<dyn Endpoint>,
    dialer: Option<Dialer>,
    prepared: Vec<Arc<Prepared>>,
    timeout: Duration,
    interrupt: Interrupt,
    pub(crate) backlog: Arc<Backlog>,
    connecting: Semaphore,
    /// Where clients wait until every warm-up request is answered.
    gate: Barrier,
    started: AtomicI64,
    ended: AtomicI64,
    connections: AtomicU64,
    backlog_wait_ns: AtomicU64,
}

impl Session {
    pub(crate) fn new(
        config: &crate::run::RunConfig,
        dialer: Option<Dialer>,
        prepared: Vec<Arc<Prepared>>,
        interrupt: Interrupt,
    ) -> Self {
        Self {
            endpoint: config.endpoint.clone(),
            dialer,
            prepared,
            timeout: config.timeout,
            interrupt,
            backlog: Arc::default(),
            connecting: Semaphore::new(CONNECTING_AT_ONCE),
            gate: Barrier::new(config.clients),
            started: AtomicI64::new(i64::MAX),
            ended: AtomicI64::new(i64::MIN),
            connections: AtomicU64::new(0),
            backlog_wait_ns: AtomicU64::new(0),
        }
    }

    /// When the run proper began, warm-up excluded; `None` before that.
    pub(crate) fn started(&self) -> Option<Stamp> {
        Some(Stamp(self.started.load(Ordering::Relaxed))).filter(|stamp| stamp.0 != i64::MAX)
    }

    /// When the last client so far was done; `None` if none is.
    pub(crate) fn ended(&self) -> Option<Stamp> {
        Some(Stamp(self.ended.load(Ordering::Relaxed))).filter(|stamp| stamp.0 != i64::MIN)
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Seconds that clients waited for the recorder, summed.
    pub(crate) fn backlog_wait(&self) -> f64 {
        self.backlog_wait_ns.load(Ordering::Relaxed) as f64 * 1e-9
    }

    async fn wait_for_recorder(&self) {
        if !self.backlog.is_full() {
            return;
        }
        let start = clock::now();
        while self.backlog.is_full() {
            tokio::time::sleep(BACKLOG_POLL).await;
        }
        let waited = clock::now().0 - start.0;
        self.backlog_wait_ns
            .fetch_add(waited.max(0) as u64, Ordering::Relaxed);
    }
}

/// Runs one client to its end.
pub(crate) async fn run(session: Arc<Session>, mut plan: ClientPlan, queue: Sender<Segment>) {
    let mut client = Client {
        number: plan.client as usize,
        session: session.clone(),
        connection: None,
        capture: Capture::new(plan.client, queue, session.backlog.clone()),
    };
    let interrupt = session.interrupt.clone();
    while let Some(payload) = plan.next_warmup() {
        if interrupt.is_stopped() {
            break;
        }
        client.request(payload, clock::now(), true).await;
    }

    session.gate.wait().await;
    let start = clock::now();
    session.started.fetch_min(start.0, Ordering::Relaxed);
    tokio::select! {
        () = tokio::time::sleep(plan.start_after) => {}
        () = interrupt.stopped() => {}
    }
    let mut intended = clock::now();
    while !interrupt.is_stopped() {
        session.wait_for_recorder().await;
        let Some(payload) = plan.next(start, clock::now()) else {
            break;
        };
        intended = client.request(payload, intended, false).await;
    }
    session.ended.fetch_max(clock::now().0, Ordering::Relaxed);
}

struct Client {
    number: usize,
    session: Arc<Session>,
    connection: Option<Connection>,
    capture: Capture,
}

impl Client {
    /// Carries out one request and hands the answer over. Returns when it was over, which is when
    /// the next one should be sent.
    async fn request(&mut self, payload: usize, intended: Stamp, is_warmup: bool) -> Stamp {
        let session = self.session.clone();
        let prepared = session.prepared[payload].clone();
        let mut answer = None;
        let result = {
            let exchange = async {
                match session.endpoint.way() {
                    Way::Http(_) => self.exchange(&prepared, intended).await,
                    Way::Invoke(api) => {
                        let answer = answer.insert(Box::<Answer>::default());
                        self.capture.sending.wall = Some(clock::wall());
                        let result = api.invoke(&prepared.payload, answer).await;
                        self.capture.sending.at = answer.sent_stamp();
                        self.capture.sending.lateness =
                            answer.sent_stamp().map(|sent| sent.seconds_since(intended));
                        result
                            .map(|()| clock::now())
                            .map_err(|reason| ExchangeError::Endpoint(reason.0))
                    }
                }
            };
            let mut exchange = pin!(tokio::time::timeout(session.timeout, exchange));
            tokio::select! {
                biased;
                result = &mut exchange => match result {
                    Ok(result) => result,
                    Err(_) => Err(ExchangeError::Timeout(session.timeout)),
                },
                () = session.interrupt.was_cut() => Err(ExchangeError::Interrupted),
            }
        };
        let (at, failure) = match result {
            Ok(at) => (at, None),
            Err(reason) => {
                self.connection = None;
                (clock::now(), Some(reason.to_string()))
            }
        };
        let sending = self.capture.sending;
        self.capture.finish(Ending {
            prepared,
            sending,
            failure,
            at,
            is_warmup,
            answer,
        });
        at
    }

    /// One HTTP exchange. An idle connection that the server closed meanwhile is replaced, once;
    /// the clock is not restarted then.
    async fn exchange(
        &mut self,
        prepared: &Prepared,
        intended: Stamp,
    ) -> Result<Stamp, ExchangeError> {
        let reused = self.connection.take().filter(Connection::is_idle);
        if let Some(connection) = reused {
            match self.exchange_over(connection, prepared, intended).await {
                Err(ExchangeError::ClosedBeforeAnswer(_)) => self.capture.sending.retries += 1,
                result => return result,
            }
        }
        let connection = self.dial().await?;
        // What is waited for before a connection is ready is no lateness of the meter.
        let intended = intended.max(clock::now());
        self.exchange_over(connection, prepared, intended).await
    }

    async fn dial(&mut self) -> Result<Connection, ExchangeError> {
        let dialer = self.session.dialer.as_ref();
        let dialer = dialer.ok_or_else(|| ExchangeError::Endpoint("no server to dial".into()))?;
        let permit = self.session.connecting.acquire().await;
        let connection = dialer.dial(self.number).await?;
        drop(permit);
        self.session.connections.fetch_add(1, Ordering::Relaxed);
        self.capture.sending.time_to_connect = Some(connection.time_to_connect);
        self.capture.sending.time_to_tls = connection.time_to_tls;
        Ok(connection)
    }

    async fn exchange_over(
        &mut self,
        mut connection: Connection,
        prepared: &Prepared,
        intended: Stamp,
    ) -> Result<Stamp, ExchangeError> {
        connection.arm();
        self.capture.sending.wall.get_or_insert_with(clock::wall);
        let written = async {
            connection.write_all(&prepared.request).await?;
            connection.flush().await
        }
        .await;
        if let Some(sent) = connection.first_write() {
            let sending = &mut self.capture.sending;
            if sending.at.is_none() {
                sending.at = Some(sent);
                sending.lateness = Some(sent.seconds_since(intended).max(0.0));
            }
        }
        let mut reader = ResponseReader::new();
        loop {
            match read_on(&mut connection, &mut reader, &mut self.capture).await {
                Ok(true) if reader.is_done() => break,
                Ok(true) => {}
                Ok(false) if reader.may_end_at_close() => break,
                Ok(false) | Err(ReadError::Io(_)) if !reader.has_begun() => {
                    // A server may refuse a request while it is still being written; its reason,
                    // if it gave one, has been read by now.
                    let reason = written.as_ref().err().map(ToString::to_string);
                    return Err(ExchangeError::ClosedBeforeAnswer(reason));
                }
                Ok(false) => return Err(ExchangeError::ClosedInAnswer),
                Err(ReadError::Io(reason)) => return Err(ExchangeError::Broken(reason)),
                Err(ReadError::Http(reason)) => return Err(ExchangeError::Http(reason)),
            }
        }
        let end = connection.last_read().at;
        if reader.keeps_alive() && written.is_ok() {
            self.connection = Some(connection);
        }
        Ok(end)
    }
}

enum ReadError {
    Io(std::io::Error),
    Http(HttpError),
}

/// Waits for bytes and takes them in. Returns whether there were any: none is the end.
async fn read_on(
    connection: &mut Connection,
    reader: &mut ResponseReader,
    capture: &mut Capture,
) -> Result<bool, ReadError> {
    poll_fn(|context| {
        LANE.with(|lane| {
            lane.with_scratch(|scratch| {
                let mut buffer = ReadBuf::new(scratch);
                ready!(Pin::new(&mut *connection).poll_read(context, &mut buffer))
                    .map_err(ReadError::Io)?;
                let bytes = buffer.filled();
                if bytes.is_empty() {
                    return Poll::Ready(Ok(false));
                }
                let arrival = connection.last_read();
                let had_head = reader.head().is_some();
                let used = reader
                    .feed(bytes, &mut capture.body)
                    .map_err(ReadError::Http)?;
                if !had_head && let Some(head) = reader.head() {
                    capture.head(head.clone(), arrival);
                }
                capture.mark(arrival);
                if used < bytes.len() {
                    // Bytes that nobody asked for: the connection cannot be trusted any more.
                    reader.forbid_reuse();
                }
                Poll::Ready(Ok(true))
            })
        })
    })
    .await
}

/// Why an exchange did not give a complete answer. The text is the user's.
#[derive(Debug, thiserror::Error)]
enum ExchangeError {
    #[error("{0}")]
    Connect(#[from] ConnectError),
    #[error("the server closed the connection without an answer{}", in_brackets(.0))]
    ClosedBeforeAnswer(Option<String>),
    #[error("the server closed the connection in the middle of the answer")]
    ClosedInAnswer,
    #[error("the connection broke in the middle of the answer: {0}")]
    Broken(std::io::Error),
    #[error("{0}")]
    Http(HttpError),
    #[error("timed out after {} s", .0.as_secs_f64())]
    Timeout(Duration),
    #[error("cut off: the run was interrupted")]
    Interrupted,
    #[error("{0}")]
    Endpoint(String),
}

fn in_brackets(reason: &Option<String>) -> String {
    reason
        .as_ref()
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default()
}
