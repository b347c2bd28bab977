//! Callbacks on the command line, and runs that are repeated.

use std::collections::HashSet;
use std::fs;

use serde_json::{Value, json};

use crate::scripted::{self, Scripted, answer};
use crate::support::{Place, quick, start};

const BUSTER: &str = "llmeter.callbacks.cache_buster.CacheBuster";

#[test]
fn the_types_are_listed_and_their_templates_load() {
    let place = Place::new();
    let list = place.llmeter(["callbacks"]).exits(0).out;
    for part in ["CacheBuster\n", "    seed  ", "llmeter callbacks new NAME"] {
        assert!(list.contains(part), "{part:?} is missing: {list}");
    }
    let server = start(quick());
    let names = list
        .lines()
        .filter(|line| line.starts_with(char::is_uppercase));
    let mut count = 0;
    for name in names {
        let template = place.llmeter(["callbacks", "new", name]).exits(0);
        assert!(
            template.object()["__llmeter_class__"]
                .as_str()
                .unwrap()
                .ends_with(name)
        );
        let file = place.file("template.json", &template.out);
        // A template that needs a server or prices still loads.
        let said = place.run(
            &server.base_url(),
            &["--callback", &file, "--overwrite", "--duration", "0s"],
        );
        said.exits(2).one_error(&["--duration"]);
        count += 1;
    }
    assert!(count >= 1);
    let said = place.llmeter(["callbacks", "new", "cachebuster"]).exits(0);
    assert_eq!(said.object()["__llmeter_class__"], BUSTER);
    place
        .llmeter(["callbacks", "new", "Nothing"])
        .exits(2)
        .one_error(&["Nothing: no such callback", "CacheBuster"]);
}

fn prompts(place: &Place) -> Vec<String> {
    let responses = place.responses();
    let prompt = |response: &Value| response["input_prompt"].as_str().unwrap().to_owned();
    responses.iter().map(prompt).collect()
}

#[test]
fn a_file_of_a_callback_is_hooked_in_and_a_saved_run_is_repeated_with_it() {
    let (place, server) = (Place::new(), start(quick()));
    let file = place.file(
        "buster.json",
        json!({"__llmeter_class__": BUSTER, "__llmeter_state__": {"seed": 5}}).to_string(),
    );
    place
        .run(
            &server.base_url(),
            &[
                "--callback",
                &file,
                "--clients",
                "2",
                "--requests",
                "3",
                "--warmup",
                "1",
            ],
        )
        .exits(0);
    let sent: HashSet<_> = prompts(&place).into_iter().collect();
    assert_eq!(sent.len(), 6, "all are different");
    assert!(
        sent.iter()
            .all(|prompt| prompt.ends_with("] Say something."))
    );
    let saved = place.json("run_config.json");
    let expected = json!([{"__llmeter_class__": BUSTER, "__llmeter_state__": {"seed": 5}}]);
    assert_eq!(saved["callbacks"], expected);

    // Moved elsewhere, the folder is all that is needed.
    fs::create_dir(place.path().join("moved")).unwrap();
    fs::rename(place.folder(), place.path().join("moved/first")).unwrap();
    let again = [
        "run",
        "--from",
        "moved/first",
        "--run-name",
        "it",
        "--output",
        "runs",
    ];
    place.llmeter(again).exits(0);
    let repeated: HashSet<_> = prompts(&place).into_iter().collect();
    assert_eq!(repeated.len(), 6);
    let mut config = place.json("run_config.json");
    for key in [
        "endpoint",
        "clients",
        "n_requests",
        "timeout",
        "callbacks",
        "tokenizer",
    ] {
        assert_eq!(config[key].take(), saved[key], "{key}");
    }
    assert_eq!(place.json("llmeter.json")["warmup"], 1);
    // Which of the seven requests was the warm-up's is up to the clients.
    assert!(sent.intersection(&repeated).count() >= 5);

    // Without a name and a folder it goes beside the first; flags win.
    let said = place
        .llmeter([
            "run",
            "--from",
            "moved/first",
            "--no-callbacks",
            "--clients",
            "1",
            "--model",
            "m2",
        ])
        .exits(0);
    assert!(said.out.contains("m2 at "), "{said:#?}");
    assert_eq!(fs::read_dir(place.path().join("moved")).unwrap().count(), 2);
    let mut folders = fs::read_dir(place.path().join("moved")).unwrap();
    let folder = folders.find_map(|folder| {
        let path = folder.unwrap().path();
        (!path.ends_with("first")).then_some(path)
    });
    let config = fs::read_to_string(folder.unwrap().join("run_config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["callbacks"], Value::Null);
    assert_eq!(config["clients"], 1);
    assert_eq!(config["endpoint"]["__llmeter_state__"]["model_id"], "m2");
}

#[test]
fn headers_and_payloads_of_a_repeated_run_can_be_given_again() {
    let server = Scripted::start(|request| match request.text().contains("\"stream\":true") {
        true => answer(),
        false => scripted::json(
            "200 OK",
            r#"{"choices": [{"message": {"content": "Hi."}}]}"#,
        ),
    });
    let place = Place::new();
    let secret = "X-Secret: hush-hush";
    place.run(&server.url, &["--header", secret]).exits(0);
    assert!(!place.json("run_config.json").to_string().contains("hush"));
    let again = [
        "run",
        "--from",
        "runs/it",
        "--run-name",
        "it",
        "--overwrite",
    ];
    place
        .llmeter(again)
        .exits(2)
        .one_error(&["X-Secret was sent in the saved run"]);
    let with = [
        &again[..],
        &[
            "--header",
            secret,
            "--trust-folder",
            "--prompt",
            "Other.",
            "--endpoint",
            "openai-chat",
        ],
    ];
    place.llmeter(with.concat()).exits(0);
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    let secrets = requests.iter().map(|request| request.header("x-secret"));
    assert!(secrets.eq([Some("hush-hush"), Some("hush-hush")]));
    let last = requests[1].text();
    assert!(
        last.contains("Other.") && !last.contains("\"stream\":true"),
        "{last}"
    );
}

#[test]
fn a_configuration_file_lists_callbacks() {
    let (place, server) = (Place::new(), start(quick()));
    place.file(
        "buster.json",
        json!({"__llmeter_class__": BUSTER, "__llmeter_state__": {"seed": 1}}).to_string(),
    );
    place.file(
        "run.toml",
        "[[callbacks]]\ntype = \"CacheBuster\"\nseed = 7\n\n\
         [[callbacks]]\nfile = \"buster.json\"\n",
    );
    let arguments = [
        "--config",
        "run.toml",
        "--callback",
        "buster.json",
        "--cache-buster",
    ];
    place.run(&server.base_url(), &arguments).exits(0);
    let saved = place.json("run_config.json");
    let seeds: Vec<_> = saved["callbacks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|callback| callback["__llmeter_state__"]["seed"].as_u64().unwrap())
        .collect();
    assert_eq!(
        seeds[1..],
        [7, 1, 1],
        "the flag's own comes first, with a seed that was drawn"
    );
    let prompt = &prompts(&place)[0];
    assert_eq!(prompt.matches("] ").count(), 4, "{prompt}");
}

/// `type` names the type of a table and of the objects in it, and is the user's own elsewhere.
#[test]
fn a_type_among_tags_is_a_tag() {
    let (place, server) = (Place::new(), start(quick()));
    let mlflow = Scripted::start(|_| scripted::json("404 Not Found", "{}"));
    let address = mlflow.url.strip_suffix("/v1").unwrap();
    place.file(
        "run.toml",
        format!(
            "[[callbacks]]\ntype = \"MlflowCallback\"\ntracking_uri = \"{address}\"\n\
             tags = {{ type = \"nightly\", file = \"a\", day = 2026-11-27 }}\n\n\
             [[callbacks]]\ntype = \"CostModel\"\n\
             request_dims = {{ type = {{ type = \"InputTokens\", price_per_million = 3 }} }}\n\
             run_dims = [{{ type = \"EndpointTime\", price_per_hour = 3.6 }}]\n"
        ),
    );
    place
        .run(&server.base_url(), &["--config", "run.toml"])
        .exits(0);
    let saved = place.json("run_config.json");
    let state = |index: usize| saved["callbacks"][index]["__llmeter_state__"].clone();
    let tags = json!({"type": "nightly", "file": "a", "day": "2026-11-27"});
    assert_eq!(state(0)["tags"], tags);
    let price = &state(1)["request_dims"]["type"];
    let class = price["__llmeter_class__"].as_str().unwrap();
    assert!(class.ends_with(".InputTokens"), "{price}");
    assert!(place.stats()["cost_total"].as_f64().unwrap() > 0.0);
    // And so it stays in a run that is repeated.
    let again = [
        "run",
        "--from",
        "runs/it",
        "--run-name",
        "it",
        "--overwrite",
    ];
    place.llmeter(again).exits(0);
    assert_eq!(
        place.json("run_config.json")["callbacks"],
        saved["callbacks"]
    );
}

#[test]
fn what_cannot_be_a_callback_is_refused_in_one_line() {
    let (place, server) = (Place::new(), start(quick()));
    let with = |name: &str, content: &str, parts: &[&str]| {
        let file = place.file(name, content);
        let said = place.run(&server.base_url(), &["--callback", &file]);
        assert_ne!(said.code, 0);
        said.one_error(parts);
        assert!(!place.path().join("runs").exists());
    };
    let envelope = |class: &str, state: Value| {
        json!({"__llmeter_class__": class, "__llmeter_state__": state}).to_string()
    };
    with(
        "unknown.json",
        &envelope("golden_callbacks.Tagger", json!({})),
        &[
            "unknown.json",
            "golden_callbacks.Tagger",
            "no such type",
            "known types: ",
            "CacheBuster",
        ],
    );
    with(
        "fields.json",
        &envelope(BUSTER, json!({"sead": 1})),
        &["fields.json", "unknown field `sead`", "takes seed"],
    );
    with(
        "broken.json",
        "{",
        &["broken.json", "line 1", "known types: "],
    );
    with("list.json", "[]", &["list.json", "known types: "]);
    with(
        "newer.json",
        &json!({"__llmeter_class__": BUSTER, "__llmeter_format__": 2}).to_string(),
        &["newer.json", "format 2", "newer llmeter", "known types: "],
    );
    place
        .run(&server.base_url(), &["--callback", "missing.json"])
        .exits(2)
        .one_error(&["missing.json", "No such file", "known types: "]);
    for (table, part) in [
        ("seed = 7", "type = \"NAME\""),
        ("type = \"CacheBuster\"\nsead = 7", "unknown field `sead`"),
        ("type = \"Buster\"", "known types"),
        ("file = \"buster.json\"\nseed = 1", "type = \"NAME\""),
    ] {
        place.file("run.toml", format!("[[callbacks]]\n{table}\n"));
        place
            .run(&server.base_url(), &["--config", "run.toml"])
            .exits(2)
            .one_error(&["callbacks, table 1", part]);
    }
    place
        .run(&server.base_url(), &["--no-callbacks"])
        .exits(2)
        .one_error(&["--from"]);
    place
        .llmeter(["run", "--from", "nowhere"])
        .exits(1)
        .one_error(&["nowhere", "run_config.json"]);
}
