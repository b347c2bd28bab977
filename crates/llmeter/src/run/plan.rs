//! First stage of a run: everything that is settled before its folder is made and anything is sent.

use std::sync::{Arc, Mutex};

use tokio::runtime::Runtime;

use crate::base::error::{Error, Result};
use crate::base::host;
use crate::callback::{CallbackChain, Hook};
use crate::cost::SpendGuard;
use crate::endpoint::{Endpoint, Transport};
use crate::load::Schedule;
use crate::run::admission;
use crate::run::prefetch::{RequestBuilder, Requests};
use crate::run::prepare::Prepared;
use crate::run::reach::reach;
use crate::run::{Interrupt, RunConfig};
use llmeter_wire::{Dialer, Proxy};

/// A run that can start.
pub(super) struct Plan {
    /// The configuration as the callbacks leave it.
    pub(super) config: RunConfig,
    pub(super) hooked: Arc<CallbackChain>,
    pub(super) schedule: Arc<dyn Schedule>,
    /// In a run with a limit of cost.
    pub(super) guard: Option<Arc<SpendGuard>>,
    pub(super) requests: Requests,
    /// For an endpoint that is an HTTP API.
    pub(super) dialer: Option<Dialer>,
}

impl Plan {
    /// # Errors
    /// When the configuration cannot be used, a callback forbids the run, or the endpoint cannot be
    /// reached.
    pub(super) fn new(
        config: &RunConfig,
        runtime: &Runtime,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        config.validate()?;
        config.check_trust()?;
        let hooked = Arc::new(CallbackChain::new(&config.callbacks)?);
        let config = runtime.block_on(before_run(config, &hooked, interrupt))?;
        host::check_open_files(config.in_flight_bound().unwrap_or(1))?;
        let proxy = config.proxy()?;
        if let Transport::Http(api) = config.endpoint.transport() {
            api.check()?;
        }
        let prepared = config
            .payloads
            .iter()
            .enumerate()
            .map(|(index, payload)| {
                let made = Prepared::new(&*config.endpoint, proxy.as_ref(), payload);
                made.map(|made| Arc::new(made.with_index(index, config.payloads.len())))
                    .map_err(|reason| config.of_payload(index, reason))
            })
            .collect::<Result<Vec<_>>>()?;
        let guard = admission::guard(&config, &prepared)?;
        let dialer = dialer(&config, proxy.as_ref(), runtime, interrupt)?;
        let requests = if hooked.has(Hook::BeforeInvoke) || is_short_lived(&*config.endpoint) {
            Requests::prefetched(RequestBuilder {
                hooked: hooked.clone(),
                endpoint: config.endpoint.clone(),
                proxy,
                spare: Mutex::new(vec![None; config.payloads.len()]),
                payloads: config.payloads.clone(),
                prepared,
                guard: guard.clone(),
            })?
        } else {
            Requests::Fixed(prepared)
        };
        Ok(Self {
            schedule: config.schedule(),
            config,
            hooked,
            guard,
            requests,
            dialer,
        })
    }
}

/// The configuration as the callbacks leave it.
async fn before_run(
    config: &RunConfig,
    hooked: &CallbackChain,
    interrupt: &Interrupt,
) -> Result<RunConfig> {
    let mut config = config.clone();
    if hooked.has(Hook::BeforeRun) {
        tokio::select! {
            called = hooked.before_run(&mut config) => called?,
            () = interrupt.stopped() => return Err(Error::Interrupted),
            () = interrupt.follow() => {}
        }
        config.validate()?;
        // A hook may have replaced the endpoint.
        config.trust.check(config.endpoint.destinations())?;
    }
    Ok(config)
}

/// Whether requests grow too old while they wait, like signed ones.
fn is_short_lived(endpoint: &dyn Endpoint) -> bool {
    match endpoint.transport() {
        Transport::Http(api) => api.request_lifetime().is_some(),
        Transport::Invoke(_) => false,
    }
}

/// What opens connections to the endpoint, after it has opened one.
fn dialer(
    config: &RunConfig,
    proxy: Option<&Proxy>,
    runtime: &Runtime,
    interrupt: &Interrupt,
) -> Result<Option<Dialer>> {
    let Transport::Http(api) = config.endpoint.transport() else {
        return Ok(None);
    };
    let server = api.server();
    let dialer = config.dialer(server, proxy)?;
    runtime.block_on(async {
        tokio::select! {
            reached = reach(&dialer, server, config) => reached,
            // The run then saves that it was interrupted before it sent anything.
            () = interrupt.stopped() => Ok(()),
            () = interrupt.follow() => Ok(()),
        }
    })?;
    Ok(Some(dialer))
}
