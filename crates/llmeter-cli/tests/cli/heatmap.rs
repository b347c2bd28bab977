//! `llmeter heatmap`.

use serde_json::Value;

use crate::support::{Place, Said, quick, start};

const LENGTHS: [&str; 6] = [
    "--input-lengths",
    "32,8",
    "--output-lengths",
    "4,2",
    "--requests-per-combination",
    "2",
];

fn heatmap(place: &Place, url: &str, more: &[&str]) -> Said {
    let mut all = vec![
        "heatmap",
        "--base-url",
        url,
        "--model",
        "m",
        "--run-name",
        "map",
    ];
    all.extend(LENGTHS);
    all.extend(more);
    place.llmeter(all)
}

#[test]
fn a_heatmap_is_measured_shown_and_loaded() {
    let place = Place::new();
    let server = start(quick());
    let url = server.base_url();
    let said = heatmap(
        &place,
        &url,
        &["--tokenizer", "tiktoken:o200k_base", "--quiet"],
    )
    .exits(0);
    assert_eq!(said.err, "");
    assert!(!said.out.contains('\u{1b}'), "no colour into a pipe");
    for part in ["TTFT", "TPOT", "TTLT", "8 requests, 2 of each combination."] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    let shown = place.llmeter(["show", "runs/map"]).exits(0);
    assert_eq!(shown.out, said.before_saved());
    let shown: Value =
        serde_json::from_str(&place.llmeter(["show", "runs/map", "--json"]).exits(0).out).unwrap();
    let cells = shown["cells"].as_array().unwrap();
    let lengths: Vec<_> = cells
        .iter()
        .map(|cell| {
            (
                cell["input_length"].as_u64(),
                cell["output_length"].as_u64(),
            )
        })
        .collect();
    let expected = [(8, 2), (8, 4), (32, 2), (32, 4)];
    assert_eq!(
        lengths,
        expected.map(|(input, output)| (Some(input), Some(output)))
    );
    assert!(cells.iter().all(|cell| cell["requests"] == 2));
    assert!(
        cells
            .iter()
            .all(|cell| cell["time_to_first_token-p50"].is_f64())
    );
}

#[test]
fn what_cannot_be_used_is_refused() {
    let place = Place::new();
    place.file("empty.txt", " \n");
    let url = "http://127.0.0.1:9/v1";
    heatmap(&place, url, &["--source-file", "empty.txt"])
        .exits(2)
        .one_error(&["--source-file empty.txt", "words"]);
    heatmap(&place, url, &["--source-file", "none.txt"])
        .exits(2)
        .one_error(&["none.txt"]);
    heatmap(&place, url, &["--input-lengths", "8,16,8"])
        .exits(2)
        .one_error(&["--input-lengths: 8 is there twice"]);
    heatmap(&place, url, &["--clients", "0"])
        .exits(2)
        .one_error(&["--clients 0"]);
    let said = place.llmeter([
        "heatmap",
        "--base-url",
        url,
        "--model",
        "m",
        "--prompt",
        "x",
    ]);
    said.exits(2).one_error(&["--prompt"]);
}
