//! One client: a connection, and one request after the other on it.

mod http1;
mod http2;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::callback::cost::SpendGuard;
use crate::endpoint::{Answer, Endpoint, Invoke, Way};
use crate::foreign::{self, Panic};
use crate::load::ClientPlan;
use crate::payload::Payload;
use crate::run::ahead::{Ready, Requests};
use crate::run::capture::{Backlog, Capture, Ending, Segment, Sending};
use crate::run::gate::{Gate, Pass};
use crate::run::prepare::Prepared;
use crate::run::retry::{self, RateLimits};
use crate::run::unless::unless;
use crate::run::{Connections, Interrupt};
use crate::wire::clock::{self, Stamp};
use crate::wire::http1::{HttpError, ResponseHead};
use crate::wire::http2::{Http2, Http2Error};
use crate::wire::{ConnectError, Connection, Dialer};

/// Connections that one run opens at the same time: more would overflow the accept queues of usual
/// servers, whose dropped packets look like slow connects.
const CONNECTING_AT_ONCE: usize = 128;

/// How long a client waits after it could not connect: a server that went away would otherwise be
/// met with failures as fast as they can be made.
const UNREACHABLE_PAUSE: Duration = Duration::from_millis(100);

/// The same after a request that was not sent because a callback failed.
const REFUSED_PAUSE: Duration = Duration::from_millis(10);

/// How often a client looks whether the recorder has caught up.
const BACKLOG_POLL: Duration = Duration::from_millis(1);

/// What all clients of a run share.
pub(crate) struct Session {
    endpoint: Arc<dyn Endpoint>,
    dialer: Option<Dialer>,
    requests: Requests,
    timeout: Duration,
    connections_kept: Connections,
    is_http2: bool,
    max_retries: u32,
    pub(crate) rate_limits: RateLimits,
    pub(crate) interrupt: Interrupt,
    /// Stops the sending before it costs too much.
    pub(crate) guard: Option<Arc<SpendGuard>>,
    pub(crate) backlog: Arc<Backlog>,
    connecting: Semaphore,
    /// Where clients wait until every warm-up request is answered.
    gate: Gate,
    started: AtomicI64,
    ended: AtomicI64,
    connections: AtomicU64,
    backlog_wait_ns: AtomicU64,
}

impl Session {
    pub(crate) fn new(
        config: &crate::run::RunConfig,
        dialer: Option<Dialer>,
        requests: Requests,
        interrupt: Interrupt,
        gate: Gate,
        guard: Option<Arc<SpendGuard>>,
    ) -> Self {
        Self {
            endpoint: config.endpoint.clone(),
            dialer,
            requests,
            timeout: config.timeout,
            connections_kept: config.connections,
            is_http2: config.http2,
            max_retries: config.max_retries,
            rate_limits: RateLimits::default(),
            interrupt,
            guard,
            backlog: Arc::new(Backlog::new(config.clients, config.low_memory)),
            connecting: Semaphore::new(CONNECTING_AT_ONCE),
            gate,
            started: AtomicI64::new(i64::MAX),
            ended: AtomicI64::new(i64::MIN),
            connections: AtomicU64::new(0),
            backlog_wait_ns: AtomicU64::new(0),
        }
    }

    /// Begins the run proper, if it has not begun. Returns when it did.
    fn begin(&self) -> Stamp {
        let now = clock::now().0;
        Stamp(self.started.fetch_min(now, Ordering::Relaxed).min(now))
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

    /// Seconds that clients waited for callbacks, summed.
    pub(crate) fn callback_wait(&self) -> f64 {
        self.requests.wait()
    }

    async fn wait_for_recorder(&self) {
        if !self.backlog.is_full() {
            return;
        }
        let start = clock::now();
        while self.backlog.is_full() && !self.interrupt.is_stopped() {
            tokio::time::sleep(BACKLOG_POLL).await;
        }
        let waited = clock::now().0 - start.0;
        self.backlog_wait_ns
            .fetch_add(waited.max(0) as u64, Ordering::Relaxed);
    }
}

/// Runs one client to its end.
pub(crate) async fn run(
    session: Arc<Session>,
    mut plan: ClientPlan,
    pass: Pass,
    queue: Sender<Segment>,
) {
    let mut client = Client {
        number: plan.client as usize,
        session: session.clone(),
        connection: None,
        refusal: None,
        capture: Capture::new(plan.client, queue, session.backlog.clone()),
    };
    let interrupt = session.interrupt.clone();
    let requests = &session.requests;
    let mut next = requests.of_client();
    next.want(plan.upcoming());
    while plan.warmup > 0 {
        next.wait(requests, &interrupt).await;
        let Ok(room) = session.admit(next.peek(requests, plan.upcoming())).await else {
            break;
        };
        if interrupt.is_stopped() {
            break;
        }
        let request = plan.next_warmup().map(|index| next.take(requests, index));
        let Some(Some(request)) = request else {
            break;
        };
        next.want(plan.upcoming());
        client.capture.reservation = room;
        client.request(request, clock::now(), true).await;
    }

    session.gate.wait(pass).await;
    let start = session.begin();
    tokio::select! {
        () = tokio::time::sleep(plan.start_after) => {}
        () = interrupt.stopped() => {}
    }
    let mut intended = clock::now();
    loop {
        session.wait_for_recorder().await;
        next.wait(requests, &interrupt).await;
        let Ok(room) = session.admit(next.peek(requests, plan.upcoming())).await else {
            break;
        };
        if interrupt.is_stopped() {
            break;
        }
        if room.as_ref().is_some_and(|room| room.has_waited) {
            // What is waited for by intention is no lateness of the meter.
            intended = clock::now();
        }
        let request = plan.next(start, clock::now());
        let Some(Some(request)) = request.map(|index| next.take(requests, index)) else {
            break;
        };
        next.want(plan.upcoming());
        client.capture.reservation = room;
        intended = client.request(request, intended, false).await;
    }
    session.ended.fetch_max(clock::now().0, Ordering::Relaxed);
}

struct Client {
    number: usize,
    session: Arc<Session>,
    connection: Option<Channel>,
    capture: Capture,
    /// The head of an answer that asks to come back later.
    refusal: Option<ResponseHead>,
}

/// A connection, and the protocol that is spoken on it.
enum Channel {
    Http1(Connection),
    Http2(Box<Http2>),
}

impl Channel {
    /// Whether the idle connection can carry another request.
    async fn is_usable(&mut self) -> bool {
        match self {
            Self::Http1(connection) => connection.is_idle(),
            Self::Http2(http2) => http2.is_usable().await,
        }
    }
}

impl Client {
    /// Carries out one request and hands the answer over. Returns when it was over, which is when
    /// the next one should be sent.
    async fn request(&mut self, request: Ready, intended: Stamp, is_warmup: bool) -> Stamp {
        let session = self.session.clone();
        let prepared = match request {
            Ready::Send(prepared) => prepared,
            Ready::Refused(prepared, reason) => {
                return self.refused(prepared, reason, is_warmup).await;
            }
        };
        let mut answer = None;
        let mut called = intended;
        let result = {
            let exchange = async {
                match session.endpoint.way() {
                    Way::Http(_) => self.exchange_patiently(&prepared, intended).await,
                    Way::Invoke(api) => {
                        let answer = answer.insert(Box::<Answer>::default());
                        self.capture.sending.wall = Some(clock::wall());
                        called = clock::now();
                        invoke(api, &prepared.payload, answer).await
                    }
                }
            };
            let cut_short = async {
                tokio::select! {
                    biased;
                    () = session.interrupt.was_cut() => ExchangeError::Interrupted,
                    () = tokio::time::sleep(session.timeout) => {
                        ExchangeError::Timeout(session.timeout)
                    }
                }
            };
            unless(exchange, cut_short).await.and_then(|result| result)
        };
        if let Some(answer) = &mut answer {
            // An endpoint that tells nothing of sending did so when it was called.
            if result.is_ok() || answer.content_frames() > 0 {
                answer.sent_at(called);
            }
            let sending = &mut self.capture.sending;
            sending.at = answer.sent_stamp();
            sending.lateness = sending.at.map(|sent| sent.seconds_since(intended).max(0.0));
        }
        let is_unreachable = matches!(result, Err(ExchangeError::Connect(_)));
        let (at, failure) = match result {
            Ok(at) => (at, None),
            Err(ExchangeError::Interrupted) if answer.is_none() && !self.capture.is_sent() => {
                // Nothing of it left this machine: it is as if it had not begun.
                self.capture.forget();
                return clock::now();
            }
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
        if is_unreachable {
            tokio::select! {
                () = tokio::time::sleep(UNREACHABLE_PAUSE) => {}
                () = session.interrupt.stopped() => {}
            }
            return clock::now();
        }
        at
    }

    /// Records a request that is not sent.
    async fn refused(&mut self, prepared: Arc<Prepared>, reason: String, is_warmup: bool) -> Stamp {
        self.capture.finish(Ending {
            prepared,
            sending: Sending::default(),
            failure: Some(reason),
            at: clock::now(),
            is_warmup,
            answer: None,
        });
        tokio::select! {
            () = tokio::time::sleep(REFUSED_PAUSE) => {}
            () = self.session.interrupt.stopped() => {}
        }
        clock::now()
    }

    /// An HTTP exchange that is repeated, as often as the user allows, when the server cannot be
    /// reached or asks to come back later. The clock is not restarted.
    async fn exchange_patiently(
        &mut self,
        prepared: &Prepared,
        intended: Stamp,
    ) -> Result<Stamp, ExchangeError> {
        let begun = clock::now();
        let mut attempts = 1;
        loop {
            self.refusal = None;
            let result = self.exchange(prepared, intended).await;
            let retry_after = match (&result, &self.refusal) {
                (Err(ExchangeError::Connect(_)), _) => None,
                (Ok(_), Some(head)) => head.retry_after.as_deref(),
                _ => return result,
            };
            let session = self.session.clone();
            let pause = retry::pause(attempts, retry_after);
            let left = session.timeout.as_secs_f64() - clock::now().seconds_since(begun);
            // An answer is worth more than a timeout.
            if attempts > session.max_retries || pause.as_secs_f64() >= left {
                return result;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = session.interrupt.stopped() => return result,
            }
            if let Some(head) = self.capture.restart() {
                session.rate_limits.note(&head);
            }
            self.capture.sending.retries += 1;
            self.capture.sending.retry_wait += pause.as_secs_f64();
            attempts += 1;
        }
    }

    /// One HTTP exchange. An idle connection that the server closed meanwhile is replaced, once;
    /// the clock is not restarted then.
    async fn exchange(
        &mut self,
        prepared: &Prepared,
        intended: Stamp,
    ) -> Result<Stamp, ExchangeError> {
        if let Some(mut connection) = self.connection.take()
            && connection.is_usable().await
        {
            match self.exchange_over(connection, prepared, intended).await {
                Err(ExchangeError::ClosedBeforeAnswer(_)) => {
                    self.capture.sending.retries += u32::from(self.capture.is_sent());
                }
                result => return result,
            }
        }
        let connection = self.dial().await?;
        if self.session.interrupt.is_stopped() {
            return Err(ExchangeError::Interrupted);
        }
        // What is waited for before a connection is ready is no lateness of the meter.
        let intended = intended.max(clock::now());
        self.exchange_over(connection, prepared, intended).await
    }

    async fn dial(&mut self) -> Result<Channel, ExchangeError> {
        let dialer = self.session.dialer.as_ref();
        let dialer = dialer.ok_or_else(|| ExchangeError::Endpoint("no server to dial".into()))?;
        let permit = self.session.connecting.acquire().await;
        let connection = dialer.dial(self.number).await?;
        let (time_to_connect, time_to_tls) = (connection.time_to_connect, connection.time_to_tls);
        let channel = if self.session.is_http2 {
            Channel::Http2(Box::new(Http2::open(connection).await?))
        } else {
            Channel::Http1(connection)
        };
        drop(permit);
        self.session.connections.fetch_add(1, Ordering::Relaxed);
        self.capture.sending.time_to_connect = Some(time_to_connect);
        self.capture.sending.time_to_tls = time_to_tls;
        Ok(channel)
    }

    async fn exchange_over(
        &mut self,
        connection: Channel,
        prepared: &Prepared,
        intended: Stamp,
    ) -> Result<Stamp, ExchangeError> {
        if !self.capture.is_sent() {
            self.capture.sending.wall = Some(clock::wall());
        }
        match connection {
            Channel::Http1(connection) => self.exchange_http1(connection, prepared, intended).await,
            Channel::Http2(http2) => self.exchange_http2(http2, prepared, intended).await,
        }
    }

    /// Keeps the head of a complete answer that asks to come back later.
    fn note_refusal(&mut self, head: Option<&ResponseHead>) {
        if self.session.max_retries > 0 {
            let head = head.filter(|head| retry::is_refusal(head));
            self.refusal = head.cloned();
        }
    }

    /// Keeps a connection for the next request, unless each is to have one of its own.
    fn keep(&mut self, connection: Channel) {
        if self.session.connections_kept == Connections::Keep {
            self.connection = Some(connection);
        }
    }
}

/// Lets an endpoint carry out a request. Returns when it was over.
async fn invoke(
    api: &dyn Invoke,
    payload: &Payload,
    answer: &mut Answer,
) -> Result<Stamp, ExchangeError> {
    // The call itself is within, too: it is foreign code even before it is awaited.
    let work = async { api.invoke(payload, answer).await };
    match foreign::guarded_async(work).await {
        Ok(Ok(())) => Ok(clock::now()),
        Ok(Err(reason)) => Err(ExchangeError::Endpoint(reason.0)),
        Err(Panic(reason)) => Err(ExchangeError::Panicked(reason)),
    }
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
    #[error("{0}")]
    Http2(Http2Error),
    #[error("timed out after {} s", .0.as_secs_f64())]
    Timeout(Duration),
    #[error("cut off: the run was interrupted")]
    Interrupted,
    #[error("{0}")]
    Endpoint(String),
    #[error("the endpoint's code panicked: {0}")]
    Panicked(String),
}

fn in_brackets(reason: &Option<String>) -> String {
    reason
        .as_ref()
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default()
}
