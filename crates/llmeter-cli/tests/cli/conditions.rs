//! SLOs, gates, comparisons and baselines.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::support::{Place, quick, start};

/// What any server meets, and what none does.
const SLOS: [&str; 8] = [
    "--slo",
    "ttft < 60s",
    "--slo",
    "time_to_last_token < 0s",
    "--slo",
    "output_tokens-p50 >= 1",
    "--slo",
    "ttlt-p50 < 0s",
];

#[test]
fn slos_give_goodput_and_pass_or_fail() {
    let server = start(quick());
    for mode in [None, Some("--low-memory")] {
        let place = Place::new();
        let mut arguments = vec!["--requests", "6", "--clients", "2"];
        arguments.extend(SLOS);
        arguments.extend(mode);
        let ran = place.run(&server.base_url(), &arguments).exits(0);
        let stats = place.stats();
        assert_eq!(stats["goodput_rate"], 0.0);
        assert_eq!(stats["goodput"], 0.0);
        assert_eq!(stats["slo_rate-ttft < 60s"], 1.0);
        assert_eq!(stats["slo_rate-ttlt < 0s"], 0.0);
        assert_eq!(stats["slo_met-output_tokens-p50 >= 1"], true);
        assert_eq!(stats["slo_met-ttlt-p50 < 0s"], false);
        let slos = [
            "ttft < 60s",
            "ttlt < 0s",
            "output_tokens-p50 >= 1",
            "ttlt-p50 < 0s",
        ];
        assert_eq!(place.json("llmeter.json")["slo"], json!(slos));
        assert!(ran.out.contains("met by 100 % of requests"), "{ran:#?}");
        assert!(ran.out.contains("missed: "), "{ran:#?}");

        // A saved run is judged the same way, and by other SLOs.
        let json = place.llmeter(["show", "--json", "runs/it"]).exits(0);
        for key in [
            "goodput",
            "goodput_rate",
            "slo_rate-ttft < 60s",
            "slo_met-ttlt-p50 < 0s",
        ] {
            assert_eq!(json.object()[key], stats[key], "{key}");
        }
        let other = ["show", "--json", "runs/it", "--slo", "ttft < 60s"];
        let other = place.llmeter(other).exits(0).object();
        assert_eq!(other["goodput_rate"], 1.0);
        assert!(!other.contains_key("slo_met-ttlt-p50 < 0s"));

        // And a run of the folder has them, too.
        place
            .llmeter(["run", "--from", "runs/it", "--run-name", "again"])
            .exits(0);
        let again = fs::read_to_string(place.path().join("runs/again/stats.json")).unwrap();
        assert!(again.contains("slo_rate-ttft < 60s"), "{again}");
    }
}

#[test]
fn a_gate_fails_with_a_code_and_a_reason() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url();
    let passing = ["--requests", "4", "--fail-if", "failed_requests_rate > 1%"];
    place.run(&url, &passing).exits(0);
    let failing = [
        "--overwrite",
        "--requests",
        "4",
        "--fail-if",
        "total_requests >= 4",
        "--fail-if",
        "cost_total > 1",
    ];
    let failed = place.run(&url, &failing).exits(5);
    assert_eq!(
        failed.err,
        "error: --fail-if total_requests >= 4: it is 4\n\
         error: --fail-if cost_total > 1: the run has no such figure\n"
    );
    let shown = ["show", "runs/it", "--fail-if", "total_requests >= 4"];
    let shown = place.llmeter(shown).exits(5);
    assert_eq!(shown.err, "error: --fail-if total_requests >= 4: it is 4\n");
    place.file("gate.toml", "fail-if = [\"total_requests < 4\"]\n");
    place
        .run(
            &url,
            &["--overwrite", "--requests", "3", "--config", "gate.toml"],
        )
        .exits(5);

    let test = format!(
        "$LLMETER load-test --base-url {url} --model m --prompt Hi --clients 1,2 --run-name test \
         --slo 'ttft < 60s' --fail-if 'clients > 1'"
    );
    let test = place.shell(&test).exits(5);
    assert_eq!(
        test.err,
        "error: --fail-if clients > 1: it is 2 with 2 clients\n"
    );
    assert!(test.out.contains("goodput"), "{test:#?}");
    let again = ["show", "runs/test", "--fail-if", "goodput_rate < 99%"];
    place.llmeter(again).exits(0);
}

#[test]
fn experiments_have_gates_and_slos() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url();
    let endpoint = format!("base-url = '{url}'\nmodel = 'm'\nprompt = 'Hi'\nrequests = 2\n");
    place.file("a.toml", &endpoint);
    place.file(
        "b.toml",
        &(endpoint + "fail-if = ['failed_requests_rate < 1%']\n"),
    );
    let common = "--clients 2 --slo 'ttft < 60s' --slo 'ttlt-p50 < 0s'";
    let repeat = format!(
        "$LLMETER run --base-url {url} --model m --prompt Hi --requests 2 --repeat 2 {common} \
         --run-name repeats --fail-if 'total_requests >= 4' --fail-if 'cost_total > 1'"
    );
    let ab = format!("$LLMETER ab --a a.toml --b b.toml --max-rounds 1 {common} --run-name ab");
    let heatmap = format!(
        "$LLMETER heatmap --base-url {url} --model m --input-lengths 8 --output-lengths 4 {common} \
         --requests-per-combination 2 --run-name heatmap --fail-if 'total_requests >= 2'"
    );
    for (line, name, error, out) in [
        (
            repeat,
            "repeats",
            "total_requests >= 4: it is 4 on average over 2 repeats with 2 clients",
            ["ttft < 60s", "met by 0 of 2"],
        ),
        (
            ab,
            "ab",
            "failed_requests_rate < 1%: it is 0% on average over 1 block of b",
            ["goodput", "met by 0 of 1 blocks"],
        ),
        (
            heatmap,
            "heatmap",
            "total_requests >= 2: it is 2",
            ["goodput", "ttlt-p50 < 0s: missed"],
        ),
    ] {
        let ran = place.shell(&line).exits(5);
        let error = format!("error: --fail-if {error}\n");
        assert!(ran.err.contains(&error), "{name}: {}", ran.err);
        for part in out {
            assert!(ran.out.contains(part), "{name}, {part}: {}", ran.out);
        }
        let folder = format!("runs/{name}");
        let condition = "failed_requests_rate <= 1%";
        let shown = [
            "show",
            &folder,
            "--slo",
            "ttft < 0s",
            "--fail-if",
            condition,
        ];
        let shown = place.llmeter(shown).exits(5);
        assert!(
            shown.err.contains("--fail-if failed_requests_rate <= 1%"),
            "{shown:#?}"
        );
        assert!(shown.out.contains("0 %"), "{name}: {}", shown.out);
    }
}

#[test]
fn what_cannot_be_reached_is_refused_and_what_was_not_is_a_gate() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url();
    let few = ["--until", "ttft-p99 ±5%", "--max-requests", "200"];
    let refused = place.run(&url, &few).exits(2);
    refused.one_error(&[
        "--until",
        "ttft-p99 ±5% needs ",
        " and the run has at most 200",
    ]);
    assert_eq!(server.requests_served(), 0);
    let missed = [
        "--until",
        "ttft-p50 ±0.0001%",
        "--max-requests",
        "130",
        "--fail-if",
        "until_reached < 1",
    ];
    let missed = place.run(&url, &missed).exits(5);
    assert!(
        missed
            .err
            .contains("error: --fail-if until_reached < 1: it is 0"),
        "{missed:#?}"
    );
    let reached = [
        "--overwrite",
        "--until",
        "output_tokens-p50 ±99%",
        "--max-requests",
        "500",
        "--fail-if",
        "until_reached < 1",
    ];
    place.run(&url, &reached).exits(0);
}

/// Two runs with the same figures, and a third of which half fails.
fn compared() -> Place {
    let place = Place::new();
    place.made_run("before", 4, 0);
    place.made_run("after", 4, 0);
    place.made_run("broken", 2, 50);
    place
}

#[test]
fn runs_are_compared_in_every_form() {
    let place = compared();
    let same = place
        .llmeter(["compare", "runs/before", "runs/after"])
        .exits(0);
    assert!(
        same.out.contains("Worse: nothing. Better: nothing"),
        "{same:#?}"
    );
    assert!(
        same.out.starts_with("runs/after against runs/before\n"),
        "{same:#?}"
    );
    let gate = [
        "--fail-if",
        "ttft-p50 > +10%",
        "--fail-if",
        "failed_requests_rate > +1%",
    ];
    let with_gate = |folders: [&'static str; 3]| [&["compare"], &folders[1..], &gate[..]].concat();
    place
        .llmeter(with_gate(["", "runs/before", "runs/after"]))
        .exits(0);

    let broken = place
        .llmeter(with_gate(["", "runs/before", "runs/broken"]))
        .exits(5);
    assert!(
        broken
            .err
            .contains("error: --fail-if failed_requests_rate > +1%: it changed by"),
        "{broken:#?}"
    );
    assert!(
        broken
            .out
            .contains("not measured alike: other clients: 4 and 2"),
        "{broken:#?}"
    );
    let row = broken
        .out
        .lines()
        .find(|line| line.starts_with("failed requests "));
    assert!(row.unwrap().ends_with("worse"), "{broken:#?}");

    let json = place
        .llmeter([
            "compare",
            "runs/before",
            "runs/after",
            "--format",
            "json",
            "--fail-if",
            "ttft-p50 > +10%",
        ])
        .exits(0)
        .object();
    assert_eq!(json["base"], "runs/before");
    assert_eq!(json["fail_if"][0]["failed"], false);
    let figures = json["pairs"][0]["differences"].as_array().unwrap();
    let ttft = figures
        .iter()
        .find(|one| one["figure"] == "ttft-p50")
        .unwrap();
    assert_eq!(
        (&ttft["outcome"], &ttft["change"]),
        (&json!("no_difference"), &json!(0.0))
    );

    // Two are compared with the base at once, and the report goes to a file.
    let several = [
        &["compare", "runs/before", "runs/after", "runs/broken"][..],
        &["--format", "junit", "--output", "report.xml"],
        &gate[2..],
    ];
    let several = place.llmeter(several.concat()).exits(5);
    assert_eq!(several.out, "");
    let report = fs::read_to_string(place.path().join("report.xml")).unwrap();
    assert!(
        report.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites"),
        "{report}"
    );
    assert!(
        report.contains(
            "<testcase classname=\"fail-if\" name=\"failed_requests_rate &gt; +1%\"><failure"
        ),
        "{report}"
    );
    assert_eq!(report.matches("<testsuite ").count(), 3, "{report}");
    assert_eq!(report.matches("<failure").count(), 1, "{report}");
}

#[test]
fn foreign_names_are_no_markup() {
    let place = compared();
    place.shell("mv runs/after 'runs/<b>|@team `x`'").exits(0);
    let folder = "runs/<b>|@team `x`";
    let markdown = ["compare", "runs/before", folder, "--format", "markdown"];
    let markdown = place.llmeter(markdown).exits(0).out;
    assert!(markdown.contains("`` runs/<b>|@team `x` ``"), "{markdown}");
    let junit = ["compare", "runs/before", folder, "--format", "junit"];
    let junit = place.llmeter(junit).exits(0).out;
    assert!(
        junit.contains("runs/&lt;b&gt;|@team `x` against"),
        "{junit}"
    );
}

#[test]
fn a_baseline_is_kept_in_the_project() {
    let place = compared();
    assert_eq!(place.llmeter(["baseline", "list"]).exits(0).out, "");
    let saved = place
        .llmeter(["baseline", "save", "main", "runs/before"])
        .exits(0);
    assert!(saved.err.contains(".llmeter/baselines/main"), "{saved:#?}");
    place
        .llmeter(["baseline", "save", "main", "runs/after"])
        .exits(2);
    place
        .llmeter(["baseline", "save", "main", "runs/after", "--overwrite"])
        .exits(0);
    let listed = place.llmeter(["baseline", "list"]).exits(0).out;
    let lines: Vec<_> = listed.lines().collect();
    assert!(lines[0].starts_with("name  model  load"), "{listed}");
    assert!(lines[1].starts_with("main  m "), "{listed}");
    assert!(lines[2].starts_with("— "), "{listed}");
    assert_eq!(lines.len(), 3, "{listed}");
    let compared = place
        .llmeter(["compare", "--baseline", "main", "runs/before"])
        .exits(0);
    assert!(
        compared.out.contains("runs/before against baseline main"),
        "{compared:#?}"
    );
    assert!(
        !compared.out.contains("not measured alike: other"),
        "{compared:#?}"
    );
    place
        .llmeter(["compare", "--baseline", "other", "runs/before"])
        .exits(2);
    place.llmeter(["compare", "runs/before"]).exits(2);
    place.llmeter(["baseline", "remove", "main"]).exits(0);
    assert_eq!(place.llmeter(["baseline", "list"]).exits(0).out, "");
}

#[test]
fn folders_of_the_python_system_are_compared() {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../llmeter/tests/golden/outputs");
    let place = Place::new();
    let ladder = golden.join("d2_load_test_by_runner/ladder");
    let ladder = ladder.to_str().unwrap();
    let compared = place.llmeter(["compare", ladder, ladder]).exits(0);
    for level in [", 1 client\n", ", 2 clients\n", ", 4 clients\n"] {
        assert!(compared.out.contains(level), "{compared:#?}");
    }
    assert!(
        compared.out.contains("Worse: nothing. Better: nothing"),
        "{compared:#?}"
    );
    place
        .llmeter(["baseline", "save", "ladder", ladder])
        .exits(0);
    let again = place
        .llmeter(["compare", "--baseline", "ladder", ladder])
        .exits(0);
    assert!(again.out.contains("TTFT p50"), "{again:#?}");
    // A level is no load test of all levels.
    let level = format!("{ladder}/00001-clients");
    let one = place.llmeter(["compare", ladder, &level]).exits(0);
    assert!(one.out.contains("not compared: 2 clients"), "{one:#?}");
}
