//! What is asked of MLflow before a run, and said after it; a real server is in the tests of Python
//! programs.

use serde_json::json;

use crate::scripted::{Scripted, json as respond};
use crate::support::{Place, Said, quick, start};

/// A server that has the default experiment and takes everything; `missing` is not there.
fn tracking(missing: &'static [&'static str]) -> (Scripted, String) {
    let server = Scripted::start(move |request| {
        let asked = request
            .target
            .strip_prefix("/api/2.0/mlflow/")
            .unwrap_or_default();
        if missing.iter().any(|missing| asked.contains(missing)) {
            let error = json!({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "not there"});
            return respond("404 Not Found", &error.to_string());
        }
        let info = json!({
            "run_id": "r1", "experiment_id": "7", "artifact_uri": "mlflow-artifacts:/7/r1",
        });
        let body = json!({
            "experiment_id": "7",
            "run": {"info": info},
            "experiment": {"experiment_id": "7", "lifecycle_stage": "active"},
        });
        respond("200 OK", &body.to_string())
    });
    let address = server.url.strip_suffix("/v1").unwrap().to_owned();
    (server, address)
}

fn paths(server: &Scripted) -> Vec<String> {
    let path = |request: crate::scripted::Request| {
        let path = request.target.strip_prefix("/api/2.0/mlflow/").unwrap();
        path.split('?').next().unwrap().to_owned()
    };
    server.requests().into_iter().map(path).collect()
}

#[test]
fn a_logged_run_says_where_it_can_be_seen() {
    let (place, simulator) = (Place::new(), start(quick()));
    let (server, address) = tracking(&[]);
    let said = place.run(&simulator.base_url(), &["--mlflow", &address, "--quiet"]);
    let said = said.exits(0);
    let page = format!("{address}/#/experiments/7/runs/r1");
    assert_eq!(said.err, format!("MLflow: {page}\n"));
    assert_eq!(
        paths(&server),
        [
            "experiments/get",
            "runs/create",
            "runs/log-batch",
            "runs/log-batch",
            "runs/log-batch",
            "runs/update"
        ]
    );

    // Once more, later: as the run's own callback says.
    let said = place.llmeter(["mlflow", "runs/it"]).exits(0);
    assert_eq!((said.out, said.err), (format!("{page}\n"), String::new()));
    let requests = server.requests();
    assert_eq!(requests.len(), 6 + 5);
    for (first, again) in [(2, 7), (3, 8), (4, 9)] {
        assert_eq!(requests[first].text(), requests[again].text(), "{first}");
    }
    // Flags win over it.
    let (other, address) = tracking(&["get-by-name"]);
    let flags = ["--mlflow", &address, "--mlflow-experiment", "new"];
    place
        .llmeter(["mlflow", "runs/it"].into_iter().chain(flags))
        .exits(0);
    assert_eq!(
        paths(&other)[..2],
        ["experiments/get-by-name", "experiments/create"]
    );
    assert_eq!(server.requests().len(), 11);
}

#[test]
fn a_run_that_cannot_be_logged_goes_on_with_a_warning_and_can_be_logged_later() {
    let (place, simulator) = (Place::new(), start(quick()));
    let (_server, address) = tracking(&["experiments/get", "runs/create"]);
    let said = place.run(&simulator.base_url(), &["--mlflow", &address, "--quiet"]);
    let said = said.exits(0);
    let lines: Vec<_> = said.err.lines().collect();
    let [warning, hint] = lines[..] else {
        panic!("{said:#?}");
    };
    let start = "warning: the run may not be logged: MLflow: looking up the experiment";
    assert!(
        warning.starts_with(start) && warning.contains("not there"),
        "{warning}"
    );
    assert_eq!(
        hint,
        "hint: log the run later with `llmeter mlflow runs/it`"
    );
    assert!(
        said.out.contains("MlflowCallback failed in after_run"),
        "{said:#?}"
    );
    assert_eq!(simulator.requests_served(), 1);
    let failed = place.llmeter(["mlflow", "runs/it"]).exits(1);
    failed.one_error(&[
        "MLflow: creating the run",
        "404",
        "hint: is it an MLflow server? --mlflow names its address",
    ]);
}

/// Whichever way the callback was given.
#[test]
fn a_run_that_must_be_logged_does_not_start_if_it_cannot_be() {
    let simulator = start(quick());
    let (server, address) = tracking(&["experiments/get", "runs/get"]);
    let place = Place::new();
    let table = |more: &str| {
        format!("[[callbacks]]\ntype = \"MlflowCallback\"\ntracking_uri = \"{address}\"\n{more}")
    };
    place.file("plain.toml", table(""));
    place.file("nested.toml", table("parent_run_id = \"gone\"\n"));
    place.file(
        "required.toml",
        table("run_id = \"gone\"\nrequired = true\n"),
    );
    let required = "--mlflow-required";
    let cases: [(&[&str], &str); 4] = [
        (
            &["--mlflow", &address, required],
            "looking up the experiment",
        ),
        (
            &["--config", "plain.toml", required],
            "looking up the experiment",
        ),
        (
            &["--config", "nested.toml", required],
            "looking up the parent run",
        ),
        (&["--config", "required.toml"], "looking up the run"),
    ];
    for (flags, part) in cases {
        let said = place.run(&simulator.base_url(), flags).exits(1);
        said.one_error(&["MLflow: ", part, "not there"]);
        assert!(!place.path().join("runs").exists());
    }
    assert_eq!(server.requests().len(), 4, "each is asked once");
    assert_eq!(simulator.requests_served(), 0);
    let said = place.run(&simulator.base_url(), &[required]).exits(2);
    said.one_error(&["--mlflow-required requires --mlflow"]);
}

/// A server that is there lets the run start.
#[test]
fn a_run_that_must_be_logged_and_can_be_is() {
    let (place, simulator) = (Place::new(), start(quick()));
    let (server, address) = tracking(&[]);
    let flags = ["--mlflow", &address, "--mlflow-required"];
    place.run(&simulator.base_url(), &flags).exits(0);
    assert_eq!(paths(&server).len(), 6);
    let saved = place.json("run_config.json");
    assert_eq!(saved["callbacks"][0]["__llmeter_state__"]["required"], true);
}

/// A folder that somebody else made may have links to files that are not meant to be uploaded.
#[cfg(unix)]
#[test]
fn a_link_in_a_folder_is_not_uploaded() {
    let (place, simulator) = (Place::new(), start(quick()));
    let (server, address) = tracking(&[]);
    place.run(&simulator.base_url(), &[]).exits(0);
    place.file("secret.json", "hush-hush");
    let payload = place.folder().join("payload.jsonl");
    std::fs::remove_file(&payload).unwrap();
    std::os::unix::fs::symlink("../../secret.json", &payload).unwrap();
    let log = [
        "mlflow",
        "runs/it",
        "--mlflow",
        &address,
        "--mlflow-artifacts",
    ];
    let said = place.llmeter(log).exits(1);
    assert!(said.err.contains("it is a symbolic link"), "{said:#?}");
    let mut requests = server.requests().into_iter();
    assert!(requests.all(|request| !request.text().contains("hush-hush")));
}

#[cfg(target_os = "linux")]
#[test]
fn somebody_at_a_terminal_is_asked() {
    for (reply, code) in [("n", 1), ("", 1), ("y", 0)] {
        let (place, simulator) = (Place::new(), start(quick()));
        let (_server, address) = tracking(&["experiments/get"]);
        let Said { code: ended, .. } = place.shell(&format!(
            "command -v script >/dev/null || exit 99; \
             echo '{reply}' | TERM=xterm script -qec \"'$LLMETER' run --base-url {} --model m \
             --prompt hi --run-name it --mlflow {address}\" typescript",
            simulator.base_url()
        ));
        if ended == 99 {
            return;
        }
        assert_eq!(ended, code, "{reply:?}");
        let shown = std::fs::read_to_string(place.path().join("typescript")).unwrap();
        assert!(shown.contains("Run all the same?"), "{shown}");
        let is_sent = reply == "y";
        assert_eq!(shown.contains("nothing was sent"), !is_sent, "{shown}");
        assert_eq!(place.folder().exists(), is_sent);
        assert_eq!(simulator.requests_served(), u64::from(is_sent));
    }
}
