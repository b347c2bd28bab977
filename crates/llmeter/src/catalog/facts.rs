//! What the small files of a run say.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::figures::{KeySets, RunFigures};
use crate::base::shown::{SHOWN, cut};
use crate::result::{
    AB_FILE, CAPACITY_FILE, CONFIG_FILE, FoundFile, HEATMAP_FILE, OWN_CONFIG_FILE, RunSummary,
    STATS_FILE, SUMMARY_FILE, configured,
};
use crate::saved::json;

/// The files that are looked for; only [`READ`] are read.
pub(super) const WANTED: &[&str] = &[
    SUMMARY_FILE,
    STATS_FILE,
    CONFIG_FILE,
    HEATMAP_FILE,
    AB_FILE,
    CAPACITY_FILE,
    OWN_CONFIG_FILE,
];
/// The files that tell about a run.
pub(super) const READ: [&str; 3] = [SUMMARY_FILE, STATS_FILE, CONFIG_FILE];
/// The largest of them that is read, in bytes.
pub(super) const MAX_FILE: u64 = 16 << 20;

/// How far a run came, by its files alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ending {
    /// To its end.
    Complete,
    /// It was ended before its end, and says so.
    Interrupted,
    /// It has not come to an end.
    Open,
    /// Its files cannot be read.
    Unreadable,
}

/// What the small files of a run say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    pub(super) ending: Ending,
    pub(super) is_heatmap: bool,
    pub(super) about: About,
    pub(super) figures: RunFigures,
}

/// What a run is, in words and settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct About {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) started: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) clients: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) requests_per_client: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) duration: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) verdict: Option<String>,
}

impl Facts {
    /// Reads a run's files; `read` gives the content of one that is there, or why it cannot be read.
    pub(super) fn read(
        files: &[FoundFile],
        sets: &mut KeySets,
        mut read: impl FnMut(&str) -> Result<Vec<u8>, String>,
    ) -> Self {
        let has = |name: &str| files.iter().any(|file| file.name == name);
        let mut is_broken = false;
        let mut object = |name: &str| {
            has(name).then(|| {
                let text = read(name);
                let object = text.and_then(|text| {
                    json::read::<Map<String, Value>>(&text).map_err(|reason| reason.to_string())
                });
                object.map_err(|reason| {
                    tracing::warn!("{name}: {reason}");
                    // A run under way does not depend on its configuration.
                    is_broken |= name != CONFIG_FILE;
                })
            })
        };
        let mut known = |name: &str| object(name).and_then(Result::ok);
        let (saved, stats, config) = (known(SUMMARY_FILE), known(STATS_FILE), known(CONFIG_FILE));
        // Some versions of the Python package have them within the summary alone.
        let inner = saved
            .as_ref()
            .and_then(|saved| saved.get("stats")?.as_object());
        let stats = stats.or_else(|| inner.cloned());
        let mut summary = RunSummary::default();
        let mut has_clients = false;
        let mut fill = |from: &Map<String, Value>| {
            has_clients |= from.get("clients").is_some_and(Value::is_u64);
            summary.fill_from(from);
        };
        if let Some(config) = &config {
            fill(&configured(config));
        }
        if let Some(stats) = &stats {
            fill(stats);
        }
        if let Some(saved) = &saved {
            fill(saved);
        }
        let duration = config
            .as_ref()
            .and_then(|config| config.get("run_duration")?.as_f64());
        let text = |text: Option<String>| text.map(|text| cut(&text, SHOWN).into_owned());
        let stat = |key: &str| stats.as_ref().and_then(|stats| stats.get(key));
        // A run under way has no start in its files but that of its first file.
        let config_file = files.iter().find(|file| file.name == CONFIG_FILE);
        let made = config_file.and_then(|file| {
            let made = Timestamp::from_nanosecond(i128::from(file.modified)).ok();
            made.filter(|_| file.modified > 0)
        });
        let is_interrupted = stat("interrupted") == Some(&Value::Bool(true));
        let ending = match (&saved, &stats) {
            _ if is_broken => Ending::Unreadable,
            (None, None) => Ending::Open,
            _ if is_interrupted => Ending::Interrupted,
            _ => Ending::Complete,
        };
        let about = About {
            started: summary.start_time.or(summary.first_request_time).or(made),
            clients: has_clients.then_some(summary.clients),
            // A run of a time has none.
            requests_per_client: summary.n_requests.filter(|requests| *requests > 0),
            duration,
            verdict: text(
                stat("measurement_verdict").and_then(|verdict| Some(verdict.as_str()?.to_owned())),
            ),
            run_name: text(summary.run_name.take()),
            description: text(summary.run_description.take()),
            model: text(summary.model_id.take()),
            endpoint: text(summary.endpoint_name.take()),
        };
        let mut numbers = stats.unwrap_or_default();
        numbers.extend(saved.unwrap_or_default());
        Self {
            ending,
            is_heatmap: has(HEATMAP_FILE),
            about,
            figures: sets.figures(&numbers),
        }
    }
}
