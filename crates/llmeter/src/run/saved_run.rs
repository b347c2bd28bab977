//! A run that is to be repeated, from the files of its folder.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::api::ApiMode;
use crate::base::error::{Error, Result};
use crate::base::setting::{Setting, SettingProblem};
use crate::callback;
use crate::data;
use crate::endpoint::{self, EndpointSettings, SavedObject, Trust};
use crate::payload::{Payload, PayloadSource, load_payloads_with_sources, tokenizer_from_saved};
use crate::result::{CONFIG_FILE, OWN_CONFIG_FILE, PAYLOAD_FILE};
use crate::run::saved::{DATA_START, REPLICAS};
use crate::run::{RunConfig, RunSettings, Unsaved};
use crate::saved::json;
use crate::storage::Location;

type Object = Map<String, Value>;

/// The configuration of a run as its folder holds it, also a folder of the Python system.
///
/// What is there can be changed before [`into_config`](Self::into_config) builds from it.
#[derive(Debug, Clone)]
pub struct SavedRun {
    folder: Location,
    /// The endpoint, without secrets.
    pub endpoint: SavedObject,
    /// The servers beside it, which have the same API and model.
    pub replicas: Vec<SavedObject>,
    /// The callbacks, each in its saved form.
    pub callbacks: Vec<Value>,
    /// The settings of the run itself.
    pub settings: RunSettings,
    /// What of the run has no saved form.
    pub unsaved: Unsaved,
    config: Object,
    own: Object,
    has_payloads: bool,
    needs_payloads: bool,
    /// Settings that the folder has and that are not taken from it.
    left_out: Vec<Setting>,
    /// The file that the run's data came from: it is not in the folder, and is not read unless it is named
    /// anew.
    data_elsewhere: Option<String>,
    trust: Trust,
}

/// What weakens the way to the server, or leads it elsewhere. It is said anew for each run, since a
/// folder may be somebody else's.
const NEVER_TAKEN: [Setting; 3] = [Setting::Insecure, Setting::CaFile, Setting::Proxy];

/// What only data has in a folder.
const OF_DATA: [Setting; 18] = [
    Setting::Sessions,
    Setting::SessionRate,
    Setting::MaxSessions,
    Setting::ThinkTime,
    Setting::History,
    Setting::SessionHeader,
    Setting::SessionField,
    Setting::Replay,
    Setting::Speed,
    Setting::Window,
    Setting::Data,
    Setting::DataColumns,
    Setting::DataFilter,
    Setting::DataSample,
    Setting::ForceOutputLength,
    Setting::System,
    Setting::MaxTokens,
    Setting::Extra,
];

impl SavedRun {
    /// Reads `run_config.json` and, where it is there, `llmeter.json` of a run folder. Nothing is sent by
    /// this.
    ///
    /// The folder may be somebody else's. `insecure`, `ca_file` and `proxy` are not taken from it
    /// ([`left_out`](Self::left_out)), nor are payloads that lie elsewhere; and a run of it sends secrets
    /// only to the API's own address and to servers that [`trust`](Self::trust) includes.
    ///
    /// # Errors
    /// If the folder has no usable `run_config.json`.
    pub fn load(folder: impl Into<Location>) -> Result<Self> {
        let folder = folder.into();
        let not_a_run = |reason: String| Error::NotARun {
            path: folder.to_string(),
            reason,
        };
        let read = |name: &str| {
            let Some(text) = folder.join(name).read_if_there()? else {
                return Ok(None);
            };
            json::read(&text)
                .map(Some)
                .map_err(|reason| not_a_run(format!("{name} cannot be understood: {reason}")))
        };
        let config: Result<Object> = read(CONFIG_FILE)?
            .ok_or_else(|| not_a_run(format!("it has no {CONFIG_FILE} to repeat a run from")));
        let own: Object = read(OWN_CONFIG_FILE)?.unwrap_or_default();
        if own.contains_key("workloads") {
            let reason = "it has several workloads, which only `llmeter run --from` repeats together: repeat one of the \
                          folders in it";
            return Err(not_a_run(reason.to_owned()));
        }
        let config = config?;
        let names = folder.list_blocking()?;
        let has_payloads = names.iter().any(|name| name == PAYLOAD_FILE);
        if let Some(format) = own.get("format")
            && format.as_u64() != Some(1)
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
        let replicas = own.get(REPLICAS).and_then(Value::as_array);
        let replicas = replicas.into_iter().flatten().map(SavedObject::from_json);
        let replicas = replicas
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|reason| not_a_run(format!("{OWN_CONFIG_FILE}: {REPLICAS}: {reason}")))?;
        let callbacks = match config.get("callbacks") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(callbacks)) => callbacks.clone(),
            Some(other) => {
                let reason = format!("{CONFIG_FILE}: callbacks is {other}, but must be a list");
                return Err(not_a_run(reason));
            }
        };
        let mut settings = RunSettings::from_folder(&config, &own)
            .map_err(|reason| not_a_run(format!("its configuration cannot be used: {reason}")))?;
        let given: Vec<_> = settings.given().collect();
        let is_never_taken = |setting: &Setting| NEVER_TAKEN.contains(setting);
        let left_out = given.into_iter().filter(is_never_taken).collect();
        NEVER_TAKEN
            .into_iter()
            .for_each(|setting| settings.clear(setting));
        let file = settings.data.take_if(|source| data::is_file(source));
        let data_elsewhere = file.or_else(|| settings.replay.take());
        let unsaved = own.get("unsaved").map(Unsaved::deserialize).transpose();
        let unsaved = unsaved.map_err(|reason| not_a_run(format!("unsaved: {reason}")))?;
        Ok(Self {
            folder,
            endpoint,
            replicas,
            callbacks,
            settings,
            unsaved: unsaved.unwrap_or_default(),
            config,
            own,
            has_payloads,
            needs_payloads: true,
            left_out,
            data_elsewhere,
            trust: Trust::nobody(),
        })
    }

    /// The folder that was read.
    pub fn folder(&self) -> &Location {
        &self.folder
    }

    /// Lays the settings that are given over the saved endpoint and its replicas, as
    /// [`SavedObject::apply_overrides`] does. `addresses`, if there are any, stand in the place of all that
    /// were saved.
    ///
    /// # Errors
    /// As that.
    pub fn apply_overrides(
        &mut self,
        api: Option<&ApiMode>,
        given: &EndpointSettings,
        addresses: &[String],
    ) -> Result<()> {
        let at = |address: &String| EndpointSettings {
            base_url: Some(address.clone()),
            ..given.clone()
        };
        if let [first, others @ ..] = addresses {
            let replica = |address: &String| {
                let mut replica = self.endpoint.clone();
                replica.apply_overrides(api, &at(address))?;
                Ok(replica)
            };
            self.replicas = others.iter().map(replica).collect::<Result<_>>()?;
            return self.endpoint.apply_overrides(api, &at(first));
        }
        for endpoint in std::iter::once(&mut self.endpoint).chain(&mut self.replicas) {
            endpoint.apply_overrides(api, given)?;
        }
        Ok(())
    }

    /// The file of the run's data, or its trace, as the run was given it: `data` or `replay`, which are not
    /// taken from the folder.
    pub fn named_elsewhere(&self, setting: Setting) -> Option<Value> {
        let is_of_data = matches!(setting, Setting::Data | Setting::Replay);
        let named = self
            .own
            .get(setting.name())
            .filter(|value| value.is_string());
        named
            .filter(|_| is_of_data && self.data_elsewhere.is_some())
            .cloned()
    }

    /// The settings that the folder has and that are not taken from it: `insecure`, `ca_file`, `proxy`.
    /// Set them in [`settings`](Self::settings) to have them.
    pub fn left_out(&self) -> &[Setting] {
        &self.left_out
    }

    /// Sets which servers get secrets although only the folder names them; it becomes
    /// [`RunConfig::trust`].
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Leaves the folder's payloads unread: [`into_config`](Self::into_config) gives a configuration without
    /// any.
    #[must_use]
    pub fn without_payloads(mut self) -> Self {
        self.needs_payloads = false;
        self
    }

    /// The configuration, to be run again: into a new folder beside the one that was read, under a
    /// new name. Files hold no secrets: the API key is read from the environment variable
    /// `api_key_env`, by default the API's usual one, headers that may be secret have to be added to
    /// the endpoint again, and a proxy that was given for the run comes without its
    /// user name and password. A run that left the proxy to the environment does so again.
    ///
    /// # Errors
    /// If the endpoint, a callback or another setting is not known here or cannot be used, if a header
    /// is missing that the saved run sent and whose value is not saved, or if
    /// the payloads cannot be read.
    pub fn into_config(self, api_key_env: Option<&str>) -> Result<RunConfig> {
        if !self.unsaved.is_empty() {
            return Err(Error::NotARun {
                path: self.folder.to_string(),
                reason: format!("it cannot be repeated: {} had no saved form", self.unsaved),
            });
        }
        self.endpoint.check_additions()?;
        let endpoint = endpoint::from_saved(&self.endpoint, api_key_env)?;
        let mut config = RunConfig::new(endpoint, []);
        for replica in &self.replicas {
            replica.check_additions()?;
            let replica = endpoint::from_saved(replica, api_key_env)?;
            config.replicas.push(replica);
        }
        let needs_payloads =
            self.needs_payloads && self.settings.data.is_none() && self.settings.replay.is_none();
        let payloads = match needs_payloads {
            true => self.payloads()?,
            false => Vec::new(),
        };
        let payloads = payloads.into_iter();
        (config.payloads, config.payload_sources) = payloads
            .map(|(payload, source)| (Arc::new(payload), source))
            .unzip();
        let callbacks = self.callbacks.iter().map(callback::from_json);
        config.callbacks = callbacks.collect::<Result<_>>()?;
        config.tokenizer =
            tokenizer_from_saved(self.config.get("tokenizer").unwrap_or(&Value::Null))?;
        let grace = self.own.get("grace").and_then(Value::as_f64);
        if let Some(grace) = grace.and_then(|time| Duration::try_from_secs_f64(time).ok()) {
            config.grace = grace;
        }
        let start = self.own.get(DATA_START).and_then(Value::as_u64);
        config.data_start = start.unwrap_or_default();
        config.output = self.folder.parent();
        config.trust = self.trust;
        self.settings.apply(&mut config)?;
        Ok(config)
    }

    /// Leaves what the folder says of data: other payloads are sent.
    #[must_use]
    pub fn without_data(mut self) -> Self {
        for setting in OF_DATA {
            self.settings.clear(setting);
        }
        self.unsaved.data = false;
        self
    }

    /// The folder's own payloads; where it has none, those of the path that was saved, if that is in the
    /// folder.
    fn payloads(&self) -> Result<Vec<(Payload, PayloadSource)>> {
        if let Some(file) = &self.data_elsewhere {
            let reason = format!(
                "the saved run read its data from {file}, which is not in its folder and is not sent"
            );
            return Err(Error::Invalid {
                setting: Setting::Data,
                problem: SettingProblem::Refused { reason },
                hint: Some("give `data` or `replay` to send it".to_owned()),
            });
        }
        let own = self.folder.join(PAYLOAD_FILE);
        let path = match self.config.get("payload").and_then(Value::as_str) {
            Some(path) if !self.has_payloads => Location::from(path),
            _ => own,
        };
        if !self.holds(&path)? {
            return Err(Error::Invalid {
                setting: Setting::Payload,
                problem: SettingProblem::Refused {
                    reason: format!(
                        "the saved run names {path}, which is not in its folder and is not sent"
                    ),
                },
                hint: Some("give `payload` to send it".to_owned()),
            });
        }
        load_payloads_with_sources(path)
    }

    /// Whether a file is in the folder, wherever links lead.
    fn holds(&self, file: &Location) -> Result<bool> {
        let (Some(folder), Some(path)) = (self.folder.local_path(), file.local_path()) else {
            return Ok(file.parent().as_ref() == Some(&self.folder));
        };
        let real = |path: &Path| path.canonicalize().map_err(Error::io("reading", path));
        Ok(real(path)?.starts_with(real(folder)?))
    }
}
