//! `llmeter show`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Place, quick, said, start};

/// Every folder below `folder` that holds a run.
fn runs(folder: &Path, found: &mut Vec<PathBuf>) {
    let is_run = ["summary.json", "responses.jsonl", "stats.json"]
        .iter()
        .any(|name| folder.join(name).exists());
    if is_run {
        found.push(folder.to_owned());
    }
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            runs(&path, found);
        }
    }
}

#[test]
fn our_folder_shows_what_the_run_showed() {
    let (place, server) = (Place::new(), start(quick()));
    let ran = place
        .run(&server.base_url(), &["--requests", "6", "--clients", "2"])
        .exits(0);
    let shown = place.llmeter(["show", "runs/it"]).exits(0);
    assert_eq!(shown.out, ran.out);
    assert_eq!(shown.err, "");
    let json = place.llmeter(["show", "--json", "runs/it"]).exits(0);
    assert_eq!(json.object(), place.stats());
}

#[test]
fn a_folder_may_be_moved() {
    let (place, server) = (Place::new(), start(quick()));
    place.run(&server.base_url(), &["--requests", "2"]).exits(0);
    fs::rename(place.folder(), place.path().join("elsewhere")).unwrap();
    let shown = place.llmeter(["show", "elsewhere"]).exits(0);
    assert!(shown.out.contains("files: elsewhere"), "{shown:#?}");
}

#[test]
fn folders_of_the_python_system_are_shown() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../llmeter/tests/golden/outputs");
    let mut folders = Vec::new();
    runs(&golden, &mut folders);
    assert!(folders.len() > 20, "{folders:?}");
    let place = Place::new();
    for folder in folders {
        let name = folder.to_str().unwrap();
        let shown = place.llmeter(["show", name]).exits(0);
        assert!(
            shown.out.contains(" requests by ") || shown.out.contains(" request by "),
            "{shown:#?}"
        );
        let json = place.llmeter(["show", "--json", name]).exits(0);
        assert!(
            json.object().contains_key("total_requests"),
            "{name}: {json:#?}"
        );
        assert!(!json.err.contains("error"), "{json:#?}");
    }
}

#[test]
fn what_is_no_run_folder_is_one_clear_line() {
    let place = Place::new();
    place.file("file.txt", "x");
    fs::create_dir(place.path().join("empty")).unwrap();
    for name in ["nowhere", "empty", "file.txt"] {
        place
            .llmeter(["show", name])
            .exits(1)
            .one_error(&[name, "not a run folder"]);
    }
}

#[test]
fn the_folder_of_run_folders_is_told_from_one() {
    let (place, server) = (Place::new(), start(quick()));
    place.run(&server.base_url(), &[]).exits(0);
    place
        .llmeter(["show", "runs"])
        .exits(1)
        .one_error(&["runs is not a run folder", "runs/it"]);
}

#[test]
fn a_damaged_file_is_named() {
    let place = Place::new();
    place.file("run/summary.json", "{");
    let said = place.llmeter(["show", "run"]);
    assert_ne!(said.code, 0, "{said:#?}");
    said.one_error(&["summary.json"]);
}

#[test]
fn a_metric_is_shown_in_detail() {
    let place = Place::new();
    place.made_run("it", 2, 5);
    let shown = place
        .llmeter(["show", "runs/it", "--metric", "ttft"])
        .exits(0);
    let starts = [
        "TTFT (time_to_first_token): ",
        "p50 ",
        "p99 ",
        "highest ",
        "lowest ",
    ];
    for start in starts {
        let mut lines = shown.out.lines();
        assert!(
            lines.any(|line| line.starts_with(start)),
            "{start}: {shown:#?}"
        );
    }
    assert!(
        shown.out.contains('█') && shown.out.contains("left out"),
        "{shown:#?}"
    );
    let ascii = ["show", "runs/it", "--metric", "ttft", "--ascii"];
    let ascii = place.llmeter(ascii).exits(0).out;
    assert!(ascii.is_ascii() && ascii.contains("###"), "{ascii}");
    let unknown = ["show", "runs/it", "--metric", "output_tps"];
    place
        .llmeter(unknown)
        .exits(2)
        .one_error(&["output_tps", " ttlt, ttft, "]);
}

#[test]
fn distributions_are_drawn_as_the_locale_allows() {
    let place = Place::new();
    place.made_run("it", 2, 0);
    let shown = |locale: &str| {
        let mut command = place.command(["show", "runs/it"]);
        command.env("LC_ALL", locale);
        said(command).exits(0).out
    };
    let (drawn, plain) = (shown("C.UTF-8"), shown("C"));
    let line = |text: &str| {
        text.lines()
            .skip_while(|line| *line != "distribution")
            .nth(1)
            .unwrap()
            .to_owned()
    };
    assert!(
        line(&drawn).starts_with("TTFT ") && line(&drawn).contains('█'),
        "{drawn}"
    );
    assert!(
        line(&plain).starts_with("TTFT ") && line(&plain).contains('#'),
        "{plain}"
    );
    assert!(plain.is_ascii(), "{plain}");
}

#[test]
fn what_was_only_read_was_not_saved() {
    let place = Place::new();
    place.made_run("test/00002-clients", 2, 0);
    let shown = place.llmeter(["show", "runs/test"]).exits(0);
    assert!(shown.out.contains("clients"), "{shown:#?}");
    assert!(!shown.out.contains("Saved"), "{shown:#?}");
    let detail = ["show", "runs/test", "--metric", "ttlt"];
    let detail = place.llmeter(detail).exits(0).out;
    assert!(detail.starts_with("2 clients\nTTLT "), "{detail}");
}

#[test]
fn the_data_of_a_run_is_named() {
    let (place, server) = (Place::new(), start(quick()));
    let trace = place.path().join("t.jsonl");
    let row = "{\"timestamp\": 0, \"input_length\": 3, \"output_length\": 2}\n";
    fs::write(&trace, row).unwrap();
    let ran = place.llmeter([
        "run",
        "--base-url",
        &server.base_url(),
        "--model",
        "m",
        "--replay",
        "t.jsonl",
        "--run-name",
        "it",
    ]);
    let shown = place.llmeter(["show", "runs/it"]).exits(0);
    for said in [shown.out, ran.exits(0).out] {
        assert!(said.ends_with("trace: t.jsonl\n"), "{said}");
    }
}
