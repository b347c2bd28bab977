//! Servers that refuse, stall or are not there.

use std::time::Duration;

use llmeter_sim::SimConfig;

use crate::scripted::{Scripted, answer, refusal};
use crate::support::{Place, quick, start};

#[test]
fn a_wrong_key_is_one_line_with_a_remedy() {
    let place = Place::new();
    let server = start(SimConfig {
        api_key: Some("the-right-key".into()),
        ..quick()
    });
    let said = place
        .run(&server.base_url(), &["--requests", "50"])
        .exits(3);
    said.one_error(&["every request failed", "401", "OPENAI_API_KEY", "not set"]);
    assert!(
        said.out.contains("3 × HTTP 401"),
        "it ends at once: {said:#?}"
    );
    assert!(said.out.contains("stopped by failures"), "{said:#?}");
    assert!(!said.out.contains("requests per minute"), "{said:#?}");
    assert_eq!(place.stats()["failed_requests"], 3);
    // In its warm-up, too.
    let said = place.run(&server.base_url(), &["--warmup", "50", "--overwrite"]);
    let said = said.exits(3);
    said.one_error(&["every request failed", "401", "OPENAI_API_KEY", "not set"]);
}

#[test]
fn limits_of_failures_have_an_exit_code() {
    let place = Place::new();
    let server = Scripted::start(|request| match request.number {
        0 => answer(),
        _ => refusal("500 Internal Server Error", "no"),
    });
    let limit = ["--requests", "50", "--max-failures", "2"];
    let said = place.run(&server.url, &limit).exits(6);
    said.one_error(&["too many requests failed", "--max-failures"]);
    assert!(
        said.out
            .contains("stopped at the limit of failures: 2 requests failed"),
        "{said:#?}"
    );
}

#[test]
fn a_limit_of_failures_has_its_exit_code_if_everything_failed_too() {
    let place = Place::new();
    let server = Scripted::start(|_| refusal("500 Internal Server Error", "no"));
    let limit = ["--max-failures", "3", "--no-failure-pause", "--overwrite"];
    let run = |requests| {
        place.run(
            &server.url,
            &[&limit[..], &["--requests", requests]].concat(),
        )
    };
    // More than can fail before the decoder tells.
    let said = run("100000").exits(6);
    said.one_error(&["(--max-failures); every request failed", "HTTP 500"]);
    assert!(said.out.contains("stopped at the limit"), "{said:#?}");
    // The limit stops nothing where nothing is left to send.
    let said = run("3").exits(3);
    said.one_error(&["every request failed", "HTTP 500"]);
    assert!(!said.out.contains("stopped"), "{said:#?}");
    assert_eq!(place.stats().get("stopped_by"), None);
}

#[test]
fn a_repeated_run_names_the_key_of_its_own_api() {
    let place = Place::new();
    let server = start(SimConfig {
        api_key: Some("the-right-key".into()),
        ..quick()
    });
    let url = server.base_url().replace("/v1", "");
    let said = place.run(&url, &["--endpoint", "anthropic-messages"]);
    said.exits(3).one_error(&["401", "ANTHROPIC_API_KEY"]);
    let again = place.llmeter(["run", "--from", "runs/it", "--run-name", "again"]);
    again.exits(3).one_error(&["401", "ANTHROPIC_API_KEY"]);
}

#[test]
fn a_wrong_path_is_one_line_with_a_remedy() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url().replace("/v1", "/v7");
    let said = place.run(&url, &["--json"]).exits(3);
    said.one_error(&["404", "--base-url", "--model"]);
    assert_eq!(said.object()["failed_requests"], 1);
}

#[test]
fn several_causes_are_counted() {
    let place = Place::new();
    let server = Scripted::start(|request| {
        if request.text().contains("one") {
            refusal("429 Too Many Requests", "slow down")
        } else {
            refusal("503 Service Unavailable", "no")
        }
    });
    place.file(
        "p.jsonl",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"one\"}]}\n{\"messages\":[]}\n",
    );
    place
        .run(&server.url, &["--payload", "p.jsonl"])
        .exits(3)
        .one_error(&["every request failed", "1 other kind of failure"]);
}

#[test]
fn some_failures_are_no_failure_of_the_run() {
    let place = Place::new();
    let server = start(SimConfig {
        error_rate: 0.5,
        ..quick()
    });
    let said = place
        .run(&server.base_url(), &["--requests", "30"])
        .exits(0);
    assert!(said.out.contains("failures"), "{said:#?}");
    assert!(said.out.contains("× HTTP 500"), "{said:#?}");
}

#[test]
fn the_timeout_is_enforced() {
    let place = Place::new();
    let server = start(SimConfig {
        stall_rate: 1.0,
        ..quick()
    });
    let said = place
        .run(
            &server.base_url(),
            &["--timeout", "300ms", "--clients", "4", "--requests", "2"],
        )
        .exits(3);
    said.one_error(&["timed out after 0.3 s", "--timeout"]);
    let stats = place.stats();
    assert_eq!(stats["failed_requests"], 8);
    let time = stats["total_test_time"].as_f64().unwrap();
    assert!((0.6..5.0).contains(&time), "{time}");
    for response in place.responses() {
        assert!(
            response["response_text"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        );
    }
}

#[test]
fn nobody_there_is_one_line() {
    let place = Place::new();
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    place
        .run(&format!("http://{address}/v1"), &["--clients", "8"])
        .exits(1)
        .one_error(&[
            "cannot reach",
            &address.to_string(),
            "hint: start the server",
        ]);
    assert!(!place.folder().exists());
}

#[test]
fn a_name_that_nobody_knows_is_one_line() {
    Place::new()
        .run("http://no-such-host.invalid/v1", &[])
        .exits(1)
        .one_error(&["no-such-host.invalid", "resolve", "--base-url"]);
}

#[test]
fn a_server_that_does_not_speak_http_is_named() {
    let place = Place::new();
    let server = Scripted::start(|_| "SSH-2.0-OpenSSH_9.6\r\n".repeat(3));
    place
        .run(&server.url, &["--timeout", "2s"])
        .exits(3)
        .one_error(&["every request failed"]);
}

#[test]
fn all_failed_wins_over_strict() {
    let place = Place::new();
    let server = start(SimConfig {
        cut_rate: 1.0,
        ttft: Duration::from_millis(1),
        ..quick()
    });
    place
        .run(&server.base_url(), &["--strict"])
        .exits(3)
        .one_error(&["closed the connection"]);
}

#[test]
fn certificates_that_cannot_be_read_are_named() {
    let place = Place::new();
    place.file("not.pem", "nothing of use");
    for name in ["nowhere.pem", "not.pem"] {
        let said = place.run("https://127.0.0.1:9/v1", &["--ca-file", name]);
        assert!([1, 2].contains(&said.code), "{said:#?}");
        said.one_error(&[name]);
    }
}
