//! Runs that come to their end, or are killed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use llmeter::RunResult;
use llmeter::storage::Location;
use serde_json::Value;

use super::*;

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// How often each prompt was sent and what it was answered.
fn answers(result: &RunResult) -> BTreeMap<(String, String), usize> {
    let mut answers = BTreeMap::new();
    for response in &result.responses {
        assert_eq!(response.error, None);
        let prompt = response.input_prompt.as_ref().unwrap().to_string();
        let length = response.num_tokens_output.unwrap().to_string();
        *answers.entry((prompt, length)).or_default() += 1;
    }
    answers
}

#[test]
fn a_run_has_the_files_of_a_local_one() {
    let Some(python) = python() else { return };
    let (s3, simulator) = (S3::start(&python), simulator());
    let lines = ["grüße", "世界", "c"].map(|prompt| {
        let content = prompt.repeat(3);
        format!(
            "{{\"messages\": [{{\"role\": \"user\", \"content\": \"{content}\"}}], \"max_tokens\": 5}}\n"
        )
    });
    fs::write(s3.path().join("payloads.jsonl"), lines.concat()).unwrap();
    let arguments = "--payload payloads.jsonl --clients 4 --requests 6 --seed 7 --run-name it";
    let mut arguments: Vec<&str> = arguments.split(' ').collect();
    arguments.push("--output");
    let run = |output: &str| {
        let arguments = [&arguments[..], &[output]].concat();
        s3.run(&simulator, &arguments).exits(0)
    };
    run("local");
    let said = run("s3://results/some team/runs/");
    assert_eq!(said.err, "");
    let place = "s3://results/some team/runs/it";
    assert!(said.out.contains(&format!("files: {place}\n")), "{said:#?}");
    assert!(!said.out.contains("warning"), "{said:#?}");
    assert_eq!(
        s3.temporary(),
        [""; 0].map(PathBuf::from),
        "nothing is left"
    );

    let (cloud, names) = s3.objects("some team/runs/it", None);
    assert_eq!(names, FILES.map(str::to_owned).into());
    let local = s3.path().join("local/it");
    let payloads = [&local, &cloud].map(|folder| fs::read(folder.join("payload.jsonl")).unwrap());
    assert!(payloads[0] == payloads[1]);
    let mut own = [&local, &cloud].map(|folder| json(&folder.join("llmeter.json")));
    let ids = own.each_mut().map(|own| own["run_id"].take());
    assert!(ids[0].is_string() && ids[0] != ids[1], "{ids:?}");
    assert_eq!(own[0], own[1]);
    let mut configs = [&local, &cloud].map(|folder| json(&folder.join("run_config.json")));
    assert_eq!(configs[1]["output_path"], place);
    assert_eq!(configs[1]["payload"], format!("{place}/payload.jsonl"));
    for name in ["output_path", "payload"] {
        configs[1][name] = configs[0][name].clone();
    }
    assert_eq!(configs[0], configs[1]);
    assert_eq!(json(&cloud.join("summary.json"))["output_path"], place);
    let [there, here] = [&cloud, &local].map(|folder| RunResult::load(folder).unwrap());
    assert_eq!(there.warnings, [""; 0]);
    assert_eq!(answers(&there), answers(&here));
    for name in FILES {
        let text = fs::read_to_string(cloud.join(name)).unwrap();
        // Relative paths of settings refer to the folder that the command was called in.
        let text = text.replace(&*s3.path().to_string_lossy(), "");
        assert!(
            !text.contains(SECRET) && !text.contains("tmp"),
            "{name}: {text}"
        );
    }

    let listed = s3.llmeter(["list", "s3://results/some team", "--format", "json"]);
    let listed: Value = serde_json::from_str(&listed.exits(0).out).unwrap();
    let names: Vec<_> = listed.as_array().unwrap().iter().collect();
    assert_eq!(names.len(), 1, "{listed}");
    assert_eq!(
        (&listed[0]["name"], &listed[0]["state"]),
        (&"runs/it".into(), &"complete".into())
    );
    assert_eq!(listed[0]["path"], place);
    assert_eq!(listed[0]["figures"]["total_requests"], 24);

    let again = s3.llmeter(["run", "--from", place, "--run-name", "again", "--quiet"]);
    let again = again.exits(0);
    let copy = "files: s3://results/some team/runs/again\n";
    assert!(again.out.contains(copy), "{again:#?}");

    let shown = s3.llmeter(["show", place]).exits(0);
    assert_eq!(shown.out, said.out);
    let shown = s3.llmeter(["show", "--json", place]).exits(0);
    let shown: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(shown, json(&cloud.join("stats.json")));
    assert_eq!(s3.temporary(), [""; 0].map(PathBuf::from));
}

#[test]
fn runs_in_the_cloud_are_compared() {
    let Some(python) = python() else { return };
    let (s3, simulator) = (S3::start(&python), simulator());
    let run = |name: &str, requests: &str| {
        let arguments = ["--clients", "2", "--requests", requests, "--run-name", name];
        let arguments = [&arguments[..], &["--output", "s3://results/runs"]].concat();
        s3.run(&simulator, &arguments).exits(0);
    };
    run("base", "20");
    run("new", "25");
    let [base, new] = ["base", "new"].map(|name| format!("s3://results/runs/{name}"));
    let compared = s3.llmeter(["compare", &base, &new, "--format", "json"]);
    let compared: Value = serde_json::from_str(&compared.exits(0).out).unwrap();
    assert_eq!(compared["base"], base);
    let pair = &compared["pairs"][0];
    assert_eq!(pair["new"], new);
    let unlike = pair["unlike"].as_array().unwrap();
    assert!(
        unlike.contains(&"other requests of each client: 20 and 25".into()),
        "{unlike:?}"
    );
    let differences = pair["differences"].as_array().unwrap();
    let ttft = differences
        .iter()
        .find(|one| one["figure"] == "ttft-p50")
        .unwrap();
    // How far an interval can be given depends on how this machine's times hang together.
    for side in ["base", "new", "change"] {
        assert!(ttft[side].is_number(), "{ttft:#}");
    }

    let report = "s3://results/reports/compared.md";
    let arguments = ["compare", &base, &new, "--format", "markdown", "--output"];
    let arguments = [&arguments[..], &[report]].concat();
    s3.llmeter(arguments).exits(0);
    let (folder, names) = s3.objects("reports", None);
    assert_eq!(names, ["compared.md".to_owned()].into());
    let report = fs::read_to_string(folder.join("compared.md")).unwrap();
    assert!(report.contains("TTFT p50"), "{report}");

    let none = "s3://results/runs/none";
    s3.llmeter(["compare", &base, none])
        .exits(1)
        .one_error(&[none]);
    assert_eq!(s3.temporary(), [""; 0].map(PathBuf::from));
}

#[test]
fn names_are_free_in_use_or_overwritten() {
    let Some(python) = python() else { return };
    let (s3, simulator) = (S3::start(&python), simulator());
    let run = |arguments: &[&str]| {
        let arguments = [arguments, &["--output", "s3://results/runs"]].concat();
        s3.run(&simulator, &arguments)
    };
    run(&["--requests", "3", "--run-name", "it"]).exits(0);
    let served = simulator.requests_served();
    let place = "s3://results/runs/it";
    let refused = run(&["--run-name", "it"]).exits(1);
    for said in [
        place,
        "already holds a run",
        "hint: --overwrite replaces it",
    ] {
        assert!(refused.err.contains(said), "{refused:#?}");
    }
    assert_eq!(simulator.requests_served(), served);

    let note = s3.in_library("write", "s3://results/runs/it/notes.txt");
    assert_eq!(note.code, Some(0), "{note:#?}");
    run(&["--requests", "2", "--run-name", "it", "--overwrite"]).exits(0);
    let (folder, names) = s3.objects("runs/it", None);
    assert_eq!(names.len(), FILES.len() + 1, "{names:?}");
    assert!(names.contains("notes.txt"));
    assert_eq!(RunResult::load(folder).unwrap().responses.len(), 2);

    // One name, taken at the same time.
    let runs = [0; 3].map(|_| {
        let arguments = ["--output", "s3://results/same", "--run-name", "it"];
        s3.run_command(&simulator, &arguments).spawn().unwrap()
    });
    let ended = runs.map(|run| Said::from(run.wait_with_output().unwrap()));
    let codes = ended.iter().map(|said| said.code);
    assert_eq!(
        codes.filter(|code| *code == Some(0)).count(),
        1,
        "{ended:?}"
    );
    for said in ended.into_iter().filter(|said| said.code != Some(0)) {
        let said = said.exits(1);
        assert!(
            said.err
                .contains("s3://results/same/it already holds a run"),
            "{said:#?}"
        );
    }

    // Generated names, of one minute or of two, taken at the same time.
    let runs = [0; 3].map(|_| {
        let arguments = ["--output", "s3://results/runs"];
        s3.run_command(&simulator, &arguments).spawn().unwrap()
    });
    for run in runs {
        Said::from(run.wait_with_output().unwrap()).exits(0);
    }
    let (_, names) = s3.objects("runs", None);
    let summaries = names.iter().filter(|name| name.ends_with("summary.json"));
    assert_eq!(summaries.count(), 4, "{names:?}");
}

#[test]
fn large_files_go_in_pieces() {
    let Some(python) = python() else { return };
    let (s3, simulator) = (S3::start(&python), simulator());
    let lines: String = (0..8)
        .map(|number| {
            let content = format!("{number} ").repeat(500_000);
            format!("{{\"messages\": [{{\"role\": \"user\", \"content\": \"{content}\"}}]}}\n")
        })
        .collect();
    fs::write(s3.path().join("large.jsonl"), &lines).unwrap();
    let output = ["--output", "s3://results", "--run-name", "large"];
    let arguments = [&["--payload", "large.jsonl", "--clients", "2"], &output[..]].concat();
    let said = s3.run(&simulator, &arguments).exits(0);
    assert!(!said.out.contains("warning"), "{said:#?}");
    let (folder, names) = s3.objects("large", None);
    assert_eq!(names, FILES.map(str::to_owned).into());
    assert_eq!(
        fs::read_to_string(folder.join("payload.jsonl")).unwrap(),
        lines
    );
    let result = RunResult::load(&folder).unwrap();
    assert_eq!(result.warnings, [""; 0]);
    assert_eq!(result.responses.len(), 16);
    let size = fs::metadata(folder.join("responses.jsonl")).unwrap().len();
    assert!(size > 6 * 1024 * 1024, "{size}");
    let shown = s3.llmeter(["show", "s3://results/large"]).exits(0);
    assert_eq!(shown.out, said.out);
}

#[test]
fn a_killed_run_leaves_its_answers_in_parts() {
    let Some(python) = python() else { return };
    let (s3, simulator) = (S3::start(&python), simulator());
    let arguments = "--clients 4 --duration 10m --run-name killed --output s3://results";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let mut run = s3.run_command(&simulator, &arguments).spawn().unwrap();
    let (_, names) = s3.objects("killed/", Some("killed/responses.jsonl.parts/000002"));
    assert!(names.contains("run_config.json"), "{names:?}");
    assert!(names.contains("payload.jsonl"), "{names:?}");
    assert!(!names.contains("responses.jsonl"), "{names:?}");
    run.kill().unwrap();
    run.wait().unwrap();

    let (folder, names) = s3.objects("killed/", None);
    let parts: Vec<_> = names
        .iter()
        .filter(|name| name.starts_with("responses.jsonl.parts/"))
        .map(|name| fs::read_to_string(folder.join(name)).unwrap())
        .collect();
    assert!(parts.len() >= 2);
    assert!(parts.iter().all(|part| part.ends_with('\n')), "whole lines");
    let uploaded: usize = parts.iter().map(|part| part.lines().count()).sum();
    let shown = s3
        .llmeter(["show", "--json", "s3://results/killed"])
        .exits(0);
    assert!(shown.err.contains("ended before its end"), "{shown:#?}");
    let stats: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(stats["total_requests"], uploaded);
    assert_eq!(stats["output_path"], "s3://results/killed");
    assert!(stats["time_to_first_token-p99"].is_number());

    // The staging folder that the killed process left has everything, and everything is what the
    // cloud has and more.
    let staged = s3.temporary();
    assert_eq!(staged.len(), 1, "{staged:?}");
    let staged = fs::read_to_string(staged[0].join("responses.jsonl")).unwrap();
    assert!(staged.starts_with(&parts.concat()));

    // Its results can be saved as those of a complete run.
    let saved = s3.in_library("save", "s3://results/killed");
    assert_eq!(saved.code, Some(0), "{saved:#?}");
    let (folder, names) = s3.objects("killed/", None);
    assert_eq!(names, FILES.map(str::to_owned).into());
    assert_eq!(RunResult::load(folder).unwrap().responses.len(), uploaded);
}

#[test]
fn locations_read_write_list_and_delete() {
    let Some(python) = python() else { return };
    let s3 = S3::start(&python);
    let said = s3.in_library("walk", "s3://results/a b/ü+%20");
    assert_eq!(said.code, Some(0), "{said:#?}");
    let (folder, names) = s3.objects("a b/ü+%20", None);
    assert_eq!(names, ["kept.txt".to_owned()].into());
    assert_eq!(fs::read(folder.join("kept.txt")).unwrap(), b"blocking");
}

#[test]
fn payloads_come_from_the_cloud() {
    let Some(python) = python() else { return };
    let (s3, simulator) = (S3::start(&python), simulator());
    let written = s3.in_library("payloads", "s3://results/in");
    assert_eq!(written.code, Some(0), "{written:#?}");
    for (payload, requests) in [("s3://results/in", 3), ("s3://results/in/b.jsonl", 2)] {
        let said = s3
            .run(&simulator, &["--payload", payload, "--json"])
            .exits(0);
        let stats: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(stats["total_requests"], requests);
    }
    s3.run(&simulator, &["--payload", "s3://results/none.jsonl"])
        .exits(1)
        .one_error(&["s3://results/none.jsonl", "no such object"]);
    s3.run(&simulator, &["--payload", "s3://results/in/broken.txt"])
        .exits(2)
        .one_error(&["s3://results/in/broken.txt, line 1"]);
}

const WORK: &str = "LLMETER_TEST_LIBRARY_WORK";

impl S3 {
    /// Does something with the library, in a process that has this server's environment.
    fn in_library(&self, work: &str, location: &str) -> Said {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([
                "s3::runs::library_process",
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .env(WORK, format!("{work} {location}"));
        self.settle(&mut command);
        command.output().unwrap().into()
    }
}

#[test]
#[ignore = "the process that tests start with an environment of its own"]
fn library_process() {
    let Ok(work) = std::env::var(WORK) else {
        return;
    };
    let (work, location) = work.split_once(' ').unwrap();
    let location = Location::from(location);
    match work {
        "write" => location.write_blocking("mine").unwrap(),
        "payloads" => {
            let line = "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}\n";
            location.join("a.json").write_blocking(line).unwrap();
            location
                .join("b.jsonl")
                .write_blocking(line.repeat(2))
                .unwrap();
            location.join("broken.txt").write_blocking("{").unwrap();
        }
        "save" => {
            let result = RunResult::load(&location).unwrap();
            assert!(result.interrupted);
            result.save(None).unwrap();
            let again = RunResult::load_without_responses(&location).unwrap();
            assert_eq!(again.stats_map(), result.stats_map());
        }
        "walk" => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            // A runtime without network and timers, as a program of another kind may have.
            runtime.block_on(walk(&location));
        }
        other => panic!("{other}"),
    }
}

async fn walk(folder: &Location) {
    let (kept, gone) = (folder.join("kept.txt"), folder.join("sub").join("gone.txt"));
    assert_eq!(folder.list().await.unwrap(), [""; 0]);
    kept.write("first").await.unwrap();
    gone.write("x").await.unwrap();
    assert_eq!(folder.list().await.unwrap(), ["kept.txt", "sub"]);
    assert_eq!(kept.read().await.unwrap(), b"first");
    gone.delete().await.unwrap();
    gone.delete().await.unwrap();
    let error = gone.read().await.unwrap_err().to_string();
    assert_eq!(error, format!("reading {gone}: there is no such object"));
    let large = vec![b'x'; 12 << 20];
    gone.write(large.clone()).await.unwrap();
    assert!(gone.read().await.unwrap() == large);
    gone.delete().await.unwrap();
    // Blocking, too, must not panic in a runtime.
    kept.write_blocking("blocking").unwrap();
    assert_eq!(kept.read_blocking().unwrap(), b"blocking");
    assert_eq!(folder.list_blocking().unwrap(), ["kept.txt"]);
}
