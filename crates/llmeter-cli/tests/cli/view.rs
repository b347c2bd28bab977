//! `llmeter view`: what it lets in, and how it ends. What a person sees is tested in a browser.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Child;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{Place, end_of, quick, start, until};

/// A viewer of the place's runs.
struct Viewing {
    child: Option<Child>,
    /// `127.0.0.1:PORT`.
    host: String,
    token: String,
}

impl Viewing {
    fn start(place: &Place) -> Self {
        let mut child = place.command(["view", "runs"]).spawn().unwrap();
        let mut url = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut url).unwrap();
        let address = url.trim().strip_prefix("http://").unwrap();
        let (host, token) = address.split_once('/').unwrap();
        Self {
            child: Some(child),
            host: host.to_owned(),
            token: token.trim_end_matches('/').to_owned(),
        }
    }

    /// Sends these bytes; everything that comes back.
    fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // A connection that was refused may be reset.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn request(&self, method: &str, path: &str, headers: &str) -> String {
        self.raw(&format!(
            "{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n"
        ))
    }

    /// Head and body of what is behind the secret.
    fn get(&self, path: &str) -> (String, String) {
        let path = format!("/{}/{path}", self.token);
        let answer = self.request("GET", &path, &format!("Host: {}\r\n", self.host));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn runs(&self) -> Vec<Value> {
        let (_, body) = self.get("runs.json");
        let mut list: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{body}"));
        list["entries"].as_array_mut().map(std::mem::take).unwrap()
    }

    /// Ends it by Ctrl-C.
    fn end(mut self) -> i32 {
        let child = self.child.take().unwrap();
        kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
        end_of(child).code
    }
}

impl Drop for Viewing {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[track_caller]
fn is(answer: &str, status: &str) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status}")),
        "{answer}"
    );
}

/// Whoever else is on the machine can connect, too.
#[test]
fn connections_of_strangers_keep_nobody_out() {
    let place = Place::new();
    place.made_run("it", 2, 0);
    let viewing = Viewing::start(&place);
    let strangers = (0..300).map(|at| {
        let mut stream = TcpStream::connect(&viewing.host).unwrap();
        if at % 2 == 0 {
            // One that is gone already takes nothing.
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: ");
        }
        stream
    });
    let strangers: Vec<_> = strangers.collect();
    is(&viewing.get("").0, "200");
    // The oldest had to go.
    let mut oldest = &strangers[0];
    let mut rest = [0];
    assert!(matches!(oldest.read(&mut rest), Ok(0) | Err(_)));
}

#[test]
fn nobody_gets_in_without_the_secret() {
    let place = Place::new();
    place.made_run("it", 2, 0);
    let viewing = Viewing::start(&place);
    let (head, body) = viewing.get("");
    is(&head, "200");
    assert!(body.contains("<title>llmeter"), "{body}");
    for header in [
        "cache-control: no-store",
        "content-security-policy: default-src 'none'; script-src 'self';",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "x-frame-options: DENY",
    ] {
        assert!(head.contains(header), "{header}: {head}");
    }
    let (host, token) = (&viewing.host, &viewing.token);
    let own = format!("Host: {host}\r\n");
    let page = format!("/{token}/");
    let (_, port) = host.split_once(':').unwrap();
    for (path, headers, status) in [
        ("/", own.clone(), "404"),
        ("/runs.json", own.clone(), "404"),
        (
            &format!("/{}/", "0".repeat(token.len())),
            own.clone(),
            "404",
        ),
        (&format!("/{token}0/"), own.clone(), "404"),
        // A name of somebody else's that leads here, and pages of other origins.
        (&page, format!("Host: evil.example:{port}\r\n"), "403"),
        (
            &page,
            format!("Host: 127.0.0.1.evil.example:{port}\r\n"),
            "403",
        ),
        (&page, "Host: 127.0.0.1:1\r\n".to_owned(), "403"),
        (
            &page,
            format!("{own}Origin: http://evil.example\r\n"),
            "403",
        ),
        (&page, format!("{own}Origin: null\r\n"), "403"),
        (
            &page,
            format!("Host: localhost:{port}\r\nOrigin: http://localhost:{port}\r\n"),
            "200",
        ),
    ] {
        let answer = viewing.request("GET", path, &headers);
        is(&answer, status);
        assert!(status == "200" || !answer.contains("llmeter"), "{answer}");
    }
    is(&viewing.request("POST", &page, &own), "405");
    is(&viewing.request("GET", &page, ""), "403");
    is(&viewing.raw("nonsense\r\n\r\n"), "400");
    let endless = format!(
        "GET {page} HTTP/1.1\r\nX: {}\r\n\r\n",
        "x".repeat(64 * 1024)
    );
    is(&viewing.raw(&endless), "431");
    assert_eq!(viewing.end(), 0);
}

#[test]
fn only_runs_that_were_found_are_opened() {
    let place = Place::new();
    place.made_run("it", 2, 0);
    place.file("secret.txt", "the secret");
    place.file("outside/summary.json", "{\"model_id\": \"the secret\"}");
    std::os::unix::fs::symlink("../outside", place.path().join("runs/link")).unwrap();
    let viewing = Viewing::start(&place);
    let runs = viewing.runs();
    assert_eq!(runs.len(), 1, "{runs:?}");
    let id = runs[0]["id"].as_str().unwrap();
    let (head, body) = viewing.get(&format!("report/{id}"));
    is(&head, "200");
    assert!(head.contains("sandbox allow-scripts"), "{head}");
    assert!(body.contains("120"), "{body}");
    for path in [
        "report/../../secret.txt",
        "report/..%2f..%2fsecret.txt",
        "../secret.txt",
        "..%2fsecret.txt",
        "report//etc/passwd",
        "report/it",
        "report/link",
        "report/0000000000000000",
        "live/0000000000000000/events",
        "style.css/..",
        "compare?run=it&run=link",
    ] {
        let (head, body) = viewing.get(path);
        is(&head, "404");
        assert!(!body.contains("secret"), "{body}");
    }
    is(&viewing.get(&format!("compare?run={id}")).0, "400");
    // A run whose folder has become a link to elsewhere since it was found.
    fs::rename(place.path().join("runs/it"), place.path().join("moved")).unwrap();
    std::os::unix::fs::symlink("../moved", place.path().join("runs/it")).unwrap();
    is(&viewing.get(&format!("report/{id}")).0, "404");
}

#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    let place = Place::new();
    place.made_run("it", 2, 0);
    let viewing = Viewing::start(&place);
    let silent: Vec<_> = (0..32)
        .map(|_| TcpStream::connect(&viewing.host).unwrap())
        .collect();
    let mut begun = TcpStream::connect(&viewing.host).unwrap();
    begun.write_all(b"GET / HT").unwrap();
    assert_eq!(viewing.runs().len(), 1);
    drop((silent, begun));
    assert_eq!(viewing.end(), 0);
}

#[test]
fn a_list_is_filtered_by_conditions() {
    let place = Place::new();
    place.made_run("it", 2, 0);
    place.file("runs/it/stats.json", "{\"time_to_first_token-p99\": 0.25}");
    let viewing = Viewing::start(&place);
    let count = |condition: &str| {
        let (_, body) = viewing.get(&format!("runs.json?where={condition}"));
        let list: Value = serde_json::from_str(&body).unwrap();
        list["entries"].as_array().map_or_else(
            || list["error"].to_string(),
            |found| found.len().to_string(),
        )
    };
    assert_eq!(count("ttft-p99%20%3C%20500ms"), "1");
    assert_eq!(count("ttft-p99+%3C+100ms"), "0");
    assert!(count("ttf-p99+%3C+1").contains("the nearest are ttft"));
}

#[test]
fn a_run_is_viewed_until_its_end_and_beyond() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url();
    let mut child = place
        .run_command(&url, &["--requests", "5", "--view"])
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut next = |start: &str| {
        let mut found = said.by_ref().map(|line| line.unwrap());
        found.find(|line| line.starts_with(start)).unwrap()
    };
    let address = next("view: http://");
    assert!(address.contains("127.0.0.1:"), "{address}");
    let after = next("the run is over; ");
    assert!(after.contains(&address["view: ".len()..]), "{after}");
    until("the summary is there", || {
        place.folder().join("summary.json").exists()
    });
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let mut out = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{out}");
    assert!(out.contains("5 requests by 1 client"), "{out}");
    assert_eq!(said.next().map(Result::unwrap), None);
}
