//! What servers say reaches no terminal as it is: it is escaped, on one line, and short.

use serde_json::json;

use crate::scripted::{Scripted, refusal};
use crate::support::Place;

/// Clears a screen, moves back, sets a title, and changes the direction of writing.
const HOSTILE: &str = "\u{1b}[2J\u{1b}[1A\u{9b}31m\u{1b}]0;title\u{7}\u{202e}evil\r\u{8}";

fn traceback() -> String {
    let lines = "  File \"server.py\", line 7, in answer\n    raise\n".repeat(30);
    format!("Traceback (most recent call last):\n{lines}ValueError: {HOSTILE} out of memory")
}

#[track_caller]
fn assert_harmless(text: &str) {
    let active = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert_eq!(text.find(active), None, "{text:?}");
}

#[test]
fn the_error_of_a_server_is_one_short_line_everywhere() {
    let server = Scripted::start(|_| refusal("500 Internal Server Error", &traceback()));
    let place = Place::new();
    let run = place.run(&server.url, &["--requests", "3"]).exits(3);
    let show = place.llmeter(["show", "runs/it"]).exits(0);
    let probe = place
        .llmeter(["probe", "--base-url", &server.url, "--model", "m"])
        .exits(3);
    for said in [&run, &show, &probe] {
        assert_harmless(&said.out);
        assert_harmless(&said.err);
        assert!(said.out.contains("\\x1b"), "{}", said.out);
        let words: Vec<_> = said.out.split_whitespace().collect();
        assert!(words.join(" ").contains("out of memory"), "{}", said.out);
    }
    for said in [&run, &show] {
        let lines: Vec<_> = said
            .out
            .lines()
            .filter(|line| line.contains("Traceback"))
            .collect();
        assert!(
            lines.len() == 1 && lines[0].chars().count() < 300,
            "{lines:?}"
        );
        assert!(said.out.lines().count() < 15, "{}", said.out);
    }
    let errors: Vec<_> = run
        .err
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert!(
        errors.len() == 1 && errors[0].chars().count() < 500,
        "{errors:?}"
    );
    // The whole of it is in the files.
    let kept = place.responses()[0]["error"].as_str().unwrap().to_owned();
    assert!(
        kept.contains(HOSTILE) && kept.lines().count() > 30,
        "{kept}"
    );
}

#[test]
fn names_that_files_have_are_escaped_and_json_stays_json() {
    let server = Scripted::start(|_| refusal("500 Internal Server Error", "no"));
    let place = Place::new();
    place
        .run(&server.url, &["--description", "harmless"])
        .exits(3);
    for file in ["summary.json", "stats.json"] {
        let path = place.folder().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let hostile = json!(HOSTILE).to_string();
        let text = text
            .replace("\"some-model\"", &hostile)
            .replace("\"harmless\"", &hostile);
        std::fs::write(path, text).unwrap();
    }
    let shown = place.llmeter(["show", "runs/it"]).exits(0);
    assert_harmless(&shown.out);
    assert!(shown.out.contains("\\x1b[2J"), "{}", shown.out);
    let shown = place.llmeter(["show", "runs/it", "--json"]).exits(0);
    assert_harmless(&shown.out);
    assert_eq!(shown.object()["model_id"], HOSTILE);
}

#[test]
fn a_log_in_a_pipe_has_lines_without_colours() {
    let server = Scripted::start(|_| refusal("500 Internal Server Error", "no"));
    let place = Place::new();
    place.run(&server.url, &[]).exits(3);
    std::fs::write(place.folder().join("stats.json"), "{").unwrap();
    let folder = format!("runs/{HOSTILE}");
    std::fs::rename(place.folder(), place.path().join(&folder)).unwrap();
    let mut command = place.command(["show", &folder]);
    command.env("LLMETER_LOG", "warn");
    let said = crate::support::said(command).exits(0);
    assert_harmless(&said.err);
    let warnings: Vec<_> = said
        .err
        .lines()
        .filter(|line| line.contains(" WARN "))
        .collect();
    assert!(
        warnings.len() == 1 && warnings[0].contains("\\x1b[2J"),
        "{}",
        said.err
    );
}
