//! Who asks: user and password, token, and what becomes of them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use serde_json::json;

use super::{Mlflow, simulator};
use crate::python;

/// A server before another, which asks for this `Authorization` and repeats what it was given.
fn guarded(uri: &str, authorization: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let guarded = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let upstream = uri.strip_prefix("http://").unwrap().to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let upstream = upstream.clone();
            std::thread::spawn(move || guard(stream.unwrap(), &upstream, authorization));
        }
    });
    guarded
}

fn guard(mut stream: TcpStream, upstream: &str, wanted: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut given, mut length) = (String::new(), String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            return;
        }
        if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "authorization" => given = value.trim().to_owned(),
                "content-length" => length = value.trim().parse().unwrap(),
                _ => {}
            }
        }
        head.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    if given != wanted {
        let message = format!("not {given}");
        let answer = json!({"error_code": "UNAUTHENTICATED", "message": message}).to_string();
        let length = answer.len();
        write!(
            stream,
            "HTTP/1.1 401 X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{answer}"
        )
        .unwrap();
        return;
    }
    let mut server = TcpStream::connect(upstream).unwrap();
    server
        .write_all(
            head.replacen("\r\n", "\r\nconnection: close\r\n", 1)
                .as_bytes(),
        )
        .unwrap();
    server.write_all(&body).unwrap();
    std::io::copy(&mut server, &mut stream).ok();
}

#[test]
fn the_command_line_logs_with_credentials_and_keeps_them() {
    let Some(python) = python() else { return };
    let mut mlflow = Mlflow::start(&python);
    let simulator = simulator(0.0);
    let place = tempfile::tempdir().unwrap();
    // me:hush-hush
    let basic = guarded(&mlflow.uri, "Basic bWU6aHVzaC1odXNo");
    let token = guarded(&mlflow.uri, "Bearer hush-hush");
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
            assert_eq!(run["artifacts"].as_object().unwrap().len(), 8);
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
