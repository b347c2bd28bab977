//! The viewer of runs in the cloud.

use std::io::Write as _;
use std::net::TcpStream;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::*;

/// A process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lines of what is at this address, as they come.
fn get(url: &str) -> impl Iterator<Item = String> + use<> {
    let (host, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    BufReader::new(stream).lines().map(Result::unwrap)
}

#[test]
fn a_run_in_the_cloud_is_followed_to_its_end() {
    let Some(python) = python() else { return };
    let (s3, simulator) = (S3::start(&python), simulator());
    let arguments = "--clients 4 --duration 10m --run-name live --output s3://results";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let mut run = Ended(s3.run_command(&simulator, &arguments).spawn().unwrap());
    s3.objects("live/", Some("live/responses.jsonl.parts/000001"));
    let mut viewer = Ended(s3.command(["view", "s3://results"]).spawn().unwrap());
    let mut url = String::new();
    let out = viewer.0.stdout.take().unwrap();
    BufReader::new(out).read_line(&mut url).unwrap();
    let url = url.trim();
    let list = get(&format!("{url}runs.json"))
        .find(|line| line.starts_with('{'))
        .unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let entry = &list["entries"][0];
    assert_eq!(
        (&entry["name"], &entry["state"]),
        (&"live".into(), &"running".into())
    );
    let id = entry["id"].as_str().unwrap();

    let mut events = get(&format!("{url}live/{id}/events"));
    let mut next = || -> Option<Value> {
        let data = events.find_map(|line| line.strip_prefix("data: ").map(str::to_owned))?;
        Some(serde_json::from_str(&data).unwrap())
    };
    let first = next().unwrap();
    assert_eq!(
        (&first["state"], &first["is_cloud"]),
        (&"running".into(), &true.into())
    );
    let mut state = first.clone();
    // Further parts come.
    while state["recorded"].as_u64() <= first["recorded"].as_u64() {
        state = next().unwrap();
    }
    kill(Pid::from_raw(run.0.id() as i32), Signal::SIGINT).unwrap();
    run.0.wait().unwrap();
    // The last event has nothing but the end.
    while let Some(event) = next().filter(|event| event["state"].is_string()) {
        state = event;
    }
    let (folder, _) = s3.objects("live/", None);
    let responses = fs::read_to_string(folder.join("responses.jsonl")).unwrap();
    let count = responses.lines().count();
    assert_eq!(
        (&state["state"], &state["recorded"]),
        (&"interrupted".into(), &count.into())
    );
}
