//! Settings from a TOML file.

use serde_json::Value;

use crate::scripted::{Scripted, answer};
use crate::support::{Place, quick, start};

#[test]
fn a_file_sets_what_flags_leave_open_and_flags_win() {
    let (place, server) = (Place::new(), start(quick()));
    place.file(
        "run.toml",
        format!(
            r#"
            base-url = "{}"
            model = "from-the-file"
            prompt = "From the file."
            max-tokens = 3
            clients = 2
            requests = 2
            timeout = "20s"
            warmup = 1
            seed = 5
            stamps = "user"
            run-name = "from-the-file"
            description = "All of it"
            low-memory = true
            json = true
            "#,
            server.base_url()
        ),
    );
    let said = place
        .llmeter([
            "run",
            "--config",
            "run.toml",
            "--clients",
            "3",
            "--run-name",
            "it",
            "--prompt",
            "From a flag.",
        ])
        .exits(0);
    assert_eq!(said.object()["total_requests"], 6);
    let config = place.json("run_config.json");
    assert_eq!(config["clients"], 3);
    assert_eq!(config["n_requests"], 2);
    assert_eq!(config["timeout"], 20);
    assert_eq!(config["low_memory"], true);
    assert_eq!(config["run_description"], "All of it");
    let own = place.json("llmeter.json");
    assert_eq!((&own["seed"], &own["warmup"]), (&5.into(), &1.into()));
    assert_eq!(own["stamps"], "user");
    let response = &place.responses()[0];
    assert_eq!(response["input_prompt"], "From a flag.");
    assert_eq!(response["input_payload"]["model"], "from-the-file");
    assert_eq!(response["input_payload"]["max_tokens"], 3);
}

#[test]
fn a_flag_drops_the_files_setting_that_it_excludes() {
    let (place, server) = (Place::new(), start(quick()));
    place.file(
        "run.toml",
        "duration = \"10m\"\npayload = \"nothing.jsonl\"\n",
    );
    place
        .run(
            &server.base_url(),
            &["--config", "run.toml", "--requests", "2"],
        )
        .exits(0);
    assert_eq!(place.stats()["total_requests"], 2);
}

#[test]
fn headers_are_one_text_or_a_list() {
    for (setting, names) in [
        ("header = \"X-One: 1\"", vec!["x-one"]),
        (
            "header = [\"X-One: 1\", \"X-Two: 2\"]",
            vec!["x-one", "x-two"],
        ),
    ] {
        let place = Place::new();
        let server = Scripted::start(|_| answer());
        place.file("run.toml", setting);
        place.run(&server.url, &["--config", "run.toml"]).exits(0);
        for name in names {
            assert!(server.requests()[0].header(name).is_some(), "{name}");
        }
    }
}

#[test]
fn times_are_texts_or_seconds() {
    let (place, server) = (Place::new(), start(quick()));
    place.file("run.toml", "duration = 0.5\ntimeout = 7\n");
    place
        .run(&server.base_url(), &["--config", "run.toml"])
        .exits(0);
    let config = place.json("run_config.json");
    assert_eq!(config["run_duration"], 0.5);
    assert_eq!(config["timeout"], 7);
}

#[test]
fn mistakes_are_named_with_their_place() {
    let place = Place::new();
    for (text, parts) in [
        (
            "model = \"m\"\nclient = 3\n",
            &["run.toml, line 2, column 1", "`client`", "`clients`"][..],
        ),
        (
            "# é\nbase_ur = \"http://x/v1\"\n",
            &["line 2", "`base_ur`", "`base-url`"],
        ),
        (
            "clients = \"many\"\n",
            &["line 1, column 11", "a whole number"],
        ),
        ("clients = -1\n", &["line 1", "-1", "a whole number"]),
        ("duration = \"soon\"\n", &["line 1", "soon", "30s"]),
        (
            "endpoint = \"other\"\n",
            &["line 1", "other", "openai-chat-stream"],
        ),
        ("header = 3\n", &["line 1", "Name: value"]),
        ("clients = \n", &["line 1"]),
        (
            "requests = 3\nduration = \"3s\"\n",
            &["run.toml", "requests", "duration", "not both"],
        ),
        (
            "prompt = \"a\"\npayload = \"b\"\n",
            &["run.toml", "prompt", "payload", "not both"],
        ),
        (
            "max-tokens = 3\npayload = \"b\"\n",
            &["run.toml", "payload", "max-tokens", "not both"],
        ),
    ] {
        place.file("run.toml", text);
        let said = place
            .run("http://127.0.0.1:9/v1", &["--config", "run.toml"])
            .exits(2);
        said.one_error(parts);
    }
}

#[test]
fn a_missing_file_is_one_clear_line() {
    Place::new()
        .llmeter(["run", "--config", "nowhere.toml"])
        .exits(1)
        .one_error(&["nowhere.toml", "No such file"]);
}

#[test]
fn max_tokens_does_not_silently_do_nothing() {
    let place = Place::new();
    place.file("run.toml", "payload = \"prompts.jsonl\"\n");
    place
        .llmeter([
            "run",
            "--config",
            "run.toml",
            "--max-tokens",
            "3",
            "--model",
            "m",
            "--base-url",
            "http://127.0.0.1:9/v1",
        ])
        .exits(2)
        .one_error(&["--max-tokens", "--prompt"]);
}

#[test]
fn a_repeated_run_has_the_settings_of_the_first() {
    let (place, server) = (Place::new(), start(quick()));
    let settings = "--clients 2 --requests 3 --timeout 9s --max-retries 1 --connections new \
                    --warmup 1 --seed 7 --workers 1 --stamps user --low-memory --no-proxy \
                    --description all --cache-buster --cost-input 1 --max-cost 100 \
                    --tokenizer tiktoken:o200k_base --max-tokens 5 --provider somebody";
    let settings: Vec<_> = settings.split_whitespace().collect();
    place.run(&server.base_url(), &settings).exits(0);
    place
        .llmeter(["run", "--from", "runs/it", "--run-name", "again"])
        .exits(0);
    let read = |run: &str, file: &str| -> Value {
        let path = place.path().join("runs").join(run).join(file);
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let own = |run: &str| {
        let mut own = read(run, "llmeter.json");
        // Each run has an id of its own.
        let id = own.as_object_mut().unwrap().remove("run_id").unwrap();
        (own, id)
    };
    let ((first, id), (second, other)) = (own("it"), own("again"));
    assert_eq!(first, second);
    assert_ne!(id, other);
    let mut again = read("again", "run_config.json");
    let first = read("it", "run_config.json");
    for about_the_run in ["run_name", "output_path", "payload"] {
        again[about_the_run] = first[about_the_run].clone();
    }
    assert_eq!(again, first);
}

#[test]
fn an_error_names_the_file_and_the_key_that_give_the_value() {
    let place = Place::new();
    let file = "base-url = \"http://127.0.0.1:9/v1\"\nmodel = \"m\"\nprompt = \"x\"\nclients = 0\n";
    place.file("zero.toml", file);
    let said = place.llmeter(["run", "--config", "zero.toml"]).exits(2);
    said.one_error(&["zero.toml: clients 0: expected 1 or more"]);
    // The flag takes its place.
    let flags = ["run", "--config", "zero.toml", "--clients", "0"];
    place.llmeter(flags).exits(2).one_error(&["--clients 0"]);
    // A share may be a percentage.
    let flags = [
        "run",
        "--config",
        "zero.toml",
        "--stop-on-error-rate",
        "130%",
    ];
    let said = place
        .llmeter(flags.into_iter().chain(["--clients", "1"]))
        .exits(2);
    said.one_error(&["--stop-on-error-rate 1.3"]);
}
