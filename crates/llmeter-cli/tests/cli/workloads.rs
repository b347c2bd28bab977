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
    // It is one entry, whose classes belong to it.
    let entries: serde_json::Value = serde_json::from_str(
        &place
            .llmeter(["list", "runs", "--format", "json"])
            .exits(0)
            .out,
    )
    .unwrap();
    let entries = entries["entries"]
        .as_array()
        .or(entries.as_array())
        .unwrap();
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0]["kind"], "workloads");
    let names = [0, 1].map(|at| entries[0]["runs"][at]["name"].clone());
    assert_eq!(names, ["mix/chat", "mix/batch"]);
    place
        .llmeter(["report", "runs/mix", "--output", "report.html"])
        .exits(0);
    let page = std::fs::read_to_string(place.path().join("report.html")).unwrap();
    for chart in ["Workloads", "workloads-ttft", "workloads-timeline"] {
        assert!(page.contains(chart), "{chart}");
    }
    let compared = place.llmeter(["compare", "runs/mix", "runs/mix"]).exits(0);
    assert!(compared.out.contains("workload batch"), "{}", compared.out);
}

#[test]
fn a_mix_is_repeated_from_its_folder() {
    let (place, server) = (Place::new(), start(quick()));
    place.file("mix.toml", mix(&server.base_url(), TABLES));
    place.llmeter(["run", "--config", "mix.toml"]).exits(5);
    let once_more = ["run", "--from", "runs/mix", "--quiet", "--run-name"];
    let said = place
        .llmeter(once_more.into_iter().chain(["again"]))
        .exits(0);
    let row = said.out.lines().find(|line| line.starts_with("batch"));
    assert!(row.is_some_and(|row| row.contains(" 3 ")), "{}", said.out);
    let read = |name: &str| -> serde_json::Value {
        let path = place.path().join("runs").join(name).join("llmeter.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    for class in ["chat", "batch"] {
        let [first, again] = ["mix", "again"].map(|name| read(&format!("{name}/{class}")));
        for key in ["rate", "seed", "slo"] {
            assert_eq!(first[key], again[key], "{class} {key}");
        }
    }
    assert_eq!(
        read("mix")["workload_shares"],
        read("again")["workload_shares"]
    );
    let dry = place
        .llmeter(once_more.into_iter().chain(["dry", "--dry-run"]))
        .exits(0);
    assert!(
        dry.out.contains("workload chat, 70 % of the load"),
        "{}",
        dry.out
    );
    // What only one class can have is refused.
    place
        .llmeter(["run", "--from", "runs/mix", "--rate", "5/s"])
        .exits(2)
        .one_error(&["--rate", "several workloads"]);
    place
        .llmeter(["run", "--config", "mix.toml", "--from", "runs/mix"])
        .exits(2)
        .one_error(&["--from", "[[workload]]"]);
}

#[test]
fn mixes_are_merged_class_by_class() {
    let (place, server) = (Place::new(), start(quick()));
    place.file("mix.toml", mix(&server.base_url(), TABLES));
    for (shard, name) in [("1/2", "first"), ("2/2", "second")] {
        let part = [
            "run",
            "--config",
            "mix.toml",
            "--shard",
            shard,
            "--run-name",
            name,
        ];
        place.llmeter(part).exits(5);
    }
    place
        .llmeter(["merge", "runs/first", "--output", "runs/half"])
        .exits(2)
        .one_error(&["shard 2/2 is missing"]);
    assert!(!place.path().join("runs/half").exists());
    let parts = ["runs/first", "runs/second"];
    let merge = [
        "merge", parts[0], parts[1], "--output", "runs/all", "--json",
    ];
    let said = place.llmeter(merge).exits(0);
    let stats: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(stats["total_requests"], 10);
    assert_eq!(stats["merged_parts"], 2);
    let of = |class: usize, key: &str| stats["workloads"][class][key].clone();
    assert_eq!(
        (of(0, "workload"), of(0, "total_requests")),
        ("chat".into(), 7.into())
    );
    assert_eq!(
        (of(1, "workload"), of(1, "total_requests")),
        ("batch".into(), 3.into())
    );
    assert_eq!(
        (of(0, "load"), of(0, "share")),
        ("140/s".into(), 0.7.into())
    );
    // Each class is an ordinary merged run.
    let class = place.llmeter(["show", "runs/all/batch", "--json"]).exits(0);
    let class: serde_json::Value = serde_json::from_str(&class.out).unwrap();
    assert_eq!(class["total_requests"], 3);
    assert_eq!(
        class["time_to_first_token-p50"],
        of(1, "time_to_first_token-p50")
    );
    place
        .llmeter([
            "merge",
            "runs/all",
            "runs/first/chat",
            "--output",
            "runs/no",
        ])
        .exits(2)
        .one_error(&["a mix of workloads"]);
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
