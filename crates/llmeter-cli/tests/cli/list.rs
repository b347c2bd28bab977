//! `llmeter list`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use llmeter_sim::SimConfig;
use serde_json::Value;

use crate::support::{Place, Said, end_of, quick, start, until};

fn names(said: &Said) -> Vec<String> {
    let entries: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:#?}"));
    let entries = entries.as_array().unwrap().iter();
    entries
        .map(|entry| entry["name"].as_str().unwrap().to_owned())
        .collect()
}

fn listed(place: &Place, more: &[&str]) -> Vec<String> {
    let arguments = [&["list", "--format", "json"], more].concat();
    names(&place.llmeter(arguments).exits(0))
}

#[test]
fn folders_of_the_python_system_are_listed() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../llmeter/tests/golden/outputs");
    let golden = golden.to_str().unwrap();
    let place = Place::new();
    let said = place.llmeter(["list", golden]).exits(0);
    let line = |name: &str| {
        let found = said.out.lines().find(|line| line.contains(name));
        found.unwrap_or_else(|| panic!("{name}: {said:#?}"))
    };
    assert!(
        line("a_count_bound/run").contains("mock-model"),
        "{said:#?}"
    );
    assert!(line("a_count_bound/run").contains("3 × 5"), "{said:#?}");
    assert!(
        line("d2_load_test_by_runner/ladder").contains("load test"),
        "{said:#?}"
    );
    assert!(
        line("d2_load_test_by_runner/ladder").contains("1–4, 3 levels"),
        "{said:#?}"
    );
    assert!(line("f2_sigkill/run").ends_with("broken"), "{said:#?}");
    assert!(line("c_failures/run").contains("10/14"), "{said:#?}");
    // The levels of a load test, where it is named itself.
    let ladder = format!("{golden}/d2_load_test_by_runner/ladder");
    let levels = listed(&place, &[&ladder, "--sort", "name"]);
    assert_eq!(levels, ["00001-clients", "00002-clients", "00004-clients"]);
    // The next time it comes from the cache, and says the same.
    assert!(
        fs::read_dir(place.path().join("cache/llmeter"))
            .unwrap()
            .count()
            == 2
    );
    assert_eq!(place.llmeter(["list", golden]).exits(0).out, said.out);
    let ascii = place.llmeter(["list", golden, "--ascii"]).exits(0).out;
    assert!(ascii.is_ascii() && ascii.contains("3 x 5"), "{ascii}");
}

#[test]
fn runs_are_chosen_and_ordered() {
    let place = Place::new();
    let run = |name: &str, model: &str, day: u32, ttft: f64| {
        let summary = serde_json::json!({
            "clients": 2, "n_requests": 3, "model_id": model,
            "start_time": format!("2026-11-{day:02}T10:00:00Z"),
        });
        let stats = serde_json::json!({"time_to_first_token-p99": ttft, "failed_requests": 0});
        place.file(&format!("runs/{name}/summary.json"), summary.to_string());
        place.file(&format!("runs/{name}/stats.json"), stats.to_string());
    };
    run("a", "GPT-4", 20, 0.9);
    run("b", "llama", 22, 0.1);
    run("c", "gpt-5", 21, 0.4);
    assert_eq!(listed(&place, &[]), ["b", "c", "a"]);
    assert_eq!(listed(&place, &["--reverse", "--limit", "2"]), ["a", "c"]);
    assert_eq!(listed(&place, &["--sort", "ttft-p99"]), ["b", "c", "a"]);
    assert_eq!(
        listed(&place, &["--sort", "name", "--reverse"]),
        ["c", "b", "a"]
    );
    assert_eq!(listed(&place, &["--model", "gpt"]), ["c", "a"]);
    assert_eq!(listed(&place, &["--where", "ttft-p99 < 500ms"]), ["b", "c"]);
    let both = ["--where", "ttft-p99 < 500ms", "--where", "ttft-p99 > 0.2"];
    assert_eq!(listed(&place, &both), ["c"]);
    assert_eq!(listed(&place, &["--where", "cost_total > 0"]), [""; 0]);
    assert_eq!(
        listed(&place, &["--since", "2026-11-21T10:00:00Z"]),
        ["b", "c"]
    );
    let csv = place.llmeter(["list", "--format", "csv"]).exits(0).out;
    assert_eq!(csv.lines().count(), 4, "{csv}");
    assert!(
        csv.starts_with("name,path,experiment,kind,state,started,model,"),
        "{csv}"
    );
    let none = place.llmeter(["list", "--model", "x"]).exits(0);
    assert_eq!(
        (none.out.as_str(), none.err.as_str()),
        ("", "there are no such runs in runs\n")
    );
    place
        .llmeter(["list", "--since", "soon"])
        .exits(2)
        .one_error(&["--since", "soon", "7d"]);
    place
        .llmeter(["list", "--sort", "speed"])
        .exits(2)
        .one_error(&["speed", "when, name"]);
    place
        .llmeter(["list", "nowhere"])
        .exits(1)
        .one_error(&["nowhere"]);
}

#[test]
fn a_run_in_progress_is_told_from_one_that_was_killed() {
    let place = Place::new();
    let server = start(SimConfig {
        itl: Duration::from_millis(20),
        ..quick()
    });
    let url = server.base_url();
    let mut child = place
        .run_command(&url, &["--duration", "60s"])
        .spawn()
        .unwrap();
    let state = || {
        let said = place.llmeter(["list", "--format", "json"]);
        let entries: Value = serde_json::from_str(&said.out).unwrap_or_default();
        entries[0]["state"].as_str().unwrap_or_default().to_owned()
    };
    until("the run is listed", || state() == "running");
    let text = place.llmeter(["list"]).exits(0).out;
    assert!(
        text.contains("some-model") && text.contains("1, 60 s"),
        "{text}"
    );
    child.kill().unwrap();
    end_of(child);
    assert_eq!(state(), "broken");
}

#[test]
#[cfg(target_os = "linux")]
fn odd_folders_are_listed_or_told_of() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    let place = Place::new();
    // Figures within the summary alone, in folders whose names are no text.
    let summary =
        r#"{"clients": 2, "stats": {"failed_requests": 3, "time_to_first_token-p50": 0.25}}"#;
    for name in [b"runs/a\xff".as_slice(), b"runs/a\xfe/00001-clients"] {
        let folder = place.path().join(OsStr::from_bytes(name));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("summary.json"), summary).unwrap();
    }
    let closed = place.path().join("runs/closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let list = place.command(["list", "--sort", "name", "--format", "json"]);
    // Root reads everything unless it gives its capabilities away.
    let mut command = Command::new("setpriv");
    command.args(["--inh-caps=-all", "--bounding-set=-all", "--"]);
    command.arg(list.get_program()).args(list.get_args());
    for (name, value) in list.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = match fs::read_dir(&closed) {
        Ok(_) => command
            .current_dir(list.get_current_dir().unwrap())
            .output(),
        Err(_) => place
            .command(["list", "--sort", "name", "--format", "json"])
            .output(),
    };
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let output = output.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let entries: Value = serde_json::from_slice(&output.stdout).expect(&said);
    let seen = |at: usize| (entries[at]["name"].as_str(), entries[at]["kind"].as_str());
    assert_eq!(seen(0), (Some("a\\xfe"), Some("load test")), "{entries}");
    assert_eq!(seen(1), (Some("a\\xff"), Some("run")), "{entries}");
    let run = &entries[1]["figures"];
    assert_eq!(run["time_to_first_token-p50"], 0.25, "{entries}");
    assert!(
        said.contains("left out: ") && said.contains("closed"),
        "{said}"
    );
}
