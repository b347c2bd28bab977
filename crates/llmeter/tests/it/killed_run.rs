//! A process that is killed in the middle of its run.
//!
//! Runs alone (`.config/nextest.toml`), so that no other test takes the recorder's processor time.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use llmeter::wire::clock;
use llmeter::{Load, OpenAiChat, RunConfig, RunResult, Runner};

use crate::scripted::answers::{chunked, whole_stream};
use crate::scripted::{Scripted, Step, finish, payload, write};

/// Where the helper process writes to, and the server that it runs against.
const FOLDER: &str = "LLMETER_TEST_KILLED_RUN_FOLDER";
const BASE_URL: &str = "LLMETER_TEST_KILLED_RUN_BASE_URL";

#[test]
#[ignore = "the process that the test below starts and kills"]
fn helper_process() {
    let (Some(folder), Ok(base_url)) = (std::env::var_os(FOLDER), std::env::var(BASE_URL)) else {
        return;
    };
    let endpoint = OpenAiChat::builder(base_url, "m").build().unwrap();
    let config = RunConfig::new(std::sync::Arc::new(endpoint), [payload("hello")])
        .clients(4)
        .load(Load::Duration(Duration::from_secs(120)))
        .output(PathBuf::from(folder))
        .run_name("killed");
    Runner::new(config).run_blocking().unwrap();
}

#[test]
fn a_killed_run_loses_at_most_its_last_second() {
    let folder = tempfile::tempdir().unwrap();
    // One write for each answer, so that writes count answers.
    let answer = write(chunked(&whole_stream(&["one", " two"])));
    let server = Scripted::start(vec![vec![Step::Pause(Duration::from_millis(5)), answer]]);
    let mut helper = Command::new(std::env::current_exe().unwrap())
        .args(["killed_run::helper_process", "--exact", "--ignored"])
        .env(FOLDER, folder.path())
        .env(BASE_URL, &server.base_url)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    server.wait_for_request();
    std::thread::sleep(Duration::from_millis(2_200));
    let at = clock::now();
    helper.kill().unwrap();
    helper.wait().unwrap();

    let answered_before = {
        let writes = server.writes();
        let is_old = |(_, end): &&(clock::Stamp, clock::Stamp)| at.seconds_since(*end) > 1.0;
        writes.iter().filter(is_old).count()
    };
    assert!(answered_before > 0);
    let killed = folder.path().join("killed");
    let mut result = finish(move || RunResult::load(killed)).unwrap();
    assert!(
        result.responses.len() >= answered_before,
        "{} of {answered_before}",
        result.responses.len()
    );
    assert!(result.responses.len() <= server.requests());
    assert!(
        result
            .responses
            .iter()
            .all(|response| response.error.is_none())
    );
    assert!(result.interrupted);
    assert_eq!(result.summary.clients, 4);
    assert_eq!(result.summary.run_name.as_deref(), Some("killed"));
    assert!(result.stats_map().contains_key("time_to_first_token-p99"));
    let warnings = std::mem::take(&mut result.warnings);
    assert!(
        warnings
            .iter()
            .any(|text| text.contains("ended before its end")),
        "{warnings:?}"
    );
}
