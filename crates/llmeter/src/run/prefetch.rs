//! The request prefetcher: requests that callbacks may change or that grow old are made ahead of
//! their time, on a thread of their own, so that neither a slow hook nor the building of a request
//! delays another stream's bytes.

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

use crate::base::error::Result;
use crate::base::failure::{Failure, FailureKind};
use crate::base::foreign;
use crate::base::runtime::{runtime, spawn_low_priority};
use crate::callback::{CallbackChain, CallbackData, InvokeRequest};
use crate::cost::SpendGuard;
use crate::endpoint::{Endpoint, Transport};
use crate::load::Turn;
use crate::payload::Payload;
use crate::run::Interrupt;
use crate::run::prepare::Prepared;
use llmeter_wire::{Phase, Proxy, clock};

/// How long the thread sleeps when no session waits. What sessions want next is then prepared in
/// one turn, which spares the workers a wake-up per request.
const IDLE_SLEEP: Duration = Duration::from_millis(2);

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
    /// The same bytes every time.
    Fixed(Vec<Arc<Prepared>>),
    /// Made for each request.
    Prefetched(Prefetcher),
}

pub(crate) struct Prefetcher {
    orders: Sender<PrefetchRequest>,
    hurry: Arc<Notify>,
    wait_ns: AtomicU64,
    /// Tells which requests have grown too old, if they do.
    ageing: Option<Arc<dyn Endpoint>>,
}

/// A request that a session wants.
struct PrefetchRequest {
    job: PrefetchJob,
    reply: oneshot::Sender<Ready>,
}

enum PrefetchJob {
    Make(RequestSpec),
    /// One like this, which has grown too old. Callbacks have seen it already.
    Renew(Arc<Prepared>),
}

#[derive(Debug, Clone, Copy)]
struct RequestSpec {
    payload: usize,
    client: u32,
    sequence: u64,
    is_warmup: bool,
}

/// A session's side: what it sends next.
pub(crate) struct NextRequest {
    orders: Option<Sender<PrefetchRequest>>,
    coming: Option<oneshot::Receiver<Ready>>,
    ready: Option<Ready>,
    /// What is wanted next, but for its payload.
    next: RequestSpec,
}

/// Makes requests, on the prefetcher's thread.
pub(crate) struct RequestBuilder {
    pub(crate) hooked: Arc<CallbackChain>,
    pub(crate) endpoint: Arc<dyn Endpoint>,
    /// The proxy through which requests go.
    pub(crate) proxy: Option<Proxy>,
    /// As the user gave them.
    pub(crate) payloads: Vec<Arc<Payload>>,
    /// The same, prepared; what no callback changes is sent as it is.
    pub(crate) prepared: Vec<Arc<Prepared>>,
    /// Counts the tokens of what was changed, in a run with a limit of cost.
    pub(crate) guard: Option<Arc<SpendGuard>>,
    /// For each payload a copy that callbacks left as it was, for the next request.
    pub(crate) spare: Mutex<Vec<Option<Payload>>>,
}

impl Requests {
    /// Starts the thread that makes requests. It ends with the last session.
    pub(crate) fn prefetched(maker: RequestBuilder) -> Result<Self> {
        let (orders, incoming) = channel();
        let ageing = match maker.endpoint.transport() {
            Transport::Http(api) if api.request_lifetime().is_some() => {
                Some(maker.endpoint.clone())
            }
            _ => None,
        };
        let hurry = Arc::new(Notify::new());
        let (runtime, called) = (runtime()?, hurry.clone());
        spawn_low_priority("before-invoke", move || {
            runtime.block_on(serve(Arc::new(maker), &incoming, &called));
            // A hook that hangs must not hold up the end.
            runtime.shutdown_background();
        })?;
        Ok(Self::Prefetched(Prefetcher {
            orders,
            hurry,
            wait_ns: AtomicU64::new(0),
            ageing,
        }))
    }

    /// Whether requests are made one by one, ahead of their time.
    pub(crate) fn is_prefetched(&self) -> bool {
        matches!(self, Self::Prefetched(_))
    }

    /// A session's side.
    pub(crate) fn of_session(&self, client: u32, is_warmup: bool) -> NextRequest {
        NextRequest {
            orders: match self {
                Self::Fixed(_) => None,
                Self::Prefetched(prefetcher) => Some(prefetcher.orders.clone()),
            },
            coming: None,
            ready: None,
            next: RequestSpec {
                payload: 0,
                client,
                sequence: 0,
                is_warmup,
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
            Some(endpoint) if !is_fresh(&**endpoint, &ready.prepared) => {
                let coming = order(&prefetcher.orders, PrefetchJob::Renew(ready.prepared));
                let renewed = prefetcher.wait_for(coming, interrupt).await?;
                Some(Ready {
                    data: ready.data,
                    ..renewed
                })
            }
            _ => Some(ready),
        }
    }

    /// Seconds that sessions waited for callbacks, summed.
    pub(crate) fn wait(&self) -> f64 {
        match self {
            Self::Fixed(_) => 0.0,
            Self::Prefetched(prefetcher) => {
                prefetcher.wait_ns.load(Ordering::Relaxed) as f64 * 1e-9
            }
        }
    }
}

impl Prefetcher {
    /// What a session that has nothing else to do waits for; `None` if the run is stopped.
    async fn wait_for(
        &self,
        coming: impl Future<Output = std::result::Result<Ready, RecvError>>,
        interrupt: &Interrupt,
    ) -> Option<Ready> {
        self.hurry.notify_one();
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

/// Asks the thread for a request.
fn order(orders: &Sender<PrefetchRequest>, job: PrefetchJob) -> oneshot::Receiver<Ready> {
    let (reply, coming) = oneshot::channel();
    // The thread lives as long as this sender.
    let _ = orders.send(PrefetchRequest { job, reply });
    coming
}

/// Whether a prepared request can still be sent.
fn is_fresh(endpoint: &dyn Endpoint, prepared: &Prepared) -> bool {
    match endpoint.transport() {
        // What panics would not say anything else the next time.
        Transport::Http(api) => {
            foreign::catch_panic(|| api.is_fresh(prepared.made)).unwrap_or(true)
        }
        Transport::Invoke(_) => true,
    }
}

impl NextRequest {
    /// Says which turn comes next, so that its request can be made meanwhile.
    pub(crate) fn want(&mut self, turn: Option<&Turn>) {
        if let (Some(orders), Some(turn)) = (&self.orders, turn) {
            self.next.payload = turn.payload;
            self.coming = Some(order(orders, PrefetchJob::Make(self.next)));
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
        self.ready = prefetcher.wait_for(coming, interrupt).await;
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
            (Requests::Fixed(prepared), _) => Some(of_payload(prepared, payload)),
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
            Requests::Fixed(prepared) => Some(Ready::new(of_payload(prepared, payload).clone())),
            Requests::Prefetched(_) => self.ready.take(),
        }
    }
}

/// The item of a payload; beyond their number payloads begin again.
fn of_payload<T>(items: &[Arc<T>], payload: usize) -> &Arc<T> {
    &items[payload % items.len()]
}

async fn serve(maker: Arc<RequestBuilder>, orders: &Receiver<PrefetchRequest>, hurry: &Notify) {
    let mut under_way = JoinSet::new();
    loop {
        match orders.try_recv() {
            Ok(order) => {
                let maker = maker.clone();
                let mut work = Box::pin(async move {
                    let ready = match order.job {
                        PrefetchJob::Make(wanted) => maker.make(wanted).await,
                        PrefetchJob::Renew(old) => maker.renew(old),
                    };
                    // The session may have been stopped.
                    let _ = order.reply.send(ready);
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
    fn spare(&self) -> MutexGuard<'_, Vec<Option<Payload>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a request that has grown too old once more.
    fn renew(&self, old: Arc<Prepared>) -> Ready {
        match old.renewed(&*self.endpoint, self.proxy.as_ref()) {
            Ok(new) => Ready::new(Arc::new(new)),
            Err(reason) => {
                let what = "the request grew too old before it was sent, and cannot be made anew";
                Ready::new(old).refused(unprepared(reason.kind(), what, reason))
            }
        }
    }

    /// Makes a request of a payload's copy.
    async fn make(&self, wanted: RequestSpec) -> Ready {
        let index = wanted.payload % self.payloads.len();
        let given = &self.payloads[index];
        let mut ready = Ready::new(self.prepared[index].clone());
        let spare = self.spare()[index].take();
        let payload = spare.unwrap_or_else(|| (**given).clone());
        let RequestSpec {
            client,
            sequence,
            is_warmup,
            ..
        } = wanted;
        let mut request = InvokeRequest::new(payload, client, sequence, is_warmup);
        let called = self.hooked.before_invoke(&mut request, &mut ready.data);
        if let Err(failure) = called.await {
            return ready.refused(failure);
        }
        let InvokeRequest {
            payload, headers, ..
        } = request;
        let is_unchanged = payload == **given && headers.is_empty();
        if is_unchanged && is_fresh(&*self.endpoint, &ready.prepared) {
            self.spare()[index] = Some(payload);
            return ready;
        }
        match Prepared::with_headers(&*self.endpoint, self.proxy.as_ref(), &payload, headers) {
            Ok(prepared) => {
                let prepared = prepared.with_index(index, self.payloads.len());
                if let Some(guard) = &self.guard {
                    prepared.expected(guard);
                }
                ready.prepared = Arc::new(prepared);
                ready
            }
            Err(reason) => {
                let (kind, what) = match is_unchanged {
                    true => (FailureKind::Endpoint, "the request cannot be made"),
                    false => (
                        FailureKind::Callback,
                        "the payload cannot be sent after callbacks changed it",
                    ),
                };
                ready.refused(unprepared(kind, what, reason))
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
