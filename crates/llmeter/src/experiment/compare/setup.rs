//! How a run was measured, and whether two were measured alike.

use serde_json::{Map, Value};

use super::measured::Level;
use crate::base::setting::Setting;
use crate::result::{OWN_CONFIG_FILE, PAYLOAD_FILE};
use crate::run::SavedRun;
use crate::storage::Location;

/// Settings without which figures do not compare.
const SETTINGS: &[Setting] = &[
    Setting::Until,
    Setting::Duration,
    Setting::Connections,
    Setting::Http2,
    Setting::Warmup,
    Setting::Timeout,
    Setting::MaxRetries,
    Setting::NoFailurePause,
];

/// Statistics without which figures do not compare, as people call them.
const FIGURES: &[(&str, &str)] = &[
    ("clients", "clients"),
    ("n_requests", "requests of each client"),
    ("model_id", "model"),
    ("provider", "provider"),
    ("measurement_stamps", "receive stamps"),
];

/// Token counts that may differ by this share.
const SAME_LENGTH: f64 = 0.05;

/// A kept digest of the payloads, in a folder that has none itself.
pub(crate) const PAYLOAD_DIGEST: &str = "payload_digest";

/// How a run was measured, as far as its files tell.
#[derive(Debug, Clone, Default)]
pub(super) struct Setup {
    settings: Vec<(Setting, Value)>,
    /// Whether a setting that is not there had its default: folders of the Python package know only some.
    knows_all: bool,
    payloads: Option<String>,
}

impl Setup {
    /// Of a run folder; what cannot be read is not known.
    pub(super) fn load(folder: &Location) -> Self {
        let saved = SavedRun::load(folder.clone()).ok();
        let of = |setting: &Setting| Some((*setting, saved.as_ref()?.settings.get(*setting)?));
        Self {
            settings: SETTINGS.iter().filter_map(of).collect(),
            knows_all: matches!(folder.join(OWN_CONFIG_FILE).read_if_there(), Ok(Some(_))),
            payloads: payload_digest(folder),
        }
    }
}

/// What stands for the payloads of a run folder.
pub(crate) fn payload_digest(folder: &Location) -> Option<String> {
    let kept = folder.join(PAYLOAD_DIGEST).read_if_there().ok().flatten();
    if let Some(kept) = kept {
        return String::from_utf8(kept).ok();
    }
    let payloads = folder.join(PAYLOAD_FILE).read_if_there().ok()??;
    // A baseline is compared by later builds, too: FNV-1a, whose values no library's version decides.
    let hash = payloads
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    Some(format!("{hash:016x}"))
}

/// What was not alike in two runs or their repeats, each as a sentence.
pub(super) fn unlike(base: &Level, new: &Level) -> Vec<String> {
    let mut found = Vec::new();
    let (Some(one), Some(other)) = (base.runs().first(), new.runs().first()) else {
        return found;
    };
    let pairs = new.runs().iter().map(|run| (one, run));
    let pairs = pairs.chain(base.runs().iter().map(|run| (run, other)));
    for (one, other) in pairs {
        for sentence in unlike_runs((&one.setup, &one.stats), (&other.setup, &other.stats)) {
            if !found.contains(&sentence) {
                found.push(sentence);
            }
        }
    }
    found
}

fn unlike_runs(
    (base, base_stats): (&Setup, &Map<String, Value>),
    (new, new_stats): (&Setup, &Map<String, Value>),
) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, one: Option<&Value>, other: Option<&Value>| {
        if let (Some(one), Some(other)) = (one, other)
            && one != other
            && !one.is_null()
            && !other.is_null()
        {
            found.push(format!("other {what}: {} and {}", shown(one), shown(other)));
        }
    };
    let has_until = |setup: &Setup| {
        let mut settings = setup.settings.iter();
        settings.any(|(setting, value)| *setting == Setting::Until && !value.is_null())
    };
    // How many requests such a run has, and the time that it may take, decide nothing.
    let is_open_ended = has_until(base) || has_until(new);
    for (key, what) in FIGURES {
        if is_open_ended && *key == "n_requests" {
            continue;
        }
        compare(what, base_stats.get(*key), new_stats.get(*key));
    }
    let of = |setup: &Setup, setting: Setting| {
        let mut settings = setup.settings.iter();
        settings
            .find(|(known, _)| *known == setting)
            .map(|(_, value)| value.clone())
    };
    for setting in SETTINGS {
        if is_open_ended && *setting == Setting::Duration {
            continue;
        }
        let (one, other) = (of(base, *setting), of(new, *setting));
        let or_unset = |value: Option<Value>, setup: &Setup| {
            let unset = setup.knows_all.then(|| Value::from("default"));
            value.filter(|value| !value.is_null()).or(unset)
        };
        compare(
            &setting.name().replace('_', " "),
            or_unset(one, base).as_ref(),
            or_unset(other, new).as_ref(),
        );
    }
    if let (Some(one), Some(other)) = (&base.payloads, &new.payloads)
        && one != other
    {
        found.push("other payloads".to_owned());
    }
    for (key, what) in [
        ("num_tokens_input", "input"),
        ("num_tokens_output", "output"),
    ] {
        let mean = |stats: &Map<String, Value>| stats.get(&format!("{key}-average"))?.as_f64();
        if let (Some(one), Some(other)) = (mean(base_stats), mean(new_stats))
            && (one - other).abs() > SAME_LENGTH * one.max(other)
        {
            found.push(format!(
                "other {what} lengths: {one:.1} and {other:.1} tokens on average"
            ));
        }
    }
    for (which, stats) in [("base", base_stats), ("new", new_stats)] {
        let verdict = stats.get("measurement_verdict").and_then(Value::as_str);
        if let Some(verdict) = verdict.filter(|verdict| *verdict != "clean") {
            found.push(format!("the measurement of {which} is {verdict}"));
        }
        if stats.get("interrupted") == Some(&Value::Bool(true)) {
            found.push(format!("{which} was interrupted"));
        }
        if let Some(by) = stats.get("stopped_by").and_then(Value::as_str) {
            found.push(format!("{which} was stopped by failures ({by})"));
        }
    }
    found
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
