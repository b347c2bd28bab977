//! A mix in its folder's `llmeter.json`: its classes, of which each has a folder of its own.

use serde_json::{Map, Value, json};

use super::WORKLOADS;
use crate::base::error::{Error, Result};
use crate::result::OWN_CONFIG_FILE;
use crate::stats::Condition;
use crate::storage::Location;

const SHARES: &str = "workload_shares";
const SLO: &str = "slo";
const DESCRIPTION: &str = "description";

/// Classes of workload as the folder of their mix names them. Each is a [`SavedRun`](crate::SavedRun) in a
/// folder of its own, with its part of the load.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SavedWorkloads {
    /// The name of each class, and its part of a load that several share.
    pub classes: Vec<(String, Option<f64>)>,
    /// What the whole is to meet.
    pub slos: Vec<Condition>,
    /// A free text about the whole.
    pub description: Option<String>,
    folder: Location,
}

/// `llmeter.json` of a mix.
pub(in crate::experiment) fn about(
    names: &[&str],
    shares: &[Option<f64>],
    slos: &[Condition],
    description: Option<&str>,
) -> Value {
    let slos: Vec<String> = slos.iter().map(ToString::to_string).collect();
    let mut about = json!({
        "format": 1,
        "llmeter_version": env!("CARGO_PKG_VERSION"),
        WORKLOADS: names,
        SHARES: shares,
        SLO: slos,
        "machine": crate::base::host::machine(),
    });
    if let Some(text) = description {
        about[DESCRIPTION] = text.into();
    }
    about
}

impl SavedWorkloads {
    /// Reads what a folder says of its classes; `None` if it holds no mix.
    ///
    /// # Errors
    /// If its `llmeter.json` cannot be read.
    pub fn load(folder: impl Into<Location>) -> Result<Option<Self>> {
        let folder = folder.into();
        let Some(text) = folder.join(OWN_CONFIG_FILE).read_if_there()? else {
            return Ok(None);
        };
        let not_one = |reason: String| Error::NotARun {
            path: folder.to_string(),
            reason: format!("{OWN_CONFIG_FILE} cannot be understood: {reason}"),
        };
        let own: Map<String, Value> =
            crate::saved::json::read(&text).map_err(|reason| not_one(reason.to_string()))?;
        let list = |key: &str| own.get(key).and_then(Value::as_array).into_iter().flatten();
        let names = list(WORKLOADS).enumerate();
        let classes = names.filter_map(|(at, name)| {
            let name = name.as_str().filter(|name| is_name(name))?;
            let share = list(SHARES).nth(at).and_then(Value::as_f64);
            Some((name.to_owned(), share))
        });
        let classes: Vec<_> = classes.collect();
        if classes.is_empty() {
            return Ok(None);
        }
        let slo = |text: &Value| {
            let text = text.as_str().unwrap_or_default();
            text.parse()
                .map_err(|reason| not_one(format!("{SLO} {text:?}: {reason}")))
        };
        Ok(Some(Self {
            slos: list(SLO).map(slo).collect::<Result<_>>()?,
            description: own
                .get(DESCRIPTION)
                .and_then(Value::as_str)
                .map(str::to_owned),
            classes,
            folder,
        }))
    }

    /// The folder of a class.
    pub fn folder_of(&self, class: &str) -> Location {
        self.folder.join(class)
    }
}

/// Names are folders below that of the mix.
fn is_name(name: &str) -> bool {
    !name.contains(['/', '\\', '\0']) && !matches!(name, "" | "." | "..")
}
