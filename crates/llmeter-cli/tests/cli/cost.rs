//! Costs: the flags of `run`, its limit, and `llmeter cost`.

use std::fs;
use std::path::Path;

use llmeter_sim::{RunningSimulator, SimConfig};
use serde_json::json;

use crate::support::{Place, quick, start};

const PRICES: [&str; 4] = ["--cost-input", "1000000", "--cost-output", "1000000"];

/// A run of so many requests whose 8 output tokens cost 8; gives what an answer's input costs.
fn run(place: &Place, server: &RunningSimulator, flags: &[&str]) -> f64 {
    let flags = [&["--requests", "5", "--max-tokens", "8"], flags].concat();
    place.run(&server.base_url(), &flags).exits(0);
    let first = &place.responses()[0];
    assert_eq!(first["num_tokens_output"], 8);
    first["num_tokens_input"].as_f64().unwrap()
}

#[test]
fn prices_put_costs_on_answers_and_run() {
    let (place, server) = (Place::new(), start(quick()));
    let flags = [&PRICES[..], &["--cost-hour", "3600"]].concat();
    let input = run(&place, &server, &flags);
    let stats = place.stats();
    assert_eq!(stats["cost_InputTokens"], 5.0 * input);
    assert_eq!(stats["cost_OutputTokens"], 40.0);
    assert_eq!(stats["cost_EndpointTime"], 1.0);
    assert_eq!(stats["cost_total"], 5.0 * input + 41.0);
    assert_eq!(
        place.responses()[0]["annotations"]["cost_total"],
        input + 8.0
    );
    let shown = place.llmeter(["show", "runs/it"]).exits(0).out;
    assert!(shown.contains("per million output tokens"), "{shown}");
    assert!(shown.contains("EndpointTime"), "{shown}");

    // The run's own prices, again.
    let costs = place.llmeter(["cost", "runs/it", "--json"]).exits(0);
    for (key, value) in costs.object() {
        assert_eq!(stats[&key], value, "{key}");
    }
}

#[test]
fn a_limit_ends_a_run_and_keeps_its_results() {
    let (place, server) = (Place::new(), start(quick()));
    let flags = [&PRICES[..], &["--max-cost", "30"]].concat();
    let input = run(&place, &server, &flags);
    let affordable = (30.0 / (input + 8.0)).floor();
    assert!((1.0..5.0).contains(&affordable));
    let stats = place.stats();
    assert_eq!(stats["total_requests"], affordable);
    assert_eq!(stats["cost_limit_reached"], true);
    assert!(stats["cost_total"].as_f64().unwrap() <= 30.0);
    let own = place.json("llmeter.json");
    assert_eq!(own["max_cost"], 30.0);
    let shown = place.llmeter(["show", "runs/it"]).exits(0).out;
    assert!(shown.contains("stopped at the cost limit"), "{shown}");
    assert!(shown.contains("cost limit 30.00, reached"), "{shown}");

    // A limit goes with the run that is repeated.
    let again = ["run", "--from", "runs/it", "--run-name", "again", "--json"];
    let again = place.llmeter(again).exits(0).object();
    assert_eq!(again["total_requests"], affordable);
}

#[test]
fn prices_and_limit_may_stand_in_a_file() {
    let (place, server) = (Place::new(), start(quick()));
    let file = place.file(
        "it.toml",
        "cost-input = 1\ncost-output = 2.5\ncost-cached-input = 0.1\ncost-hour = 4\nmax-cost = 1",
    );
    run(&place, &server, &["--config", &file]);
    let saved = &place.json("run_config.json")["callbacks"][0]["__llmeter_state__"];
    let state = |kind: &str, name: &str| saved[kind][name]["__llmeter_state__"].clone();
    let price = |price: f64| json!({"price_per_million": price, "granularity": 1});
    assert_eq!(state("request_dims", "InputTokens"), price(1.0));
    assert_eq!(state("request_dims", "CachedInputTokens"), price(0.1));
    assert_eq!(state("request_dims", "OutputTokens"), price(2.5));
    assert_eq!(state("run_dims", "EndpointTime")["price_per_hour"], 4.0);
    assert_eq!(place.stats()["cost_limit_reached"], false);
}

#[test]
fn a_saved_run_is_priced_afterwards() {
    let (place, server) = (Place::new(), start(quick()));
    let input = run(&place, &server, &[]);
    let before = fs::read_to_string(place.folder().join("stats.json")).unwrap();
    let by_flags = [&["cost", "runs/it"], &PRICES[..]].concat();
    let said = place.llmeter(by_flags.iter().copied()).exits(0);
    assert!(
        said.out.contains("OutputTokens") && said.out.contains("40.00"),
        "{said:#?}"
    );
    let after = fs::read_to_string(place.folder().join("stats.json")).unwrap();
    assert_eq!(before, after, "only --write writes");

    let write = by_flags.iter().copied().chain(["--write"]);
    place.llmeter(write).exits(0);
    assert_eq!(place.stats()["cost_total"], 5.0 * (input + 8.0));

    let model = place
        .llmeter(["callbacks", "new", "CostModel"])
        .exits(0)
        .out;
    let model = place.file("cost.json", model.replace("12.5", "3600.0"));
    let by_file = ["cost", "runs/it", "--model", &model, "--write", "--json"];
    let costs = place.llmeter(by_file).exits(0).object();
    assert_eq!(costs["cost_EndpointTime"], 1.0);
    let output = costs["cost_OutputTokens"].as_f64().unwrap();
    assert!((output - 40.0 * 15.0 / 1e6).abs() < 1e-15, "{output}");
    let stats = place.stats();
    for (key, value) in &costs {
        assert_eq!(&stats[key], value, "{key}");
    }
    // Everything else stays.
    let before: serde_json::Value = serde_json::from_str(&before).unwrap();
    for (key, value) in before.as_object().unwrap() {
        assert_eq!(&stats[key], value, "{key}");
    }
}

#[test]
fn runs_of_the_python_system_are_priced() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../llmeter/tests/golden/outputs");
    let place = Place::new();
    for (folder, total) in [
        ("e_cost_model/run", 0.021_596),
        ("k_legacy_v0_1_12/run_cost", 0.010_396),
    ] {
        let folder = golden.join(folder);
        let said = place
            .llmeter(["cost", folder.to_str().unwrap(), "--json"])
            .exits(0);
        let here = said.object()["cost_total"].as_f64().unwrap();
        assert!((here - total).abs() < 1e-12, "{here}");
    }
}

#[test]
fn mistakes_are_one_line_each() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url();
    place
        .run(&url, &["--max-cost", "2"])
        .exits(2)
        .one_error(&["--max-cost requires --cost-input", "CostModel"]);
    place
        .run(&url, &["--cost-input", "1", "--max-cost", "0"])
        .exits(2)
        .one_error(&["--max-cost 0", "more than 0"]);
    place
        .run(&url, &["--cost-input=-1"])
        .exits(2)
        .one_error(&["--cost-input -1", "0 or more"]);
    let flags = [&PRICES[..], &["--max-cost", "30"]].concat();
    place
        .run(&url, &flags)
        .exits(2)
        .one_error(&["--max-cost 30", "output limit"]);
    assert!(!place.folder().exists(), "nothing was begun");
    run(&place, &server, &[]);
    let cost = |flags: &[&str]| {
        let arguments = [&["cost", "runs/it"], flags].concat();
        place.llmeter(arguments).exits(2)
    };
    cost(&[]).one_error(&["no prices", "--model"]);
    cost(&["--model", "a.json", "--cost-input", "1"]).one_error(&["--model", "--cost-input"]);
    let file = place.file("not.json", "{");
    cost(&["--model", &file]).one_error(&["not.json", "is no JSON"]);
    let file = place.file("other.json", r#"{"_type": "CacheBuster"}"#);
    cost(&["--model", &file]).one_error(&["other.json", "CacheBuster", "CostModel"]);
    let file = place.file("odd.json", r#"{"request_dims": {"a": {"_type": "Evil"}}}"#);
    cost(&["--model", &file]).one_error(&["odd.json", "Evil", "InputTokens"]);
    let missing = place.llmeter(["cost", "runs", "--cost-hour", "1"]).exits(1);
    missing.one_error(&["not a run folder", "runs/it"]);
}

/// The sum of what the answers in the folder cost.
fn sum(place: &Place) -> f64 {
    let answers = place.responses();
    let costs = answers.iter().map(|one| &one["annotations"]["cost_total"]);
    costs.filter_map(serde_json::Value::as_f64).sum()
}

#[test]
fn failures_and_low_memory_change_no_total() {
    let server = start(SimConfig {
        error_rate: 0.2,
        cut_rate: 0.2,
        reasoning_tokens: 3,
        ..quick()
    });
    for flags in [&[][..], &["--low-memory"]] {
        let place = Place::new();
        let load = ["--clients", "8", "--requests", "20", "--no-failure-pause"];
        let flags = [&PRICES[..], &load, flags].concat();
        place.run(&server.base_url(), &flags).exits(0);
        let stats = place.stats();
        assert!(stats["failed_requests"].as_u64().unwrap() > 0);
        assert_eq!(stats["cost_total"], sum(&place));
        assert!(sum(&place) >= 11.0 * (160.0 - stats["failed_requests"].as_f64().unwrap()));
        let unknown = stats["cost_unknown_requests"].as_u64().unwrap();
        assert!(unknown <= stats["failed_requests"].as_u64().unwrap());
        let again = place
            .llmeter(["cost", "runs/it", "--json"])
            .exits(0)
            .object();
        assert_eq!(again["cost_total"], stats["cost_total"]);
    }
}

#[test]
fn many_clients_stay_within_the_limit() {
    let server = start(SimConfig {
        jitter: 0.5,
        ..quick()
    });
    // With an output limit, and with one that is far above what answers have.
    for most in ["8", "200"] {
        let place = Place::new();
        let load = ["--clients", "32", "--duration", "60s", "--max-cost", "3000"];
        let flags = [&PRICES[..], &load, &["--max-tokens", most]].concat();
        place.run(&server.base_url(), &flags).exits(0);
        assert_eq!(place.stats()["cost_limit_reached"], true);
        let (spent, most) = (sum(&place), most.parse::<f64>().unwrap());
        assert!(spent <= 3000.0, "{spent}");
        // What is left is less than one more request may cost.
        let input = place.responses()[0]["num_tokens_input"].as_f64().unwrap();
        assert!(spent + input + most > 3000.0, "{spent}");
    }
}
