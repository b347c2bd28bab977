//! What a run is to do.

mod load;
mod validate;

use std::any::Any;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::api::ServerTimeHeader;
use crate::base::error::{Error, Result};
use crate::base::file;
use crate::callback::Callback;
use crate::cost::CostModel;
use crate::data::DataSource;
use crate::endpoint::{Destination, Endpoint, Transport, Trust};
use crate::load::{
    Arrivals, Balance, Cancellation, History, Load, Rate, Shard, SlowReaders, Stages, ThinkTime,
};
use crate::payload::{Payload, PayloadSource, Tokenizer, Whitespace};
use crate::run::ResponseWatch;
use crate::run::server_call::ServerCall;
use crate::stats::{Condition, PrecisionTarget};
use crate::storage::Location;
use llmeter_wire::{Dialer, Proxies, Proxy, Server, StampSource};

/// Whether a connection carries more than one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Connections {
    /// A client keeps its connection as long as the server does.
    #[default]
    Keep,
    /// Every request opens one, as a client that has just started does.
    New,
}

/// What is sent before the run, as settings have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warmup {
    /// So many requests, over all clients.
    Requests(u64),
    /// Requests for so long.
    Time(Duration),
}

/// The configuration of one run. Change fields freely; [`validate`](Self::validate) tells what is
/// wrong with them.
#[derive(Clone)]
pub struct RunConfig {
    /// Where to send.
    pub endpoint: Arc<dyn Endpoint>,
    /// Further servers with the same API and model, to which requests go as well. Responses say which server
    /// they came from, and there are figures of each.
    pub replicas: Vec<Arc<dyn Endpoint>>,
    /// How requests are spread over the endpoint and its replicas.
    pub balance: Balance,
    /// What to send.
    pub payloads: Vec<Arc<Payload>>,
    /// Where the payloads were read, in their order, so that one that cannot be sent is named; empty
    /// if they come from elsewhere.
    pub payload_sources: Vec<PayloadSource>,
    /// Where requests come from, in the place of [`payloads`](Self::payloads). Clients work it off together.
    pub data: Option<Arc<dyn DataSource>>,
    /// The first request of the data that is sent.
    pub data_start: u64,
    /// Clients, each with one request in flight at a time (closed loop). 1 where an arrival
    /// [`rate`](Self::rate) decides what is sent: all of it is then one client's that waits for nothing.
    pub clients: usize,
    /// Requests arrive at this rate (open loop), whether those before have ended or not.
    pub rate: Option<Rate>,
    /// How arrivals are spread around their rate.
    pub arrivals: Arrivals,
    /// So many conversations of the data at a time, in the place of [`clients`](Self::clients): when one
    /// ends, the next begins.
    pub sessions: Option<usize>,
    /// Conversations of the data begin at this rate, whether those before have ended or not.
    pub session_rate: Option<Rate>,
    /// Most conversations that begin.
    pub max_sessions: Option<u64>,
    /// The pause between an answer and the next turn of its conversation; none if `None`, and of a trace
    /// the trace's own.
    pub think_time: Option<ThinkTime>,
    /// Whose answers are in the history of a conversation.
    pub history: History,
    /// A header of every request of a conversation, which has the conversation's id.
    pub session_header: Option<String>,
    /// A field of the payload that has it; dots lead into objects.
    pub session_field: Option<String>,
    /// Rates or numbers of clients one after the other, in the place of [`rate`](Self::rate) and
    /// [`clients`](Self::clients). They decide how long the run is, whatever [`load`](Self::load) says.
    pub stages: Option<Stages>,
    /// Most requests in flight in an open loop; others wait, and that is counted.
    pub max_in_flight: Option<usize>,
    /// Closes a share of the requests before they are done.
    pub cancel: Option<Cancellation>,
    /// Reads the responses of a share of the requests slowly.
    pub read_rate: Option<SlowReaders>,
    /// How long at most the server is asked again and again before the run, until it answers; not at all
    /// if zero.
    pub wait_until_ready: Duration,
    /// Calls of the server before the run, after it is ready.
    pub before_run: Vec<ServerCall>,
    /// Calls of the server when a stage begins; before the first stage they belong to those before the run.
    pub before_stage: Vec<ServerCall>,
    /// How much is sent.
    pub load: Load,
    /// Requests that are sent first, over all clients, and kept out of every figure.
    pub warmup: u64,
    /// How long such requests are sent, instead of a number of them, if not zero.
    pub warmup_time: Duration,
    /// Longest time of one request, connecting included.
    pub timeout: Duration,
    /// Retries of a request whose connection failed, or whose status was 429
    /// or 503. A server's `Retry-After` is followed; all attempts are within the timeout.
    pub max_retries: u32,
    /// Whether a client whose request failed waits before its next one: 0.1 s, doubled with each
    /// failure in a row up to 5 s, less a random part. A run whose first requests all fail in a way
    /// that does not pass by itself (a wrong key, a model that is not there) then ends at once.
    pub failure_pause: bool,
    /// The largest response in MiB, as far as it must be kept until it is whole: a document, or one
    /// frame of a stream. All that are under way may keep twice as much, and 128 MiB at least.
    pub max_response_size: u64,
    /// Send no more once so many requests have failed.
    pub max_failures: Option<u64>,
    /// Send no more once a larger share of the requests than this has failed, from the twentieth on.
    pub stop_on_error_rate: Option<f64>,
    /// Counts tokens where the server does not.
    pub tokenizer: Arc<dyn Tokenizer>,
    /// The folder, here or in the cloud, in which the run's own folder is made; `None` writes
    /// nothing.
    pub output: Option<Location>,
    /// The run's own folder, if not one that is made in [`output`](Self::output) and called as the run.
    pub folder: Option<Location>,
    /// The run's name, which is also its folder's; `None` makes one from the local time.
    pub run_name: Option<String>,
    /// Free text about the run.
    pub run_description: Option<String>,
    /// Reports show rates of the steady state, without ramp-up and tail. All figures are in the
    /// statistics in either case.
    pub steady: bool,
    /// The longest gap of a stream that is no stall.
    pub stall: Duration,
    /// How many tokens a reader of the streams reads in a second, to count what comes too late.
    pub reading_speed: Option<f64>,
    /// Keep no responses in memory; percentiles then come from a sketch.
    pub low_memory: bool,
    /// Decides the order of payloads and the clients' start within the first 10 ms.
    pub seed: u64,
    /// Who takes the receive stamps.
    pub stamps: StampSource,
    /// A PEM file with the certificates to trust for https, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Take any certificate for https, so that anybody could be the server.
    pub insecure: bool,
    /// Which proxy leads to the server; none if not set. What the environment says is asked for
    /// with [`Proxies::from_environment`].
    pub proxies: Proxies,
    /// Addresses of this machine to connect from, in turn; none leaves the choice to the system.
    pub source_addresses: Vec<IpAddr>,
    /// Headers of responses that state how long the server took, beside those that are known.
    pub server_time_headers: Vec<ServerTimeHeader>,
    /// Speak HTTP/2: over TLS if the server agrees, without TLS without asking. A client still has a
    /// connection of its own with one request on it, so that the load is the same as by HTTP/1.1.
    /// Receive stamps are then taken after the read, whatever [`stamps`](Self::stamps) says.
    pub http2: bool,
    /// Whether a client's connection carries its next request, too.
    pub connections: Connections,
    /// Threads that send and read; `None` leaves one core to the recorder.
    pub workers: Option<usize>,
    /// Replace a run that the folder already holds.
    pub overwrite: bool,
    /// Go on sending when responses can no longer be written to the folder, as on a full disk. They
    /// are then kept in memory alone, or, in low memory, not at all.
    pub ignore_write_errors: bool,
    /// Code that is hooked into the run, in the order in which it is called.
    pub callbacks: Vec<Arc<dyn Callback>>,
    /// Stop sending before the run's estimated cost passes this, warm-up included. Needs a
    /// [`CostModel`] among the callbacks, and is in the currency of its prices.
    ///
    /// Before a request is sent, what it may cost is reserved: by the tokens of its prompt and by
    /// the payload's own output limit, or, where it has none, as much as the dearest request so
    /// far. A response without a limit may thus be dearer than was thought.
    pub max_cost: Option<f64>,
    /// Send no more once each of these figures is known as precisely. Values of successful responses
    /// count, in the order in which they end.
    pub until: Vec<PrecisionTarget>,
    /// Most requests over all clients: each has its share of them.
    pub max_requests: Option<u64>,
    /// Which part of the load this run is; `None` is all of it. Clients, requests and the limit of cost are
    /// those of the whole load, of which the part has its share.
    pub shard: Option<Shard>,
    /// What requests and the run are to meet. Those about each request give goodput.
    pub slos: Vec<Condition>,
    /// The class of workload that the run is, among several that go on side by side. Responses say it.
    pub workload: Option<String>,
    /// Whether nobody may be there when the run begins: requests then fail until somebody is. Not saved.
    #[doc(hidden)]
    pub may_be_down: bool,
    /// Looks at the responses of an experiment's run and may end it. Not saved.
    #[doc(hidden)]
    pub watch: Option<Arc<dyn ResponseWatch>>,
    /// How long an interrupted run waits for what is in flight.
    pub grace: Duration,
    /// The servers that get secrets although only a file names them: an endpoint or a callback that was
    /// made from a saved run. Nobody by default.
    pub trust: Trust,
}

/// The largest response in MiB by default.
pub(crate) const DEFAULT_MAX_RESPONSE_SIZE: u64 = 64;
/// The maximum of workers: with more the recorder is the limit.
const MAX_WORKERS: usize = 256;
/// The maximum of servers, each of which has figures of its own.
const MAX_SERVERS: usize = 256;

impl RunConfig {
    /// A run of one client that sends each payload once.
    pub fn new(endpoint: Arc<dyn Endpoint>, payloads: impl IntoIterator<Item = Payload>) -> Self {
        Self {
            endpoint,
            replicas: Vec::new(),
            balance: Balance::default(),
            payloads: payloads.into_iter().map(Arc::new).collect(),
            payload_sources: Vec::new(),
            data: None,
            data_start: 0,
            clients: 1,
            rate: None,
            arrivals: Arrivals::default(),
            sessions: None,
            session_rate: None,
            max_sessions: None,
            think_time: None,
            history: History::default(),
            session_header: None,
            session_field: None,
            stages: None,
            max_in_flight: None,
            cancel: None,
            read_rate: None,
            wait_until_ready: Duration::ZERO,
            before_run: Vec::new(),
            before_stage: Vec::new(),
            load: Load::default(),
            warmup: 0,
            warmup_time: Duration::ZERO,
            timeout: Duration::from_secs(60),
            max_retries: 0,
            failure_pause: true,
            max_response_size: DEFAULT_MAX_RESPONSE_SIZE,
            max_failures: None,
            stop_on_error_rate: None,
            tokenizer: Arc::new(Whitespace),
            output: None,
            folder: None,
            run_name: None,
            run_description: None,
            steady: false,
            stall: Duration::from_secs(1),
            reading_speed: None,
            low_memory: false,
            seed: 0,
            stamps: StampSource::default(),
            ca_file: None,
            insecure: false,
            proxies: Proxies::default(),
            source_addresses: Vec::new(),
            server_time_headers: Vec::new(),
            http2: false,
            connections: Connections::default(),
            workers: None,
            overwrite: false,
            ignore_write_errors: false,
            callbacks: Vec::new(),
            max_cost: None,
            until: Vec::new(),
            max_requests: None,
            shard: None,
            slos: Vec::new(),
            workload: None,
            may_be_down: false,
            watch: None,
            grace: Duration::from_secs(2),
            trust: Trust::nobody(),
        }
    }

    /// Sets which servers get secrets although only a file names them.
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// The secrets that the run sends to servers which only files name, trusted or not.
    pub fn destinations(&self) -> Vec<Destination> {
        let of_callbacks = self.callbacks.iter().flat_map(|one| one.destinations());
        let of_endpoints = self.endpoints().flat_map(|one| one.destinations());
        of_endpoints.chain(of_callbacks).collect()
    }

    /// Makes sure that secrets go only to servers which the program names or [`trust`](Self::trust)
    /// includes. A run and a probe begin with it.
    ///
    /// # Errors
    /// [`Error::Untrusted`].
    pub fn check_trust(&self) -> Result<()> {
        self.trust.check(self.destinations())
    }

    /// Sets the number of clients.
    #[must_use]
    pub fn clients(mut self, clients: usize) -> Self {
        self.clients = clients;
        self
    }

    /// Makes requests arrive at this rate, like `20/s`, whether those before have ended or not.
    #[must_use]
    pub fn rate(mut self, rate: Rate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// Sets how much is sent.
    #[must_use]
    pub fn load(mut self, load: Load) -> Self {
        self.load = load;
        self
    }

    /// Sets the folder in which the run's own folder is made: a path, or a URL like
    /// `s3://bucket/prefix`.
    #[must_use]
    pub fn output(mut self, folder: impl Into<Location>) -> Self {
        self.output = Some(folder.into());
        self
    }

    /// Sets the run's name.
    #[must_use]
    pub fn run_name(mut self, name: impl Into<String>) -> Self {
        self.run_name = Some(name.into());
        self
    }

    /// Adds a callback after those that are there.
    #[must_use]
    pub fn callback(mut self, callback: Arc<dyn Callback>) -> Self {
        self.callbacks.push(callback);
        self
    }

    /// Leaves the data of so many runs to others, so that the runs of an experiment send different requests:
    /// what a server's cache of prefixes already has would make the later ones faster.
    pub(crate) fn skip_data(&mut self, runs: usize) {
        self.data_start = self.data_start.wrapping_add((runs as u64) << 20);
    }

    /// The proxy that leads to the endpoint.
    ///
    /// # Errors
    /// When the environment names one that cannot be used.
    pub fn proxy(&self) -> Result<Option<Proxy>> {
        self.proxy_to(&*self.endpoint)
    }

    /// The proxy that leads to one of its servers.
    pub(crate) fn proxy_to(&self, endpoint: &dyn Endpoint) -> Result<Option<Proxy>> {
        match endpoint.transport() {
            Transport::Http(api) => Ok(self.proxies.to(api.server())?),
            Transport::Invoke(_) => Ok(None),
        }
    }

    /// What opens connections to the endpoint's server. Blocks while a name is resolved.
    pub(crate) fn dialer(&self, server: &Server, proxy: Option<&Proxy>) -> Result<Dialer> {
        let stamps = self.stamps;
        if let Some(file) = &self.ca_file {
            file::open(file).map_err(Error::io("reading", file))?;
        }
        let dialer = match &self.ca_file {
            Some(file) => Dialer::with_ca_file(server, proxy, stamps, file)?,
            None if self.insecure => Dialer::insecure(server, proxy, stamps)?,
            None => Dialer::new(server, proxy, stamps)?,
        };
        let dialer = dialer.from_addresses(&self.source_addresses)?;
        Ok(match self.http2 {
            true => dialer.for_http2(),
            false => dialer,
        })
    }

    /// Captures what servers send, if the stamps are those of packets. Before connections are opened, so that
    /// all of each is seen.
    ///
    /// # Errors
    /// When the system does not permit what was asked for.
    pub(crate) fn capture_packets(&self, dialers: &mut [Dialer]) -> Result<()> {
        if self.stamps != StampSource::Packet {
            return Ok(());
        }
        let bound = self.in_flight_bound().unwrap_or(self.client_count());
        let streams = (!self.is_open_loop()).then_some(bound);
        Ok(Dialer::capture_packets(dialers, streams)?)
    }

    /// The cost model among the callbacks.
    pub(crate) fn cost_model(&self) -> Option<&CostModel> {
        self.cost_models().next()
    }

    fn cost_models(&self) -> impl Iterator<Item = &CostModel> {
        let callbacks = self.callbacks.iter();
        callbacks.filter_map(|callback| {
            let callback: &dyn Any = &**callback;
            callback.downcast_ref()
        })
    }

    /// Whether the run does without kernel stamps that it could have.
    pub(crate) fn could_stamp(&self) -> bool {
        let is_tcp = matches!(self.endpoint.transport(), Transport::Http(api) if api.server().socket.is_none());
        cfg!(target_os = "linux") && self.stamps == StampSource::User && is_tcp
    }
}
