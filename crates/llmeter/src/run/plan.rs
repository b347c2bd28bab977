//! First stage of a run: everything that is settled before its folder is made and anything is sent.

use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::base::error::{Error, Result};
use crate::base::host;
use crate::base::setting::{Setting, SettingProblem};
use crate::callback::{CallbackChain, Hook};
use crate::cost::SpendGuard;
use crate::endpoint::{Endpoint, Transport};
use crate::load::{History, Schedule};
use crate::run::admission;
use crate::run::ahead::{DataMaker, SessionNames};
use crate::run::prefetch::{GivenPayloads, Origin, RequestBuilder, Requests};
use crate::run::prepare::Prepared;
use crate::run::reach::reach;
use crate::run::route::Route;
use crate::run::server_call::{prepare_server, wait_until_ready};
use crate::run::single::SingleRequest;
use crate::run::{Interrupt, RunConfig};
use llmeter_wire::Dialer;

/// A run that can start.
pub(super) struct Plan {
    /// The configuration as the callbacks leave it.
    pub(super) config: RunConfig,
    pub(super) hooked: Arc<CallbackChain>,
    pub(super) schedule: Arc<dyn Schedule>,
    /// In a run with a limit of cost.
    pub(super) guard: Option<Arc<SpendGuard>>,
    pub(super) requests: Requests,
    pub(super) routes: Arc<[Route]>,
    /// One for each server that is an HTTP API.
    pub(super) dialers: Vec<Dialer>,
    /// For the calls before stages: each server, and a request that they are like.
    pub(super) stage_calls: Vec<(RunConfig, Arc<Prepared>)>,
    /// Whether its load may be changed while it is in progress.
    pub(super) is_controllable: bool,
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
        for endpoint in config.endpoints() {
            if let Transport::Http(api) = endpoint.transport() {
                api.check()?;
            }
        }
        let routes = config.routes()?;
        let prepared = routes.iter().map(|route| prepared(&config, route));
        let prepared = prepared.collect::<Result<Vec<_>>>()?;
        let guard = admission::guard(&config, &prepared[0])?;
        let servers = config.at_each_server();
        let mut requests = Vec::with_capacity(servers.len());
        for server in &servers {
            let request = SingleRequest::new(server, server.proxy()?.as_ref())?.prepared();
            wait_until_ready(server, &request, runtime, interrupt)?;
            requests.push(request);
        }
        let mut dialers = Vec::with_capacity(servers.len());
        for server in &servers {
            dialers.extend(dialer(server, runtime, interrupt)?);
        }
        config.capture_packets(&mut dialers)?;
        for (server, request) in servers.iter().zip(&requests) {
            prepare_server(server, request, runtime, interrupt)?;
        }
        let schedule = config.schedule();
        let sessions = schedule.has_conversations().then(|| {
            SessionNames::new(config.session_header.clone(), config.session_field.clone())
        });
        let has_calls = !config.before_stage.is_empty();
        let stage_calls = servers.into_iter().zip(requests);
        let stage_calls = stage_calls.filter(|_| has_calls).collect();
        let is_called = hooked.has(Hook::BeforeInvoke);
        let origin = match &config.data {
            Some(source) => Some(Origin::Data(DataMaker {
                source: source.clone(),
                routes: routes.clone(),
                guard: guard.clone(),
                keeps_given: is_called,
                start: config.data_start + config.shard.map_or(0, |shard| shard.index as u64 - 1),
                stride: config.shard.map_or(1, |shard| shard.of as u64),
                sessions,
            })),
            None if is_called || config.endpoints().any(|one| is_short_lived(&**one)) => {
                let given = GivenPayloads::new(config.payloads.clone(), prepared.clone());
                Some(Origin::Payloads(given))
            }
            None => None,
        };
        let requests = match origin {
            Some(origin) => Requests::prefetched(RequestBuilder {
                hooked: hooked.clone(),
                routes: routes.clone(),
                origin,
                guard: guard.clone(),
            })?,
            None => Requests::Fixed(prepared),
        };
        Ok(Self {
            schedule,
            config,
            hooked,
            guard,
            requests,
            routes,
            dialers,
            stage_calls,
            is_controllable: false,
        })
    }
}

/// Every payload as it is sent to a server; of data the first, so that what cannot be sent is known before the
/// run.
fn prepared(config: &RunConfig, route: &Route) -> Result<Vec<Arc<Prepared>>> {
    let payloads = config.payloads.len();
    let mut prepared = Vec::with_capacity(payloads);
    if let Some(data) = &config.data {
        let index = match config.has_sessions() {
            true => data
                .session(config.data_start)
                .map_or(config.data_start, |turns| turns.start),
            false => config.data_start,
        };
        let first = data.request(index)?.payload;
        if config.has_sessions() && config.history == History::Server && data.continues(index + 1) {
            let mut next = data.turn(index + 1)?.payload;
            let endpoint = &*route.endpoint;
            endpoint
                .continue_conversation(&mut next, &first, "an answer")
                .map_err(|reason| {
                    let problem = SettingProblem::Refused {
                        reason: reason.to_string(),
                    };
                    Error::Invalid {
                        setting: Setting::History,
                        problem,
                        hint: None,
                    }
                })?;
        }
        let named = SessionNames::new(config.session_header.clone(), config.session_field.clone());
        let made = named.first(route, first)?;
        return Ok(vec![Arc::new(made)]);
    }
    for (index, payload) in config.payloads.iter().enumerate() {
        let made =
            Prepared::new(route, payload).map_err(|reason| config.of_payload(index, reason))?;
        prepared.push(Arc::new(made.with_index(index, payloads)));
    }
    Ok(prepared)
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
        let of_endpoints = config.endpoints().flat_map(|one| one.destinations());
        config.trust.check(of_endpoints.collect::<Vec<_>>())?;
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

/// What opens connections to the only endpoint of a run, after it has opened one.
fn dialer(config: &RunConfig, runtime: &Runtime, interrupt: &Interrupt) -> Result<Option<Dialer>> {
    let Transport::Http(api) = config.endpoint.transport() else {
        return Ok(None);
    };
    let server = api.server();
    let dialer = config.dialer(server, config.proxy()?.as_ref())?;
    if config.may_be_down {
        return Ok(Some(dialer));
    }
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
