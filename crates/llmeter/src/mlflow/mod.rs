//! Runs logged to an MLflow tracking server.
//!
//! Belongs here: the callback, the server's REST API as far as it needs it, what of a result
//! becomes parameters, metrics, tags and artifacts.
//! Does not belong here: pages (`report`), statistics (`stats`).

mod artifacts;
mod content;
mod error;
mod rest;
mod server;
mod settings;
mod tracking;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::error::MlflowError;
use self::rest::Server;
use self::server::{Lookup, TrackingUri, process_variable};
use self::settings::Settings;
use crate::RunResult;
use crate::base::error::{Error, Result};
use crate::base::runtime::{off_runtime, runtime};
use crate::callback::{Callback, Hook, HookError, HookResult, async_trait};
use crate::endpoint::{Destination, Trust};
use crate::run::RunConfig;
use crate::saved::{Field, Saved, SavedObject};

/// Seconds.
const DEFAULT_TIMEOUT: f64 = 60.0;
/// Longest wait for the server before a run.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum of attempts of one request.
const TRIES: u32 = 4;

/// Logs a run to an MLflow tracking server: its settings as parameters, its statistics as metrics,
/// and its files and its report as artifacts if asked.
///
/// The server is the one of [`tracking_uri`](Self::tracking_uri), else of `MLFLOW_TRACKING_URI`;
/// `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, or else `MLFLOW_TRACKING_TOKEN`, say
/// who asks, `MLFLOW_TRACKING_SERVER_CERT_PATH` which certificates to trust. They are never saved.
///
/// | logged into | by |
/// | --- | --- |
/// | a new run of an experiment | default; the experiment by [`experiment`](Self::experiment), `MLFLOW_EXPERIMENT_NAME` or `MLFLOW_EXPERIMENT_ID`, else "Default" |
/// | a new child of a run | [`nested`](Self::nested), below [`parent_run_id`](Self::parent_run_id) or `MLFLOW_RUN_ID` |
/// | a run that exists, which is not ended | [`run_id`](Self::run_id) or `MLFLOW_RUN_ID` |
///
/// Before the run the server is asked whether it answers and has what the run is logged to: if not,
/// the run goes on and the log warns, or, with [`required`](Self::required), does not start.
/// [`check`](Self::check) asks the same at any time, and [`log`](Self::log) logs a result of an
/// earlier run. Where a run can be seen is in [`RunResult::tracked_at`].
///
/// A new run ends as `FINISHED`, as `KILLED` after an interruption, and as `FAILED` if no request
/// succeeded or not all could be logged. A server that cannot be reached is tried four times; what
/// fails is a failure of the callback's and changes nothing about the run.
///
/// ```
/// use std::sync::Arc;
/// use llmeter::Callback;
/// use llmeter::mlflow::MlflowCallback;
///
/// let mlflow = MlflowCallback::new()
///     .tracking_uri("http://localhost:5000")?
///     .experiment("nightly")
///     .tag("gpu", "H100")
///     .artifacts(true);
/// let callback: Arc<dyn Callback> = Arc::new(mlflow);
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "Settings", into = "Settings")]
pub struct MlflowCallback {
    settings: Settings,
    /// What [`check`](Self::check) just found, so that a run need not ask again.
    last_check: Arc<AtomicU8>,
    /// Whether a file alone names the server.
    is_from_file: bool,
    /// The servers that get credentials all the same, when no run says so.
    trust: Trust,
}

/// No check since the last run, one that passed, one that did not.
const NONE: u8 = 0;
const PASSED: u8 = 1;
const FAILED: u8 = 2;

impl MlflowCallback {
    /// A callback that logs to a new run, on the server and in the experiment that the environment
    /// names.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the server's address. A user name and password in it are used, but not saved.
    ///
    /// # Errors
    /// If it is no http or https address.
    pub fn tracking_uri(mut self, uri: &str) -> Result<Self> {
        self.settings.tracking_uri = Some(TrackingUri::parse(uri)?);
        self.is_from_file = false;
        Ok(self)
    }

    /// Says that the server's address is from a file that may be somebody else's, so that credentials go
    /// there only if it is trusted. That is so for every callback that was loaded.
    #[must_use]
    pub fn address_from_file(mut self) -> Self {
        self.is_from_file = true;
        self
    }

    /// Sets which servers get credentials although only a file names them, for [`check`](Self::check)
    /// and [`log`](Self::log); a run has [`RunConfig::trust`].
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Sets the experiment by name; it is made if it is missing.
    #[must_use]
    pub fn experiment(mut self, name: impl Into<String>) -> Self {
        self.settings.experiment = Some(name.into());
        self
    }

    /// Logs into a run that exists.
    #[must_use]
    pub fn run_id(mut self, id: impl Into<String>) -> Self {
        self.settings.run_id = Some(id.into());
        self
    }

    /// Logs into a new run below a parent's.
    #[must_use]
    pub fn nested(mut self, nested: bool) -> Self {
        self.settings.nested = nested;
        self
    }

    /// Sets the parent's run, below which a new one is made.
    #[must_use]
    pub fn parent_run_id(mut self, id: impl Into<String>) -> Self {
        self.settings.parent_run_id = Some(id.into());
        self.settings.nested = true;
        self
    }

    /// Sets the step of the metrics, by which MLflow draws several values of one as a line.
    #[must_use]
    pub fn step(mut self, step: i64) -> Self {
        self.settings.step = Some(step);
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.tags.insert(key.into(), value.into());
        self
    }

    /// Whether the run's files and its report are uploaded.
    #[must_use]
    pub fn artifacts(mut self, artifacts: bool) -> Self {
        self.settings.artifacts = artifacts;
        self
    }

    /// Sets the longest wait for one request to the server, in seconds, all tries included
    /// (default: 60). Uploads have a second more for each megabyte.
    #[must_use]
    pub fn timeout(mut self, seconds: f64) -> Self {
        self.settings.timeout = Some(seconds);
        self
    }

    /// Whether a run that cannot be logged does not start.
    #[must_use]
    pub fn required(mut self, required: bool) -> Self {
        self.settings.required = required;
        self
    }

    /// Whether a run that cannot be logged does not start.
    pub fn is_required(&self) -> bool {
        self.settings.required
    }

    /// Whether its address, or `MLFLOW_TRACKING_URI`, names a server at all.
    pub fn has_server(&self) -> bool {
        let variable = || std::env::var_os(server::TRACKING_URI);
        self.settings.tracking_uri.is_some() || variable().is_some_and(|value| !value.is_empty())
    }

    /// Makes sure that a run can be logged: the server answers within 5 seconds and accepts the
    /// credentials, and it has the experiment, the run or the parent run. An experiment that is named
    /// may be missing: it is made when a run is logged. The run after this does not ask again,
    /// unless it [requires](Self::required) what was not found.
    ///
    /// # Errors
    /// [`Error::Mlflow`] with the reason, or [`Error::Untrusted`].
    pub async fn check(&self) -> Result<()> {
        self.validate()?;
        self.trust.check(self.destinations())?;
        let outcome = self.ask().await;
        let check = match outcome {
            Ok(()) => PASSED,
            Err(_) => FAILED,
        };
        self.last_check.store(check, Ordering::Relaxed);
        outcome.map_err(refused)
    }

    /// As [`check`](Self::check), blocking the calling thread.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_blocking(&self) -> Result<()> {
        off_runtime(|| runtime()?.block_on(self.check()))?
    }

    /// Logs a result, such as one that [`RunResult::load`] read, and tells where it can be seen.
    ///
    /// ```no_run
    /// use llmeter::RunResult;
    /// use llmeter::mlflow::MlflowCallback;
    ///
    /// let result = RunResult::load("runs/20260102-0304")?;
    /// let mlflow = MlflowCallback::new().tracking_uri("http://localhost:5000")?;
    /// println!("{}", mlflow.log_blocking(&result)?);
    /// # Ok::<(), llmeter::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Mlflow`] with the first failure; what could be logged is. [`Error::Untrusted`] if nothing
    /// was sent.
    pub async fn log(&self, result: &RunResult) -> Result<String> {
        self.validate()?;
        self.trust.check(self.destinations())?;
        self.send(result).await.map_err(refused)
    }

    /// As [`log`](Self::log), blocking the calling thread.
    ///
    /// # Errors
    /// As [`log`](Self::log).
    pub fn log_blocking(&self, result: &RunResult) -> Result<String> {
        off_runtime(|| runtime()?.block_on(self.log(result)))?
    }

    async fn ask(&self) -> Result<(), MlflowError> {
        let server = self.server(&process_variable, 1, PROBE_TIMEOUT)?;
        tracking::check(&server, &self.settings, &process_variable).await
    }

    async fn send(&self, result: &RunResult) -> Result<String, MlflowError> {
        let server = self.server(&process_variable, TRIES, Duration::MAX)?;
        tracking::log(&server, &self.settings, &process_variable, result).await
    }

    /// Checks that the fields go together.
    ///
    /// # Errors
    /// The first that does not, its value, and what is accepted.
    pub fn validate(&self) -> Result<()> {
        self.settings.validate()
    }

    /// The server, with these limits of one request.
    fn server(
        &self,
        lookup: Lookup<'_>,
        tries: u32,
        max_timeout: Duration,
    ) -> Result<Server, MlflowError> {
        let uri = server::tracking_uri(self.settings.tracking_uri.as_ref(), lookup)?;
        let seconds = self.settings.timeout.unwrap_or(DEFAULT_TIMEOUT);
        // What is no duration was refused by `validate`.
        let timeout = Duration::try_from_secs_f64(seconds).unwrap_or(max_timeout);
        Server::new(uri, tries, timeout.min(max_timeout), lookup)
    }
}

impl TryFrom<Settings> for MlflowCallback {
    type Error = Error;

    fn try_from(mut settings: Settings) -> Result<Self> {
        settings.nested |= settings.parent_run_id.is_some();
        settings.validate()?;
        Ok(Self {
            settings,
            ..Self::default()
        }
        .address_from_file())
    }
}

impl From<MlflowCallback> for Settings {
    fn from(callback: MlflowCallback) -> Self {
        callback.settings
    }
}

impl Saved for MlflowCallback {
    const CLASS: &'static str = "llmeter.callbacks.mlflow.MlflowCallback";
    const ABOUT: &'static str = "Logs the run to an MLflow tracking server";
    const FIELDS: &'static [Field] = &[
        Field::new("step", "the metrics' step (default: none)"),
        Field::new(
            "nested",
            "log to a new child of parent_run_id or MLFLOW_RUN_ID (default: false)",
        ),
        Field::new(
            "tracking_uri",
            "the server's address (default: MLFLOW_TRACKING_URI)",
        ),
        Field::new(
            "experiment",
            "name of the experiment, made if missing (default: MLFLOW_EXPERIMENT_NAME or \
             MLFLOW_EXPERIMENT_ID, else \"Default\")",
        ),
        Field::new(
            "run_id",
            "log into this run, which exists (default: MLFLOW_RUN_ID, else a new run)",
        ),
        Field::new("parent_run_id", "make a new run below this one"),
        Field::new("tags", "an object of texts, set as tags"),
        Field::new(
            "artifacts",
            "upload the run's files and its report (default: false)",
        ),
        Field::new(
            "timeout",
            "longest wait for one request to the server, in seconds (default: 60)",
        ),
        Field::new(
            "required",
            "do not start a run that cannot be logged (default: false)",
        ),
    ];

    fn example() -> Option<Self> {
        let example = Self::new().tracking_uri("http://localhost:5000").ok()?;
        Some(example.experiment("llmeter").artifacts(true))
    }
}

#[async_trait]
impl Callback for MlflowCallback {
    fn saved(&self) -> Result<Option<SavedObject>> {
        self.validate()?;
        SavedObject::of(self).map(Some)
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::BeforeRun, Hook::AfterRun]
    }

    fn destinations(&self) -> Vec<Destination> {
        let address = self.settings.tracking_uri.as_ref();
        let Some(address) = address.filter(|_| self.is_from_file) else {
            return Vec::new();
        };
        let secret = address.secret(&process_variable).into_iter();
        secret
            .map(|secret| Destination::new(secret, address.to_string()))
            .collect()
    }

    /// Settings with which nothing could be logged stop the run; a server that does not answer
    /// now may answer later, unless that is required.
    async fn before_run(&self, _config: &mut RunConfig) -> HookResult {
        self.validate()?;
        let server = self.server(&process_variable, 1, PROBE_TIMEOUT);
        server.map_err(failed)?;
        if self.settings.nested {
            self.settings.parent(&process_variable).map_err(failed)?;
        }
        match self.last_check.swap(NONE, Ordering::Relaxed) {
            PASSED => return Ok(()),
            FAILED if !self.settings.required => return Ok(()),
            _ => {}
        }
        match self.ask().await {
            Err(reason) if self.settings.required => Err(failed(reason)),
            Err(reason) => {
                tracing::warn!("the run may not be logged to MLflow: {reason}");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    async fn after_run(&self, result: &mut RunResult) -> HookResult {
        let sent = self.send(result).await;
        if let Ok(page) | Err(MlflowError::InRun { page, .. }) = &sent {
            result.tracked_at.push(page.clone());
        }
        sent.map(drop).map_err(failed)
    }
}

fn refused(reason: MlflowError) -> Error {
    Error::Mlflow {
        reason: reason.to_string(),
        hint: reason.hint(),
    }
}

/// A message of its own is complete: its causes are in it.
fn failed(reason: MlflowError) -> HookError {
    HookError::new(reason)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::callback;

    fn envelope(state: Value) -> Value {
        json!({"__llmeter_class__": MlflowCallback::CLASS, "__llmeter_state__": state})
    }

    #[test]
    fn it_is_saved_with_what_is_set_and_without_secrets() {
        let plain = MlflowCallback::new().saved().unwrap().unwrap().to_json();
        assert_eq!(plain, envelope(json!({"step": null, "nested": false})));
        let full = MlflowCallback::new()
            .tracking_uri("https://me:hush@host/")
            .unwrap()
            .experiment("größe")
            .parent_run_id("abc")
            .step(3)
            .tag("a", "b")
            .artifacts(true)
            .timeout(5.0);
        assert!(!format!("{full:?}").contains("hush"));
        let saved = full.saved().unwrap().unwrap().to_json();
        let expected = envelope(json!({
            "step": 3, "nested": true, "tracking_uri": "https://host", "experiment": "größe",
            "parent_run_id": "abc", "tags": {"a": "b"}, "artifacts": true, "timeout": 5.0,
        }));
        assert_eq!(saved, expected);
        let again = callback::from_json(&saved).unwrap();
        assert_eq!(again.saved().unwrap().unwrap().to_json(), saved);
    }

    #[test]
    fn fields_that_cannot_be_used_are_refused_by_name() {
        for (state, reason) in [
            (
                json!({"tracking_uri": "databricks"}),
                "Databricks is not supported",
            ),
            (json!({"timeout": 0}), "timeout 0"),
            (json!({"timeout": -1.5}), "timeout -1.5"),
            (json!({"experiment": " "}), "experiment"),
            (json!({"run_id": "a", "nested": true}), "parent_run_id"),
            (json!({"experimint": "a"}), "experimint"),
            (json!({"step": 1.5}), "1.5"),
        ] {
            let Err(error) = callback::from_json(&envelope(state.clone())) else {
                panic!("{state} is accepted");
            };
            let error = error.to_string();
            assert!(error.contains(reason), "{error}");
        }
        let child = callback::from_json(&envelope(json!({"parent_run_id": "a"}))).unwrap();
        assert_eq!(child.saved().unwrap().unwrap().state["nested"], true);
        let error = Settings::default()
            .parent(&|_| None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("parent_run_id") && error.contains("MLFLOW_RUN_ID"));
    }

    #[test]
    fn it_is_listed_with_a_template_that_can_be_used() {
        let kinds = callback::kinds();
        let kind = kinds
            .iter()
            .find(|kind| kind.name() == "MlflowCallback")
            .unwrap();
        let template = kind.template.as_ref().unwrap().to_json();
        callback::from_json(&template).unwrap();
    }
}
