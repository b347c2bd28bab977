//! `llmeter run` when all is well.

use std::fs;
use std::time::Duration;

use llmeter::RunResult;
use llmeter_sim::SimConfig;

use crate::support::{Place, quick, start};

#[test]
fn a_run_writes_its_folder_and_prints_its_summary() {
    let (place, server) = (Place::new(), start(quick()));
    let said = place
        .run(
            &server.base_url(),
            &[
                "--clients",
                "3",
                "--requests",
                "4",
                "--description",
                "A first try",
            ],
        )
        .exits(0);
    let names = [
        "llmeter.json",
        "payload.jsonl",
        "responses.jsonl",
        "run_config.json",
        "stats.json",
        "summary.json",
    ];
    let mut found: Vec<String> = fs::read_dir(place.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, names);
    assert_eq!(place.responses().len(), 12);
    let stats = place.stats();
    assert_eq!(stats["total_requests"], 12);
    assert_eq!(stats["failed_requests"], 0);
    assert_eq!(stats["clients"], 3);
    assert_eq!(place.json("summary.json")["run_description"], "A first try");
    for part in [
        "it: some-model at ",
        "A first try",
        "12 requests by 3 clients in ",
        ", 0 failed",
        "TTFT",
        "ITL",
        "TPOT",
        "TTLT",
        "requests per minute",
        "measurement: ",
        "files: runs/it",
    ] {
        assert!(said.out.contains(part), "{part:?} is missing: {said:#?}");
    }
    assert_eq!(said.err, "", "a short run has nothing to say on stderr");
    assert_eq!(RunResult::load(place.folder()).unwrap().responses.len(), 12);
}

#[test]
fn json_prints_the_statistics_and_nothing_else() {
    let (place, server) = (Place::new(), start(quick()));
    let said = place
        .run(&server.base_url(), &["--requests", "3", "--json"])
        .exits(0);
    assert_eq!(said.object(), place.stats());
    assert_eq!(said.err, "");
}

#[test]
fn without_a_count_each_payload_is_sent_once() {
    let (place, server) = (Place::new(), start(quick()));
    place.run(&server.base_url(), &["--clients", "2"]).exits(0);
    assert_eq!(place.stats()["total_requests"], 2);
}

#[test]
fn an_endpoint_that_does_not_stream_has_no_first_token() {
    let (place, server) = (Place::new(), start(quick()));
    let said = place
        .run(
            &server.base_url(),
            &["--endpoint", "openai-chat", "--requests", "3"],
        )
        .exits(0);
    assert!(!said.out.contains("TTFT"), "{said:#?}");
    assert!(said.out.contains("TTLT"), "{said:#?}");
    for response in place.responses() {
        assert!(response["time_to_first_token"].is_null());
        assert_eq!(response["num_tokens_output"], 8);
        assert!(response["error"].is_null());
    }
}

#[test]
fn max_tokens_reaches_the_server() {
    let (place, server) = (Place::new(), start(quick()));
    place
        .run(&server.base_url(), &["--max-tokens", "5"])
        .exits(0);
    assert_eq!(place.responses()[0]["num_tokens_output"], 5);
    assert_eq!(place.responses()[0]["input_payload"]["max_tokens"], 5);
}

#[test]
fn a_duration_bounds_the_run() {
    let (place, server) = (Place::new(), start(quick()));
    let said = place
        .run(
            &server.base_url(),
            &["--duration", "800ms", "--clients", "2", "--json"],
        )
        .exits(0);
    let stats = said.object();
    let time = stats["total_test_time"].as_f64().unwrap();
    assert!((0.7..3.0).contains(&time), "{time}");
    assert!(stats["total_requests"].as_u64().unwrap() > 10, "{stats:?}");
    assert_eq!(place.json("run_config.json")["run_duration"], 0.8);
}

#[test]
fn warm_up_is_sent_and_kept_out_of_every_figure() {
    let (place, server) = (Place::new(), start(quick()));
    place
        .run(
            &server.base_url(),
            &["--clients", "2", "--requests", "3", "--warmup", "5"],
        )
        .exits(0);
    assert_eq!(server.requests_served(), 11);
    assert_eq!(place.stats()["total_requests"], 6);
    assert_eq!(place.responses().len(), 6);
    assert_eq!(place.json("llmeter.json")["warmup"], 5);
}

#[test]
fn the_same_seed_sends_the_same_order() {
    let (place, server) = (Place::new(), start(quick()));
    let lines: Vec<String> = (0..12)
        .map(|n| {
            format!(r#"{{"messages":[{{"role":"user","content":"number {n}"}}],"max_tokens":2}}"#)
        })
        .collect();
    place.file("prompts.jsonl", lines.join("\n"));
    let order = |seed: &str, name: &str| {
        place
            .run(
                &server.base_url(),
                &[
                    "--payload",
                    "prompts.jsonl",
                    "--seed",
                    seed,
                    "--run-name",
                    name,
                ],
            )
            .exits(0);
        let text = fs::read_to_string(place.path().join("runs").join(name).join("responses.jsonl"));
        let sent: Vec<String> = text
            .unwrap()
            .lines()
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                line["input_prompt"].as_str().unwrap().to_owned()
            })
            .collect();
        sent
    };
    let first = order("7", "a");
    assert_eq!(first.len(), 12);
    assert_eq!(order("7", "b"), first);
    assert_ne!(order("8", "c"), first);
}

#[test]
fn low_memory_keeps_the_files_complete() {
    let (place, server) = (Place::new(), start(quick()));
    place
        .run(
            &server.base_url(),
            &["--low-memory", "--requests", "5", "--clients", "2"],
        )
        .exits(0);
    assert_eq!(place.responses().len(), 10);
    assert_eq!(place.stats()["total_requests"], 10);
    assert_eq!(place.json("run_config.json")["low_memory"], true);
    let shown = place.llmeter(["show", "runs/it"]).exits(0);
    assert!(shown.out.contains("10 requests by 2 clients"), "{shown:#?}");
}

#[test]
fn a_run_that_is_there_is_never_mixed_with_another() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url();
    place.run(&url, &["--requests", "3"]).exits(0);
    let before = fs::read(place.folder().join("stats.json")).unwrap();
    place.run(&url, &["--requests", "2"]).exits(1).one_error(&[
        "runs/it",
        "already holds a run",
        "overwrit",
    ]);
    assert_eq!(fs::read(place.folder().join("stats.json")).unwrap(), before);
    place
        .run(&url, &["--requests", "2", "--overwrite"])
        .exits(0);
    assert_eq!(place.responses().len(), 2);
    assert_eq!(place.stats()["total_requests"], 2);
}

#[test]
fn a_name_that_was_generated_picks_a_free_folder() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url();
    for _ in 0..3 {
        place
            .llmeter(["run", "--base-url", &url, "--model", "m", "--prompt", "hi"])
            .exits(0);
    }
    let folders = fs::read_dir(place.path().join("runs")).unwrap();
    let mut count = 0;
    for folder in folders {
        let result = RunResult::load(folder.unwrap().path()).unwrap();
        assert_eq!(result.responses.len(), 1);
        count += 1;
    }
    assert_eq!(count, 3);
}

#[test]
fn output_takes_any_folder() {
    let (place, server) = (Place::new(), start(quick()));
    let said = place
        .run(&server.base_url(), &["--output", "deep/er/runs"])
        .exits(0);
    assert!(said.out.contains("files: deep/er/runs/it"), "{said:#?}");
    assert!(place.path().join("deep/er/runs/it/summary.json").exists());
}

#[test]
fn reasoning_has_its_own_time_to_first_answer() {
    let place = Place::new();
    let server = start(SimConfig {
        reasoning_tokens: 20,
        itl: Duration::from_millis(4),
        ..quick()
    });
    let said = place.run(&server.base_url(), &["--requests", "3"]).exits(0);
    assert!(said.out.contains("TTFAT"), "{said:#?}");
    assert!(said.out.contains("reasoning)"), "{said:#?}");
}

#[test]
fn an_output_that_cannot_be_written_is_one_clear_line() {
    let (place, server) = (Place::new(), start(quick()));
    place.file("a-file", "");
    place
        .run(&server.base_url(), &["--output", "a-file"])
        .exits(1)
        .one_error(&["a-file"]);
    assert_eq!(server.requests_served(), 0);
}

#[test]
fn what_is_said_of_certificates_now_drops_what_was_said_before() {
    let (place, server) = (Place::new(), start(quick()));
    place.run(&server.base_url(), &["--insecure"]).exits(0);
    assert_eq!(place.json("llmeter.json")["insecure"], true);
    place.file("ca.pem", "");
    let again = [
        "run",
        "--from",
        "runs/it",
        "--run-name",
        "it",
        "--overwrite",
    ];
    let with =
        |flags: &[&'static str]| place.llmeter(again.into_iter().chain(flags.iter().copied()));
    // Nothing here speaks TLS, so that the file is only noted.
    with(&["--ca-file", "ca.pem"]).exits(0);
    assert_eq!(place.json("llmeter.json")["insecure"], false);
    with(&["--insecure"]).exits(0);
    assert_eq!(
        place.json("llmeter.json")["ca_file"],
        serde_json::Value::Null
    );
}

#[test]
fn a_key_does_not_go_to_the_address_of_another_api() {
    let (place, server) = (Place::new(), start(quick()));
    place.run(&server.base_url(), &[]).exits(0);
    let again = |api: &'static str| {
        let flags = [
            "run",
            "--from",
            "runs/it",
            "--run-name",
            "again",
            "--overwrite",
        ];
        place.llmeter(flags.into_iter().chain(["--endpoint", api]))
    };
    again("openai-chat").exits(0);
    let said = again("gemini-stream").exits(2);
    said.one_error(&[
        "--endpoint gemini-stream",
        "openai-chat-stream",
        "--base-url",
    ]);
}
