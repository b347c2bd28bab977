//! Whether a configuration can be used.

use secrecy::SecretString;

use super::{MAX_SERVERS, MAX_WORKERS, RunConfig};
use crate::base::error::{Error, Result};
use crate::base::setting::{Setting, SettingProblem};
use crate::data::DataSource;
use crate::endpoint::{Endpoint, Transport, header};
use crate::load::{History, Load};

impl RunConfig {
    /// Whether the run has an end, and the data something to send.
    fn check_data(&self, data: &dyn DataSource) -> Result<()> {
        if self.has_staged_clients() {
            let error = Error::unsupported(Setting::Stages, "data if they are of clients");
            return Err(error.with_hint("stages of rates and of sessions take data"));
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
            && self.max_sessions.is_none()
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

    /// Whether requests can go to a server as they are to.
    fn check_way(&self, endpoint: &dyn Endpoint) -> Result<()> {
        if !self.source_addresses.is_empty() {
            let refused = match endpoint.transport() {
                Transport::Http(api) => api.server().socket.as_ref().map(|_| "a Unix socket"),
                Transport::Invoke(_) => Some("an endpoint that sends its requests itself"),
            };
            if let Some(refused) = refused {
                return Err(Error::unsupported(Setting::SourceAddress, refused));
            }
        }
        let proxy = self.proxy_to(endpoint)?;
        let is_plain = matches!(endpoint.transport(), Transport::Http(api) if !api.server().tls);
        if self.http2 && is_plain && proxy.is_some() {
            let error = Error::unsupported(Setting::Http2, "a proxy to an http address");
            return Err(error.with_hint("use an https address, or no proxy"));
        }
        Ok(())
    }

    /// Whether the replicas are what the endpoint is, elsewhere.
    fn check_replicas(&self) -> Result<()> {
        if self.replicas.len() >= MAX_SERVERS {
            let given = self.replicas.len() + 1;
            let expected = format!("at most {MAX_SERVERS} addresses");
            return Err(Error::invalid(Setting::BaseUrl, given, expected));
        }
        let kind = |endpoint: &dyn Endpoint| {
            let model = endpoint.identity().model_id.clone();
            (endpoint.saved().class, model)
        };
        let own = kind(&*self.endpoint);
        for replica in &self.replicas {
            let other = kind(&**replica);
            if other != own {
                let given = format!("{} {}", other.0, other.1);
                let expected = format!("the API and the model of the first, {} {}", own.0, own.1);
                return Err(Error::field("replicas", given, expected));
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
        self.validate_sessions()?;
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
                let setting = match self.until.is_empty() {
                    true => Setting::Duration,
                    false => Setting::MaxDuration,
                };
                return Err(Error::invalid(setting, "0s", "more than 0s"));
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
        for endpoint in self.endpoints() {
            self.check_way(&**endpoint)?;
        }
        self.check_replicas()?;
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
            (Setting::BeforeStage, !self.before_stage.is_empty()),
        ];
        for (setting, is_given) in of_wire {
            if is_given && is_invoked {
                let endpoint = "an endpoint that sends its requests itself";
                return Err(Error::unsupported(setting, endpoint));
            }
        }
        if !self.before_stage.is_empty() && self.stages.is_none() {
            return Err(Error::requires(Setting::BeforeStage, Setting::Stages));
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
            None if self.max_requests.is_some() && self.has_staged_clients() => Err(
                Error::unsupported(Setting::MaxRequests, "stages of clients"),
            ),
            _ if self.max_in_flight.is_some() && !self.is_open_loop() => {
                Err(self.without_rates(Setting::MaxInFlight, &[Setting::Replay]))
            }
            _ => Ok(()),
        }
    }

    /// The error about a setting of open loops: there is no rate, nor anything else that has due times.
    pub(in crate::run) fn without_rates(&self, setting: Setting, others: &[Setting]) -> Error {
        match self.staged_without_rates() {
            Some(kind) => Error::unsupported(setting, format!("stages of {kind}")),
            None => Error::requires_any(
                setting,
                &[&[Setting::Rate, Setting::Stages], others].concat(),
            ),
        }
    }

    /// Whether conversations have what they need.
    fn validate_sessions(&self) -> Result<()> {
        for (setting, value) in [
            (Setting::Sessions, self.sessions.map(|count| count as u64)),
            (Setting::MaxSessions, self.max_sessions),
        ] {
            if value == Some(0) {
                return Err(Error::invalid(setting, 0, "1 or more"));
            }
        }
        if let Some(count) = self.sessions
            && u32::try_from(count).is_err()
        {
            let expected = format!("at most {}", u32::MAX);
            return Err(Error::invalid(Setting::Sessions, count, expected));
        }
        let own = match (self.sessions, self.session_rate) {
            (Some(_), Some(_)) => {
                return Err(Error::conflict(Setting::Sessions, Setting::SessionRate));
            }
            (Some(_), None) => Some(Setting::Sessions),
            (None, Some(_)) => Some(Setting::SessionRate),
            (None, None) if self.has_sessions() => Some(Setting::Stages),
            (None, None) => None,
        };
        let has_conversations =
            matches!(&self.load, Load::Schedule(schedule) if schedule.has_conversations());
        let Some(own) = own else {
            let of_sessions = [
                (Setting::MaxSessions, self.max_sessions.is_some()),
                (Setting::ThinkTime, self.think_time.is_some()),
                (Setting::History, self.history == History::Data),
                (Setting::SessionHeader, self.session_header.is_some()),
                (Setting::SessionField, self.session_field.is_some()),
            ];
            let given = of_sessions.iter().find(|(_, is_given)| *is_given);
            return match given.filter(|_| !has_conversations) {
                Some((setting, _)) => Err(Error::requires(*setting, Setting::Sessions)),
                None => self.validate_session_ids(),
            };
        };
        if self.data.is_none() {
            let error = Error::requires(own, Setting::Data);
            return Err(error.with_hint("conversations are those of data, or of a trace"));
        }
        let others = [
            (Setting::Rate, self.rate.is_some()),
            (
                Setting::Stages,
                self.stages.is_some() && own != Setting::Stages,
            ),
            (Setting::Clients, self.clients != 1),
            (Setting::Requests, matches!(self.load, Load::Requests(_))),
        ];
        if let Some((other, _)) = others.iter().find(|(_, is_given)| *is_given) {
            return Err(Error::conflict(own, *other));
        }
        if matches!(self.load, Load::Schedule(_)) && !has_conversations {
            return Err(Error::unsupported(own, "a load with a schedule of its own"));
        }
        self.validate_session_ids()
    }

    fn validate_session_ids(&self) -> Result<()> {
        if let Some(name) = &self.session_header {
            if matches!(self.endpoint.transport(), Transport::Invoke(_)) {
                let endpoint = "an endpoint that sends its requests itself";
                return Err(Error::unsupported(Setting::SessionHeader, endpoint));
            }
            if header(name, &SecretString::from("1")).is_err() {
                let expected =
                    "the name of a header that llmeter does not set itself, like X-Session-ID";
                return Err(Error::invalid(
                    Setting::SessionHeader,
                    format!("{name:?}"),
                    expected,
                ));
            }
        }
        if let Some(field) = &self.session_field
            && field
                .split('.')
                .any(|part| part.trim().is_empty() || part.contains('='))
        {
            let expected = "the name of a field, like user or metadata.user_id";
            return Err(Error::invalid(
                Setting::SessionField,
                format!("{field:?}"),
                expected,
            ));
        }
        Ok(())
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
}
