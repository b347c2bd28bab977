//! `[[workload]]` tables.

use crate::support::{Place, quick, start};

fn mix(url: &str, tables: &str) -> String {
    format!(
        r#"
        base-url = "{url}"
        model = "some-model"
        run-name = "mix"
        quiet = true
        rate = "200/s"
        requests = 10
        fail-if = "total_requests < 1"
        {tables}
        "#
    )
}

const TABLES: &str = r#"
    [[workload]]
    name = "chat"
    share = 70
    prompt = "Hello"

    [[workload]]
    name = "batch"
    share = "30%"
    prompt = "Write a report."
    model = "another"
    max-tokens = 4
    slo = "ttft < 10s"
    fail-if = "total_requests < 4"
"#;

#[test]
fn workloads_of_a_file_run_together_and_are_shown_by_class() {
    let (place, server) = (Place::new(), start(quick()));
    place.file("mix.toml", mix(&server.base_url(), TABLES));
    let said = place.llmeter(["run", "--config", "mix.toml"]).exits(5);
    assert!(
        said.err.contains("total_requests < 4") && said.err.contains("in workload batch"),
        "{}",
        said.err
    );
    let row = |name: &str| {
        let row = said.out.lines().find(|line| line.starts_with(name));
        row.unwrap_or_else(|| panic!("{name}: {}", said.out))
            .to_owned()
    };
    assert!(row("chat ").contains(" 7 ") && row("batch ").contains(" 3 "));
    let text =
        std::fs::read_to_string(place.path().join("runs/mix/batch/run_config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        config["endpoint"]["__llmeter_state__"]["model_id"],
        "another"
    );
    let shown = place.llmeter(["show", "runs/mix"]).exits(0);
    assert!(shown.out.contains("batch"), "{}", shown.out);
    place.llmeter(["show", "runs/mix/chat"]).exits(0);
    let listed = place.llmeter(["list", "runs"]).exits(0);
    assert!(listed.out.contains("some-model, another"), "{}", listed.out);
    place
        .llmeter(["report", "runs/mix", "--output", "report.html"])
        .exits(0);
    let page = std::fs::read_to_string(place.path().join("report.html")).unwrap();
    assert!(page.contains("Workloads"));
    let compared = place.llmeter(["compare", "runs/mix", "runs/mix"]).exits(0);
    assert!(compared.out.contains("workload batch"), "{}", compared.out);
}

#[test]
fn a_dry_run_prints_each_class() {
    let place = Place::new();
    place.file("mix.toml", mix("http://127.0.0.1:1/v1", TABLES));
    let said = place
        .llmeter(["run", "--config", "mix.toml", "--dry-run"])
        .exits(0);
    for part in [
        "workload chat, 70 % of the load",
        "load: 140/s",
        "workload batch",
        "load: 60/s",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
}

#[test]
fn tables_that_cannot_be_used_are_refused() {
    let place = Place::new();
    for (tables, expected) in [
        ("[[workload]]\nshare = 1", "name is required"),
        ("[[workload]]\nname = \"a\"", "a load of its own"),
        (
            "[[workload]]\nname = \"a\"\nshare = 1\nrate = \"1/s\"",
            "share or rate",
        ),
        (
            "[[workload]]\nname = \"a\"\nshare = 1\noutput = \"x\"",
            "above them",
        ),
        (
            "[[workload]]\nname = \"a\"\nshare = 1\ncolour = 1",
            "unknown setting `colour`",
        ),
        (
            "[[workload]]\nname = \"a\"\nshare = true",
            "a number like 70",
        ),
    ] {
        place.file("mix.toml", mix("http://127.0.0.1:1/v1", tables));
        place
            .llmeter(["run", "--config", "mix.toml"])
            .exits(2)
            .one_error(&["mix.toml", expected]);
    }
    place.file("mix.toml", mix("http://127.0.0.1:1/v1", TABLES));
    place
        .llmeter(["probe", "--config", "mix.toml"])
        .exits(2)
        .one_error(&["only `llmeter run` takes workloads"]);
    place
        .llmeter(["run", "--config", "mix.toml", "--repeat", "2"])
        .exits(2)
        .one_error(&["--repeat"]);
}
