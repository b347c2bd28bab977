//! What helps in a shell: aliases, completions, manual pages.

use std::process::{Command, Stdio};

use crate::support::{Place, quick, start};

#[test]
fn flags_answer_to_the_names_that_other_tools_use() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url();
    place
        .llmeter([
            "run",
            "--url",
            &url,
            "--model",
            "m",
            "--prompt",
            "Say something.",
            "-n",
            "2",
            "--concurrency",
            "3",
            "-o",
            "here",
            "--run-name",
            "it",
        ])
        .exits(0);
    let config = std::fs::read_to_string(place.path().join("here/it/run_config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(
        (&config["clients"], &config["n_requests"]),
        (&3.into(), &2.into())
    );
    let said = place.run(&url, &["-c", "4", "-n", "1", "--json"]).exits(0);
    assert_eq!(said.object()["total_requests"], 4);
}

#[test]
fn shells_can_read_their_completions() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let said = place.llmeter(["completions", shell]).exits(0);
        assert_eq!(said.err, "");
        assert!(said.out.contains("concurrency"), "{shell}: {}", said.out);
        place.file(shell, &said.out);
        let check = Command::new(shell)
            .args(["-n", shell])
            .current_dir(place.path())
            .stderr(Stdio::piped())
            .output();
        // Of the shells, bash is there wherever the tests run.
        match check {
            Ok(checked) => assert!(checked.status.success(), "{shell}: {checked:?}"),
            Err(reason) => assert_ne!(shell, "bash", "{reason}"),
        }
    }
    place
        .llmeter(["completions", "abacus"])
        .exits(2)
        .one_error(&["abacus", "bash"]);
}

#[test]
fn the_manual_has_a_page_for_llmeter_and_for_each_command() {
    let place = Place::new();
    let page = place.llmeter(["man"]).exits(0).out;
    let help = place.llmeter(["-h"]).exits(0).out;
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands: Vec<_> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        let escaped = command.replace('-', "\\-");
        assert!(page.contains(&format!("llmeter\\-{escaped}(1)")), "{page}");
        let page = place.llmeter(["man", command]).exits(0).out;
        let title = format!("llmeter-{command}");
        assert!(
            page.contains(&title) || page.contains(&title.replace('-', "\\-")),
            "{page}"
        );
    }
    let page = place.llmeter(["man", "run"]).exits(0).out;
    assert!(page.contains("base\\-url"), "{page}");
    place
        .llmeter(["man", "frobnicate"])
        .exits(2)
        .one_error(&["frobnicate"]);
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_error() {
    for command in ["man", "man run", "completions bash"] {
        let line = format!("{{ $LLMETER {command}; echo $? >&2; }} | true");
        // Long texts do not fit into the pipe, so that the write meets its end.
        let said = Place::new().shell(&line);
        assert_eq!(said.err, "0\n", "{command}");
    }
}
