//! One client: one request after the other, mostly on the same connection.

mod http1;
mod http2;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use crate::base::failure::{Failure, FailureKind};
use crate::base::foreign;
use crate::endpoint::{Invoke, ResponseBuilder, Transport};
use crate::load::WorkerShare;
use crate::payload::Payload;
use crate::run::Connections;
use crate::run::cancel::unless_cancelled;
use crate::run::capture::{Capture, ExchangeEnd, SegmentQueue};
use crate::run::conversation::SentTurn;
use crate::run::pacing::Pacing;
use crate::run::pool::Channel;
use crate::run::prefetch::Ready;
use crate::run::prepare::Prepared;
use crate::run::retry;
use crate::run::shared::Shared;
use crate::run::worker::Worker;
use llmeter_wire::clock::{self, Stamp};
use llmeter_wire::http2::{Http2, NoHttp2};
use llmeter_wire::{ConnectError, Phase, ResponseHead};

/// How long a client that does not wait after failures waits all the same after it could not connect:
/// such failures are made as fast as the machine can.
const UNREACHABLE_PAUSE: Duration = Duration::from_millis(100);

/// How long a client waits after a request that was not sent because a callback failed.
const REFUSED_PAUSE: Duration = Duration::from_millis(10);

/// The receive buffer of a connection that is read slowly, in bytes, so that the server feels it soon.
const SMALL_BUFFER: usize = 4096;

/// Carries out one request by itself.
pub(crate) async fn once(shared: Arc<Shared>, request: Arc<Prepared>, queue: SegmentQueue) {
    let alone = WorkerShare {
        worker: 0,
        workers: 1,
    };
    let mut client = Client::new(shared, Arc::new(Worker::new(alone, queue)), 0);
    let request = Ready::new(request);
    client.request(request, clock::now(), false).await;
}

/// Who sends the requests of a session, one after the other.
pub(crate) struct Client {
    number: u32,
    shared: Arc<Shared>,
    worker: Arc<Worker>,
    /// The server of the request under way.
    server: u16,
    /// The connection of the request before, to that server.
    connection: Option<Channel>,
    pub(crate) capture: Capture,
    /// The head of a response that asks to come back later.
    refusal: Option<ResponseHead>,
    /// Whether the last response's status is no success.
    is_refused: bool,
    pacing: Pacing,
    /// What the request under way is at, as far as its head.
    phase: Option<Phase>,
    /// Whether the server is to show that it speaks HTTP/2.
    opens_http2: bool,
    /// After what time the next request is closed, if it is.
    pub(crate) cancel_after: Option<Duration>,
    /// How many bytes of its response are read in a second, if that is slow on purpose.
    pub(crate) read_rate: Option<u32>,
    /// What the next request is of a conversation.
    pub(crate) turn: Option<Box<SentTurn>>,
    /// Whether its connection is nobody else's.
    pub(crate) is_alone: bool,
}

impl Client {
    pub(crate) fn new(shared: Arc<Shared>, worker: Arc<Worker>, number: u32) -> Self {
        Self {
            number,
            server: 0,
            connection: None,
            refusal: None,
            is_refused: false,
            pacing: Pacing::default(),
            phase: None,
            opens_http2: false,
            cancel_after: None,
            read_rate: None,
            turn: None,
            is_alone: false,
            capture: Capture::new(worker.queue.clone(), shared.backlog.clone()),
            shared,
            worker,
        }
    }

    /// Leaves the connection to the sessions that come.
    pub(crate) fn retire(self) {
        if let Some(connection) = self.connection.filter(|_| !self.is_alone) {
            self.worker.pool.put(self.server, connection);
        }
    }

    /// What follows is somebody else's: one who wants a connection that nobody else has had, and that nobody
    /// has after, or one who takes any.
    pub(crate) fn change(&mut self, is_alone: bool) {
        if let Some(connection) = self.connection.take_if(|_| is_alone || self.is_alone)
            && !self.is_alone
        {
            self.worker.pool.put(self.server, connection);
        }
        self.is_alone = is_alone;
    }

    /// Carries out one request and hands the response over. Returns when it was over, which is when
    /// the next one should be sent.
    pub(crate) async fn request(
        &mut self,
        request: Ready,
        intended: Stamp,
        is_warmup: bool,
    ) -> Stamp {
        self.capture.begin(self.worker.next_id());
        if request.refusal.is_some() {
            return self.refused(request, is_warmup).await;
        }
        let shared = self.shared.clone();
        let Ready {
            mut prepared, data, ..
        } = request;
        self.turn_to(prepared.server);
        self.phase = None;
        self.is_refused = false;
        self.opens_http2 = false;
        let mut builder = None;
        let mut called = intended;
        let silence = self.capture.silence.timer();
        let cancel_after = self.cancel_after;
        let result = {
            let exchange = async {
                match shared.endpoint(self.server).transport() {
                    Transport::Http(_) => self.exchange_with_retries(&mut prepared, intended).await,
                    Transport::Invoke(api) => {
                        let builder = builder.insert(Box::<ResponseBuilder>::default());
                        self.capture.sending.wall = Some(clock::wall());
                        called = clock::now();
                        invoke(api, &prepared.payload, builder).await
                    }
                }
            };
            let cancel = async {
                tokio::select! {
                    biased;
                    () = shared.interrupt.aborted() => interrupted(),
                    () = after(cancel_after) => cancelled(cancel_after),
                    () = silence.run_for(shared.timeout) => timed_out(shared.timeout),
                }
            };
            unless_cancelled(exchange, cancel)
                .await
                .and_then(|result| result)
        };
        if let Some(builder) = &mut builder {
            // An endpoint that tells nothing of sending did so when it was called.
            if result.is_ok() || builder.content_frames() > 0 {
                builder.sent_at(called);
            }
            let sending = &mut self.capture.sending;
            sending.at = builder.sent_stamp();
            sending.lateness = sending.at.map(|sent| sent.seconds_since(intended).max(0.0));
        }
        let is_unreachable = result
            .as_ref()
            .is_err_and(|failure| failure.kind().is_connecting() && builder.is_none());
        let (at, failure) = match result {
            Ok(at) => (at, None),
            Err(failure)
                if failure.kind() == FailureKind::Interrupted
                    && builder.is_none()
                    && !self.capture.has_left() =>
            {
                // Nothing of it left this machine: it is as if it had not begun.
                if let (Some(offered), Some(due)) = (&shared.offered, self.capture.sending.due)
                    && !is_warmup
                {
                    offered.note_stopped(due.at);
                }
                self.capture.forget();
                self.turn = None;
                return clock::now();
            }
            Err(mut failure) => {
                self.connection = None;
                if self.opens_http2 && failure.kind() == FailureKind::Timeout {
                    let waited = shared.timeout.as_secs_f64();
                    failure = ConnectError::from(NoHttp2::Silent(waited)).into();
                }
                failure.locate(failure.phase().or(self.phase), None);
                (clock::now(), Some(failure))
            }
        };
        let sending = self.capture.sending;
        let kind = failure.as_ref().map(Failure::kind);
        let has_failed = kind.is_some_and(|kind| kind != FailureKind::Cancelled);
        let outcomes = self.pacing.next(has_failed || self.is_refused);
        self.capture.finish(ExchangeEnd {
            client: self.number,
            prepared,
            data,
            sending,
            failure,
            transport_end: self.capture.transport_end,
            network: self.capture.network,
            packets: None,
            at,
            is_warmup,
            outcomes: Some(outcomes),
            response: builder,
            turn: self.turn.take(),
        });
        // What comes by the clock waits for nobody.
        if is_unreachable && !shared.pauses_after_failures && sending.due.is_none() {
            let end = clock::now().after(UNREACHABLE_PAUSE);
            shared.sleep_until(end).await;
            return clock::now();
        }
        at
    }

    /// Waits if the last request failed, until `until` at most. Whether it waited.
    pub(crate) async fn pause_after_failure(&mut self, until: Option<Stamp>) -> bool {
        if !self.shared.pauses_after_failures {
            return false;
        }
        let paused = self
            .pacing
            .pause(&self.shared, &self.capture.queue, until)
            .await;
        self.capture.sending.failure_pause = paused.unwrap_or(0.0);
        paused.is_some()
    }

    /// Records a request that is not sent.
    async fn refused(&mut self, request: Ready, is_warmup: bool) -> Stamp {
        let is_due = self.capture.sending.due.is_some();
        self.capture.finish(ExchangeEnd {
            client: self.number,
            prepared: request.prepared,
            data: request.data,
            // It has its place in the load all the same.
            sending: self.capture.sending,
            failure: request.refusal,
            transport_end: None,
            network: None,
            packets: None,
            at: clock::now(),
            is_warmup,
            outcomes: None,
            response: None,
            turn: self.turn.take(),
        });
        if !is_due {
            let end = clock::now().after(REFUSED_PAUSE);
            self.shared.sleep_until(end).await;
        }
        clock::now()
    }

    /// An HTTP exchange that is retried, as often as the user allows, when the server cannot be
    /// reached or asks to come back later. The clock is not restarted. `prepared` is made anew if
    /// it grows too old meanwhile.
    async fn exchange_with_retries(
        &mut self,
        prepared: &mut Arc<Prepared>,
        intended: Stamp,
    ) -> Result<Stamp, Failure> {
        let begun = clock::now();
        let mut attempts = 1;
        loop {
            self.refusal = None;
            let result = self.exchange(prepared, intended).await;
            let retry_after = match (&result, &self.refusal) {
                (Err(failure), _) if failure.kind().is_connecting() => None,
                (Ok(_), Some(head)) => head.header("retry-after"),
                _ => return result,
            };
            let shared = self.shared.clone();
            let pause = retry::pause(attempts, retry_after);
            let left = shared.timeout.as_secs_f64() - clock::now().seconds_since(begun);
            // A response is worth more than a timeout.
            if attempts > shared.max_retries || pause.as_secs_f64() >= left {
                return result;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shared.stopping() => return result,
            }
            let requests = &shared.requests;
            let request = Ready::new(prepared.clone());
            let Some(request) = requests.fresh(request, &shared.interrupt).await else {
                return result;
            };
            if let Some(head) = self.capture.restart() {
                shared.rate_limits.note(&head);
            }
            if let Some(failure) = request.refusal {
                return Err(failure);
            }
            *prepared = request.prepared;
            self.capture.sending.retries += 1;
            self.capture.sending.retry_wait += pause.as_secs_f64();
            attempts += 1;
        }
    }

    /// One HTTP exchange. A kept connection that the server had given up is replaced, once. The
    /// attempt that is answered has a clock of its own: what was lost is no time of the response.
    async fn exchange(&mut self, prepared: &Prepared, intended: Stamp) -> Result<Stamp, Failure> {
        if let Some(connection) = self.idle_connection().await {
            let exchange = self.exchange_over(connection, true, prepared, intended);
            match exchange.await {
                Err(failure) if failure.kind() == FailureKind::NoResponse => {
                    self.capture.lose_attempt();
                }
                result => return result,
            }
        }
        let connection = self.dial().await?;
        if self.shared.interrupt.is_stopped() {
            return Err(interrupted());
        }
        // What is waited for before a connection is ready is no lateness of the meter.
        let intended = intended.max(clock::now());
        self.exchange_over(connection, false, prepared, intended)
            .await
    }

    /// Leaves the connection to another server to whoever sends there next.
    fn turn_to(&mut self, server: u16) {
        if server != self.server
            && let Some(connection) = self.connection.take()
            && !self.is_alone
        {
            self.worker.pool.put(self.server, connection);
        }
        self.server = server;
    }

    /// The connection of the request before, or else one that an earlier session left.
    async fn idle_connection(&mut self) -> Option<Channel> {
        if self.read_rate.is_some() {
            // It is to be nobody else's.
            return None;
        }
        loop {
            let idle = self.connection.take();
            let pooled = || self.worker.pool.take(self.server);
            let mut connection = match self.is_alone {
                true => idle?,
                false => idle.or_else(pooled)?,
            };
            if connection.is_usable().await {
                return Some(connection);
            }
        }
    }

    async fn dial(&mut self) -> Result<Channel, Failure> {
        let Some(dialer) = self.shared.dialers.get(usize::from(self.server)) else {
            let reason = "internal error, please report it: no server to dial";
            return Err(Failure::new(FailureKind::Other, reason));
        };
        let watch = self.shared.watch.as_ref();
        self.phase = Some(Phase::Connect);
        let begun = clock::now();
        let permit = self.shared.connecting.acquire().await;
        let dialled = dialer.dial_with_phases(self.number as usize, |phase| {
            self.phase = Some(phase);
            if let Some(watch) = watch {
                watch.enter(phase);
            }
        });
        let connection = dialled.await?;
        if let Some(watch) = watch {
            watch.connected(&connection);
        }
        let (time_to_connect, time_to_tls) = (connection.time_to_connect, connection.time_to_tls);
        let channel = if self.shared.is_http2 {
            self.phase = Some(Phase::Tls);
            self.opens_http2 = true;
            let http2 = Http2::open(connection).await?;
            self.opens_http2 = false;
            Channel::Http2(Box::new(http2))
        } else {
            Channel::Http1(Box::new(connection))
        };
        drop(permit);
        if self.read_rate.is_some()
            && let Channel::Http1(connection) = &channel
        {
            connection.limit_receive_buffer(SMALL_BUFFER);
        }
        self.shared.note_connection();
        self.capture.sending.connection_wait += clock::now().seconds_since(begun);
        self.capture.sending.time_to_connect = Some(time_to_connect);
        self.capture.sending.time_to_tls = time_to_tls;
        Ok(channel)
    }

    async fn exchange_over(
        &mut self,
        connection: Channel,
        is_kept: bool,
        prepared: &Prepared,
        intended: Stamp,
    ) -> Result<Stamp, Failure> {
        self.phase = Some(Phase::Send);
        if !self.capture.is_sent() {
            self.capture.sending.wall = Some(clock::wall());
        }
        match connection {
            Channel::Http1(connection) => {
                self.exchange_http1(connection, is_kept, prepared, intended)
                    .await
            }
            Channel::Http2(http2) => self.exchange_http2(http2, prepared, intended).await,
        }
    }

    /// Notes whether a complete response is a refusal, and keeps the head of one that asks to come back
    /// later.
    fn note_refusal(&mut self, head: Option<&ResponseHead>) {
        self.is_refused = head.is_some_and(|head| !(200..300).contains(&head.status));
        if self.shared.max_retries > 0 {
            let head = head.filter(|head| retry::is_refusal(head));
            self.refusal = head.cloned();
        }
    }

    /// Keeps a connection for the next request, unless each is to have one of its own.
    fn keep(&mut self, connection: Channel) {
        if self.shared.connections_kept == Connections::Keep && self.read_rate.is_none() {
            self.connection = Some(connection);
        }
    }
}

/// Lets an endpoint carry out a request. Returns when it was over.
async fn invoke(
    api: &dyn Invoke,
    payload: &Payload,
    builder: &mut ResponseBuilder,
) -> Result<Stamp, Failure> {
    // The call itself is within, too: it is foreign code even before it is awaited.
    let work = async { api.invoke(payload, builder).await };
    match foreign::catch_panic_async(work).await {
        Ok(Ok(())) => Ok(clock::now()),
        Ok(Err(failure)) => Err(failure),
        Err(panic) => Err(panic.into()),
    }
}

fn interrupted() -> Failure {
    Failure::new(
        FailureKind::Interrupted,
        "the run was interrupted before the response was complete",
    )
}

/// Waits for so long; for ever without a time.
async fn after(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

fn cancelled(after: Option<Duration>) -> Failure {
    let seconds = after.unwrap_or_default().as_secs_f64();
    let reason = format!("cancelled after {seconds} s, as asked for");
    Failure::new(FailureKind::Cancelled, reason)
}

fn timed_out(timeout: Duration) -> Failure {
    let reason = format!("timed out after {} s", timeout.as_secs_f64());
    Failure::new(FailureKind::Timeout, reason)
}

/// The connection closed before anything of a response came. `reason`: what is known beside that.
fn no_response(reason: Option<String>) -> Failure {
    let reason = reason.map(|reason| format!(" ({reason})"));
    let reason = reason.unwrap_or_default();
    let reason = format!("the server closed the connection without a response{reason}");
    Failure::new(FailureKind::NoResponse, reason).in_phase(Phase::Head)
}

/// The connection broke within the response.
fn broken(reason: impl std::error::Error + Send + Sync + 'static) -> Failure {
    let text = format!("the connection broke in the middle of the response: {reason}");
    Failure::new(FailureKind::Truncated, text)
        .with_cause(reason)
        .in_phase(Phase::Stream)
}
