//! What a run is to do.

use std::any::Any;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::error::{Error, Result};
use crate::base::file;
use crate::base::setting::{Setting, SettingProblem};
use crate::callback::Callback;
use crate::cost::CostModel;
use crate::data::DataSource;
use crate::endpoint::{Destination, Endpoint, Transport, Trust};
use crate::load::{
    Arrivals, Cancellation, ClosedLoop, DataLoop, Load, OpenLoop, Profile, Rate, Schedule, Shard,
    Sharded, SlowReaders, StagedClients, Stages,
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

impl RunConfig {
    /// A run of one client that sends each payload once.
    pub fn new(endpoint: Arc<dyn Endpoint>, payloads: impl IntoIterator<Item = Payload>) -> Self {
        Self {
            endpoint,
            payloads: payloads.into_iter().map(Arc::new).collect(),
            payload_sources: Vec::new(),
            data: None,
            data_start: 0,
            clients: 1,
            rate: None,
            arrivals: Arrivals::default(),
            stages: None,
            max_in_flight: None,
            cancel: None,
            read_rate: None,
            wait_until_ready: Duration::ZERO,
            before_run: Vec::new(),
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
        let mut destinations = self.endpoint.destinations();
        destinations.extend(of_callbacks);
        destinations
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

    /// Whether the run has an end, and the data something to send.
    fn check_data(&self, data: &dyn DataSource) -> Result<()> {
        if self.staged_clients().is_some() {
            let error = Error::unsupported(Setting::Stages, "data if they are of clients");
            return Err(error.with_hint("stages of rates take data"));
        }
        if data.size() == Some(0) {
            let problem = SettingProblem::Refused {
                reason: "it has no request".to_owned(),
            };
            return Err(Error::Invalid {
                setting: Setting::Data,
                problem,
                hint: None,
            });
        }
        let is_endless = data.size().is_none()
            && self.max_requests.is_none()
            && self.stages.is_none()
            && matches!(self.load, Load::EachPayloadOnce);
        match is_endless {
            true => Err(Error::missing(Setting::Requests)
                .with_hint("the data has no end: `duration` or `max_requests` do, too")),
            false => Ok(()),
        }
    }

    /// Whether the targets can be reached within the limit of requests.
    fn check_until(&self) -> Result<()> {
        let planned = self
            .requests_per_client()
            .map(|each| each.saturating_mul(self.client_count() as u64));
        let Some(limit) = planned.into_iter().chain(self.max_requests).min() else {
            return Ok(());
        };
        for target in &self.until {
            let needed = target.watch().min_values();
            if (needed as u64) > limit {
                let reason = format!(
                    "{target} needs {needed} requests at least, and the run has at most {limit}"
                );
                let problem = SettingProblem::Refused { reason };
                return Err(Error::Invalid {
                    setting: Setting::Until,
                    problem,
                    hint: None,
                });
            }
        }
        Ok(())
    }

    /// Checks every field.
    ///
    /// # Errors
    /// The first field that cannot be used, its value, and what would be accepted.
    pub fn validate(&self) -> Result<()> {
        let positive = "1 or more";
        if self.clients == 0 {
            return Err(Error::invalid(Setting::Clients, 0, positive));
        }
        if u32::try_from(self.clients).is_err() {
            let expected = format!("at most {}", u32::MAX);
            return Err(Error::invalid(Setting::Clients, self.clients, expected));
        }
        self.validate_open_loop()?;
        let clients = self.whole_client_count();
        if let Some(shard) = self.shard
            && !self.is_open_loop()
            && shard.count(clients) == 0
        {
            let expected = format!("no more shards than clients, of which there are {clients}");
            return Err(Error::invalid(Setting::Shard, shard, expected));
        }
        match self.load {
            Load::Requests(0) => return Err(Error::invalid(Setting::Requests, 0, positive)),
            _ if self.max_requests == Some(0) => {
                return Err(Error::invalid(Setting::MaxRequests, 0, positive));
            }
            Load::Duration(duration) if duration.is_zero() => {
                return Err(Error::invalid(Setting::Duration, "0s", "more than 0s"));
            }
            _ => {}
        }
        match &self.data {
            None if self.payloads.is_empty() => return Err(Error::missing(Setting::Payload)),
            Some(_) if !self.payloads.is_empty() => {
                return Err(Error::conflict(Setting::Data, Setting::Payload));
            }
            Some(data) => self.check_data(&**data)?,
            None => {}
        }
        if self.insecure && self.ca_file.is_some() {
            return Err(Error::conflict(Setting::Insecure, Setting::CaFile));
        }
        if !self.source_addresses.is_empty() {
            let refused = match self.endpoint.transport() {
                Transport::Http(api) => api.server().socket.as_ref().map(|_| "a Unix socket"),
                Transport::Invoke(_) => Some("an endpoint that sends its requests itself"),
            };
            if let Some(refused) = refused {
                return Err(Error::unsupported(Setting::SourceAddress, refused));
            }
        }
        let proxy = self.proxy()?;
        let is_plain =
            matches!(self.endpoint.transport(), Transport::Http(api) if !api.server().tls);
        if self.http2 && is_plain && proxy.is_some() {
            let error = Error::unsupported(Setting::Http2, "a proxy to an http address");
            return Err(error.with_hint("use an https address, or no proxy"));
        }
        if self.timeout.is_zero() {
            return Err(Error::invalid(Setting::Timeout, "0s", "more than 0s"));
        }
        if self.max_response_size == 0 {
            return Err(Error::invalid(Setting::MaxResponseSize, 0, positive));
        }
        if self.max_failures == Some(0) {
            return Err(Error::invalid(Setting::MaxFailures, 0, positive));
        }
        if let Some(rate) = self.stop_on_error_rate
            && !(0.0..1.0).contains(&rate)
        {
            let expected = "a share of the requests from 0 to below 1, such as 0.1";
            return Err(Error::invalid(Setting::StopOnErrorRate, rate, expected));
        }
        for slo in &self.slos {
            if let Err(reason) = slo.check_slo() {
                let problem = SettingProblem::Refused {
                    reason: reason.to_string(),
                };
                return Err(Error::Invalid {
                    setting: Setting::Slo,
                    problem,
                    hint: None,
                });
            }
        }
        if let Some(speed) = self.reading_speed
            && !(speed.is_finite() && speed > 0.0)
        {
            return Err(Error::invalid(Setting::ReadingSpeed, speed, "more than 0"));
        }
        self.check_until()?;
        if self.stall.is_zero() {
            return Err(Error::invalid(Setting::Stall, "0s", "more than 0s"));
        }
        if self.steady && self.low_memory {
            return Err(Error::conflict(Setting::Steady, Setting::LowMemory));
        }
        if let Some(workers) = self.workers
            && !(1..=MAX_WORKERS).contains(&workers)
        {
            let expected = format!("1 to {MAX_WORKERS}");
            return Err(Error::invalid(Setting::Workers, workers, expected));
        }
        for folder in self.output.iter().chain(&self.folder) {
            folder.check(Setting::Output)?;
        }
        if let Some(name) = &self.run_name {
            let is_one_folder =
                !matches!(name.as_str(), "" | "." | "..") && !name.contains(['/', '\\', '\0']);
            if !is_one_folder {
                let expected = "the name of a folder: not empty and without slashes";
                let shown = format!("{name:?}");
                return Err(Error::invalid(Setting::RunName, shown, expected));
            }
        }
        self.validate_costs()
    }

    fn validate_open_loop(&self) -> Result<()> {
        if self.max_in_flight == Some(0) {
            return Err(Error::invalid(Setting::MaxInFlight, 0, "1 or more"));
        }
        let is_invoked = matches!(self.endpoint.transport(), Transport::Invoke(_));
        let of_wire = [
            (Setting::ReadRate, self.read_rate.is_some()),
            (Setting::BeforeRun, !self.before_run.is_empty()),
        ];
        for (setting, is_given) in of_wire {
            if is_given && is_invoked {
                let endpoint = "an endpoint that sends its requests itself";
                return Err(Error::unsupported(setting, endpoint));
            }
        }
        if self.read_rate.is_some() && self.http2 {
            return Err(Error::unsupported(Setting::ReadRate, "HTTP/2"));
        }
        let is_scheduled = matches!(self.load, Load::Schedule(_));
        let scheduled = "a load with a schedule of its own";
        match self.rate {
            Some(_) if self.clients != 1 => Err(Error::conflict(Setting::Rate, Setting::Clients)),
            Some(_) if self.stages.is_some() => {
                Err(Error::conflict(Setting::Rate, Setting::Stages))
            }
            Some(_) if is_scheduled => Err(Error::unsupported(Setting::Rate, scheduled)),
            None if self.stages.is_some() && is_scheduled => {
                Err(Error::unsupported(Setting::Stages, scheduled))
            }
            None if self.stages.is_some() && self.clients != 1 => {
                Err(Error::conflict(Setting::Stages, Setting::Clients))
            }
            None if self.max_requests.is_some() && self.staged_clients().is_some() => Err(
                Error::unsupported(Setting::MaxRequests, "stages of clients"),
            ),
            _ if self.max_in_flight.is_some() && !self.is_open_loop() => {
                Err(Error::requires(Setting::MaxInFlight, Setting::Rate))
            }
            _ => Ok(()),
        }
    }

    fn validate_costs(&self) -> Result<()> {
        let models = self.cost_models().count();
        if models > 1 {
            let given = format!("{models} cost models");
            let expected = "at most one; put all dimensions into it";
            return Err(Error::invalid(Setting::Callbacks, given, expected));
        }
        let Some(limit) = self.max_cost else {
            return Ok(());
        };
        if !(limit.is_finite() && limit > 0.0) {
            return Err(Error::invalid(Setting::MaxCost, limit, "more than 0"));
        }
        match self.cost_model() {
            Some(model) if !model.is_empty() => Ok(()),
            _ => {
                let hint = "or set another price, or add a CostModel callback";
                Err(Error::requires(Setting::MaxCost, Setting::CostInput).with_hint(hint))
            }
        }
    }

    /// An error about a payload, with which one it is.
    pub(crate) fn of_payload(&self, index: usize, error: Error) -> Error {
        let payloads = self.payloads.len();
        match (self.payload_sources.get(index), error) {
            (Some(source), error) if self.payload_sources.len() == payloads => source.of(error),
            (
                _,
                Error::Field {
                    problem: problem @ SettingProblem::Refused { .. },
                    ..
                },
            ) if payloads > 1 => Error::Field {
                field: format!("payload {}", index + 1).into(),
                problem,
            },
            (_, error) => error,
        }
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
        match self.endpoint.transport() {
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

    /// What is to be sent when.
    pub(crate) fn schedule(&self) -> Arc<dyn Schedule> {
        let whole = self.whole_schedule();
        match self.shard {
            None => whole,
            Some(shard) => Arc::new(Sharded { whole, shard }),
        }
    }

    /// What of a limit for the whole load is this run's.
    pub(crate) fn own_share(&self, limit: f64) -> f64 {
        self.shard.map_or(limit, |shard| limit / shard.of as f64)
    }

    fn whole_schedule(&self) -> Arc<dyn Schedule> {
        if let Load::Schedule(schedule) = &self.load {
            return schedule.clone();
        }
        let duration = match (&self.load, &self.stages) {
            (_, Some(stages)) => Some(stages.duration()),
            (Load::Duration(duration), None) => Some(*duration),
            _ => None,
        };
        let warmup_time = Some(self.warmup_time).filter(|time| !time.is_zero());
        let stages = self.stages.as_ref().filter(|stages| stages.are_rates());
        let rate = self.rate.map(|rate| Profile::constant(rate.per_second()));
        if let Some(rate) = stages.map(Stages::profile).or(rate) {
            let of_data = match (&self.load, &self.data) {
                (Load::EachPayloadOnce, Some(data)) if self.stages.is_none() => data.size(),
                _ => None,
            };
            let requests = self.requests_per_client().into_iter().chain(of_data);
            return Arc::new(OpenLoop {
                rate,
                stage_ends: stages.map(Stages::ends).unwrap_or_default(),
                arrivals: self.arrivals,
                payloads: self.payloads.len(),
                data: self.data.as_ref().map(|_| self.data_start),
                seed: self.seed,
                warmup: self.warmup,
                warmup_time,
                requests: requests.chain(self.max_requests).min(),
                duration,
            });
        }
        if let Some(data) = &self.data {
            let of_all = match self.load {
                Load::Requests(count) => Some(count.saturating_mul(self.clients as u64)),
                Load::EachPayloadOnce => data.size(),
                _ => None,
            };
            return Arc::new(DataLoop {
                clients: self.clients,
                start: self.data_start,
                requests: of_all.into_iter().chain(self.max_requests).min(),
                duration,
                warmup: self.warmup,
                warmup_time,
                shard: self.shard,
                taken: Arc::default(),
            });
        }
        let closed_loop = ClosedLoop {
            clients: self.whole_client_count(),
            payloads: self.payloads.len(),
            seed: self.seed,
            warmup: self.warmup,
            warmup_time,
            requests: self.requests_per_client(),
            max_requests: self.max_requests,
            duration,
        };
        match &self.stages {
            Some(stages) => Arc::new(StagedClients {
                stages: stages.clone(),
                clients: closed_loop,
            }),
            None => Arc::new(closed_loop),
        }
    }

    /// The most clients of stages, if they are about clients.
    fn staged_clients(&self) -> Option<usize> {
        self.stages.as_ref()?.most_clients()
    }

    /// Clients that send at the same time, at most; 1 in an open loop. Those of this run, which may be a
    /// part of the load's.
    pub(crate) fn client_count(&self) -> usize {
        let whole = self.whole_client_count();
        match self.shard {
            Some(shard) if !self.is_open_loop() => shard.count(whole),
            _ => whole,
        }
    }

    /// Clients of the whole load, of which this run may be a part.
    pub(crate) fn whole_client_count(&self) -> usize {
        self.staged_clients().unwrap_or(self.clients)
    }

    /// Whether the clock decides when requests are sent.
    pub(crate) fn is_open_loop(&self) -> bool {
        match &self.load {
            Load::Schedule(schedule) => schedule.is_open_loop(),
            _ => self.has_rates(),
        }
    }

    /// Whether arrivals have a rate, of the whole run or of its stages.
    pub(crate) fn has_rates(&self) -> bool {
        self.rate.is_some() || self.stages.as_ref().is_some_and(Stages::are_rates)
    }

    /// Requests that may be in flight at a time, if that is bound.
    pub(crate) fn in_flight_bound(&self) -> Option<usize> {
        match matches!(self.load, Load::Schedule(_)) || self.is_open_loop() {
            true => self
                .max_in_flight
                .map(|most| self.shard.map_or(most, |shard| shard.count(most).max(1))),
            false => Some(self.client_count()),
        }
    }

    /// Requests of each client, if the load is bound by count; of an open loop all of them.
    pub(crate) fn requests_per_client(&self) -> Option<u64> {
        match &self.load {
            _ if self.stages.is_some() => None,
            // Clients do not send the same number each.
            Load::EachPayloadOnce if self.data.is_some() => None,
            Load::EachPayloadOnce => Some(self.payloads.len() as u64),
            Load::Requests(count) => Some(*count),
            Load::Duration(_) | Load::Schedule(_) => None,
        }
    }

    /// Workers that this run uses.
    pub(crate) fn worker_count(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = self
            .workers
            .unwrap_or_else(|| cores.saturating_sub(1).max(1));
        match self.in_flight_bound() {
            Some(bound) if !matches!(self.load, Load::Schedule(_)) => workers.min(bound),
            _ => workers,
        }
    }
}
