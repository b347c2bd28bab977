//! What a user was given: run folders, templates and expressions of somebody else.

use std::path::PathBuf;

use llmeter::endpoint::{Endpoint, HttpEndpoint, ResponseHead, Transport};
use llmeter::payload::Payload;
use llmeter::run::Replay;
use llmeter::stats::Condition;
use llmeter::{RunResult, SavedRun};

/// Between the files of a folder.
const SEPARATOR: u8 = 0x1E;
/// The files that an input holds, in this order.
const FILES: [&str; 4] = [
    "responses.jsonl",
    "stats.json",
    "run_config.json",
    "summary.json",
];
const PAYLOAD: &str = r#"{"prompt": ["x", "y"], "n": 7, "nested": {"a": [1, {"b": "c"}, null]}}"#;
const ANSWER: &[u8] = br#"{"a": [{"b": "x", "c": [1, 2.5]}, {"b": "y"}, [[], {}]], "b": "text"}"#;

/// The folder of a process, which each input fills anew.
pub struct SavedFolder(PathBuf);

impl SavedFolder {
    /// # Panics
    /// If there can be no folder for temporary files.
    pub fn new() -> Self {
        let name = format!("llmeter-fuzz-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let made = std::fs::create_dir_all(&folder);
        made.unwrap_or_else(|reason| panic!("{}: {reason}", folder.display()));
        Self(folder)
    }

    /// Loads what an input holds: as a result, and as a run to be repeated.
    pub fn run(&self, bytes: &[u8]) {
        let mut parts = bytes.split(|byte| *byte == SEPARATOR);
        for name in FILES {
            let path = self.0.join(name);
            let written = match parts.next() {
                Some(part) => std::fs::write(&path, part),
                None => std::fs::remove_file(&path).or(Ok(())),
            };
            written.unwrap_or_else(|reason| panic!("{}: {reason}", path.display()));
        }
        let folder = || self.0.display().to_string();
        if let Ok(result) = RunResult::load(folder()) {
            let _ = result.stats_map();
            let _ = result.failures();
        }
        if let Ok(saved) = SavedRun::load(folder()) {
            let _ = saved.into_config(None);
        }
    }
}

impl Default for SavedFolder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for SavedFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn payload() -> Payload {
    serde_json::from_str(PAYLOAD).unwrap_or_default()
}

/// A template is refused, or makes a body that is JSON or an error.
pub fn template(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let builder = HttpEndpoint::builder("http://127.0.0.1:1/").body(text);
    let Ok(endpoint) = builder.build() else {
        return;
    };
    let Transport::Http(api) = endpoint.transport() else {
        return;
    };
    if let Ok(request) = api.request(&payload())
        && !request.body.is_empty()
    {
        let json = serde_json::from_slice::<serde_json::Value>(&request.body);
        assert!(json.is_ok(), "a body that is no JSON");
    }
}

/// An expression is refused, or finds something in an answer.
pub fn expression(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let builder = HttpEndpoint::builder("http://127.0.0.1:1/");
    let places = ["text", "id", "error", "output-tokens"].into_iter();
    let builder = places.fold(builder, |builder, part| builder.jmespath(part, text));
    let Ok(endpoint) = builder.build() else {
        return;
    };
    let replay = Replay::new(std::sync::Arc::new(endpoint), &payload());
    let mut replay = replay.unwrap_or_else(|reason| panic!("{reason}"));
    let head = ResponseHead::new(200).with("Content-Type", "application/json");
    assert!(replay.record(head, &[ANSWER]).is_some());
}

/// A condition is refused, or says itself again.
pub fn condition(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(condition) = text.parse::<Condition>() else {
        return;
    };
    let again = condition.to_string().parse();
    assert_eq!(again, Ok(condition));
}
