//! `llmeter demo`.

use std::fs;
use std::time::{Duration, SystemTime};

use llmeter::RunResult;

use crate::support::Place;

#[test]
fn the_demo_shows_four_loads_within_half_a_minute() {
    let place = Place::new();
    let marker = place.path().join(place.file("started", ""));
    let said = place.llmeter(["demo", "--quiet"]).exits(0);
    assert_eq!(said.err, "");
    let ended = place.path().join(place.file("ended", ""));
    let at = |path| -> SystemTime { fs::metadata(path).unwrap().modified().unwrap() };
    let took = at(ended).duration_since(at(marker)).unwrap();
    assert!(took < Duration::from_secs(30), "{took:?}");

    let sessions: Vec<_> = fs::read_dir(place.path().join("runs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    for clients in [1, 4, 16, 64] {
        let folder = sessions[0].join(format!("{clients:05}-clients"));
        for name in [
            "llmeter.json",
            "payload.jsonl",
            "responses.jsonl",
            "run_config.json",
            "stats.json",
            "summary.json",
        ] {
            assert!(folder.join(name).exists(), "{}: {name}", folder.display());
        }
        let result = RunResult::load(&folder).unwrap();
        let stats = result.stats_map();
        assert_eq!(stats["clients"], clients);
        assert_eq!(stats["failed_requests"], 0);
        assert!(stats["total_requests"].as_u64().unwrap() >= 4);
    }
    for part in [
        "clients",
        "TTFT p50",
        "measurement: ",
        "llmeter show",
        "\nNext:\n  llmeter run --base-url URL ",
    ] {
        assert!(said.out.contains(part), "{part:?} is missing: {said:#?}");
    }
}
