//! What the callback is told, as files hold it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::MlflowError;
use super::server::{Lookup, RUN_ID, TrackingUri};
use crate::base::error::{Error, Result};

/// The fields as they are saved. Beyond the first two, which the Python system knows, they are
/// written only when they are set.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) step: Option<i64>,
    pub(super) nested: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tracking_uri: Option<TrackingUri>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) experiment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parent_run_id: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tags: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) artifacts: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<f64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) required: bool,
}

impl Settings {
    /// # Errors
    /// The first field that does not go together with the others.
    pub(super) fn validate(&self) -> Result<()> {
        let names = [
            ("experiment", &self.experiment),
            ("run_id", &self.run_id),
            ("parent_run_id", &self.parent_run_id),
        ];
        for (field, value) in names {
            if value.as_ref().is_some_and(|value| value.trim().is_empty()) {
                let expected = "a name that is not empty, or leave it out";
                return Err(Error::field(field, "\"\"", expected));
            }
        }
        if let Some(seconds) = self.timeout
            && !(seconds > 0.0 && Duration::try_from_secs_f64(seconds).is_ok())
        {
            return Err(Error::field(
                "timeout",
                seconds,
                "a number of seconds above zero",
            ));
        }
        if self.tags.keys().any(|key| key.trim().is_empty()) {
            return Err(Error::field("tags", "\"\"", "tags with names"));
        }
        if let Some(id) = self.run_id.as_ref().filter(|_| self.nested) {
            return Err(Error::field(
                "run_id",
                id,
                "none, as nested makes a new run: name its parent as parent_run_id, or set \
                 nested to false to log into this run itself",
            ));
        }
        Ok(())
    }

    /// The run below which a child is made.
    pub(super) fn parent(&self, lookup: Lookup<'_>) -> Result<String, MlflowError> {
        self.parent_run_id
            .clone()
            .or_else(|| lookup(RUN_ID))
            .ok_or_else(|| {
                MlflowError::Setting(format!(
                    "nested: a child run needs a parent: set parent_run_id or {RUN_ID} to the id \
                     of a run on the server"
                ))
            })
    }
}
