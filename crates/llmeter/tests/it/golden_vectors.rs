//! What the Python system computes, case by case, and where llmeter computes something else on
//! purpose: each such place names the defect that it does not repeat.

use crate::golden::{close, exclusive, object, same, vectors};
use llmeter::InvocationResponse;
use llmeter::payload::{bytes_of, bytes_value};
use llmeter::result::response_from_json;
use llmeter::stats::{Accumulator, Keep, LiveDisplay, Number, Percentile, summarize};
use serde_json::{Value, json};

fn number(value: &Value) -> Number {
    match value {
        Value::Bool(flag) => Number::Int(i64::from(*flag)),
        Value::String(nan) if nan == "NaN" => Number::Float(f64::NAN),
        value => value
            .as_i64()
            .map_or_else(|| Number::Float(value.as_f64().unwrap()), Number::Int),
    }
}

#[test]
fn summary_of_a_list() {
    let mut beyond = 0;
    for case in vectors("summary_stats") {
        let data: Vec<Number> = case["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(number)
            .collect();
        let wanted: Vec<u8> = serde_json::from_value(case["percentiles"].clone()).unwrap();
        if wanted.iter().any(|p| !(1..=99).contains(p)) {
            // The Python system takes another percentile for p0 and raises IndexError for p100;
            // here neither can be asked for.
            assert!(wanted.iter().all(|&p| Percentile::whole(p).is_none()));
            continue;
        }
        let percentiles: Vec<_> = wanted
            .iter()
            .map(|&p| Percentile::whole(p).unwrap())
            .collect();
        let summary = summarize(&data, &percentiles);
        let expected = object(&case["value"]);
        assert_eq!(summary.len(), expected.len(), "{case}");

        let usable = data.iter().map(|n| n.as_f64()).filter(|n| !n.is_nan());
        let least = usable.clone().fold(f64::INFINITY, f64::min);
        let greatest = usable.fold(f64::NEG_INFINITY, f64::max);
        for ((key, value), (expected_key, expected)) in summary.iter().zip(expected) {
            assert_eq!(key, expected_key);
            let there = expected.as_f64().unwrap();
            if there < least || there > greatest {
                // D17: percentiles beyond the data. Here they end where the data end.
                beyond += 1;
                assert_eq!(
                    value.as_f64(),
                    there.clamp(least, greatest),
                    "{key} of {case}"
                );
            } else {
                // Bit for bit, and whole where Python has a whole number.
                assert_eq!(Value::from(*value), *expected, "{key} of {case}");
            }
        }
    }
    assert!(beyond > 0, "the vectors show D17");
}

/// A response of `running_stats`: only some fields, times as text.
fn running(response: &Value) -> InvocationResponse {
    let line = response.to_string().replace("\"NaN\"", "NaN");
    response_from_json(&line).unwrap()
}

#[test]
fn statistics_of_a_run() {
    for case in vectors("running_stats") {
        let responses: Vec<_> = case["responses"]
            .as_array()
            .unwrap()
            .iter()
            .map(running)
            .collect();
        let sent = responses.iter().filter_map(|r| r.request_time);
        let end: Option<jiff::Timestamp> = case["end_time"]
            .as_str()
            .map(|text| text.replace("+00:00", "Z").parse().unwrap());
        let window = end
            .zip(sent.min())
            .map(|(end, first)| end.duration_since(first).as_secs_f64())
            .filter(|window| *window > 0.0);

        let mut accumulator = Accumulator::new(Keep::Values);
        responses.iter().for_each(|r| accumulator.record(r));
        let snapshot = accumulator.snapshot(window);
        let stats = accumulator.stats(window);
        for (key, value) in &snapshot {
            assert_eq!(
                Some(value),
                stats.get(key),
                "{key}: a look at few values is exact"
            );
        }
        let others = stats.keys().filter(|key| !snapshot.contains_key(*key));
        let is_interval = |key: &String| key.ends_with("-ci_low") || key.ends_with("-ci_high");
        assert_eq!(others.filter(|key| !is_interval(key)).count(), 0);

        let recorded = responses.len() as f64;
        let sum = |field: fn(&InvocationResponse) -> Option<u64>| {
            responses.iter().filter_map(field).sum::<u64>() as f64
        };
        for (key, expected) in object(&case["value"]) {
            let Some(value) = stats.get(key) else {
                // D14, as below, where every value came from a failed request.
                let metric = key.rsplit_once('-').unwrap().0;
                assert!(
                    responses
                        .iter()
                        .all(|r| r.error.is_some() || r.dimension(metric).unwrap().is_null())
                );
                continue;
            };
            if same(value, expected) {
                continue;
            }
            let name = case["name"].as_str().unwrap();
            // Of counts that no response has, no rate is known.
            let has = |field: fn(&InvocationResponse) -> Option<u64>| {
                responses.iter().any(|response| field(response).is_some())
            };
            match (key.as_str(), window) {
                ("average_input_tokens_per_minute", _) if !has(|r| r.num_tokens_input) => {
                    assert!(value.is_null());
                }
                ("average_output_tokens_per_minute", _) if !has(|r| r.num_tokens_output) => {
                    assert!(value.is_null());
                }
                // D9: rates over the window between the first and the last sending.
                ("requests_per_minute", Some(window)) => {
                    assert!(close(value.as_f64().unwrap(), recorded / window * 60.0));
                }
                ("average_input_tokens_per_minute", Some(window)) => {
                    let tokens = sum(|r| r.num_tokens_input);
                    assert!(close(value.as_f64().unwrap(), tokens / window * 60.0));
                }
                ("requests_per_minute" | "average_input_tokens_per_minute", None) => {
                    assert!(value.is_null(), "no window, no rate");
                }
                // Multiplied and divided in another order.
                ("average_output_tokens_per_minute", Some(_)) => {
                    assert!(close(value.as_f64().unwrap(), expected.as_f64().unwrap()));
                }
                _ => metric_deviates(key, value, expected, &responses, name),
            }
        }
    }
}

/// D14 (failed requests among the values) or D17 (percentiles beyond the data): the value here
/// must be that of the successful requests, within their range.
fn metric_deviates(
    key: &str,
    value: &Value,
    expected: &Value,
    responses: &[InvocationResponse],
    name: &str,
) {
    let (metric, statistic) = key
        .rsplit_once('-')
        .unwrap_or_else(|| panic!("{key} of {name}"));
    let of = |is_wanted: fn(&InvocationResponse) -> bool| -> Vec<f64> {
        responses
            .iter()
            .filter(|response| is_wanted(response))
            .filter_map(|response| response.dimension(metric).unwrap().as_f64())
            .collect()
    };
    let (all, successful) = (of(|_| true), of(|r| r.error.is_none()));
    let greatest = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = all.iter().copied().fold(f64::INFINITY, f64::min);
    let there = expected.as_f64().unwrap();
    assert!(
        successful.len() < all.len() || there > greatest || there < least,
        "{key} of {name}: {value} for {expected} is neither D14 nor D17"
    );
    let right = match statistic {
        "average" => successful.iter().sum::<f64>() / successful.len() as f64,
        percentile => exclusive(&successful, percentile[1..].parse().unwrap()),
    };
    assert!(
        close(value.as_f64().unwrap(), right),
        "{key} of {name}: {value} {right}"
    );
}

#[test]
fn live_display() {
    for case in vectors("live_display") {
        let display = LiveDisplay::from_saved(&case["display_stats"]).unwrap();
        let shown = display.format(object(&case["raw"]));
        let expected = object(&case["value"]);
        assert_eq!(shown.len(), expected.len());
        for ((label, value), (expected_label, expected)) in shown.iter().zip(expected) {
            assert_eq!(label, expected_label);
            let expected = expected.as_str().unwrap();
            if ["input_tokens", "output_tokens", "fail"].contains(&label.as_str()) {
                // D33: counts show as "2.0".
                assert_eq!(value, expected.trim_end_matches(".0"));
            } else {
                assert_eq!(value, expected, "{label} of {case}");
            }
        }
    }
}

#[test]
fn live_display_in_groups() {
    let stats = json!({"requests_per_minute": 141.25, "failed_requests": 2});
    let lines = LiveDisplay::default().lines(object(&stats));
    assert_eq!(
        lines,
        [
            "  Throughput: rpm=141.2  output_tps=—  p50_tps=—",
            "  TTFT: p50_ttft=—  p90_ttft=—",
            "  TTLT: p50_ttlt=—  p90_ttlt=—",
            "  Tokens: input_tokens=—  output_tokens=—",
            "  Errors: fail=2",
        ]
    );
    // D33: an entry that went through JSON is a list; the Python system cannot read it back.
    let saved = json!({"speed": ["time_per_output_token-p50", "inv"], "n": "failed_requests"});
    let display = LiveDisplay::from_saved(&saved).unwrap();
    let stats = json!({"time_per_output_token-p50": 0.04, "failed_requests": 2.0});
    assert_eq!(
        display.groups(object(&stats)),
        [(
            "Other",
            vec![
                ("speed".to_owned(), "25.0 tok/s".to_owned()),
                ("n".to_owned(), "2".to_owned())
            ]
        )]
    );
    assert!(LiveDisplay::from_saved(&json!({"x": 1})).is_err());
}

#[test]
fn values_that_json_does_not_have() {
    let mut seen = 0;
    for case in vectors("json_default") {
        let (python, json) = (case["python"].as_str().unwrap(), &case["json"]);
        let time = |text: &str| {
            let line = json!({"request_time": text}).to_string();
            response_from_json(&line).unwrap().request_time
        };
        match python {
            "b''" => assert_eq!(*json, bytes_value(b"")),
            "b'\\xff\\x00abc'" => assert_eq!(bytes_of(json).unwrap(), b"\xff\x00abc"),
            "{'k': b'x'}" => assert_eq!(*json, json!({"k": bytes_value(b"x")})),
            "[b'y']" => assert_eq!(*json, json!([bytes_value(b"y")])),
            _ if python.starts_with("datetime.datetime") => {
                let read = time(json.as_str().unwrap()).unwrap();
                let response = InvocationResponse {
                    request_time: Some(read),
                    ..InvocationResponse::default()
                };
                let written = response.to_map()["request_time"].clone();
                // D11: the Python system cuts the fraction off; here it is always written.
                let whole = json.as_str().unwrap().trim_end_matches('Z');
                assert_eq!(written, format!("{whole}.000000Z"));
            }
            _ => continue,
        }
        seen += 1;
    }
    assert_eq!(seen, 7);
}

#[test]
fn the_bins_of_a_heatmap() {
    for case in vectors("heatmap_cut") {
        let values: Vec<f64> = serde_json::from_value(case["arr"].clone()).unwrap();
        let bins =
            llmeter::experiment::heatmap_bins(&values, case["bins"].as_u64().unwrap() as usize);
        let bins: Vec<[f64; 2]> = bins.iter().map(|bin| [bin.start, bin.end]).collect();
        let expected: Vec<[f64; 2]> =
            serde_json::from_value(case["bin_intervals"].clone()).unwrap();
        assert_eq!(bins, expected, "{case}");
        let values = values
            .iter()
            .zip(case["value_intervals"].as_array().unwrap());
        for (value, interval) in values {
            let found = bins.iter().find(|bin| (bin[0]..bin[1]).contains(value));
            assert_eq!(
                json!(found),
                json!(interval.as_array().map(|bounds| {
                    bounds
                        .iter()
                        .map(|bound| bound.as_f64().unwrap())
                        .collect::<Vec<_>>()
                })),
                "{case}"
            );
        }
    }
}
