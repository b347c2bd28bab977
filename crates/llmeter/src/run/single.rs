//! One request of a run by itself, which others may watch closely.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::endpoint::InvocationResponse;
use crate::run::capture::{Segment, SegmentQueue};
use crate::run::client;
use crate::run::decode::Decoder;
use crate::run::gate::StartBarrier;
use crate::run::prefetch::Requests;
use crate::run::prepare::Prepared;
use crate::run::route::Route;
use crate::run::shared::{ConnectionWatch, Shared};
use crate::run::{Interrupt, RunConfig, worker};
use llmeter_wire::clock::Stamp;
use llmeter_wire::{Dialer, Proxy, WORKER};

/// The first payload's request.
pub(crate) struct SingleRequest {
    prepared: Arc<Prepared>,
}

/// What became of it.
pub(crate) struct SingleResponse {
    pub(crate) response: InvocationResponse,
    /// When the request's first byte was written, if it was.
    pub(crate) sent: Option<Stamp>,
    /// Whether every read of the response has the kernel's stamp.
    pub(crate) is_kernel_stamped: bool,
    /// The content type of a stream that is called something else; empty if it has none.
    pub(crate) wrong_label: Option<String>,
}

impl SingleRequest {
    /// # Errors
    /// When there is no payload, or the endpoint refuses it.
    pub(crate) fn new(config: &RunConfig, proxy: Option<&Proxy>) -> Result<Self> {
        let of_data = config
            .data
            .as_ref()
            .map(|data| data.request(config.data_start));
        let of_data = of_data
            .transpose()?
            .map(|request| Arc::new(request.payload));
        let payload = of_data.as_ref().or(config.payloads.first());
        let payload = payload.ok_or_else(|| Error::missing(Setting::Payload))?;
        let route = Route::to(config.endpoint.clone(), proxy.cloned());
        let prepared =
            Prepared::new(&route, payload).map_err(|reason| config.of_payload(0, reason))?;
        Ok(Self {
            prepared: Arc::new(prepared),
        })
    }

    /// One that is prepared.
    pub(crate) fn of(prepared: Arc<Prepared>) -> Self {
        Self { prepared }
    }

    /// What is sent.
    pub(crate) fn prepared(self) -> Arc<Prepared> {
        self.prepared
    }

    /// The request's bytes; none for an endpoint that invokes itself.
    pub(crate) fn request(&self) -> &[u8] {
        &self.prepared.request
    }

    /// Carries it out on this thread as a worker would. The response's segments go to `segments`.
    ///
    /// # Errors
    /// When no runtime can be started.
    pub(crate) fn send(
        self,
        config: &RunConfig,
        dialer: Option<Dialer>,
        watch: Arc<dyn ConnectionWatch>,
        segments: Sender<Segment>,
        interrupt: &Interrupt,
    ) -> Result<()> {
        let runtime = worker::runtime(false)?;
        WORKER.with(|worker| worker.woke());
        let own = Interrupt::new();
        let (gate, _) = StartBarrier::new(1);
        let requests = Requests::Fixed(vec![vec![self.prepared.clone()]]);
        let routes = Arc::new([Route::to(config.endpoint.clone(), config.proxy()?)]);
        let dialers = dialer.into_iter().collect();
        let mut shared = Shared::new(config, routes, dialers, requests, own.clone(), gate, None);
        shared.watch = Some(watch);
        let stopped = async {
            tokio::select! {
                () = interrupt.stopped() => {}
                () = interrupt.follow() => {}
            }
            own.abort();
            std::future::pending::<()>().await;
        };
        runtime.block_on(async {
            tokio::select! {
                () = client::once(Arc::new(shared), self.prepared, SegmentQueue::new(segments, None)) => {}
                () = stopped => {}
            }
        });
        Ok(())
    }

    /// What the segments say. `None` if nothing was sent before an interruption.
    pub(crate) fn decode(
        config: &RunConfig,
        proxy: Option<Proxy>,
        segments: Receiver<Segment>,
    ) -> Option<SingleResponse> {
        let route = Route::to(config.endpoint.clone(), proxy);
        let mut decoder = Decoder::new(Arc::new([route]), config.tokenizer.clone())
            .with_time_headers(&config.server_time_headers)
            .within(config.max_response_size, 1);
        let (mut reads, mut stamped) = (0_u64, 0_u64);
        for segment in segments {
            let head = segment.head.iter().map(|head| head.1);
            for arrival in head.chain(segment.marks.iter().map(|mark| mark.arrival)) {
                reads += 1;
                stamped += u64::from(arrival.is_kernel);
            }
            let sent = segment.ending.as_ref().and_then(|ending| ending.sending.at);
            let (size, flow) = (segment.size(), segment.flow.clone());
            let recorded = decoder.take(segment);
            if let Some(flow) = flow {
                flow.shrink(size);
            }
            if let Some(recorded) = recorded {
                return Some(SingleResponse {
                    response: recorded.response,
                    sent,
                    wrong_label: recorded.wrong_label,
                    is_kernel_stamped: reads > 0 && reads == stamped,
                });
            }
        }
        None
    }
}
