//! Runs that cannot begin: one line that says why, and nothing sent or written.

use std::time::Duration;

use llmeter::{Load, OpenAiChat, RunConfig, Runner};

use super::{config, friendly};
use crate::scripted::{Scripted, finish};

fn refused(config: RunConfig) -> String {
    let error = finish(move || Runner::new(config).run_blocking()).unwrap_err();
    let error = error.to_string();
    assert!(!error.contains('\n'), "one line: {error}");
    error
}

/// A setting, its name and its value in an error.
type Setting = (fn(&mut RunConfig), &'static str, &'static str);

#[test]
fn settings_that_make_no_sense_are_named() {
    let settings: [Setting; 9] = [
        (|run| run.clients = 0, "clients", "0"),
        (|run| run.load = Load::Requests(0), "requests", "0"),
        (
            |run| run.load = Load::Duration(Duration::ZERO),
            "duration",
            "0s",
        ),
        (|run| run.payloads.clear(), "payload", "required"),
        (|run| run.timeout = Duration::ZERO, "timeout", "0s"),
        (|run| run.workers = Some(0), "workers", "0"),
        (|run| run.run_name = Some(String::new()), "run_name", "\"\""),
        (
            |run| run.run_name = Some("a/b".into()),
            "run_name",
            "\"a/b\"",
        ),
        (|run| run.run_name = Some("..".into()), "run_name", "\"..\""),
    ];
    let folder = tempfile::tempdir().unwrap();
    let server: Scripted = friendly();
    for (change, field, value) in settings {
        let mut config = config(&server, 1).output(folder.path().join("runs"));
        change(&mut config);
        let error = refused(config);
        assert!(
            error.starts_with(field) && error.contains(value),
            "{field}: {error}"
        );
    }
    assert_eq!(server.requests(), 0);
    assert!(!folder.path().join("runs").exists());
}

#[test]
fn nobody_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let url = format!("http://127.0.0.1:{port}/v1");
    let endpoint = OpenAiChat::builder(url, "m").build().unwrap();
    let config = friendly()
        .config_of(endpoint)
        .clients(8)
        .output(folder.path().join("runs"));
    let error = refused(config);
    assert!(
        error.contains(&format!("cannot reach 127.0.0.1:{port}")),
        "{error}"
    );
    assert!(!folder.path().join("runs").exists());
}

#[test]
fn a_folder_that_cannot_be_made_stops_the_run_before_it_sends() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let server = friendly();
    let error = refused(config(&server, 1).output(&file));
    assert!(error.contains("file"), "{error}");
    assert_eq!(server.requests(), 0);
}

#[test]
fn a_payload_that_the_endpoint_cannot_send_stops_the_run_before_it_sends() {
    let server = friendly();
    let mut config = config(&server, 2);
    let bytes = serde_json::json!({"messages": [{"content": {"__llmeter_bytes__": "AA=="}}]});
    config
        .payloads
        .push(bytes.as_object().unwrap().clone().into());
    let error = refused(config);
    assert!(
        error.starts_with("payload") && error.contains("bytes"),
        "{error}"
    );
    assert_eq!(server.requests(), 0);
}
