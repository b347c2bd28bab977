//! Following a run in progress, whoever carries it out.

use std::time::Duration;

use hyper::body::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::Sender;

use super::series::Series;
use crate::InvocationResponse;
use crate::base::error::{Error, Result};
use crate::base::runtime::spawn_low_priority;
use crate::catalog::{Catalog, Entry, EntryState};
use crate::result::{Followed, PartsTail, RESPONSES_FILE, ResponsesTail};
use crate::stats::{Accumulator, Keep};
use crate::storage::{Location, Usable};

/// How often the run's files are looked at.
const EVERY: Duration = Duration::from_millis(500);
/// The same of a run in the cloud, whose responses come in parts every 5 seconds.
const EVERY_IN_CLOUD: Duration = Duration::from_secs(2);
/// Looks without news after which the browser is told that there are none, so that a connection that is gone is
/// noticed.
const QUIET: u32 = 20;

/// The figures that are shown, by their keys in `stats.json`.
const FIGURES: [&str; 12] = [
    "time_to_first_token-p50",
    "time_to_first_token-p90",
    "time_to_first_token-p99",
    "time_per_output_token-p50",
    "time_to_last_token-p50",
    "time_to_last_token-p90",
    "time_to_last_token-p99",
    "requests_per_minute",
    "output_tps",
    "failed_requests",
    "total_input_tokens",
    "total_output_tokens",
];

/// Follows the run in a folder and sends how it goes on as server-sent events, until it ends or nobody listens.
///
/// # Errors
/// If the folder cannot be used, or no thread can start.
pub(super) fn follow(folder: Location, events: Sender<Bytes>) -> Result<()> {
    let follower = Follower::new(folder)?;
    spawn_low_priority("follower", move || follower.run(&events)).map(drop)
}

enum Tail {
    Local(ResponsesTail),
    Cloud(PartsTail),
}

impl Tail {
    fn follow(&mut self, each: impl FnMut(InvocationResponse)) -> Result<Followed> {
        match self {
            Self::Local(tail) => tail
                .follow(each)
                .map_err(Error::io("reading", RESPONSES_FILE)),
            Self::Cloud(tail) => tail.follow(each),
        }
    }
}

struct Follower {
    folder: Location,
    tail: Tail,
    /// What was known of the run when its folder could last be read.
    known: Option<Entry>,
    accumulator: Accumulator,
    series: Series,
    recorded: u64,
}

impl Follower {
    fn new(folder: Location) -> Result<Self> {
        let tail = match folder.usable()? {
            Usable::Local(path) => Tail::Local(ResponsesTail::of(path)),
            Usable::Cloud(url) => Tail::Cloud(PartsTail::of(url)),
        };
        Ok(Self {
            tail,
            known: None,
            accumulator: Accumulator::new(Keep::Sketches),
            series: Series::default(),
            recorded: 0,
            folder,
        })
    }

    fn run(mut self, events: &Sender<Bytes>) {
        let mut last = String::new();
        let mut quiet = 0;
        loop {
            // Before the responses are read: what was written before the end is read then.
            let entry = self.entry();
            let is_all = self.read();
            let is_over = is_all && !entry.as_ref().is_some_and(is_open);
            let state = self.state(entry.as_ref()).to_string();
            quiet += 1;
            let event = if is_over {
                format!("data: {state}\n\nevent: end\ndata: {{}}\n\n")
            } else if state != last {
                format!("data: {state}\n\n")
            } else if quiet >= QUIET {
                ":\n\n".to_owned()
            } else {
                String::new()
            };
            if !event.is_empty() {
                quiet = 0;
                if events.blocking_send(event.into()).is_err() {
                    return;
                }
            }
            if is_over || events.is_closed() {
                return;
            }
            last = state;
            if is_all {
                std::thread::sleep(match self.tail {
                    Tail::Local(_) => EVERY,
                    Tail::Cloud(_) => EVERY_IN_CLOUD,
                });
            }
        }
    }

    /// Takes in what was added; whether that is everything.
    fn read(&mut self) -> bool {
        let (accumulator, series) = (&mut self.accumulator, &mut self.series);
        let recorded = &mut self.recorded;
        let followed = self.tail.follow(|response| {
            *recorded += 1;
            accumulator.record(&response);
            series.record(&response);
        });
        match followed {
            Ok(Followed::All) => true,
            Ok(Followed::Part) => false,
            Ok(Followed::Anew) => {
                self.accumulator = Accumulator::new(Keep::Sketches);
                self.series = Series::default();
                self.recorded = 0;
                false
            }
            // What cannot be read will not get better by reading on; the run's own files tell its end.
            Err(reason) => {
                tracing::debug!(%reason, "a run cannot be followed");
                true
            }
        }
    }

    /// The run, as its small files tell of it.
    fn entry(&mut self) -> Option<Entry> {
        let entry = match (Catalog::scan(&self.folder), &self.tail) {
            (Ok(catalog), _) => {
                let mut entries = catalog.entries.into_iter();
                entries.find(|entry| entry.location == self.folder)
            }
            // A server that does not answer may do so again.
            (Err(_), Tail::Cloud(_)) => self.known.take(),
            (Err(_), Tail::Local(_)) => None,
        };
        self.known.clone_from(&entry);
        entry
    }

    fn state(&mut self, entry: Option<&Entry>) -> Value {
        let seconds = self.series.seconds();
        let window = (seconds > 0.0).then_some(seconds);
        let stats = self.accumulator.stats_of(window, None);
        let figures = FIGURES.iter().filter_map(|key| {
            let ended = entry.and_then(|entry| entry.figures.get(key).map(Value::from));
            Some((
                (*key).to_owned(),
                ended.or_else(|| stats.get(*key).cloned())?,
            ))
        });
        let clients = entry.and_then(|entry| entry.clients);
        let requests = entry
            .filter(|entry| entry.duration.is_none())
            .and_then(|entry| entry.requests_per_client);
        json!({
            "state": entry.map_or("gone", |entry| entry.state.as_str()),
            "is_cloud": self.folder.is_cloud(),
            "verdict": entry.and_then(|entry| entry.verdict.as_deref()),
            "started": entry.and_then(|entry| entry.started).map(|time| format!("{time:.6}")),
            "model": entry.and_then(|entry| entry.model.as_deref()),
            "endpoint": entry.and_then(|entry| entry.endpoint.as_deref()),
            "clients": clients,
            "planned": clients.zip(requests).map(|(clients, requests)| clients.saturating_mul(requests)),
            "duration": entry.and_then(|entry| entry.duration),
            "recorded": self.recorded,
            "seconds": seconds,
            "figures": figures.collect::<Map<String, Value>>(),
            "series": self.series.to_json(),
        })
    }
}

fn is_open(entry: &Entry) -> bool {
    match entry.state {
        EntryState::Running => true,
        // Whoever looks on may see it go on.
        EntryState::Unfinished => entry.location.is_cloud(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_end_of_a_run_ends_its_events() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        let line = r#"{"id": "a", "time_to_first_token": 0.25, "time_to_last_token": 0.5, "request_time": "2026-11-28T10:00:00Z"}"#;
        fs::write(path.join("responses.jsonl"), format!("{line}\n{{\"id\"")).unwrap();
        fs::write(
            path.join("run_config.json"),
            r#"{"clients": 2, "n_requests": 3}"#,
        )
        .unwrap();
        // What a run in progress has.
        let lock = fs::File::open(&path).unwrap();
        lock.try_lock().unwrap();
        let (sender, mut events) = tokio::sync::mpsc::channel(8);
        follow(path.as_path().into(), sender).unwrap();
        let mut next = || -> Option<Vec<Value>> {
            let event = String::from_utf8(events.blocking_recv()?.to_vec()).unwrap();
            let data = event.lines().filter_map(|line| line.strip_prefix("data: "));
            Some(
                data.map(|data| serde_json::from_str(data).unwrap())
                    .collect(),
            )
        };
        let first = &next().unwrap()[0];
        assert_eq!(first["state"], "running");
        assert_eq!(
            (&first["recorded"], &first["planned"]),
            (&1.into(), &6.into())
        );
        let ttft = first["figures"]["time_to_first_token-p50"]
            .as_f64()
            .unwrap();
        assert!((ttft - 0.25).abs() < 1e-3, "{first}");
        fs::write(path.join("responses.jsonl"), format!("{line}\n{line}\n")).unwrap();
        fs::write(path.join("summary.json"), r#"{"clients": 2}"#).unwrap();
        drop(lock);
        let mut last = first.clone();
        while let Some(data) = next() {
            last = data.into_iter().next().unwrap_or(last);
        }
        assert_eq!(
            (&last["state"], &last["recorded"]),
            (&"complete".into(), &2.into())
        );
    }
}
