//! Settings in the files of a run folder.

use serde_json::Value;

use super::{Object, RunSettings};
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::load::ThinkTime;

/// Where a run folder keeps a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::run) enum Kept {
    /// In `run_config.json`, under the Python system's name.
    Shared(&'static str),
    /// In `llmeter.json`, under its own name.
    Own,
    /// As what was made of it: the endpoint, payloads, the tokenizer, callbacks, `proxy_from`.
    Object,
    /// Not at all: it is about one run, or where its secrets are.
    Never,
}

pub(in crate::run) const fn kept(setting: Setting) -> Kept {
    use Setting as S;
    match setting {
        S::Clients => Kept::Shared("clients"),
        S::Requests => Kept::Shared("n_requests"),
        S::Duration => Kept::Shared("run_duration"),
        S::Timeout => Kept::Shared("timeout"),
        S::Description => Kept::Shared("run_description"),
        S::LowMemory => Kept::Shared("low_memory"),
        S::Balance
        | S::CaFile
        | S::Insecure
        | S::Proxy
        | S::SourceAddress
        | S::ServerTimeHeader
        | S::Http2
        | S::MaxRetries
        | S::NoFailurePause
        | S::MaxFailures
        | S::StopOnErrorRate
        | S::MaxResponseSize
        | S::Connections
        | S::Warmup
        | S::Seed
        | S::MaxCost
        | S::Slo
        | S::Until
        | S::MaxRequests
        | S::Shard
        | S::Rate
        | S::Arrivals
        | S::MaxInFlight
        | S::Sessions
        | S::SessionRate
        | S::MaxSessions
        | S::ThinkTime
        | S::History
        | S::SessionHeader
        | S::SessionField
        | S::Stages
        | S::Cancel
        | S::ReadRate
        | S::WaitUntilReady
        | S::BeforeRun
        | S::BeforeStage
        | S::IgnoreWriteErrors
        | S::Stamps
        | S::Workers
        // Those of a run without data are in its payloads.
        | S::Data
        | S::DataColumns
        | S::DataFilter
        | S::DataSample
        | S::Replay
        | S::Speed
        | S::Window
        | S::ForceOutputLength
        | S::System
        | S::MaxTokens
        | S::Extra => Kept::Own,
        // It is the duration.
        S::MaxDuration
        | S::ApiKeyEnv
        | S::Calibrate
        | S::FailIf
        | S::Strict
        | S::Output
        | S::RunName
        | S::Overwrite
        | S::Quiet
        | S::Json => Kept::Never,
        _ => Kept::Object,
    }
}

impl RunSettings {
    /// Those of `llmeter.json`; null where not given.
    pub(in crate::run) fn own(&self) -> Object {
        let settings = Setting::ALL.iter().copied();
        let own = settings.filter(|setting| kept(*setting) == Kept::Own);
        own.map(|own| (own.name().to_owned(), self.get(own).unwrap_or_default()))
            .collect()
    }

    /// From the files of a folder: `run_config.json` and `llmeter.json`.
    ///
    /// # Errors
    /// The field that cannot be read.
    pub(in crate::run) fn from_folder(shared: &Object, own: &Object) -> Result<Self> {
        let mut settings = Self::default();
        for setting in Setting::ALL.iter().copied() {
            let (object, name) = match kept(setting) {
                Kept::Shared(name) => (shared, name),
                Kept::Own => (own, setting.name()),
                Kept::Object | Kept::Never => continue,
            };
            let old = (setting == Setting::Workers).then_some("lanes");
            let value = object.get(name).or_else(|| object.get(old?));
            if let Some(value) = value.filter(|value| !value.is_null()) {
                let field = name.into();
                settings
                    .set(setting, value)
                    .map_err(|reason| match reason {
                        Error::Invalid { problem, .. } => Error::Field { field, problem },
                        other => other,
                    })?;
            }
        }
        // A run that is bound by time has a count of 0, and one that sends its data once.
        let has_data = settings.data.is_some() || settings.replay.is_some();
        let is_of_data = has_data && settings.requests == Some(0);
        if settings.duration.is_some() || is_of_data {
            settings.requests = None;
        }
        // An open loop has no clients; the key says 1. Conversations at a time are no clients either.
        let has_sessions = settings.sessions.is_some() || settings.session_rate.is_some();
        if settings.rate.is_some() || settings.stages.is_some() || has_sessions {
            settings.clients = None;
        }
        if has_sessions {
            settings.requests = None;
        }
        if settings.stages.is_some() {
            (settings.requests, settings.duration) = (None, None);
        }
        // Runs keep what the file said; the folder may be somebody else's.
        if matches!(settings.think_time, Some(ThinkTime::File(_))) {
            settings.think_time = None;
        }
        settings.read_proxy(own)?;
        Ok(settings)
    }

    /// What was asked for, which `proxy_from` tells; `proxy` may be the environment's of then.
    fn read_proxy(&mut self, own: &Object) -> Result<()> {
        match own.get("proxy_from").and_then(Value::as_str) {
            Some("flag") => self.no_proxy = Some(self.proxy.is_none()),
            Some("none") => (self.proxy, self.no_proxy) = (None, Some(true)),
            Some("environment") => (self.proxy, self.no_proxy) = (None, None),
            Some(other) => {
                let expected = "flag, none or environment";
                return Err(Error::field("proxy_from", other, expected));
            }
            // Folders of the Python system, and those from before this was written down.
            None => {}
        }
        Ok(())
    }
}
