//! Every sentence that users read: help, errors, summaries. A changed one fails here until its
//! snapshot is renewed, and is then seen in the change:
//! `INSTA_UPDATE=always cargo nextest run -p llmeter-cli snapshots`

use std::path::Path;

use crate::scripted::{Scripted, refusal};
use crate::support::{Place, Said};

/// Compares a text with the one that is kept under `snapshots/`.
#[track_caller]
fn keep(name: &str, text: &str) {
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn snapshots_of_help() {
    let place = Place::new();
    let help = place.llmeter(["--help"]).exits(0).out;
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    for command in commands.map(|line| line.split_whitespace().next().unwrap()) {
        if command != "help" {
            let help = place.llmeter([command, "--help"]).exits(0).out;
            keep(&format!("help-{command}"), &help);
        }
    }
    let help_of_new = place.llmeter(["callbacks", "new", "--help"]).exits(0).out;
    keep("help-callbacks-new", &help_of_new);
    let help_of_save = place.llmeter(["baseline", "save", "--help"]).exits(0).out;
    keep("help-baseline-save", &help_of_save);
    for part in ["describe", "make"] {
        let help_of_part = place.llmeter(["data", part, "--help"]).exits(0).out;
        keep(&format!("help-data-{part}"), &help_of_part);
    }
    keep("help", &help);
}

#[test]
fn snapshots_of_bad_usage() {
    let place = Place::new();
    place.file("bad.toml", "client = 3\n");
    place.file("empty.jsonl", "");
    place.file("lines.json", "{}\n{}\n");
    let url = ["run", "--base-url", "http://localhost:8000/v1"];
    let full = [&url[..], &["--model", "m", "--prompt", "x"]].concat();
    let cases: &[(&[&str], &[&str])] = &[
        (&[], &["frobnicate"]),
        (&[], &["run"]),
        (&url, &[]),
        (&url, &["--model", "m"]),
        (&full, &["--client", "3"]),
        (&full, &["--clients", "many"]),
        (&full, &["--clients", "0"]),
        (&full, &["--duration", "soon"]),
        (&full, &["--duration", "3s", "--requests", "1"]),
        (&full, &["--rate", "fast"]),
        (&full, &["--rate", "20/s", "--clients", "4"]),
        (&full, &["--arrivals", "burst:2"]),
        (&full, &["--stages", "10/s for 1m, 20 for 1m"]),
        (&full, &["--timeout", "0"]),
        (&full, &["--endpoint", "carrier-pigeon"]),
        (&full, &["--body", "{}"]),
        (&full, &["--framing", "sse"]),
        (&full, &["--tokenizer", "scissors"]),
        (&full, &["--header", "no colon"]),
        (&full, &["--run-name", "a/b"]),
        (&full, &["--max-cost", "1"]),
        (&full, &["--callback", "missing.json"]),
        (&full, &["--config", "bad.toml"]),
        (&full, &["--proxy", "ftp://proxy"]),
        (&full, &["--image", "missing.png"]),
        (&url, &["--model", "m", "--payload", "missing.jsonl"]),
        (&url, &["--model", "m", "--payload", "empty.jsonl"]),
        (
            &["run", "--base-url", "somewhere"],
            &["--model", "m", "--prompt", "x"],
        ),
        (&["run", "--from", "missing"], &[]),
        (&full, &["--extra", "temperature"]),
        (&full, &["--extra", "a=1", "--extra", "a.b=2"]),
        (&full, &["--extra", "stream=false"]),
        (&full, &["--extra", "model=other"]),
        (&full, &["--extra", "messages=[]"]),
        (&full, &["--extra", "stop=[1,"]),
        (&full, &["--cost-input", "-1"]),
        (&full, &["--warmup", "-1"]),
        (&full, &["--mlflow", "nowhere"]),
        (&full, &["--slo", "ttf-p99 < 500ms"]),
        (&full, &["--slo", "ttft < 5 hours"]),
        (&full, &["--slo", "ttft-p50 > +5%"]),
        (&full, &["--fail-if", "ttft > 500ms"]),
        (&["compare", "runs/a", "--fail-if", "ttft-p42 > +1%"], &[]),
        (&["compare", "runs/a"], &[]),
        (&["compare", "runs/a", "runs/b"], &[]),
        (&["compare", "runs/a", "--baseline", "main"], &[]),
        (&["baseline", "save", "../x", "runs/a"], &[]),
        (&full, &["--tokenizer", "hf:missing.json"]),
        (&url, &["--model", "m", "--payload", "lines.json"]),
        (&["show"], &["bad.toml"]),
        (&url, &["--model", "m", "--payload", "raw.jsonl"]),
        (&["show"], &["missing"]),
        (&["cost"], &["missing"]),
        (&["callbacks"], &["new", "Pager"]),
        (&["simulate"], &["--error-rate", "3"]),
        (&["calibrate"], &["--clients", "0"]),
        (&["completions"], &["abacus"]),
        (&["man"], &["frobnicate"]),
        (&["data"], &[]),
        (&["baseline"], &["safe"]),
        (&["show"], &[]),
        (&["show"], &["runs/a", "runs/b"]),
        (&["show", "runs/a"], &["--zzz"]),
        (&["show", "runs/a"], &["--metric"]),
        (&["show", "runs/a"], &["--metric", "tt"]),
        (&["show", "runs/a"], &["--metric", "ttft", "--json"]),
        (&["list"], &["--sort", "price"]),
        (&["list"], &["--where", "ttft"]),
        (&["export"], &["runs/a", "--format", "aiperf"]),
        (&["report"], &["runs/a", "--output", "stats.json"]),
        (
            &["cost", "runs/a"],
            &["--model", "x.json", "--cost-input", "1"],
        ),
        (
            &["callbacks"],
            &["new", "CostModel", "--region", "eu-west-1"],
        ),
        (&["calibrate"], &["--clients", "many"]),
        (&["calibrate"], &["--clients", "99999999999999999999"]),
        (&["calibrate"], &["--quiet=yes"]),
        (&["calibrate"], &["--stamps", "kernal"]),
        (&["simulate"], &["--port", "99999"]),
        (&["simulate"], &["--jitter", "much"]),
        (&["simulate"], &["--verify-sigv4", "geheim"]),
        (&["probe"], &["--frames", "few"]),
        (&["ab"], &["--margin", "200%"]),
        (&full, &["--resume"]),
        (&full, &["--seed", "1", "--seed", "2"]),
        (&full, &["--repeat", "0"]),
        (&full, &["--repeat", "2", "--calibrate"]),
        (&full, &["--clients"]),
        (&full, &["--framing", "sse2"]),
        (&full, &["--stop-on-error-rate", "often"]),
        (&full, &["--max-in-flight", "3"]),
        (
            &full,
            &[
                "--stages",
                "ramp to 4 clients over 1m",
                "--arrivals",
                "poisson",
            ],
        ),
        (&full, &["--force-output-length", "vllm"]),
        (&full, &["--data-sample", "3"]),
        (&full, &["--max-duration", "3s"]),
    ];
    place.file("raw.jsonl", "{\"a\": {\"__llmeter_bytes__\": \"aGk=\"}}\n");
    let mut text = String::new();
    for (first, last) in cases {
        let arguments = [*first, *last].concat();
        let Said { code, err, .. } = place.llmeter(arguments.iter().copied());
        text.push_str(&format!(
            "$ llmeter {}\n{err}[exit code {code}]\n\n",
            arguments.join(" ")
        ));
    }
    keep("bad-usage", &text);
}

#[test]
fn snapshots_of_failures() {
    let place = Place::new();
    let mut text = String::new();
    let mut tell = |name: &str, said: Said, address: &str| {
        let said = format!(
            "# {name}\n{}{}[exit code {}]\n\n",
            said.err, said.out, said.code
        );
        text.push_str(&said.replace(address, "ADDRESS"));
    };
    let nobody = "http://127.0.0.1:9/v1";
    tell("nobody listens", place.run(nobody, &[]), nobody);
    let probe = |url: &str| place.llmeter(["probe", "--base-url", url, "--model", "m"]);
    for (status, reason) in [
        ("401 Unauthorized", "Incorrect API key provided."),
        ("404 Not Found", "The model `m` does not exist."),
        ("429 Too Many Requests", "Rate limit reached."),
        ("500 Internal Server Error", "Out of memory."),
    ] {
        let server = Scripted::start(move |_| refusal(status, reason));
        let said = probe(&server.url);
        let out = diagnosis(&said.out);
        tell(status, Said { out, ..said }, &server.url);
    }
    keep("failures", &text);
}

/// What a probe makes of a failure: the lines without times.
fn diagnosis(report: &str) -> String {
    let lines = report.lines().skip_while(|line| *line != "Failed");
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn snapshots_of_summaries() {
    let place = Place::new();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../llmeter/tests/golden/outputs");
    let golden = golden.to_str().unwrap();
    let mut text = String::new();
    for run in [
        "a_count_bound",
        "a2_non_streaming",
        "c_failures",
        "c2_all_failed",
        "f_sigint",
    ] {
        let said = place
            .llmeter(["show", &format!("{golden}/{run}/run")])
            .exits(0);
        text.push_str(&format!("$ llmeter show {run}\n{}{}\n", said.err, said.out));
    }
    let run = format!("{golden}/a_count_bound/run");
    let said = place
        .llmeter(["cost", &run, "--cost-input", "3", "--cost-output", "15"])
        .exits(0);
    text.push_str(&format!(
        "$ llmeter cost a_count_bound\n{}{}",
        said.err, said.out
    ));
    keep("summaries", &text.replace(golden, "RUNS"));
}
