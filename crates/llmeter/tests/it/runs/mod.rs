//! Whole runs against a server of this process: what is sent, what is recorded, what is saved.

mod callbacks;
#[cfg(unix)]
mod control;
mod costs;
mod data;
mod disturbances;
mod failing_servers;
mod files;
mod loads;
#[cfg(feature = "mlflow")]
mod mlflow;
mod open_loop;
mod refusals;
mod schedules;
mod servers;
mod sessions;
mod stopping;

use std::sync::Arc;

use crate::scripted::answers::*;
use crate::scripted::{Scripted, Step, payload, write};
use llmeter::storage::Location;
use llmeter::{InvocationResponse, RunConfig, RunResult};

/// A server that answers everything with the same two tokens.
fn friendly() -> Scripted {
    Scripted::start(vec![whole()])
}

fn whole() -> Vec<Step> {
    vec![
        write(unfinished(&(role() + &text("one")))),
        write(chunk(&text(" two"))),
        write(chunk(&(stop() + &usage(7, 2) + DONE))),
        write(LAST_CHUNK),
    ]
}

fn failure() -> Vec<Step> {
    let body = r#"{"error": {"message": "no such luck"}}"#;
    vec![write(sized("500 X", "application/json", body))]
}

/// A run with so many different payloads, `p0` and so on.
fn config(server: &Scripted, payloads: usize) -> RunConfig {
    let mut config = server.config();
    config.payloads = (0..payloads)
        .map(|number| Arc::new(payload(&format!("p{number}"))))
        .collect();
    config
}

/// What each client sent, in order.
fn prompts(responses: &[InvocationResponse], clients: usize) -> Vec<Vec<String>> {
    let mut prompts = vec![Vec::new(); clients];
    for response in responses {
        let prompt = response.input_prompt.as_ref().unwrap();
        prompts[response.detail.client.unwrap() as usize].push(prompt.as_str().unwrap().to_owned());
    }
    prompts
}

fn lines(folder: impl Into<Location>) -> usize {
    let text = folder
        .into()
        .join("responses.jsonl")
        .read_blocking()
        .unwrap();
    text.split_inclusive(|byte| *byte == b'\n').count()
}

/// Asserts that a run's folder says what the run said.
#[track_caller]
fn assert_saved(result: &RunResult) {
    let folder = result.summary.output_path.as_ref().unwrap();
    let loaded = RunResult::load(folder).unwrap();
    assert_eq!(loaded.warnings, [""; 0]);
    assert_eq!(loaded.summary, result.summary);
    assert_eq!(loaded.stats_map(), result.stats_map());
    assert_eq!(loaded.responses, result.responses);
    assert_eq!(loaded.interrupted, result.interrupted);
    let loaded = RunResult::load_without_responses(folder).unwrap();
    assert_eq!(loaded.stats_map(), result.stats_map());
}
