//! One client: a connection, and one request after the other on it.

mod http1;
mod http2;

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use crate::base::failure::{Failure, FailureKind};
use crate::base::foreign;
use crate::endpoint::{Answer, Invoke, Transport};
use crate::load::ClientPlan;
use crate::payload::Payload;
use crate::run::Connections;
use crate::run::capture::{Capture, Ending, Segment, Sending};
use crate::run::gate::Pass;
use crate::run::prefetch::Ready;
use crate::run::prepare::Prepared;
use crate::run::retry;
use crate::run::session::Session;
use crate::run::unless::unless;
use llmeter_wire::clock::{self, Stamp};
use llmeter_wire::http2::Http2;
use llmeter_wire::{Connection, Phase, ResponseHead};

/// How long a client waits after it could not connect: a server that went away would otherwise be
/// met with failures as fast as they can be made.
const UNREACHABLE_PAUSE: Duration = Duration::from_millis(100);

/// The same after a request that was not sent because a callback failed.
const REFUSED_PAUSE: Duration = Duration::from_millis(10);

/// Runs one client to its end.
pub(crate) async fn run(
    session: Arc<Session>,
    mut plan: ClientPlan,
    pass: Pass,
    queue: Sender<Segment>,
) {
    let mut client = Client::new(session.clone(), plan.client, queue);
    let interrupt = session.interrupt.clone();
    let requests = &session.requests;
    let mut next = requests.of_client();
    next.want(plan.upcoming());
    while plan.warmup > 0 {
        next.wait(requests, &interrupt).await;
        let Ok(room) = session.admit(next.peek(requests, plan.upcoming())).await else {
            break;
        };
        next.refresh(requests, &interrupt).await;
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
        next.refresh(requests, &interrupt).await;
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
    session.note_end();
}

/// Carries out one request by itself.
pub(crate) async fn once(session: Arc<Session>, request: Arc<Prepared>, queue: Sender<Segment>) {
    let mut client = Client::new(session, 0, queue);
    client
        .request(Ready::Send(request), clock::now(), false)
        .await;
}

struct Client {
    number: usize,
    session: Arc<Session>,
    connection: Option<Channel>,
    capture: Capture,
    /// The head of an answer that asks to come back later.
    refusal: Option<ResponseHead>,
    /// What the request under way is at, as far as its head.
    phase: Option<Phase>,
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
    fn new(session: Arc<Session>, number: u32, queue: Sender<Segment>) -> Self {
        Self {
            number: number as usize,
            connection: None,
            refusal: None,
            phase: None,
            capture: Capture::new(number, queue, session.backlog.clone()),
            session,
        }
    }

    /// Carries out one request and hands the answer over. Returns when it was over, which is when
    /// the next one should be sent.
    async fn request(&mut self, request: Ready, intended: Stamp, is_warmup: bool) -> Stamp {
        let session = self.session.clone();
        let mut prepared = match request {
            Ready::Send(prepared) => prepared,
            Ready::Refused(prepared, reason) => {
                return self.refused(prepared, reason, is_warmup).await;
            }
        };
        self.phase = None;
        let mut answer = None;
        let mut called = intended;
        let result = {
            let exchange = async {
                match session.endpoint.transport() {
                    Transport::Http(_) => self.exchange_patiently(&mut prepared, intended).await,
                    Transport::Invoke(api) => {
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
                    () = session.interrupt.aborted() => interrupted(),
                    () = tokio::time::sleep(session.timeout) => timed_out(session.timeout),
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
        let is_unreachable = result
            .as_ref()
            .is_err_and(|failure| failure.kind().is_connecting() && answer.is_none());
        let (at, failure) = match result {
            Ok(at) => (at, None),
            Err(failure)
                if failure.kind() == FailureKind::Interrupted
                    && answer.is_none()
                    && !self.capture.is_sent() =>
            {
                // Nothing of it left this machine: it is as if it had not begun.
                self.capture.forget();
                return clock::now();
            }
            Err(mut failure) => {
                self.connection = None;
                failure.locate(failure.phase().or(self.phase), None);
                (clock::now(), Some(failure))
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
    async fn refused(
        &mut self,
        prepared: Arc<Prepared>,
        failure: Failure,
        is_warmup: bool,
    ) -> Stamp {
        self.capture.finish(Ending {
            prepared,
            sending: Sending::default(),
            failure: Some(failure),
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
    /// reached or asks to come back later. The clock is not restarted. `prepared` is made anew if
    /// it grows too old meanwhile.
    async fn exchange_patiently(
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
            let requests = &session.requests;
            let Some(request) = requests.fresh(prepared.clone(), &session.interrupt).await else {
                return result;
            };
            if let Some(head) = self.capture.restart() {
                session.rate_limits.note(&head);
            }
            match request {
                Ready::Send(request) => *prepared = request,
                Ready::Refused(_, failure) => return Err(failure),
            }
            self.capture.sending.retries += 1;
            self.capture.sending.retry_wait += pause.as_secs_f64();
            attempts += 1;
        }
    }

    /// One HTTP exchange. An idle connection that the server closed meanwhile is replaced, once;
    /// the clock is not restarted then.
    async fn exchange(&mut self, prepared: &Prepared, intended: Stamp) -> Result<Stamp, Failure> {
        if let Some(mut connection) = self.connection.take()
            && connection.is_usable().await
        {
            match self.exchange_over(connection, prepared, intended).await {
                Err(failure) if failure.kind() == FailureKind::NoResponse => {
                    self.capture.sending.retries += u32::from(self.capture.is_sent());
                }
                result => return result,
            }
        }
        let connection = self.dial().await?;
        if self.session.interrupt.is_stopped() {
            return Err(interrupted());
        }
        // What is waited for before a connection is ready is no lateness of the meter.
        let intended = intended.max(clock::now());
        self.exchange_over(connection, prepared, intended).await
    }

    async fn dial(&mut self) -> Result<Channel, Failure> {
        let Some(dialer) = &self.session.dialer else {
            let reason = "internal error, please report it: no server to dial";
            return Err(Failure::new(FailureKind::Other, reason));
        };
        let watch = self.session.watch.as_ref();
        self.phase = Some(Phase::Connect);
        let permit = self.session.connecting.acquire().await;
        let dialled = dialer.dial_by_phases(self.number, |phase| {
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
        let channel = if self.session.is_http2 {
            let http2 = Http2::open(connection).await?;
            Channel::Http2(Box::new(http2))
        } else {
            Channel::Http1(connection)
        };
        drop(permit);
        self.session.note_connection();
        self.capture.sending.time_to_connect = Some(time_to_connect);
        self.capture.sending.time_to_tls = time_to_tls;
        Ok(channel)
    }

    async fn exchange_over(
        &mut self,
        connection: Channel,
        prepared: &Prepared,
        intended: Stamp,
    ) -> Result<Stamp, Failure> {
        self.phase = Some(Phase::Send);
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
) -> Result<Stamp, Failure> {
    // The call itself is within, too: it is foreign code even before it is awaited.
    let work = async { api.invoke(payload, answer).await };
    match foreign::guarded_async(work).await {
        Ok(Ok(())) => Ok(clock::now()),
        Ok(Err(failure)) => Err(failure),
        Err(panic) => Err(panic.into()),
    }
}

fn interrupted() -> Failure {
    Failure::new(FailureKind::Interrupted, "cut off: the run was interrupted")
}

fn timed_out(timeout: Duration) -> Failure {
    let reason = format!("timed out after {} s", timeout.as_secs_f64());
    Failure::new(FailureKind::Timeout, reason)
}

/// The connection closed before anything of a response came. `reason`: what is known beside that.
fn no_response(reason: Option<String>) -> Failure {
    let reason = reason.map(|reason| format!(" ({reason})"));
    let reason = reason.unwrap_or_default();
    let reason = format!("the server closed the connection without an answer{reason}");
    Failure::new(FailureKind::NoResponse, reason).in_phase(Phase::Head)
}

/// The connection broke within the response.
fn broken(reason: impl std::error::Error + Send + Sync + 'static) -> Failure {
    let text = format!("the connection broke in the middle of the answer: {reason}");
    Failure::new(FailureKind::Truncated, text)
        .with_cause(reason)
        .in_phase(Phase::Stream)
}
