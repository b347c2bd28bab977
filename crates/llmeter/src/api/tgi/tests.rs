//! What frames of TGI become.

use serde_json::json;

use crate::api::{Api, ResponseBuilder, ResponseHead};

use super::Tgi;
use crate::api::json_frames::tests::{frames, whole};

#[test]
fn marks_are_tokens_but_no_text() {
    let (response, content) = frames(
        &Tgi,
        &[
            json!({"index": 1, "token": {"id": 1, "text": "a", "special": false}}),
            json!({
                "index": 2, "token": {"id": 2, "text": "</s>", "special": true},
                "generated_text": "a", "details": {"finish_reason": "eos_token",
                "generated_tokens": 2, "input_length": 3},
            }),
        ],
    );
    assert_eq!(content, [true, false]);
    assert_eq!(
        (response.text.as_str(), response.usage.output),
        ("a", Some(2))
    );
    assert_eq!(response.finish_reason.as_deref(), Some("eos_token"));
}

#[test]
fn an_answer_may_be_in_a_list_and_list_the_prompts_tokens() {
    let body = json!([{"generated_text": "a b", "details": {
        "finish_reason": "length", "generated_tokens": 2,
        "prefill": [{"id": 1, "text": "x", "logprob": null}, {"id": 2, "text": "y"}],
    }}]);
    let response = whole(&Tgi, &body);
    assert_eq!(response.text, "a b");
    assert_eq!(
        (response.usage.input, response.usage.output),
        (Some(2), Some(2))
    );
    assert!(!response.is_failed());
    let response = whole(
        &Tgi,
        &json!({"generated_text": "a", "details": {"prefill": []}}),
    );
    assert_eq!(response.usage.input, None, "not asked for");
}

#[test]
fn the_servers_own_times_are_kept() {
    let headers = [
        ("x-total-time", "81"),
        ("x-queue-time", "0"),
        ("x-time-per-token", "20"),
        ("x-inference-time", "soon"),
        ("x-prompt-tokens", "7"),
    ];
    let headers = headers.into_iter();
    let head = headers.fold(ResponseHead::new(200), |head, (name, value)| {
        head.with(name, value)
    });
    let mut response = ResponseBuilder::default();
    Tgi.decoder().head(&head, &mut response);
    assert_eq!(
        response.annotations["server_timings"],
        json!({"total_time": 81, "queue_time": 0, "time_per_token": 20})
    );
    assert_eq!(response.usage.input, Some(7));
    let mut response = ResponseBuilder::default();
    Tgi.decoder().head(&ResponseHead::default(), &mut response);
    assert!(response.annotations.is_empty());
}
