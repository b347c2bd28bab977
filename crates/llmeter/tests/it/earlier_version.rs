//! Run folders that llmeter 0.1.0 wrote load as they did then, and can be repeated.

use std::time::Duration;

use crate::golden::{golden, lines, object, same};
use llmeter::{Connections, Load, RunConfig, RunResult, SavedRun, StampSource};
use serde_json::Value;

const FOLDERS: [&str; 3] = ["callbacks", "low-memory", "streaming"];

fn folder(name: &str) -> std::path::PathBuf {
    golden().join("llmeter-0.1.0").join(name)
}

fn saved(name: &str) -> RunConfig {
    let saved = SavedRun::load(folder(name)).unwrap();
    saved.into_config(Some("NO_SUCH_VARIABLE")).unwrap()
}

#[test]
fn the_statistics_are_those_of_the_file() {
    for name in FOLDERS {
        let written = std::fs::read_to_string(folder(name).join("stats.json")).unwrap();
        let written: Value = serde_json::from_str(&written).unwrap();
        let mut result = RunResult::load(folder(name)).unwrap();
        assert!(result.warnings.is_empty(), "{name}: {:?}", result.warnings);
        for _ in 0..2 {
            let stats = result.stats_map();
            for (key, value) in object(&written) {
                // Where the folder lies now, not where it lay; and a sketch's percentiles, which
                // become exact when the responses are there.
                let is_of_sketch = name == "low-memory"
                    && (key.contains("-p") || key == "measurement_percentiles");
                if key == "output_path" || is_of_sketch {
                    continue;
                }
                let now = stats.get(key).unwrap_or(&Value::Null);
                assert!(same(now, value), "{name}: {key} is {now}, was {value}");
            }
            result.recompute();
        }
    }
}

#[test]
fn every_line_is_read_whole() {
    for name in FOLDERS {
        let result = RunResult::load(folder(name)).unwrap();
        let lines = lines(&folder(name));
        assert_eq!(result.responses.len(), lines.len());
        for (response, line) in result.responses.iter().zip(&lines) {
            let text = response.error.as_ref().map(ToString::to_string);
            assert_eq!(text.as_deref(), line["error"].as_str(), "{name}");
            for (key, value) in response.to_map() {
                // Payloads that are written once are those of every line here.
                if matches!(
                    key.as_str(),
                    "input_payload" | "input_prompt" | "payload_of" | "error_kind" | "error_phase"
                ) {
                    continue;
                }
                assert!(
                    same(&value, line.get(&key).unwrap_or(&Value::Null)),
                    "{name}: {key}"
                );
            }
            assert!(response.input_payload.is_some(), "{name}");
        }
    }
}

#[test]
fn every_setting_is_repeated() {
    let streaming = saved("streaming");
    assert_eq!(streaming.clients, 3);
    assert_eq!(streaming.load, Load::Requests(6));
    assert_eq!(streaming.seed, 7);
    assert_eq!(streaming.warmup, 2);
    assert_eq!(streaming.timeout, Duration::from_secs(20));
    assert_eq!(streaming.workers, Some(1), "written as `lanes`");
    assert_eq!(streaming.run_description.as_deref(), Some("a run of 0.1.0"));
    assert_eq!(streaming.callbacks.len(), 1);
    assert_eq!(streaming.endpoint.identity().model_id, "golden");
    assert!(streaming.endpoint.is_streaming());

    let low_memory = saved("low-memory");
    assert!(low_memory.low_memory && !low_memory.endpoint.is_streaming());
    assert_eq!(low_memory.endpoint.identity().provider, "anthropic");

    let callbacks = saved("callbacks");
    assert_eq!(callbacks.callbacks.len(), 2);
    assert_eq!(callbacks.max_cost, Some(5.0));
    assert_eq!(callbacks.connections, Connections::New);
    assert_eq!(callbacks.stamps, StampSource::User);
    for config in [streaming, low_memory, callbacks] {
        config.validate().unwrap();
    }
}
