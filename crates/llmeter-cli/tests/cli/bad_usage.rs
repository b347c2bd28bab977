//! Mistakes on the command line: one line that names the flag, and exit code 2.

use crate::support::Place;

const NOBODY: &str = "http://127.0.0.1:9/v1";

#[test]
fn values_that_cannot_be_used_are_named_with_their_flag() {
    let place = Place::new();
    for (arguments, parts) in [
        (&["--clients", "0"][..], &["--clients", "0"][..]),
        (
            &["--clients", "many"],
            &["--clients", "many", "a whole number"],
        ),
        (&["--clients", "99999999999"], &["--clients", "99999999999"]),
        (&["--clients=-1"], &["--clients", "-1"]),
        (&["--requests", "0"], &["--requests", "0"]),
        (
            &["--requests", "1", "--duration", "3s"],
            &["--requests", "--duration"],
        ),
        (&["--duration", "soon"], &["--duration", "soon", "30s"]),
        (&["--duration", "0"], &["--duration", "0s"]),
        (&["--timeout", "0s"], &["--timeout", "0s"]),
        (&["--timeout=-3"], &["--timeout", "-3"]),
        (&["--max-tokens", "0"], &["--max-tokens", "0"]),
        (
            &["--endpoint", "carrier-pigeon"],
            &["--endpoint", "carrier-pigeon", "openai-chat"],
        ),
        (
            &["--stamps", "rubber"],
            &["--stamps", "rubber", "kernel", "user"],
        ),
        (
            &["--tokenizer", "scissors"],
            &["--tokenizer", "scissors", "whitespace"],
        ),
        (
            &["--tokenizer", "tiktoken:nothing"],
            &["--tokenizer", "nothing"],
        ),
        (&["--workers", "0"], &["--workers", "0"]),
        (&["--warmup", "x"], &["--warmup", "x"]),
        (&["--seed", "x"], &["--seed", "x"]),
        (&["--run-name", "a/b"], &["--run-name", "a/b"]),
        (&["--run-name", ""], &["--run-name"]),
        (&["--run-name", ".."], &["--run-name", ".."]),
        (&["--header", "no colon here"], &["--header", "Name: value"]),
        (&["--header", "two words: x"], &["--header", "two words"]),
        (
            &["--header", "Content-Length: 3"],
            &["--header", "Content-Length"],
        ),
        (
            &["--payload", "x.json", "--max-tokens", "3"],
            &["--payload", "--max-tokens"],
        ),
        (
            &["--payload", "x.json", "--prompt", "x"],
            &["--payload", "--prompt"],
        ),
        (
            &["--max-in-flight", "3"],
            &["--max-in-flight", "--rate, --stages or --replay"],
        ),
        (
            &["--stages", "2 clients for 1s", "--max-in-flight", "3"],
            &["--max-in-flight", "stages of clients"],
        ),
        (&["--force-output-length", "vllm"], &["--data or --replay"]),
        (&["--line", "3"], &["--line"]),
        (&["--client", "3"], &["--client", "--clients"]),
    ] {
        let said = place.run(NOBODY, arguments).exits(2);
        said.one_error(parts);
        assert!(!place.folder().exists(), "{arguments:?} left a folder");
    }
}

#[test]
fn what_is_missing_is_asked_for() {
    let place = Place::new();
    for (arguments, part) in [
        (&["run"][..], "--base-url"),
        (&["run", "--base-url", NOBODY], "--model"),
        (&["run", "--base-url", NOBODY, "--model", "m"], "--prompt"),
        (&["show"], "DIR"),
        (&["frobnicate"], "frobnicate"),
    ] {
        place
            .llmeter(arguments.iter().copied())
            .exits(2)
            .one_error(&[part]);
    }
    let said = place.llmeter([]).exits(2);
    assert!(said.err.contains("Commands:"), "{said:#?}");
}

#[test]
fn base_urls_that_cannot_be_used_are_refused() {
    for url in [
        "somewhere",
        "ftp://host/v1",
        "http://",
        "http://host/v1?key=x",
        "",
    ] {
        Place::new()
            .run(url, &[])
            .exits(2)
            .one_error(&["--base-url"]);
    }
    let said = Place::new()
        .run("http://me:geheim@host/v1?x=y", &[])
        .exits(2);
    assert!(!said.err.contains("geheim"), "{said:#?}");
}

#[test]
fn settings_of_the_simulator_are_named_with_their_flag() {
    let place = Place::new();
    for (arguments, parts) in [
        (&["--jitter", "3"][..], &["--jitter", "3"][..]),
        (
            &["--error-rate", "0.6", "--cut-rate", "0.6"],
            &["--error-rate + "],
        ),
        (&["--output-tokens", "0"], &["--output-tokens", "0"]),
        (&["--max-concurrency", "0"], &["--max-concurrency", "0"]),
        (&["--cache-block", "8"], &["--prefix-cache"]),
        (&["--ttft", "soon"], &["--ttft", "soon"]),
        (&["--port", "99999"], &["--port", "99999"]),
        (
            &["--api-key-env", "NOT_SET_ANYWHERE"],
            &["--api-key-env", "NOT_SET_ANYWHERE"],
        ),
    ] {
        place
            .llmeter(["simulate"].into_iter().chain(arguments.iter().copied()))
            .exits(2)
            .one_error(parts);
    }
    for arguments in [
        ["--clients", "0"],
        ["--output-tokens", "0"],
        ["--duration", "0"],
    ] {
        place
            .llmeter(["calibrate"].into_iter().chain(arguments))
            .exits(2)
            .one_error(&arguments[..1]);
    }
}
