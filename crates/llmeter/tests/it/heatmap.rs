//! Heatmaps: every combination the stated number of times, and what loads again.

use std::collections::BTreeMap;

use llmeter::experiment::{HeatmapResult, LatencyHeatmap};
use llmeter::payload::{Tokenizer, Whitespace};
use llmeter::{Interrupt, RunConfig};

use crate::scripted::answers::{sized, whole_stream};
use crate::scripted::{Scripted, finish, write};

fn server() -> Scripted {
    let answer = sized("200 OK", "text/event-stream", &whole_stream(&["a", "b"]));
    Scripted::start(vec![vec![write(answer)]])
}

fn heatmap(base: RunConfig, clients: usize) -> LatencyHeatmap {
    LatencyHeatmap::new(base.clients(clients), [16, 4, 64], [3, 5]).requests_per_combination(3)
}

fn run(heatmap: LatencyHeatmap) -> llmeter::Result<HeatmapResult> {
    finish(move || heatmap.run_blocking())
}

/// Defect D5 of the Python system: a fraction of the combinations, and the remainder dropped.
#[test]
fn every_combination_is_measured_the_stated_number_of_times() {
    for clients in [1, 4, 5, 50] {
        let server = server();
        let done = run(heatmap(server.config(), clients)).unwrap();
        assert_eq!(server.requests(), 18, "{clients} clients");
        assert_eq!(done.missing(), 0);
        let table = done.nominal();
        assert_eq!((table.rows.len(), table.columns.len()), (3, 2));
        for cell in table.cells.iter().flatten() {
            assert_eq!((cell.requests, cell.failures), (3, 0));
            assert!(cell.ttft.is_some() && cell.ttlt.is_some());
        }
        // Of what was sent, by prompt and limit, no two alike.
        let mut sent = BTreeMap::<(usize, u64), Vec<String>>::new();
        for body in server.bodies() {
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            let prompt = body["messages"][0]["content"].as_str().unwrap();
            let limit = body["max_completion_tokens"]
                .as_u64()
                .or(body["max_tokens"].as_u64());
            let key = (Whitespace.count(prompt), limit.unwrap());
            sent.entry(key).or_default().push(prompt.to_owned());
        }
        assert!(
            sent.keys()
                .copied()
                .eq([(4, 3), (4, 5), (16, 3), (16, 5), (64, 3), (64, 5)])
        );
        for prompts in sent.values_mut() {
            prompts.sort();
            prompts.dedup();
            assert_eq!(prompts.len(), 3);
        }
    }
}

#[test]
fn a_heatmap_loads_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let base = server.config().output(folder.path()).run_name("map");
    let done = run(heatmap(base, 2)).unwrap();
    let place = folder.path().join("map");
    let loaded = HeatmapResult::load(place.as_path()).unwrap();
    assert!(HeatmapResult::is_in(&place.as_path().into()));
    assert_eq!(loaded.grid, done.grid);
    assert_eq!(loaded.nominal(), done.nominal());
    assert_eq!(loaded.measured(10, 10), done.measured(10, 10));
    let text = llmeter::report::heatmap(&loaded);
    assert_eq!(text, llmeter::report::heatmap(&done));
    for part in ["TTFT", "TTLT", "18 requests, 3 of each combination."] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let error = HeatmapResult::load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("heatmap.json"), "{error}");
}

#[test]
fn what_was_measured_before_an_interruption_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let interrupt = Interrupt::new();
    interrupt.stop();
    let base = server.config().output(folder.path()).run_name("map");
    let done = run(heatmap(base, 2).interrupted_by(interrupt)).unwrap();
    assert!(done.result.interrupted);
    let measured = done.result.responses.len() as u64;
    assert_eq!(done.missing(), 18 - measured);
    let loaded = HeatmapResult::load(folder.path().join("map")).unwrap();
    let text = llmeter::report::heatmap(&loaded);
    assert!(
        text.contains("Not measured, by input×output: 4×3"),
        "{text}"
    );
}

#[test]
fn lengths_that_cannot_be_measured_are_refused() {
    let server = server();
    let base = || server.config();
    let none: [u64; 0] = [];
    for (heatmap, part) in [
        (LatencyHeatmap::new(base(), none, [1]), "input lengths"),
        (LatencyHeatmap::new(base(), [1], none), "output lengths"),
        (LatencyHeatmap::new(base(), [0, 1], [1]), "input lengths 0"),
        (
            LatencyHeatmap::new(base(), [1], [1]).requests_per_combination(0),
            "1 or more",
        ),
        (LatencyHeatmap::new(base().clients(0), [1], [1]), "clients"),
    ] {
        let error = run(heatmap).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(server.requests(), 0);
}
