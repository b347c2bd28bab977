//! `--help` and `--version`.

use crate::support::Place;

#[test]
fn the_help_of_every_command_has_examples() {
    let place = Place::new();
    for command in [
        &[][..],
        &["demo"],
        &["run"],
        &["load-test"],
        &["heatmap"],
        &["ab"],
        &["export"],
        &["probe"],
        &["payload"],
        &["list"],
        &["show"],
        &["view"],
        &["cost"],
        &["calibrate"],
        &["simulate"],
        &["completions"],
        &["man"],
    ] {
        let arguments = command.iter().copied().chain(["--help"]);
        let said = place.llmeter(arguments).exits(0);
        assert_eq!(said.err, "");
        let (_, examples) = said.out.split_once("Examples:\n").unwrap();
        let name = command.first().unwrap_or(&"demo");
        assert!(examples.contains(&format!("llmeter {name}")), "{examples}");
    }
}

#[test]
fn the_help_names_exit_codes_and_every_flag() {
    let place = Place::new();
    let help = place.llmeter(["--help"]).exits(0).out;
    for code in [
        "0 success",
        "1 could",
        "2 bad",
        "3 every",
        "4 --strict",
        "130 interrupted",
    ] {
        assert!(help.contains(code), "{code}");
    }
    let help = place.llmeter(["run", "--help"]).exits(0).out;
    for flag in [
        "endpoint",
        "base-url",
        "model",
        "api-key-env",
        "header",
        "prompt",
        "system",
        "image",
        "document",
        "audio",
        "video",
        "payload",
        "max-tokens",
        "clients",
        "requests",
        "duration",
        "timeout",
        "tokenizer",
        "output",
        "run-name",
        "description",
        "low-memory",
        "seed",
        "warmup",
        "stamps",
        "cost-input",
        "cost-output",
        "cost-cached-input",
        "cost-hour",
        "max-cost",
        "quiet",
        "json",
        "strict",
        "config",
        "calibrate",
        "overwrite",
        "ca-file",
    ] {
        assert!(help.contains(&format!("--{flag}")), "{flag}");
    }
}

#[test]
fn the_version_is_told() {
    let said = Place::new().llmeter(["--version"]).exits(0);
    assert_eq!(said.out, format!("llmeter {}\n", env!("CARGO_PKG_VERSION")));
}
