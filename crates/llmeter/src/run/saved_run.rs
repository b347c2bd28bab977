//! A run that is to be repeated, from the files of its folder.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::base::error::{Error, Result};
use crate::callback;
use crate::endpoint::{self, SavedObject};
use crate::payload::{load_payloads, tokenizer_from_saved};
use crate::result::{CONFIG_FILE, OWN_CONFIG_FILE, PAYLOAD_FILE, read_json};
use crate::run::{Connections, Load, RunConfig};
use crate::storage::Location;
use llmeter_wire::{Proxies, Proxy, StampSource};

type Object = Map<String, Value>;

/// The configuration of a run as its folder holds it, also a folder of the Python system.
///
/// What is there can be changed before [`into_config`](Self::into_config) builds from it.
#[derive(Debug, Clone)]
pub struct SavedRun {
    folder: Location,
    /// The endpoint, without secrets.
    pub endpoint: SavedObject,
    /// The callbacks, each in its saved form.
    pub callbacks: Vec<Value>,
    config: Object,
    own: Object,
    has_payloads: bool,
}

impl SavedRun {
    /// Reads `run_config.json` and, where it is there, `llmeter.json` of a run folder.
    ///
    /// # Errors
    /// If the folder has no usable `run_config.json`.
    pub fn load(folder: impl Into<Location>) -> Result<Self> {
        let folder = folder.into();
        let not_a_run = |reason: String| Error::NotARun {
            path: folder.clone(),
            reason,
        };
        let read = |name: &str| {
            let Some(text) = folder.join(name).read_if_there()? else {
                return Ok(None);
            };
            read_json(&text)
                .map(Some)
                .map_err(|reason| not_a_run(format!("{name} cannot be understood: {reason}")))
        };
        let config: Object = read(CONFIG_FILE)?
            .ok_or_else(|| not_a_run(format!("it has no {CONFIG_FILE} to repeat a run from")))?;
        let own: Object = read(OWN_CONFIG_FILE)?.unwrap_or_default();
        let names = folder.list_blocking()?;
        let has_payloads = names.iter().any(|name| name == PAYLOAD_FILE);
        if let Some(format) = own
            .get("format")
            .filter(|format| format.as_u64() != Some(1))
        {
            return Err(not_a_run(format!(
                "its {OWN_CONFIG_FILE} has format {format}, this llmeter reads format 1; \
                 use a newer llmeter"
            )));
        }
        let endpoint = config.get("endpoint").unwrap_or(&Value::Null);
        let mut endpoint = match endpoint.get("endpoint_type").and_then(Value::as_str) {
            // Written before 0.2.0 of the Python system.
            Some(class) => SavedObject {
                class: class.to_owned(),
                state: endpoint.as_object().cloned().unwrap_or_default(),
            },
            None => SavedObject::from_json(endpoint)
                .map_err(|reason| not_a_run(format!("{CONFIG_FILE}: endpoint: {reason}")))?,
        };
        if let Some(Value::Object(apart)) = own.get("endpoint") {
            let state = &mut endpoint.state;
            for (name, value) in apart {
                state.entry(name).or_insert_with(|| value.clone());
            }
        }
        let callbacks = match config.get("callbacks") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(callbacks)) => callbacks.clone(),
            Some(other) => {
                return Err(not_a_run(format!(
                    "{CONFIG_FILE}: callbacks is {other}, but must be a list"
                )));
            }
        };
        Ok(Self {
            folder,
            endpoint,
            callbacks,
            config,
            own,
            has_payloads,
        })
    }

    /// The folder that was read.
    pub fn folder(&self) -> &Location {
        &self.folder
    }

    /// The configuration, to be run again: into a new folder beside the one that was read, under a
    /// new name. Files hold no secrets: the API key is read from the environment variable
    /// `api_key_env`, by default the API's usual one, headers that may be secret have to be added to
    /// the endpoint again, and a proxy that was given for the run comes without its
    /// user name and password. A run that left the proxy to the environment does so again.
    ///
    /// # Errors
    /// If the endpoint, a callback or another setting is not known here or cannot be used, or if
    /// the payloads cannot be read.
    pub fn into_config(self, api_key_env: Option<&str>) -> Result<RunConfig> {
        let endpoint = endpoint::from_saved(&self.endpoint, api_key_env)?;
        let mut config = RunConfig::new(endpoint, []);
        config.payloads = self.payloads()?.into_iter().map(Into::into).collect();
        config.callbacks = self
            .callbacks
            .iter()
            .map(callback::from_json)
            .collect::<Result<_>>()?;
        config.tokenizer =
            tokenizer_from_saved(self.config.get("tokenizer").unwrap_or(&Value::Null))?;
        config.clients = self.whole(&self.config, "clients")?.unwrap_or(1) as usize;
        config.load = match (
            self.time(&self.config, "run_duration")?,
            self.whole(&self.config, "n_requests")?,
        ) {
            (Some(duration), _) => Load::Duration(duration),
            (None, Some(count)) => Load::Requests(count),
            (None, None) => Load::EachPayloadOnce,
        };
        // The Python system's timeout is none of a request; but it is what the user asked for.
        if let Some(timeout) = self.time(&self.config, "timeout")? {
            config.timeout = timeout;
        }
        let text = |from: &Object, key| from.get(key).and_then(Value::as_str).map(str::to_owned);
        config.run_description = text(&self.config, "run_description");
        config.low_memory = self.config.get("low_memory") == Some(&Value::Bool(true));
        config.seed = self.whole(&self.own, "seed")?.unwrap_or(0);
        config.warmup = self.whole(&self.own, "warmup")?.unwrap_or(0);
        let workers = match self.whole(&self.own, "workers")? {
            // Their name in 0.1.0.
            None => self.whole(&self.own, "lanes")?,
            workers => workers,
        };
        config.workers = workers.map(|count| count as usize);
        if text(&self.own, "stamps").as_deref() == Some("user") {
            config.stamps = StampSource::User;
        }
        config.ca_file = text(&self.own, "ca_file").map(PathBuf::from);
        config.max_retries = self.whole(&self.own, "max_retries")?.unwrap_or(0) as u32;
        config.insecure = self.own.get("insecure") == Some(&Value::Bool(true));
        config.proxies = self.proxies()?;
        config.http2 = self.own.get("http2") == Some(&Value::Bool(true));
        if text(&self.own, "connections").as_deref() == Some("new") {
            config.connections = Connections::New;
        }
        if let Some(grace) = self.time(&self.own, "grace")? {
            config.grace = grace;
        }
        config.max_cost = self.amount(&self.own, "max_cost")?;
        config.output = self.folder.parent();
        Ok(config)
    }

    /// The way that the run went: through the proxy that was given for it, through none, or as the
    /// environment says, which is asked anew.
    fn proxies(&self) -> Result<Proxies> {
        let text = |key| self.own.get(key).and_then(Value::as_str);
        let given = || match text("proxy") {
            Some(url) => Ok(Proxies::All(Proxy::from_url(url)?)),
            None => Ok(Proxies::None),
        };
        match text("proxy_from") {
            Some("flag") => given(),
            Some("none") => Ok(Proxies::None),
            Some("environment") => Ok(Proxies::from_environment()),
            Some(other) => Err(Error::field(
                "proxy_from",
                other,
                "flag, none or environment",
            )),
            // Folders of the Python system, and those from before this was written down.
            None if text("proxy").is_some() => given(),
            None => Ok(Proxies::from_environment()),
        }
    }

    /// The folder's own payloads; where it has none, those of the path that was saved.
    fn payloads(&self) -> Result<Vec<crate::payload::Payload>> {
        let elsewhere = self.config.get("payload").and_then(Value::as_str);
        match elsewhere {
            Some(path) if !self.has_payloads => load_payloads(path),
            _ => load_payloads(self.folder.join(PAYLOAD_FILE)),
        }
    }

    fn whole(&self, from: &Object, key: &'static str) -> Result<Option<u64>> {
        match from.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_u64()
                .map(Some)
                .ok_or_else(|| Error::field(key, value, "a whole number")),
        }
    }

    fn amount(&self, from: &Object, key: &'static str) -> Result<Option<f64>> {
        match from.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_f64()
                .map(Some)
                .ok_or_else(|| Error::field(key, value, "a number")),
        }
    }

    fn time(&self, from: &Object, key: &'static str) -> Result<Option<Duration>> {
        match from.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_f64()
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .map(Some)
                .ok_or_else(|| Error::field(key, value, "a number of seconds")),
        }
    }
}
