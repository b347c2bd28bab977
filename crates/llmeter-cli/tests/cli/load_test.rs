//! `llmeter load-test`.

use crate::support::{Place, quick, start};

#[test]
fn every_level_is_exported() {
    let place = Place::new();
    let server = start(quick());
    let url = server.base_url();
    let test = format!(
        "$LLMETER load-test --base-url {url} --model m --prompt Hi --clients 1,2 \
         --min-requests-per-level 2 --run-name it --quiet"
    );
    place
        .shell(&test.replace("1,2", "1,2,1"))
        .exits(2)
        .one_error(&["--clients: 1 is there twice"]);
    place.shell(&test).exits(0);
    let export = ["export", "runs/it", "--format", "aiperf-jsonl"];
    place.llmeter(export).exits(2).one_error(&["--output"]);
    let to_folder = [&export[..], &["--output", "records"]].concat();
    place.llmeter(to_folder).exits(0);
    for (name, records) in [("00001-clients.jsonl", 2), ("00002-clients.jsonl", 2)] {
        let text = std::fs::read_to_string(place.path().join("records").join(name)).unwrap();
        assert_eq!(text.lines().count(), records, "{name}");
    }
    let occupied = [&export[..], &["--output", "records/00001-clients.jsonl"]].concat();
    place
        .llmeter(occupied)
        .exits(2)
        .one_error(&["--output", "a folder"]);
}

#[test]
fn a_resumed_test_says_what_was_measured_otherwise() {
    let place = Place::new();
    let server = start(quick());
    let url = server.base_url();
    let test = |more: &[&str]| {
        let mut all = vec![
            "load-test",
            "--base-url",
            &url,
            "--model",
            "m",
            "--prompt",
            "x",
            "--run-name",
            "it",
            "--min-requests-per-level",
            "4",
            "--clients",
            "1,2",
            "--quiet",
        ];
        all.extend(more);
        place.llmeter(all)
    };
    test(&[]).exits(0);
    let served = server.requests_served();
    let kept = test(&["--resume"]).exits(0);
    assert!(
        kept.out
            .contains("Kept from an earlier test: 1, 2 clients."),
        "{}",
        kept.out
    );

    let refused = test(&["--resume", "--timeout", "9", "--max-tokens", "7"]).exits(2);
    refused.one_error(&[
        "--run-name",
        "1 client (--timeout was 60 and is 9, the payloads are others)",
        "hint: --overwrite measures them again",
    ]);
    assert_eq!(server.requests_served(), served);
    let again = test(&["--resume", "--timeout", "9", "--overwrite"]).exits(0);
    assert!(
        again.err.contains("measured again, since --timeout was 60"),
        "{}",
        again.err
    );
    assert!(server.requests_served() > served);
}
