//! What frames of TGI become.

use serde_json::json;

use crate::api::{Answer, Api, ResponseHead};

use super::Tgi;
use crate::api::json_frames::tests::{frames, whole};

#[test]
fn marks_are_tokens_but_no_text() {
    let (answer, content) = frames(
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
    assert_eq!((answer.text.as_str(), answer.usage.output), ("a", Some(2)));
    assert_eq!(answer.finish_reason.as_deref(), Some("eos_token"));
}

#[test]
fn an_answer_may_be_in_a_list_and_list_the_prompts_tokens() {
    let body = json!([{"generated_text": "a b", "details": {
        "finish_reason": "length", "generated_tokens": 2,
        "prefill": [{"id": 1, "text": "x", "logprob": null}, {"id": 2, "text": "y"}],
    }}]);
    let answer = whole(&Tgi, &body);
    assert_eq!(answer.text, "a b");
    assert_eq!(
        (answer.usage.input, answer.usage.output),
        (Some(2), Some(2))
    );
    assert!(!answer.is_failed());
    let answer = whole(
        &Tgi,
        &json!({"generated_text": "a", "details": {"prefill": []}}),
    );
    assert_eq!(answer.usage.input, None, "not asked for");
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
    let mut answer = Answer::default();
    Tgi.decoder().head(&head, &mut answer);
    assert_eq!(
        answer.annotations["server_timings"],
        json!({"total_time": 81, "queue_time": 0, "time_per_token": 20})
    );
    assert_eq!(answer.usage.input, Some(7));
    let mut answer = Answer::default();
    Tgi.decoder().head(&ResponseHead::default(), &mut answer);
    assert!(answer.annotations.is_empty());
}
