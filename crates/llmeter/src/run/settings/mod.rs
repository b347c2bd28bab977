//! The settings of a run, as flags, configuration files and run folders have them.

mod form;
mod saved;
mod schema;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use self::form::{Form, expected, parse_stages};
use crate::api::ApiMode;
use crate::base::error::{Error, Result};
use crate::base::setting::{Setting, SettingKind, SettingProblem, with_settings};
use crate::data::{
    self, DataOptions, DataSource, ForcedOutput, ReplayOptions, ReplaySession, RequestForm, Window,
};
use crate::load::{
    Arrivals, Balance, Cancellation, Conversations, History, Load, Rate, Replay, SessionLoop,
    Shard, SlowReaders, Stages, ThinkTime, TraceSessions,
};
use crate::payload::{ExtraFields, Tokenizer, Whitespace, tokenizer_from_spec};
use crate::run::{Connections, RunConfig, ServerCall, Warmup};
use crate::stats::{Condition, ConditionError, PrecisionTarget};
use crate::storage::Location;
use llmeter_wire::{Proxies, Proxy, StampSource};

pub use self::form::parse_time;
pub(in crate::run) use self::form::seconds;
pub(in crate::run) use self::saved::{Kept, kept};

type Object = Map<String, Value>;
/// Data, and of a trace its sessions.
type Opened = (Arc<dyn DataSource>, Option<Vec<ReplaySession>>);

/// How long a run with `until` sends, if nothing else ends it.
const DEFAULT_MAX_DURATION: Duration = Duration::from_secs(600);

/// Settings that mean something only with a file of data.
const OF_DATA: [Setting; 3] = [
    Setting::DataColumns,
    Setting::DataFilter,
    Setting::DataSample,
];

macro_rules! structure {
    ($($variant:ident $field:ident: $type:ty, $kind:expr, $group:ident, $value:literal,
       $example:literal, $help:literal, $more:literal;)+) => {
        /// The settings of a run. What is `None` is left to a lower layer, or to the default.
        ///
        /// Every source of settings becomes one of these: flags, a configuration file, a saved run.
        /// [`over`](Self::over) lays one upon another, and [`apply`](Self::apply) carries the result
        /// to a [`RunConfig`]. As JSON it is an object of those that are given; header lines and
        /// addresses in it may hold secrets, which its `Debug` form hides.
        ///
        /// ```
        /// use llmeter::RunSettings;
        ///
        /// let file: RunSettings = serde_json::from_str(r#"{"clients": 4, "duration": "30s"}"#)?;
        /// let flags = RunSettings { requests: Some(10), ..RunSettings::default() };
        /// let settings = flags.over(file);
        /// assert_eq!((settings.clients, settings.requests), (Some(4), Some(10)));
        /// assert_eq!(settings.duration, None, "excluded by what lies above");
        /// # Ok::<(), serde_json::Error>(())
        /// ```
        #[derive(Clone, Default, PartialEq)]
        pub struct RunSettings {
            $(#[doc = $help] pub $field: Option<$type>,)+
        }

        impl RunSettings {
            /// The value of a setting, if it is given.
            pub fn get(&self, setting: Setting) -> Option<Value> {
                match setting {
                    $(Setting::$variant => self.$field.as_ref().map(Form::write),)+
                    _ => None,
                }
            }

            /// Sets a setting from a value as files have it.
            ///
            /// # Errors
            /// If the setting does not take such a value.
            pub fn set(&mut self, setting: Setting, value: &Value) -> Result<()> {
                let value = &match (setting.kind(), value) {
                    (SettingKind::Api, Value::String(name)) => ApiMode::named(name)?.name.into(),
                    // The one of the environment.
                    (SettingKind::Address, Value::Bool(true)) => "".into(),
                    (SettingKind::Address, Value::Bool(false)) => {
                        self.clear(setting);
                        return Ok(());
                    }
                    (_, value) => value.clone(),
                };
                check_conditions(setting, value)?;
                match setting {
                    $(Setting::$variant => {
                        let given = Form::read(value).filter(|_| is_choice(setting, value));
                        self.$field = Some(given.ok_or_else(|| refused(setting, value))?);
                    })+
                    _ => return Err(refused(setting, value)),
                }
                Ok(())
            }

            /// Leaves a setting to a lower layer.
            pub fn clear(&mut self, setting: Setting) {
                match setting {
                    $(Setting::$variant => self.$field = None,)+
                    _ => {}
                }
            }

            /// These settings where they are given, `lower`'s elsewhere. Of two that exclude each
            /// other, one that is given here drops the lower one.
            #[must_use]
            pub fn over(self, mut lower: Self) -> Self {
                for setting in self.given() {
                    for other in setting.excludes() {
                        lower.clear(*other);
                    }
                }
                Self {
                    $($field: self.$field.or(lower.$field),)+
                }
            }
        }
    };
}
with_settings!(structure);

fn is_choice(setting: Setting, value: &Value) -> bool {
    match setting.kind() {
        SettingKind::Choice(names) => value.as_str().is_some_and(|name| names.contains(&name)),
        _ => true,
    }
}

/// Which of several conditions is wrong, and why.
fn check_conditions(setting: Setting, value: &Value) -> Result<()> {
    if setting.kind() != SettingKind::Conditions {
        return Ok(());
    }
    for text in Vec::<String>::read(value).unwrap_or_default() {
        let check = || -> Result<(), ConditionError> {
            match setting {
                Setting::Until => text.parse::<PrecisionTarget>().map(drop),
                Setting::FailIf => text.parse::<Condition>()?.check_of_run(false),
                _ => text.parse::<Condition>()?.check_slo(),
            }
        };
        check().map_err(|reason| {
            let reason = format!("{text:?}: {reason}");
            let problem = SettingProblem::Refused { reason };
            let hint = None;
            Error::Invalid {
                setting,
                problem,
                hint,
            }
        })?;
    }
    Ok(())
}

/// Settings whose values may hold a secret.
fn may_be_secret(setting: Setting) -> bool {
    matches!(
        setting,
        Setting::Header | Setting::Proxy | Setting::Mlflow | Setting::BaseUrl | Setting::Callbacks
    )
}

fn refused(setting: Setting, value: &Value) -> Error {
    if setting == Setting::Stages
        && let Some(Err(reason)) = parse_stages(value)
    {
        return Error::Invalid {
            setting,
            problem: SettingProblem::Refused { reason },
            hint: None,
        };
    }
    // Which of several is wrong.
    if setting.kind() == SettingKind::Fields
        && let Some(given) = Vec::<String>::read(value)
        && let Err(reason) = ExtraFields::from_assignments(given.iter().map(String::as_str))
    {
        return reason;
    }
    match may_be_secret(setting) {
        true => Error::hidden(setting, expected(setting)),
        false => Error::invalid(setting, value, expected(setting)),
    }
}

impl RunSettings {
    /// The settings that are given; a switch that is off is not.
    pub fn given(&self) -> impl Iterator<Item = Setting> {
        let settings = Setting::ALL.iter().copied();
        settings.filter(|setting| self.is_given(*setting))
    }

    fn is_given(&self, setting: Setting) -> bool {
        self.get(setting)
            .is_some_and(|value| value != Value::Bool(false))
    }

    /// Makes sure that no two of them exclude each other.
    ///
    /// # Errors
    /// If two do.
    pub fn check(&self) -> Result<()> {
        for setting in self.given() {
            let mut excluded = setting.excludes().iter();
            if let Some(other) = excluded.find(|other| self.is_given(**other)) {
                return Err(Error::conflict(setting, *other));
            }
        }
        Ok(())
    }

    /// Carries to a configuration what a run itself is told: load, measurement, network and output.
    /// Endpoint, payloads and callbacks are objects that are made elsewhere.
    ///
    /// # Errors
    /// If the tokenizer, the proxy or a source address cannot be used.
    pub fn apply(&self, config: &mut RunConfig) -> Result<()> {
        fn set<T: Clone>(place: &mut T, setting: Option<&T>) {
            if let Some(setting) = setting {
                place.clone_from(setting);
            }
        }
        if let Some(spec) = &self.tokenizer {
            config.tokenizer = tokenizer_from_spec(spec)?;
        }
        set(&mut config.clients, self.clients.as_ref());
        set(&mut config.load, self.requests.map(Load::Requests).as_ref());
        set(&mut config.load, self.duration.map(Load::Duration).as_ref());
        if self.max_duration.is_some() && self.until.is_none() {
            return Err(Error::requires(Setting::MaxDuration, Setting::Until));
        }
        let is_bound = self.stages.is_some() || self.duration.is_some() || self.requests.is_some();
        if self.until.is_some() && !is_bound {
            let longest = self.max_duration.unwrap_or(DEFAULT_MAX_DURATION);
            config.load = Load::Duration(longest);
        }
        config.rate = self.rate.or(config.rate);
        config.sessions = self.sessions.or(config.sessions);
        config.session_rate = self.session_rate.or(config.session_rate);
        config.stages = self.stages.clone().or(config.stages.take());
        if self.arrivals.is_some() && !config.is_open_loop() {
            return Err(config.without_rates(Setting::Arrivals, &[]));
        }
        set(&mut config.arrivals, self.arrivals.as_ref());
        config.max_in_flight = self.max_in_flight.or(config.max_in_flight);
        config.max_sessions = self.max_sessions.or(config.max_sessions);
        if let Some(think_time) = &self.think_time {
            config.think_time = Some(think_time.clone().read()?);
        }
        set(&mut config.history, self.history.as_ref());
        for (place, given) in [
            (&mut config.session_header, &self.session_header),
            (&mut config.session_field, &self.session_field),
        ] {
            *place = given.clone().or(place.take());
        }
        config.cancel = self.cancel.or(config.cancel);
        config.read_rate = self.read_rate.or(config.read_rate);
        set(&mut config.wait_until_ready, self.wait_until_ready.as_ref());
        set(&mut config.before_run, self.before_run.as_ref());
        set(&mut config.balance, self.balance.as_ref());
        set(&mut config.before_stage, self.before_stage.as_ref());
        set(&mut config.until, self.until.as_ref());
        config.max_requests = self.max_requests.or(config.max_requests);
        config.shard = self.shard.or(config.shard);
        set(&mut config.timeout, self.timeout.as_ref());
        set(&mut config.max_retries, self.max_retries.as_ref());
        set(&mut config.connections, self.connections.as_ref());
        match self.warmup {
            Some(Warmup::Requests(requests)) => {
                (config.warmup, config.warmup_time) = (requests, Duration::ZERO);
            }
            Some(Warmup::Time(time)) => (config.warmup, config.warmup_time) = (0, time),
            None => {}
        }
        set(&mut config.steady, self.steady.as_ref());
        set(&mut config.stall, self.stall.as_ref());
        config.reading_speed = self.reading_speed.or(config.reading_speed);
        set(&mut config.seed, self.seed.as_ref());
        set(&mut config.stamps, self.stamps.as_ref());
        set(&mut config.low_memory, self.low_memory.as_ref());
        set(&mut config.insecure, self.insecure.as_ref());
        set(&mut config.http2, self.http2.as_ref());
        set(&mut config.overwrite, self.overwrite.as_ref());
        let ignore_write_errors = self.ignore_write_errors.as_ref();
        set(&mut config.ignore_write_errors, ignore_write_errors);
        config.ca_file = self.ca_file.clone().or(config.ca_file.take());
        config.workers = self.workers.or(config.workers);
        set(
            &mut config.failure_pause,
            self.no_failure_pause.map(|is_off| !is_off).as_ref(),
        );
        set(
            &mut config.max_response_size,
            self.max_response_size.as_ref(),
        );
        config.max_failures = self.max_failures.or(config.max_failures);
        config.stop_on_error_rate = self.stop_on_error_rate.or(config.stop_on_error_rate);
        config.max_cost = self.max_cost.or(config.max_cost);
        set(&mut config.slos, self.slo.as_ref());
        config.output = self.output.clone().or(config.output.take());
        config.run_name = self.run_name.clone().or(config.run_name.take());
        config.run_description = self.description.clone().or(config.run_description.take());
        if let Some(addresses) = &self.source_address {
            let parse = |text: &String| {
                let expected = "an IP address of this machine";
                text.parse()
                    .map_err(|_| Error::invalid(Setting::SourceAddress, text, expected))
            };
            config.source_addresses = addresses.iter().map(parse).collect::<Result<_>>()?;
        }
        if let Some(headers) = &self.server_time_header {
            let parse = |text: &String| {
                text.parse()
                    .map_err(|expected| Error::invalid(Setting::ServerTimeHeader, text, expected))
            };
            config.server_time_headers = headers.iter().map(parse).collect::<Result<_>>()?;
        }
        config.proxies = match (&self.proxy, self.no_proxy) {
            (Some(url), _) => Proxies::All(Proxy::from_url(url)?),
            (None, Some(true)) => Proxies::None,
            _ => Proxies::from_environment(),
        };
        self.apply_data(config)
    }

    /// Opens the data, once everything that it depends on is there.
    fn apply_data(&self, config: &mut RunConfig) -> Result<()> {
        for (needed, others) in [
            (Setting::Data, OF_DATA.as_slice()),
            (Setting::Replay, &[Setting::Speed, Setting::Window]),
        ] {
            let mut others = others.iter().filter(|setting| self.is_given(**setting));
            if !self.is_given(needed)
                && let Some(other) = others.next()
            {
                return Err(Error::requires(*other, needed));
            }
        }
        if self.data.is_none() && self.replay.is_none() {
            return match self.force_output_length {
                Some(_) => Err(Error::requires_any(
                    Setting::ForceOutputLength,
                    &[Setting::Data, Setting::Replay],
                )),
                None => Ok(()),
            };
        }
        let api = ApiMode::of_saved(&config.endpoint.saved())?;
        let model = Some(config.endpoint.identity().model_id.clone());
        let opened = self.opened(api, model, config.tokenizer.clone(), config.seed)?;
        let Some((source, sessions)) = opened else {
            return Ok(());
        };
        config.data = Some(source.clone());
        if let Some(sessions) = sessions {
            let conversations = Conversations {
                data: source,
                trace: Some(TraceSessions::new(&sessions)),
                think_time: config.think_time.clone(),
                history: config.history,
                counts_single: config.sessions.is_some(),
                seed: config.seed,
            };
            config.load = Load::Schedule(match config.sessions {
                None => Arc::new(Replay::new(conversations)),
                Some(concurrent) => Arc::new(SessionLoop {
                    sessions: conversations
                        .count()
                        .into_iter()
                        .chain(config.max_sessions)
                        .min(),
                    conversations,
                    concurrent,
                    stages: None,
                    start: 0,
                    max_requests: config.max_requests,
                    duration: None,
                    warmup: 0,
                    warmup_time: None,
                    shard: config.shard,
                    taken: Arc::default(),
                }),
            });
            // It has said how fast the trace is.
            config.rate = None;
            if config.warmup > 0 || !config.warmup_time.is_zero() {
                return Err(Error::unsupported(Setting::Warmup, "a replay"));
            }
        }
        Ok(())
    }

    /// The data that these settings name, for requests of an API; `None` if they name none. Counted by
    /// their tokenizer.
    ///
    /// # Errors
    /// If the data or the tokenizer cannot be used.
    pub fn open_data(&self, api: ApiMode) -> Result<Option<Arc<dyn DataSource>>> {
        let tokenizer: Arc<dyn Tokenizer> = match &self.tokenizer {
            Some(spec) => tokenizer_from_spec(spec)?,
            None => Arc::new(Whitespace),
        };
        let opened = self.opened(api, None, tokenizer, self.seed.unwrap_or_default())?;
        Ok(opened.map(|(source, _)| source))
    }

    /// The data, and of a trace its sessions.
    fn opened(
        &self,
        api: ApiMode,
        model: Option<String>,
        tokenizer: Arc<dyn Tokenizer>,
        seed: u64,
    ) -> Result<Option<Opened>> {
        let forced = self.force_output_length.as_deref();
        let form = RequestForm::new(api)
            .model(model)
            .system(self.system.clone())
            .extra(self.extra.clone())
            .max_tokens(self.max_tokens)
            .forced_output(forced.and_then(ForcedOutput::named).unwrap_or_default());
        if let Some(source) = &self.data {
            let source = data::open(DataOptions {
                source: source.clone(),
                columns: self.data_columns.clone(),
                filter: self.data_filter.clone(),
                sample: self.data_sample,
                form,
                tokenizer,
                seed,
            })?;
            return Ok(Some((source, None)));
        }
        if let Some(trace) = &self.replay {
            if self.rate.is_some() && self.speed.is_some() {
                return Err(Error::conflict(Setting::Rate, Setting::Speed));
            }
            let seconds = |text: &str| parse_time(text).map(|time| time.as_secs_f64());
            let window = self.window.as_deref();
            let options = ReplayOptions {
                speed: self.speed.unwrap_or(1.0),
                rate: self.rate.map(|rate| rate.per_second()),
                window: window
                    .map(|text| Window::parse(text, seconds))
                    .transpose()?,
                max_requests: self.max_requests,
            };
            let mut settings = Object::new();
            for setting in [
                Setting::Replay,
                Setting::Speed,
                Setting::Window,
                Setting::Rate,
            ] {
                if let Some(value) = self.get(setting) {
                    settings.insert(setting.name().to_owned(), value);
                }
            }
            let location = Location::from(trace.as_str());
            let (source, sessions) =
                data::replay(&location, &options, settings, form, tokenizer, seed)?;
            return Ok(Some((source, Some(sessions))));
        }
        Ok(None)
    }

    /// What [`apply`](Self::apply) carries, from a configuration; of a proxy without its
    /// credentials.
    pub(crate) fn of(config: &RunConfig) -> Self {
        let (requests, duration) = match (&config.load, &config.stages) {
            (_, Some(stages)) => (None, Some(stages.duration())),
            (Load::Duration(duration), _) => (None, Some(*duration)),
            _ => (config.requests_per_client(), None),
        };
        let proxy = match &config.proxies {
            Proxies::All(proxy) => Some(proxy.shown().to_owned()),
            _ => None,
        };
        let settings = Self {
            clients: Some(config.whole_client_count()),
            requests,
            duration,
            timeout: Some(config.timeout),
            max_retries: Some(config.max_retries),
            connections: Some(config.connections),
            warmup: Some(match config.warmup_time {
                Duration::ZERO => Warmup::Requests(config.warmup),
                time => Warmup::Time(time),
            }),
            steady: Some(config.steady),
            stall: Some(config.stall),
            reading_speed: config.reading_speed,
            seed: Some(config.seed),
            stamps: Some(config.stamps),
            low_memory: Some(config.low_memory),
            ca_file: config.ca_file.clone(),
            insecure: Some(config.insecure),
            proxy,
            no_proxy: Some(matches!(config.proxies, Proxies::None)),
            source_address: (!config.source_addresses.is_empty()).then(|| {
                let addresses = config.source_addresses.iter();
                addresses.map(ToString::to_string).collect()
            }),
            server_time_header: (!config.server_time_headers.is_empty()).then(|| {
                let headers = config.server_time_headers.iter();
                headers.map(ToString::to_string).collect()
            }),
            http2: Some(config.http2),
            workers: config.workers,
            no_failure_pause: Some(!config.failure_pause),
            max_response_size: Some(config.max_response_size),
            max_failures: config.max_failures,
            stop_on_error_rate: config.stop_on_error_rate,
            max_cost: config.max_cost,
            until: (!config.until.is_empty()).then(|| config.until.clone()),
            max_requests: config.max_requests,
            shard: config.shard,
            rate: config.rate,
            arrivals: config.has_rates().then_some(config.arrivals),
            stages: config.stages.clone(),
            max_in_flight: config.max_in_flight,
            sessions: config.sessions,
            session_rate: config.session_rate,
            max_sessions: config.max_sessions,
            think_time: config.think_time.clone(),
            history: (config.history != History::default()).then_some(config.history),
            session_header: config.session_header.clone(),
            session_field: config.session_field.clone(),
            cancel: config.cancel,
            read_rate: config.read_rate,
            wait_until_ready: Some(config.wait_until_ready).filter(|time| !time.is_zero()),
            before_run: (!config.before_run.is_empty()).then(|| config.before_run.clone()),
            before_stage: (!config.before_stage.is_empty()).then(|| config.before_stage.clone()),
            slo: (!config.slos.is_empty()).then(|| config.slos.clone()),
            ignore_write_errors: Some(config.ignore_write_errors),
            balance: Some(config.balance)
                .filter(|balance| *balance != Balance::default() || !config.replicas.is_empty()),
            description: config.run_description.clone(),
            ..Self::default()
        };
        settings.with_data(config)
    }

    /// The same with those that give the data.
    fn with_data(mut self, config: &RunConfig) -> Self {
        let of_data = config.data.as_ref().and_then(|data| data.settings());
        for (name, value) in of_data.unwrap_or_default() {
            if let Some(setting) = Setting::named(&name) {
                // A source of the user's own may name what is none.
                let _ = self.set(setting, &value);
            }
        }
        self
    }
}

impl fmt::Debug for RunSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = Setting::ALL.iter().filter_map(|setting| {
            let value = self.get(*setting)?;
            let shown = match may_be_secret(*setting) {
                true => "(hidden)".into(),
                false => value,
            };
            Some((setting.name(), shown))
        });
        formatter.debug_map().entries(given).finish()
    }
}

impl Serialize for RunSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let settings = Setting::ALL.iter();
        serializer
            .collect_map(settings.filter_map(|setting| Some((setting.name(), self.get(*setting)?))))
    }
}

impl<'de> Deserialize<'de> for RunSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut settings = Self::default();
        for (name, value) in Object::deserialize(deserializer)? {
            let setting = Setting::named(&name)
                .ok_or_else(|| D::Error::custom(format!("unknown setting `{name}`")))?;
            settings.set(setting, &value).map_err(D::Error::custom)?;
        }
        Ok(settings)
    }
}
