//! The cost model over results, vectors and files of the Python system.

use std::fs;
use std::sync::Arc;

use crate::golden::{close, golden, object, same, vectors};
use llmeter::callback::{self, Callback};
use llmeter::cost::{
    BillableRequest, CachedInputTokens, CostModel, EndpointTime, InputTokens, OutputTokens,
    PerRequest, ReasoningTokens, RequestDimension, RunDimension, SageMakerRTEndpointCompute,
    SageMakerRTEndpointStorage, register_request_dimension, register_run_dimension,
};
use llmeter::result::RunSummary;
use llmeter::saved::{Saved, SavedObject};
use llmeter::{Failure, FailureKind, InvocationResponse, RunResult, report};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

fn read(path: &str) -> Value {
    let path = golden().join("outputs").join(path);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn run_of(seconds: f64) -> RunResult {
    let summary = RunSummary {
        total_test_time: Some(seconds),
        ..RunSummary::default()
    };
    RunResult::from_responses(summary, Vec::new())
}

fn answer(input: Option<u64>, output: Option<u64>) -> InvocationResponse {
    InvocationResponse {
        num_tokens_input: input,
        num_tokens_output: output,
        ..InvocationResponse::default()
    }
}

fn finished(responses: Vec<InvocationResponse>) -> RunResult {
    let summary = RunSummary {
        total_requests: Some(responses.len() as u64),
        total_test_time: Some(1.2),
        ..RunSummary::default()
    };
    RunResult::from_responses(summary, responses)
}

/// Defect D7 of the Python system: a dimension without a count makes the whole cost unknown. Here
/// it is left out.
#[test]
fn requests_cost_what_they_cost_in_the_python_system() {
    for case in vectors("request_cost") {
        let granularity = case["granularity"].as_u64().unwrap() as u32;
        let price = |key: &str| case[key].as_f64().unwrap();
        let input = InputTokens::with_granularity(price("price_in"), granularity).unwrap();
        let output = OutputTokens::with_granularity(price("price_out"), granularity).unwrap();
        let model = CostModel::new().with_request(input).unwrap();
        let model = model.with_request(output).unwrap();
        let response = answer(case["tokens_in"].as_u64(), case["tokens_out"].as_u64());
        let cost = model.calculate_request_cost(&response);
        for (name, expected) in object(&case["dims"]) {
            assert_eq!(cost.get(name), expected.as_f64(), "{case}");
        }
        match case["total"].as_f64() {
            Some(total) => assert_eq!(cost.total(), Some(total), "{case}"),
            None => {
                let known = object(&case["dims"]).values().filter_map(Value::as_f64);
                assert_eq!(cost.total(), known.reduce(|sum, one| sum + one), "{case}");
            }
        }
    }
}

#[test]
fn time_costs_what_it_costs_in_the_python_system() {
    for case in vectors("endpoint_time_cost") {
        let dimension = EndpointTime::with_granularity(
            case["price_per_hour"].as_f64().unwrap(),
            case["granularity_secs"].as_f64().unwrap(),
        )
        .unwrap();
        let mut result = run_of(0.0);
        result.summary.total_test_time = case["total_test_time"].as_f64();
        assert_eq!(dimension.cost(&result), case["value"].as_f64(), "{case}");
    }
}

#[test]
fn sagemaker_is_billed_by_whole_seconds() {
    let compute = SageMakerRTEndpointCompute::new("ml.g5.4xlarge", 2.0, 1.8).unwrap();
    assert_eq!(compute.cost(&run_of(9.1)), Some(10.0 * 2.0 * 1.8 / 3600.0));
    let storage = SageMakerRTEndpointStorage::new(500.0, 0.0002).unwrap();
    assert_eq!(
        storage.cost(&run_of(9.1)),
        Some(10.0 * 500.0 * 0.0002 / 3600.0)
    );
}

#[test]
fn the_golden_run_costs_what_it_cost_there() {
    let folder = golden().join("outputs/e_cost_model/run");
    let config = read("e_cost_model/run/run_config.json");
    let model = CostModel::from_json(&config["callbacks"][0]).unwrap();
    let mut result = RunResult::load(&folder).unwrap();
    let there: Vec<_> = result
        .responses
        .iter()
        .map(|response| response.annotations.clone())
        .collect();
    for response in &mut result.responses {
        response.annotations.retain(|key, _| key == "label");
    }
    let calculated = model.calculate_run_cost(&result).unwrap();
    let applied = model.apply(&mut result).unwrap();
    assert_eq!(applied, calculated);
    for (ours, theirs) in result.responses.iter().zip(&there) {
        assert_eq!(&ours.annotations, theirs);
    }
    let (ours, theirs) = (result.stats_map(), read("e_cost_model/run/stats.json"));
    let costs: Vec<_> = object(&theirs)
        .iter()
        .filter(|(key, _)| key.starts_with("cost_"))
        .collect();
    assert_eq!(costs.len(), 16);
    for (key, theirs) in costs {
        let (ours, theirs) = (ours[key].as_f64().unwrap(), theirs.as_f64().unwrap());
        assert!(close(ours, theirs), "{key}: {ours} {theirs}");
    }
    // What their statistics lack is how many values they rest on.
    let is_count = |key: &str| key.ends_with("-count") || key.ends_with("-beyond");
    let ours_only = |key: &&String| {
        key.starts_with("cost_") && theirs.get(key.as_str()).is_none() && !is_count(key)
    };
    assert_eq!(ours.keys().find(ours_only), None);
    assert!(report::summary(&result).contains("EndpointTime"));
}

#[test]
fn models_of_the_python_system_load_and_are_saved_as_they_were() {
    for file in ["cost_model", "cost_model_empty", "cost_model_from_list"] {
        let saved = read(&format!("i_saved_objects/{file}.json"));
        let model = callback::from_json(&saved).unwrap();
        assert_equal(&model.saved().unwrap().unwrap().to_json(), &saved);
    }
}

/// Defect D31 of the Python system: models from before 0.2.0 are lost.
#[test]
fn models_from_before_0_2_0_load() {
    let typed = read("k_legacy_v0_1_12/cost_model.json");
    let bare = &read("k_legacy_v0_1_12/run_cost/run_config.json")["callbacks"][0];
    let mut result = RunResult::load(golden().join("outputs/k_legacy_v0_1_12/run_cost")).unwrap();
    let there = result.stats_map();
    for saved in [&typed, bare] {
        let model = callback::from_json(saved).unwrap();
        assert_eq!(model.saved().unwrap().unwrap().class, CostModel::CLASS);
        let model = CostModel::from_json(&model.saved().unwrap().unwrap().to_json()).unwrap();
        model.apply(&mut result).unwrap();
        let here = result.stats_map();
        for (key, there) in there.iter().filter(|(key, _)| key.starts_with("cost_")) {
            let (here, there) = (here[key].as_f64().unwrap(), there.as_f64().unwrap());
            assert!(close(here, there), "{key}: {here} {there}");
        }
    }
}

#[track_caller]
fn assert_equal(left: &Value, right: &Value) {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            assert!(left.keys().eq(right.keys()), "{left:?} {right:?}");
            for (left, right) in left.values().zip(right.values()) {
                assert_equal(left, right);
            }
        }
        _ => assert!(same(left, right), "{left} {right}"),
    }
}

/// Defect D7 of the Python system: one failed request voids every cost of the run.
#[test]
fn failed_requests_cost_what_they_used_and_void_nothing() {
    let failed = |response| InvocationResponse {
        error: Some(Failure::new(FailureKind::Truncated, "cut")),
        ..response
    };
    let mut result = finished(vec![
        answer(Some(1000), Some(100)),
        failed(answer(Some(1000), None)),
        failed(answer(None, None)),
    ]);
    let model = CostModel::new()
        .with_request(InputTokens::new(1.0).unwrap())
        .unwrap()
        .with_request(OutputTokens::new(10.0).unwrap())
        .unwrap()
        .with_run(EndpointTime::new(36.0).unwrap())
        .unwrap();
    model.apply(&mut result).unwrap();
    let stats = result.stats_map();
    assert_eq!(stats["cost_InputTokens"], 0.002);
    assert_eq!(stats["cost_OutputTokens"], 0.001);
    assert_eq!(stats["cost_EndpointTime"], 0.02);
    assert!(close(stats["cost_total"].as_f64().unwrap(), 0.023));
    // One has a part of its counts, one none.
    assert_eq!(stats["cost_unknown_requests"], 2);
    assert_eq!(stats["cost_per_request-average"], 0.0015);
    assert!(!result.responses[2].annotations.contains_key("cost_total"));
    assert!(
        !result.responses[1]
            .annotations
            .contains_key("cost_OutputTokens")
    );
    assert_eq!(result.responses[1].annotations["cost_total"], 0.001);
}

#[test]
fn a_price_for_a_part_replaces_that_of_the_whole() {
    let response = InvocationResponse {
        num_tokens_input_cached: Some(600),
        num_tokens_output_reasoning: Some(50),
        request_time: Some("2026-01-02T03:04:05Z".parse().unwrap()),
        ..answer(Some(1000), Some(80))
    };
    let whole = CostModel::new()
        .with_request(InputTokens::new(1e6).unwrap())
        .unwrap()
        .with_request(OutputTokens::new(1e6).unwrap())
        .unwrap();
    let cost = whole.calculate_request_cost(&response);
    assert_eq!(cost.total(), Some(1080.0), "as the Python system has it");
    let parts = whole
        .with_request(CachedInputTokens::new(1e5).unwrap())
        .unwrap()
        .with_request(ReasoningTokens::new(2e6).unwrap())
        .unwrap()
        .with_request(PerRequest::new(0.25).unwrap())
        .unwrap();
    let cost = parts.calculate_request_cost(&response);
    assert_eq!(cost.get("InputTokens"), Some(400.0));
    assert_eq!(cost.get("CachedInputTokens"), Some(60.0));
    assert_eq!(cost.get("OutputTokens"), Some(30.0));
    assert_eq!(cost.get("ReasoningTokens"), Some(100.0));
    assert_eq!(cost.total(), Some(590.25));
    let unreported = parts.calculate_request_cost(&answer(Some(1000), Some(80)));
    assert_eq!(unreported.get("InputTokens"), Some(1000.0));
    assert_eq!(unreported.get("CachedInputTokens"), None);
}

#[test]
fn a_request_that_was_never_sent_is_not_billed() {
    let model = CostModel::new()
        .with_request(PerRequest::new(2.0).unwrap())
        .unwrap();
    let unsent = InvocationResponse {
        error: Some(Failure::new(FailureKind::Unreachable, "no connection")),
        ..InvocationResponse::default()
    };
    assert_eq!(model.calculate_request_cost(&unsent).total(), Some(0.0));
}

#[test]
fn another_model_replaces_the_costs_and_nothing_else() {
    let mut result = finished(vec![answer(Some(10), Some(10))]);
    let first = CostModel::new()
        .with_run(EndpointTime::new(36.0).unwrap())
        .unwrap();
    first.apply(&mut result).unwrap();
    result.add_stats(object(&json!({"cost_limit": 3.0, "other": 1})).clone());
    let second = CostModel::new()
        .with_request(InputTokens::new(1.0).unwrap())
        .unwrap();
    second.apply(&mut result).unwrap();
    let stats = result.stats_map();
    assert!(!stats.contains_key("cost_EndpointTime"));
    assert_eq!(stats["cost_total"], 1e-5);
    assert_eq!(
        (&stats["cost_limit"], &stats["other"]),
        (&json!(3.0), &json!(1))
    );
}

#[test]
fn a_result_without_its_answers_is_refused() {
    let folder = golden().join("outputs/e_cost_model/run");
    let mut result = RunResult::load_without_responses(folder).unwrap();
    let model = CostModel::new()
        .with_request(InputTokens::new(1.0).unwrap())
        .unwrap();
    let before = result.stats_map();
    let error = model.apply(&mut result).unwrap_err().to_string();
    assert!(error.contains("without its responses"), "{error}");
    assert_eq!(result.stats_map(), before);
    let model = CostModel::new()
        .with_run(EndpointTime::new(36.0).unwrap())
        .unwrap();
    assert_eq!(model.apply(&mut result).unwrap().total(), Some(0.01));
}

#[test]
fn mistakes_are_named() {
    let input = json!({"_type": "InputTokens", "price_per_million": 3.0});
    for (state, parts) in [
        (json!({"request_dims": 7}), &["request_dims", "7"][..]),
        (json!({"request_dim": {}}), &["request_dim"]),
        (
            json!({"request_dims": {"a": {"_type": "InputTokens"}}}),
            &["price_per_million", "InputTokens takes"],
        ),
        (
            json!({"request_dims": {"a": {"_type": "InputTokens", "price_per_million": -1}}}),
            &["price_per_million", "-1", "0 or more"],
        ),
        (
            json!({"request_dims": [
                {"_type": "InputTokens", "price_per_million": 1, "granularity": 0},
            ]}),
            &["granularity", "more than 0"],
        ),
        (
            json!({"run_dims": [
                {"_type": "EndpointTime", "price_per_hour": 1, "granularity_secs": 0},
            ]}),
            &["granularity_secs", "more than 0"],
        ),
        (
            json!({"request_dims": {"a": {"_type": "OsSystem"}}}),
            &["OsSystem", "PerRequest"],
        ),
        (
            json!({"request_dims": {"same": input},
                   "run_dims": {"same": {"_type": "EndpointTime", "price_per_hour": 1}}}),
            &["\"same\"", "twice"],
        ),
        (
            json!({"request_dims": [input, input]}),
            &["InputTokens", "twice"],
        ),
        (json!({"request_dims": {"total": input}}), &["\"total\""]),
    ] {
        let saved = json!({"__llmeter_class__": CostModel::CLASS, "__llmeter_state__": state});
        let error = callback::from_json(&saved).err().unwrap().to_string();
        for part in parts {
            assert!(error.contains(part), "{part} is missing: {error}");
        }
    }
    let error = InputTokens::new(f64::NAN).unwrap_err().to_string();
    assert!(error.contains("price_per_million NaN"), "{error}");
}

/// A price for each second of a request.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestTime {
    price_per_second: f64,
}

impl Saved for RequestTime {
    const CLASS: &'static str = "my_app.RequestTime";
}

impl RequestDimension for RequestTime {
    fn saved(&self) -> llmeter::Result<SavedObject> {
        SavedObject::of(self)
    }

    fn cost(&self, request: &BillableRequest<'_>) -> Option<f64> {
        Some(request.response.time_to_last_token? * self.price_per_second)
    }
}

/// A fee for each client.
#[derive(Serialize, Deserialize)]
struct Seats {
    price: f64,
}

impl Saved for Seats {
    const CLASS: &'static str = "my_app.Seats";
}

impl RunDimension for Seats {
    fn saved(&self) -> llmeter::Result<SavedObject> {
        SavedObject::of(self)
    }

    fn cost(&self, result: &RunResult) -> Option<f64> {
        Some(result.summary.clients as f64 * self.price)
    }
}

#[test]
fn own_dimensions_are_registered_in_one_line_and_not_before() {
    let model = CostModel::new()
        .with_named_request(
            "time",
            Arc::new(RequestTime {
                price_per_second: 2.0,
            }),
        )
        .unwrap()
        .with_run(Seats { price: 0.5 })
        .unwrap();
    let saved = model.saved().unwrap().unwrap().to_json();
    let error = CostModel::from_json(&saved).err().unwrap().to_string();
    assert!(error.contains("my_app.RequestTime"), "{error}");
    register_request_dimension::<RequestTime>();
    register_run_dimension::<Seats>();
    let model = CostModel::from_json(&saved).unwrap();
    let mut result = finished(vec![InvocationResponse {
        time_to_last_token: Some(3.0),
        ..InvocationResponse::default()
    }]);
    model.apply(&mut result).unwrap();
    assert_eq!(result.stats_map()["cost_time"], 6.0);
    assert_eq!(result.stats_map()["cost_Seats"], 0.5);
}
