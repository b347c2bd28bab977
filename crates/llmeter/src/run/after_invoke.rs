//! Callbacks' hooks on responses: between the decoders and the collector, on a thread of their own.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::base::error::Result;
use crate::base::runtime::{runtime, spawn_low_priority};
use crate::callback::CallbackChain;
use crate::run::Interrupt;
use crate::run::decode::Recorded;

/// Responses whose hooks may wait for something at the same time.
const MAX_CONCURRENT: usize = 1024;
/// Batches that may wait for this thread. Beyond them the decoders wait, and so, in the end, do the
/// clients, which the record of the measurement's quality shows.
const MAX_BATCHES: usize = 4;

/// Where decoders put finished responses.
#[derive(Clone)]
pub(crate) enum DecodedSink {
    /// To the collector.
    Collector(Sender<Vec<Recorded>>),
    /// To the callbacks, and from there to the collector.
    Callbacks(mpsc::Sender<Vec<Recorded>>),
}

impl DecodedSink {
    pub(crate) fn put(&self, batch: Vec<Recorded>) {
        // The receivers live until every outlet is dropped.
        match self {
            Self::Collector(collector) => drop(collector.send(batch)),
            Self::Callbacks(callbacks) => drop(callbacks.blocking_send(batch)),
        }
    }
}

/// Starts the thread. It ends with the last outlet.
pub(crate) fn spawn(
    hooked: Arc<CallbackChain>,
    collector: Sender<Vec<Recorded>>,
    interrupt: Interrupt,
    grace: Duration,
) -> Result<DecodedSink> {
    let (batches, incoming) = mpsc::channel(MAX_BATCHES);
    let runtime = runtime()?;
    let stage = Arc::new(AfterInvokeStage {
        hooked,
        collector,
        interrupt,
        grace,
    });
    spawn_low_priority("after-invoke", move || {
        runtime.block_on(async {
            tokio::select! {
                () = stage.run(incoming) => {}
                () = stage.interrupt.follow() => {}
            }
        });
    })?;
    Ok(DecodedSink::Callbacks(batches))
}

struct AfterInvokeStage {
    hooked: Arc<CallbackChain>,
    collector: Sender<Vec<Recorded>>,
    interrupt: Interrupt,
    grace: Duration,
}

impl AfterInvokeStage {
    async fn run(self: &Arc<Self>, mut incoming: mpsc::Receiver<Vec<Recorded>>) {
        let mut under_way = JoinSet::new();
        let mut is_open = true;
        while is_open || !under_way.is_empty() {
            let mut done = Vec::new();
            tokio::select! {
                batch = incoming.recv(), if is_open && under_way.len() < MAX_CONCURRENT => {
                    let Some(batch) = batch else {
                        is_open = false;
                        continue;
                    };
                    for recorded in batch {
                        let stage = self.clone();
                        let mut work = Box::pin(async move { stage.call(recorded).await });
                        // Most hooks wait for nothing and are done at once.
                        let polled =
                            poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
                        match polled {
                            Poll::Ready(recorded) => done.push(recorded),
                            Poll::Pending => drop(under_way.spawn(work)),
                        }
                    }
                }
                // A hook's panic does not get this far.
                Some(Ok(recorded)) = under_way.join_next() => done.push(recorded),
            }
            if !done.is_empty() {
                // The collector lives until this sender is dropped.
                let _ = self.collector.send(done);
            }
        }
    }

    /// Calls the hooks on one response. After an interruption they have the grace time, too.
    async fn call(&self, mut recorded: Recorded) -> Recorded {
        if recorded.is_warmup {
            return recorded;
        }
        let hooks =
            self.hooked
                .after_invoke(&mut recorded.response, &mut recorded.data, self.deadline());
        hooks.await;
        recorded
    }

    /// Passes when the grace time after an interruption is over.
    async fn deadline(&self) {
        self.interrupt.stopped().await;
        tokio::time::sleep(self.grace).await;
    }
}
