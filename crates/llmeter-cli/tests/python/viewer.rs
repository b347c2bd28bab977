//! The viewer's page in a real browser.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use llmeter_sim::{SimConfig, Simulator};
use serde_json::json;

use super::python;
use super::scripts::Script;

/// A name that would be an element if it were not text.
const HOSTILE: &str = "<img src=x onerror=alert(1)>";

/// Writes a run's folder with 40 requests of which each takes so long.
fn made_run(folder: &Path, clients: u64, ttft: f64) {
    std::fs::create_dir_all(folder).unwrap();
    let lines = (0..40_u32).map(|at| {
        let ttft = ttft * (1.0 + f64::from(at % 7) / 10.0);
        let line = json!({
            "id": format!("</script><b>{at}"), "time_to_first_token": ttft, "time_to_last_token": ttft * 3.0,
            "time_per_output_token": ttft / 4.0, "num_tokens_input": 10, "num_tokens_output": 9,
            "request_time": format!("2026-11-28T10:00:{at:02}Z"), "response_text": "</script>\u{202e}",
        });
        format!("{line}\n")
    });
    std::fs::write(folder.join("responses.jsonl"), lines.collect::<String>()).unwrap();
    let summary = json!({
        "clients": clients, "n_requests": 40 / clients, "total_requests": 40, "total_test_time": 40.0,
        "model_id": "</script><script>alert(2)</script>", "run_description": "\"quoted\" & more",
        "start_time": "2026-11-28T10:00:00Z",
    });
    std::fs::write(folder.join("summary.json"), summary.to_string()).unwrap();
    let stats = json!({
        "time_to_first_token-p50": ttft * 1.3, "time_to_first_token-p99": ttft * 1.6, "output_tps": 9.0,
        "failed_requests": 0, "total_requests": 40, "measurement_verdict": "clean",
    });
    std::fs::write(folder.join("stats.json"), stats.to_string()).unwrap();
}

fn llmeter(place: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_llmeter"))
        .args(arguments)
        .current_dir(place)
        .env("XDG_CACHE_HOME", place.join("cache"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn runs_are_listed_compared_and_followed() {
    let Some(python) = python() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let runs = place.path().join("runs");
    made_run(&runs.join("fast"), 2, 0.01);
    made_run(&runs.join("slow"), 2, 0.2);
    made_run(&runs.join("test/00001-clients"), 1, 0.03);
    made_run(&runs.join("test/00004-clients"), 4, 0.05);
    made_run(&runs.join(HOSTILE), 2, 0.04);
    let shots = match std::env::var_os("LLMETER_SCREENSHOTS") {
        Some(folder) => folder.into(),
        None => place.path().to_path_buf(),
    };
    let mut viewer = Ended(llmeter(place.path(), &["view", "runs"]));
    let mut url = String::new();
    let out = viewer.0.stdout.take().unwrap();
    BufReader::new(out).read_line(&mut url).unwrap();
    let log = place.path().join("browser.log");
    let arguments = [url.trim().as_ref(), shots.as_os_str()];
    let mut browser = Script::start(&python, "viewer_page.py", &arguments, &log);
    let expect = |browser: &mut Script, what: &str| {
        let line = browser.line(what);
        line.unwrap_or_else(|| panic!("no {what}: {}", std::fs::read_to_string(&log).unwrap()))
    };
    expect(&mut browser, "ready");
    // A run of another process, which begins after the viewer.
    let server = Simulator::start(SimConfig {
        ttft: Duration::from_millis(20),
        itl: Duration::from_millis(5),
        output_tokens: 8,
        jitter: 0.2,
        ..SimConfig::default()
    });
    let server = server.unwrap();
    let mut run = Ended(llmeter(
        place.path(),
        &[
            "run",
            "--base-url",
            &server.base_url(),
            "--model",
            "m",
            "--prompt",
            "Hi",
            "--clients",
            "4",
            "--duration",
            "60s",
            "--run-name",
            "live",
            "--quiet",
        ],
    ));
    writeln!(browser.input.as_mut().unwrap()).unwrap();
    expect(&mut browser, "following");
    let pid = nix::unistd::Pid::from_raw(run.0.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    run.0.wait().unwrap();
    let seen = expect(&mut browser, "seen ");
    browser.end();
    let responses = std::fs::read_to_string(runs.join("live/responses.jsonl")).unwrap();
    let count = responses.lines().count();
    let shown = seen.split(" requests").next().unwrap().replace(',', "");
    assert_eq!(shown, count.to_string(), "{seen}");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "");
}
