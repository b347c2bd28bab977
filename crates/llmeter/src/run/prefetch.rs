//! The request prefetcher: requests of data, and those that callbacks may change or that grow old, are made
//! ahead of their time, on threads of their own, so that neither a slow hook nor the making of a request
//! delays another stream's bytes.
//!
//! Payloads of a list have one such thread. Data has several: each makes the requests of its own indices, so
//! that they share nothing.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::oneshot::error::RecvError;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use crate::base::error::{Error, Result};
use crate::base::failure::{Failure, FailureKind};
use crate::base::foreign;
use crate::base::runtime::{runtime, spawn_low_priority};
use crate::callback::{CallbackChain, CallbackData, Hook, InvokeRequest};
use crate::cost::SpendGuard;
use crate::data::DataRequest;
use crate::endpoint::Transport;
use crate::load::{Balancer, Turn};
use crate::payload::Payload;
use crate::run::Interrupt;
use crate::run::ahead::{Ahead, DataMaker, Made};
use crate::run::prepare::Prepared;
use crate::run::route::Route;
use llmeter_wire::{Phase, clock};

/// How long the thread sleeps when no session waits. What sessions want next is then prepared in
/// one turn, which spares the workers a wake-up per request.
const IDLE_SLEEP: Duration = Duration::from_millis(2);
/// Threads that make data, at most.
const MAX_DATA_THREADS: usize = 4;

/// A request that can be sent, or why it cannot.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) prepared: Arc<Prepared>,
    /// What callbacks keep of it.
    pub(crate) data: CallbackData,
    /// A callback failed, or what it made of the payload cannot be sent.
    pub(crate) refusal: Option<Failure>,
}

impl Ready {
    pub(crate) fn new(prepared: Arc<Prepared>) -> Self {
        Self {
            prepared,
            data: CallbackData::default(),
            refusal: None,
        }
    }

    fn refused(self, failure: Failure) -> Self {
        Self {
            refusal: Some(failure),
            ..self
        }
    }
}

/// Where sessions get their requests from.
pub(crate) enum Requests {
    /// The same bytes every time, for each server.
    Fixed(Vec<Vec<Arc<Prepared>>>),
    /// Made for each request.
    Prefetched(Prefetcher),
}

pub(crate) struct Prefetcher {
    /// One thread's for each remainder of indices.
    threads: Arc<[PrefetchThread]>,
    wait_ns: AtomicU64,
    /// From one index of the run to its next.
    stride: usize,
    /// Whether it is the data that sessions wait for.
    makes_data: bool,
    /// Tells which requests have grown too old, if they do.
    ageing: Option<Arc<[Route]>>,
}

/// The way to a thread.
struct PrefetchThread {
    orders: Sender<PrefetchRequest>,
    hurry: Arc<Notify>,
}

/// A request that a session wants.
enum PrefetchRequest {
    Whole(PrefetchJob, oneshot::Sender<Ready>),
    /// What a turn says beside its history, which is not known yet.
    Draft(u64, oneshot::Sender<Draft>),
}

/// A request of the data.
type Draft = Result<DataRequest>;

enum PrefetchJob {
    Make(RequestSpec),
    /// One like this, which has grown too old. Callbacks have seen it already.
    Renew(Arc<Prepared>),
    /// A turn that goes on with what was sent and answered before it.
    Continue(Box<Continuation>),
}

/// A turn whose history is there.
struct Continuation {
    spec: RequestSpec,
    draft: oneshot::Receiver<Draft>,
    previous: Arc<Prepared>,
    answer: String,
}

#[derive(Debug, Clone, Copy)]
struct RequestSpec {
    payload: usize,
    server: u16,
    client: u32,
    sequence: u64,
    is_warmup: bool,
    /// The conversation that it is a turn of.
    session: Option<u32>,
}

/// A session's side: what it sends next.
pub(crate) struct NextRequest {
    threads: Option<Arc<[PrefetchThread]>>,
    stride: usize,
    /// Whether any request was wanted.
    is_used: bool,
    /// The server of all its requests, if they stay at one.
    server: Option<u16>,
    coming: Option<oneshot::Receiver<Ready>>,
    /// What the next turn says, until its history is there.
    draft: Option<oneshot::Receiver<Draft>>,
    ready: Option<Ready>,
    /// What is wanted next, but for its payload.
    next: RequestSpec,
}

/// Makes requests, on the prefetcher's threads.
pub(crate) struct RequestBuilder {
    pub(crate) hooked: Arc<CallbackChain>,
    pub(crate) routes: Arc<[Route]>,
    pub(crate) origin: Origin,
    /// Counts the tokens of what was changed, in a run with a limit of cost.
    pub(crate) guard: Option<Arc<SpendGuard>>,
}

/// What requests are made of.
pub(crate) enum Origin {
    Payloads(GivenPayloads),
    Data(DataMaker),
}

/// A list of payloads.
pub(crate) struct GivenPayloads {
    /// As the user gave them.
    payloads: Vec<Arc<Payload>>,
    /// The same, prepared for each server; what no callback changes is sent as it is.
    prepared: Vec<Vec<Arc<Prepared>>>,
    /// For each payload a copy that callbacks left as it was, for the next request.
    spare: Mutex<Vec<Option<Payload>>>,
}

impl GivenPayloads {
    pub(crate) fn new(payloads: Vec<Arc<Payload>>, prepared: Vec<Vec<Arc<Prepared>>>) -> Self {
        Self {
            spare: Mutex::new(vec![None; payloads.len()]),
            payloads,
            prepared,
        }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Option<Payload>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Requests {
    /// Starts the threads that make requests. They end with the last session.
    pub(crate) fn prefetched(maker: RequestBuilder) -> Result<Self> {
        let is_ageing = |route: &Route| match route.endpoint.transport() {
            Transport::Http(api) => api.request_lifetime().is_some(),
            Transport::Invoke(_) => false,
        };
        let ageing = maker.routes.iter().any(is_ageing);
        let ageing = ageing.then(|| maker.routes.clone());
        let (count, start) = match &maker.origin {
            Origin::Payloads(_) => (1, None),
            // What a conversation sends next is no guess.
            Origin::Data(data) if data.sessions.is_some() => (data_threads(), None),
            Origin::Data(data) => (data_threads(), Some((data.start, data.stride))),
        };
        let is_of_data = matches!(&maker.origin, Origin::Data(_));
        let maker = Arc::new(maker);
        let mut threads = Vec::with_capacity(count);
        for number in 0..count {
            let (orders, incoming) = channel();
            let hurry = Arc::new(Notify::new());
            let ahead = start.map(|start| Ahead::new(start, number, count));
            let (maker, runtime, called) = (maker.clone(), runtime()?, hurry.clone());
            let name = match is_of_data {
                false => "before-invoke".to_owned(),
                true => format!("data-{number}"),
            };
            spawn_low_priority(name, move || {
                runtime.block_on(serve(maker, &incoming, &called, ahead));
                // A hook that hangs must not hold up the end.
                runtime.shutdown_background();
            })?;
            threads.push(PrefetchThread { orders, hurry });
        }
        Ok(Self::Prefetched(Prefetcher {
            threads: threads.into(),
            stride: start.map_or(1, |(_, stride)| stride as usize),
            wait_ns: AtomicU64::new(0),
            makes_data: is_of_data && !maker.hooked.has(Hook::BeforeInvoke),
            ageing,
        }))
    }

    /// Whether requests are made one by one, ahead of their time.
    pub(crate) fn is_prefetched(&self) -> bool {
        matches!(self, Self::Prefetched(_))
    }

    /// A session's side.
    pub(crate) fn of_session(
        &self,
        client: u32,
        is_warmup: bool,
        server: Option<u16>,
    ) -> NextRequest {
        NextRequest {
            threads: match self {
                Self::Fixed(_) => None,
                Self::Prefetched(prefetcher) => Some(prefetcher.threads.clone()),
            },
            stride: match self {
                Self::Fixed(_) => 1,
                Self::Prefetched(prefetcher) => prefetcher.stride,
            },
            server,
            is_used: false,
            coming: None,
            draft: None,
            ready: None,
            next: RequestSpec {
                payload: 0,
                server: 0,
                client,
                sequence: 0,
                is_warmup,
                session: None,
            },
        }
    }

    /// This request, or if it has grown too old one like it, which is waited for; `None` if the run
    /// is stopped meanwhile.
    pub(crate) async fn fresh(&self, ready: Ready, interrupt: &Interrupt) -> Option<Ready> {
        let Self::Prefetched(prefetcher) = self else {
            return Some(ready);
        };
        match &prefetcher.ageing {
            Some(routes) if !is_fresh(routes, &ready.prepared) => {
                let index = ready.prepared.index.unwrap_or_default() as usize;
                let thread = thread_of(&prefetcher.threads, prefetcher.stride, index);
                let coming = order(&thread.orders, PrefetchJob::Renew(ready.prepared));
                let renewed = prefetcher.wait_for(thread, coming, interrupt).await?;
                Some(Ready {
                    data: ready.data,
                    ..renewed
                })
            }
            _ => Some(ready),
        }
    }

    /// Seconds that sessions waited for callbacks, summed.
    pub(crate) fn callback_wait(&self) -> f64 {
        self.wait(false)
    }

    /// Seconds that sessions waited for the data, summed.
    pub(crate) fn data_wait(&self) -> f64 {
        self.wait(true)
    }

    fn wait(&self, is_of_data: bool) -> f64 {
        match self {
            Self::Prefetched(prefetcher) if prefetcher.makes_data == is_of_data => {
                prefetcher.wait_ns.load(Ordering::Relaxed) as f64 * 1e-9
            }
            _ => 0.0,
        }
    }
}

impl Prefetcher {
    /// What a session that has nothing else to do waits for; `None` if the run is stopped.
    async fn wait_for(
        &self,
        thread: &PrefetchThread,
        coming: impl Future<Output = std::result::Result<Ready, RecvError>>,
        interrupt: &Interrupt,
    ) -> Option<Ready> {
        thread.hurry.notify_one();
        let start = clock::now();
        let ready = tokio::select! {
            ready = coming => ready.ok(),
            () = interrupt.stopped() => None,
        };
        let waited = clock::now().0 - start.0;
        self.wait_ns
            .fetch_add(waited.max(0) as u64, Ordering::Relaxed);
        ready
    }
}

/// The thread that makes the requests of an index.
fn thread_of(threads: &[PrefetchThread], stride: usize, index: usize) -> &PrefetchThread {
    &threads[index / stride % threads.len()]
}

/// How many threads make the data.
fn data_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.min(MAX_DATA_THREADS)
}

/// Asks a thread for a request.
fn order(orders: &Sender<PrefetchRequest>, job: PrefetchJob) -> oneshot::Receiver<Ready> {
    let (reply, coming) = oneshot::channel();
    // The thread lives as long as this sender.
    let _ = orders.send(PrefetchRequest::Whole(job, reply));
    coming
}

/// Whether a prepared request can still be sent.
fn is_fresh(routes: &[Route], prepared: &Prepared) -> bool {
    match routes[usize::from(prepared.server)].endpoint.transport() {
        // What panics would not say anything else the next time.
        Transport::Http(api) => {
            foreign::catch_panic(|| api.is_fresh(prepared.made)).unwrap_or(true)
        }
        Transport::Invoke(_) => true,
    }
}

impl NextRequest {
    /// Says which turn comes next, so that its request can be made meanwhile.
    pub(crate) fn want(&mut self, turn: Option<&Turn>, balancer: &Balancer) {
        (self.coming, self.draft) = (None, None);
        if let Some(turn) = turn {
            // A conversation is a session of its own, although a client has several.
            if turn
                .conversation
                .as_ref()
                .is_some_and(|turn| turn.turn == 0)
                && self.is_used
            {
                self.server = balancer.of_session();
            }
            self.is_used = true;
            self.next.server = balancer.of_request(self.server);
        }
        if let (Some(threads), Some(turn)) = (&self.threads, turn) {
            self.next.payload = turn.payload;
            let conversation = turn.conversation.as_deref();
            self.next.session = conversation.map(|turn| turn.session);
            let thread = thread_of(threads, self.stride, turn.payload);
            match conversation.is_some_and(|turn| turn.continues) {
                true => {
                    let (reply, draft) = oneshot::channel();
                    let order = PrefetchRequest::Draft(turn.payload as u64, reply);
                    // The thread lives as long as this sender.
                    let _ = thread.orders.send(order);
                    self.draft = Some(draft);
                }
                false => {
                    self.coming = Some(order(&thread.orders, PrefetchJob::Make(self.next)));
                    self.next.sequence += 1;
                }
            }
        }
    }

    /// Has the next turn, if it goes on with a conversation, made from what was sent and answered before it.
    pub(crate) fn continue_from(&mut self, previous: Arc<Prepared>, answer: String) {
        if let (Some(threads), Some(draft)) = (&self.threads, self.draft.take()) {
            let thread = thread_of(threads, self.stride, self.next.payload);
            let continuation = Continuation {
                spec: self.next,
                draft,
                previous,
                answer,
            };
            let job = PrefetchJob::Continue(Box::new(continuation));
            self.coming = Some(order(&thread.orders, job));
            self.next.sequence += 1;
        }
    }

    /// Waits until the next request can be sent, or the run is stopped.
    pub(crate) async fn wait(&mut self, requests: &Requests, interrupt: &Interrupt) {
        let (Some(coming), Requests::Prefetched(prefetcher)) = (&mut self.coming, requests) else {
            return;
        };
        if let Ok(ready) = coming.try_recv() {
            self.ready = Some(ready);
            return;
        }
        let thread = thread_of(&prefetcher.threads, prefetcher.stride, self.next.payload);
        self.ready = prefetcher.wait_for(thread, coming, interrupt).await;
    }

    /// Has the request that was waited for made anew if it has grown too old meanwhile: the response
    /// before it may have taken long. Call it just before [`take`](Self::take).
    pub(crate) async fn refresh(&mut self, requests: &Requests, interrupt: &Interrupt) {
        self.ready = match self.ready.take() {
            Some(ready) if ready.refusal.is_none() => requests.fresh(ready, interrupt).await,
            other => other,
        };
    }

    /// The request that [`take`](Self::take) would give, if it can be sent.
    pub(crate) fn peek<'a>(
        &'a self,
        requests: &'a Requests,
        payload: usize,
    ) -> Option<&'a Prepared> {
        match (requests, &self.ready) {
            (Requests::Fixed(prepared), _) => Some(of_payload(
                &prepared[usize::from(self.next.server)],
                payload,
            )),
            (Requests::Prefetched(_), Some(ready)) if ready.refusal.is_none() => {
                Some(&ready.prepared)
            }
            (Requests::Prefetched(_), _) => None,
        }
    }

    /// The request that was waited for. `payload` is that of the turn that was wanted.
    pub(crate) fn take(&mut self, requests: &Requests, payload: usize) -> Option<Ready> {
        self.coming = None;
        match requests {
            Requests::Fixed(prepared) => {
                let prepared = &prepared[usize::from(self.next.server)];
                Some(Ready::new(of_payload(prepared, payload).clone()))
            }
            Requests::Prefetched(_) => self.ready.take(),
        }
    }
}

/// The item of a payload; beyond their number payloads begin again.
fn of_payload<T>(items: &[Arc<T>], payload: usize) -> &Arc<T> {
    &items[payload % items.len()]
}

async fn serve(
    maker: Arc<RequestBuilder>,
    orders: &Receiver<PrefetchRequest>,
    hurry: &Notify,
    mut ahead: Option<Ahead>,
) {
    let mut under_way = JoinSet::new();
    loop {
        match orders.try_recv() {
            Ok(PrefetchRequest::Draft(index, reply)) => {
                if let Origin::Data(data) = &maker.origin {
                    let _ = reply.send(data.turn(index));
                }
            }
            Ok(PrefetchRequest::Whole(job, reply)) => {
                let maker = maker.clone();
                let made = match (&job, &mut ahead) {
                    (PrefetchJob::Make(wanted), Some(ahead)) => ahead.take(wanted.payload as u64),
                    _ => None,
                };
                let mut work = Box::pin(async move {
                    let ready = match job {
                        PrefetchJob::Make(wanted) => maker.make(wanted, made).await,
                        PrefetchJob::Renew(old) => maker.renew(old),
                        PrefetchJob::Continue(turn) => maker.go_on(*turn).await,
                    };
                    // The session may have been stopped.
                    let _ = reply.send(ready);
                });
                // Most hooks wait for nothing and are done at once.
                if poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_pending())).await {
                    under_way.spawn(work);
                }
                if !under_way.is_empty() {
                    tokio::task::yield_now().await;
                }
            }
            Err(TryRecvError::Empty) => {
                if let (Origin::Data(data), Some(ahead)) = (&maker.origin, &mut ahead)
                    && ahead.has_room()
                {
                    ahead.make_next(data);
                    if !under_way.is_empty() {
                        tokio::task::yield_now().await;
                    }
                    continue;
                }
                let mut called = pin!(hurry.notified());
                tokio::select! {
                    () = &mut called => {}
                    () = tokio::time::sleep(IDLE_SLEEP) => {}
                    Some(_) = under_way.join_next() => {}
                }
            }
            Err(TryRecvError::Disconnected) => return,
        }
    }
}

impl RequestBuilder {
    /// Makes a request that has grown too old once more.
    fn renew(&self, old: Arc<Prepared>) -> Ready {
        let server = old.server;
        self.renew_for(old, server)
    }

    /// The same for a server.
    fn renew_for(&self, old: Arc<Prepared>, server: u16) -> Ready {
        match old.renewed(&self.routes[usize::from(server)]) {
            Ok(new) => Ready::new(Arc::new(new)),
            Err(reason) => {
                let what = "the request grew too old before it was sent, and cannot be made anew";
                Ready::new(old).refused(unprepared(reason.kind(), what, reason))
            }
        }
    }

    /// Makes a request. `made`: what is ready of it, if it is one of the data.
    async fn make(&self, wanted: RequestSpec, made: Option<Result<Made>>) -> Ready {
        match &self.origin {
            Origin::Payloads(list) => {
                let index = wanted.payload % list.payloads.len();
                let given = &list.payloads[index];
                let spare = list.spare()[index].take();
                let payload = spare.unwrap_or_else(|| (**given).clone());
                let ready = Ready::new(list.prepared[usize::from(wanted.server)][index].clone());
                let (ready, left) = self.call(wanted, payload, given, ready).await;
                if let Some(payload) = left {
                    list.spare()[index] = Some(payload);
                }
                ready
            }
            Origin::Data(data) => {
                let index = wanted.payload as u64;
                let made = made.unwrap_or_else(|| data.make(index, wanted.session));
                self.finish(wanted, made).await
            }
        }
    }

    /// Lets callbacks see a request of the data.
    async fn finish(&self, wanted: RequestSpec, made: Result<Made>) -> Ready {
        match made {
            Ok(Made {
                given: Some(given),
                prepared,
            }) => {
                let ready = match prepared.server == wanted.server {
                    true => Ready::new(prepared),
                    false => self.renew_for(prepared, wanted.server),
                };
                if ready.refusal.is_some() {
                    return ready;
                }
                self.call(wanted, given.clone(), &given, ready).await.0
            }
            Ok(made)
                if made.prepared.server == wanted.server
                    && is_fresh(&self.routes, &made.prepared) =>
            {
                Ready::new(made.prepared)
            }
            Ok(made) => self.renew_for(made.prepared, wanted.server),
            Err(reason) => {
                let what = "the data has no request that can be sent";
                let failure = unprepared(FailureKind::Other, what, reason);
                let nothing = Prepared::nothing(wanted.payload as u64);
                Ready::new(Arc::new(nothing)).refused(failure)
            }
        }
    }

    /// Makes a turn that goes on with a conversation.
    async fn go_on(&self, turn: Continuation) -> Ready {
        let Continuation {
            spec,
            draft,
            previous,
            answer,
        } = turn;
        let made = match (&self.origin, draft.await) {
            (Origin::Data(data), Ok(draft)) => draft.and_then(|draft| {
                data.go_on(spec.payload as u64, draft, &previous, &answer, spec.session)
            }),
            _ => Err(Error::Internal("a turn of a conversation was not made")),
        };
        self.finish(spec, made).await
    }

    /// Lets callbacks see a copy of a payload that is `given`. Returns the copy, too, if they left it as it
    /// was.
    async fn call(
        &self,
        wanted: RequestSpec,
        payload: Payload,
        given: &Payload,
        mut ready: Ready,
    ) -> (Ready, Option<Payload>) {
        let RequestSpec {
            client,
            sequence,
            is_warmup,
            ..
        } = wanted;
        let mut request = InvokeRequest::new(payload, client, sequence, is_warmup);
        let called = self.hooked.before_invoke(&mut request, &mut ready.data);
        if let Err(failure) = called.await {
            return (ready.refused(failure), None);
        }
        let InvokeRequest {
            payload,
            headers: added,
            ..
        } = request;
        let is_unchanged = payload == *given && added.is_empty();
        if is_unchanged && is_fresh(&self.routes, &ready.prepared) {
            return (ready, Some(payload));
        }
        let route = &self.routes[usize::from(wanted.server)];
        let mut headers = ready.prepared.headers.clone();
        headers.extend(added);
        match Prepared::with_headers(route, &payload, headers) {
            Ok(prepared) => {
                let prepared = prepared.in_place_of(&ready.prepared, is_unchanged);
                if let Some(guard) = &self.guard {
                    prepared.expected(guard);
                }
                ready.prepared = Arc::new(prepared);
                (ready, None)
            }
            Err(reason) => {
                let (kind, what) = match is_unchanged {
                    true => (FailureKind::Endpoint, "the request cannot be made"),
                    false => (
                        FailureKind::Callback,
                        "the payload cannot be sent after callbacks changed it",
                    ),
                };
                (ready.refused(unprepared(kind, what, reason)), None)
            }
        }
    }
}

/// The failure of a request that cannot be made.
fn unprepared(
    kind: FailureKind,
    what: &str,
    reason: impl std::error::Error + Send + Sync + 'static,
) -> Failure {
    let failure = Failure::new(kind, format!("{what}: {reason}"));
    failure.with_cause(reason).in_phase(Phase::Prepare)
}
