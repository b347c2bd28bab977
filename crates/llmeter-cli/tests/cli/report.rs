//! `llmeter report`.

use std::fs;

use serde_json::Value;

use crate::support::Place;

#[test]
fn a_report_goes_where_it_is_asked_to() {
    let place = Place::new();
    place.made_run("before", 4, 0);
    place.made_run("after", 4, 5);
    let said = place.llmeter(["report", "runs/before"]).exits(0);
    assert_eq!(
        (said.out.as_str(), said.err.as_str()),
        ("runs/before/llmeter-report.html\n", "")
    );
    let page = fs::read_to_string(place.path().join("runs/before/llmeter-report.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    let said = place
        .llmeter(["report", "runs/before", "runs/after"])
        .exits(0);
    assert_eq!(said.out, "llmeter-report.html\n");
    assert!(place.path().join("llmeter-report.html").exists());
    let said = place.llmeter(["report", "runs/before", "--output", "x/it.html"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(place.path().join("x/it.html").exists());
    let printed = place
        .llmeter(["report", "runs/before", "--output", "-"])
        .exits(0);
    assert!(printed.out == page);
}

#[test]
fn markdown_and_json_are_printed() {
    let place = Place::new();
    place.made_run("before", 4, 0);
    place.made_run("after", 4, 5);
    let markdown = place
        .llmeter(["report", "runs/before", "--format", "md"])
        .exits(0)
        .out;
    for part in [
        "# run: m\n",
        "## Latency\n",
        "| TTFT |",
        "| requests | 120 |",
    ] {
        assert!(markdown.contains(part), "{part}: {markdown}");
    }
    let both = ["report", "runs/before", "runs/after", "--format", "json"];
    let report: Value = serde_json::from_str(&place.llmeter(both).exits(0).out).unwrap();
    assert_eq!(report["title"], "before, after");
    let blocks = report["sections"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|one| one["blocks"].as_array().unwrap());
    let charts: Vec<_> = blocks.filter(|block| block["type"] == "chart").collect();
    let ecdf = charts
        .iter()
        .find(|chart| chart["id"] == "ttft-ecdf")
        .unwrap();
    let names: Vec<_> = ecdf["figure"]["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["before", "after"]);
    assert!(charts.iter().any(|chart| chart["id"] == "changes-1"));
    assert!(!place.path().join("llmeter-report.json").exists());
}

#[test]
fn what_cannot_be_reported_is_named() {
    let place = Place::new();
    place.made_run("before", 4, 0);
    place.made_run("ladder/00001-clients", 1, 0);
    place.made_run("ladder/00004-clients", 4, 0);
    place
        .llmeter(["report", "nowhere"])
        .exits(1)
        .one_error(&["nowhere", "there is no such folder"]);
    place
        .llmeter(["report", "runs"])
        .exits(1)
        .one_error(&["runs/before"]);
    let mixed = place
        .llmeter(["report", "runs/before", "runs/ladder"])
        .exits(2);
    mixed.one_error(&["runs and load tests are not reported together"]);
    place
        .llmeter(["report", "runs/before", "--format", "pdf"])
        .exits(2);
    let said = place
        .llmeter(["report", "runs/ladder", "--format", "md"])
        .exits(0);
    assert!(said.out.contains("# Load test ladder"), "{said:#?}");
}
