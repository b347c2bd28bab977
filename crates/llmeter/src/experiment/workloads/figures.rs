//! What the whole of a mix says of each class.

use serde_json::{Map, Value, json};

use super::{ALONE, Workload};
use crate::load::Load;
use crate::result::RunResult;
use crate::run::{OF_WHOLE_RUNS, RunConfig};

/// What is compared with a class alone.
const COMPARED: [&str; 4] = [
    "time_to_first_token-p50",
    "time_to_first_token-p99",
    "time_per_output_token-p50",
    "time_per_output_token-p99",
];

/// What the statistics of the whole say of a class.
pub(in crate::experiment) fn of_class(
    class: &Workload,
    result: &RunResult,
    alone: Option<&RunResult>,
) -> Value {
    let share = class.share.map(Value::from);
    let mut stats = head(&class.name, share, load(&class.config).into());
    let own = result.stats_map();
    if let Some(alone) = alone {
        let alone = alone.stats_map();
        let of = |stats: &Map<String, Value>, key: &str| stats.get(key).and_then(Value::as_f64);
        let (mut before, mut times) = (Map::new(), Map::new());
        for key in COMPARED {
            if let (Some(together), Some(alone)) = (of(&own, key), of(&alone, key)) {
                before.insert(key.to_owned(), json!(alone));
                times.insert(key.to_owned(), json!(together / alone));
            }
        }
        stats.insert(ALONE.to_owned(), before.into());
        stats.insert("times_alone".to_owned(), times.into());
    }
    stats.extend(own.into_iter().filter(|(key, _)| is_of_class(key)));
    stats.into()
}

/// The same of a class whose parts were merged, of which `known` is what the first one said.
pub(in crate::experiment) fn of_merged(name: &str, known: &Value, result: &RunResult) -> Value {
    let share = known.get("share").cloned();
    let load = known.get("load").cloned().unwrap_or_default();
    let mut stats = head(name, share, load);
    let own = result.stats_map().into_iter();
    stats.extend(own.filter(|(key, _)| is_of_class(key) && !key.starts_with("merged_")));
    stats.into()
}

fn head(name: &str, share: Option<Value>, load: Value) -> Map<String, Value> {
    let mut stats = Map::new();
    stats.insert("workload".to_owned(), name.into());
    if let Some(share) = share {
        stats.insert("share".to_owned(), share);
    }
    stats.insert("load".to_owned(), load);
    stats
}

/// Whether a statistic of a run is one of a class as well.
fn is_of_class(key: &str) -> bool {
    let is_apart = matches!(key, "stages" | "servers" | "output_path" | "run_name");
    let is_verdict = key == "measurement_verdict";
    is_verdict || !is_apart && !OF_WHOLE_RUNS.iter().any(|start| key.starts_with(start))
}

/// What a class sends when, in words.
fn load(config: &RunConfig) -> String {
    let counted = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    if let Some(rate) = config.session_rate {
        return format!("{rate} sessions");
    }
    if let Some(sessions) = config.sessions {
        return counted(sessions, "session");
    }
    match (&config.rate, &config.stages, &config.load) {
        (Some(rate), ..) => rate.to_string(),
        (_, Some(stages), _) => stages.to_string(),
        (.., Load::Schedule(_)) => "a schedule of its own".to_owned(),
        _ => counted(config.clients, "client"),
    }
}
