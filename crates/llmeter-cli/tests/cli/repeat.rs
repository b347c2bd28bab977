//! `--repeat`.

use serde_json::json;

use crate::support::{Place, quick, start};

#[test]
fn a_run_is_repeated_shown_and_loaded() {
    let place = Place::new();
    let server = start(quick());
    let url = server.base_url();
    let said = place
        .run(
            &url,
            &[
                "--repeat",
                "3",
                "--clients",
                "2",
                "--requests",
                "3",
                "--quiet",
            ],
        )
        .exits(0);
    assert_eq!(said.err, "");
    for part in [
        "2 clients, 3 repeats: 18 requests, 0 failed",
        "SD between repeats",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    let shown = place.llmeter(["show", "runs/it"]).exits(0);
    assert_eq!(shown.out, said.before_saved());
    let json = place
        .llmeter(["show", "runs/it", "--json"])
        .exits(0)
        .object();
    assert_eq!(json["repeats"], 3);
    let spread = &json["clients"]["2"]["spreads"]["time_to_first_token-p50"];
    assert!(
        spread["sd_between"].is_f64() && spread["interval_95"].is_array(),
        "{spread}"
    );
    place
        .run(&url, &["--repeat", "0"])
        .exits(2)
        .one_error(&["--repeat"]);
}

#[test]
fn a_load_test_is_repeated() {
    let place = Place::new();
    let server = start(quick());
    let url = server.base_url();
    let said = place
        .llmeter([
            "load-test",
            "--base-url",
            &url,
            "--model",
            "m",
            "--prompt",
            "x",
            "--clients",
            "1,2",
            "--min-requests-per-level",
            "4",
            "--repeat",
            "2",
            "--run-name",
            "it",
            "--quiet",
        ])
        .exits(0);
    for part in [
        "1 client, 2 repeats: 8 requests",
        "2 clients, 2 repeats: 8 requests",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    assert!(
        place
            .folder()
            .join("00002-repeat/00001-clients/stats.json")
            .exists()
    );
    let shown = place.llmeter(["show", "runs/it"]).exits(0);
    assert_eq!(shown.out, said.before_saved());
}

#[test]
fn repeats_are_compared_and_kept_as_a_baseline() {
    let place = Place::new();
    let server = start(quick());
    let url = server.base_url();
    for name in ["a", "b"] {
        let flags = ["--repeat", "2", "--clients", "2", "--requests", "12"];
        let named = ["--run-name", name, "--quiet"];
        place.run(&url, &[&flags[..], &named].concat()).exits(0);
    }
    let text = place.llmeter(["compare", "runs/a", "runs/b"]).exits(0).out;
    for part in [
        "runs/b against runs/a\nmeans of 2 repeats (base) and of 2 repeats (new)\n",
        "Student's t over repeats",
        ": --all has them\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let all = place.llmeter(["compare", "runs/a", "runs/b", "--all"]);
    let all = all.exits(0).out;
    assert!(
        all.lines().count() > text.lines().count() && !all.contains("--all"),
        "{all}"
    );

    let save = ["baseline", "save", "repeated", "runs/a"];
    place.llmeter(save).exits(0);
    let single = "runs/b/00002-repeat";
    let json = [
        "compare",
        "--baseline",
        "repeated",
        single,
        "--format",
        "json",
    ];
    let pair = &place.llmeter(json).exits(0).object()["pairs"][0];
    assert_eq!(
        (&pair["base_repeats"], &pair["new_repeats"]),
        (&json!(2), &json!(1))
    );
    let figures = pair["differences"].as_array().unwrap();
    let ttft = figures
        .iter()
        .find(|one| one["figure"] == "ttft-p50")
        .unwrap();
    assert!(ttft["change_interval"].is_array(), "{ttft}");
}
