//! Who asks: user and password, token, and what becomes of them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use llmeter_testing::{ScriptedServer, Step};
use serde_json::json;

use super::{Mlflow, simulator};
use crate::python;

/// A server before another, which asks for this `Authorization` and repeats what it was given.
fn guarded(uri: &str, authorization: &'static str) -> ScriptedServer {
    let upstream = uri.strip_prefix("http://").unwrap().to_owned();
    let server = ScriptedServer::respond(move |request| {
        let given = request.header("authorization").unwrap_or_default();
        if given != authorization {
            let message = format!("not {given}");
            let body = json!({"error_code": "UNAUTHENTICATED", "message": message}).to_string();
            let length = body.len();
            let head =
                format!("HTTP/1.1 401 X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
            return vec![Step::write(head + &body), Step::Close];
        }
        let mut upstream = TcpStream::connect(&upstream).unwrap();
        let [line, headers @ ..] = &*request.head else {
            unreachable!()
        };
        let head = format!(
            "{line}\r\nconnection: close\r\n{}\r\n\r\n",
            headers.join("\r\n")
        );
        upstream.write_all(head.as_bytes()).unwrap();
        upstream.write_all(&request.body).unwrap();
        let mut response = Vec::new();
        upstream.read_to_end(&mut response).ok();
        vec![Step::write(response), Step::Close]
    });
    server.start().unwrap()
}

#[test]
fn the_command_line_logs_with_credentials_and_keeps_them() {
    let Some(python) = python() else { return };
    let mut mlflow = Mlflow::start(&python);
    let simulator = simulator(0.0);
    let place = tempfile::tempdir().unwrap();
    // me:hush-hush
    let basic_server = guarded(&mlflow.uri, "Basic bWU6aHVzaC1odXNo");
    let token_server = guarded(&mlflow.uri, "Bearer hush-hush");
    let url = |server: &ScriptedServer| format!("http://{}", server.address());
    let (basic, token) = (url(&basic_server), url(&token_server));
    let basic_with_user = basic.replace("http://", "http://me:hush-hush@");
    let user = ("MLFLOW_TRACKING_USERNAME", "me");
    let password = ("MLFLOW_TRACKING_PASSWORD", "hush-hush");
    let bearer = ("MLFLOW_TRACKING_TOKEN", "hush-hush");
    type Case<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str)], bool);
    let cases: [Case<'_>; 5] = [
        ("basic", &["--mlflow", &basic], &[user, password], true),
        (
            "token",
            &["--mlflow"],
            &[("MLFLOW_TRACKING_URI", &token), bearer],
            true,
        ),
        ("uri", &["--mlflow", &basic_with_user], &[], true),
        ("wrong", &["--mlflow", &basic], &[bearer], false),
        ("nobody", &["--mlflow", &basic], &[], false),
    ];
    for (name, flags, environment, is_logged) in cases {
        let mut command = Command::new(env!("CARGO_BIN_EXE_llmeter"));
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("MLFLOW_") {
                command.env_remove(variable);
            }
        }
        let output = command
            .args([
                "run",
                "--quiet",
                "--model",
                "m",
                "--prompt",
                "p",
                "--run-name",
                name,
            ])
            .args(["--base-url", &simulator.base_url()])
            .args(["--mlflow-experiment", name, "--mlflow-artifacts"])
            .args(flags)
            .envs(environment.iter().copied())
            .env("LLMETER_LOG", "debug")
            .current_dir(place.path())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].map(|out| String::from_utf8(out).unwrap());
        let said = said.concat();
        assert!(output.status.success(), "{name}: {said}");
        assert!(
            !said.contains("hush-hush") && !said.contains("aHVzaC1odXNo"),
            "{said}"
        );
        for file in fs::read_dir(place.path().join("runs").join(name)).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            assert!(!text.contains("hush-hush"), "{text}");
        }
        if is_logged {
            assert!(!said.contains("MlflowCallback failed"), "{said}");
            let run = mlflow.only_run(name);
            assert_eq!(run["status"], "FINISHED");
            assert_eq!(run["artifacts"].as_object().unwrap().len(), 7);
        } else {
            assert!(
                said.contains("MlflowCallback failed in after_run"),
                "{said}"
            );
            assert!(
                said.contains("401") && said.contains("MLFLOW_TRACKING_TOKEN"),
                "{said}"
            );
        }
    }
}
