//! What lines of Ollama become.

use serde_json::json;

use super::Ollama;
use crate::api::json_frames::tests::{frames, whole};

#[test]
fn the_servers_own_times_are_kept() {
    let last = json!({
        "model": "m", "message": {"role": "assistant", "content": "a"}, "done": true,
        "done_reason": "length", "total_duration": 9, "load_duration": 1,
        "prompt_eval_count": 3, "prompt_eval_duration": 2, "eval_count": 4, "eval_duration": 6,
    });
    for response in [
        frames(&Ollama, std::slice::from_ref(&last)).0,
        whole(&Ollama, &last),
    ] {
        assert_eq!(
            response.annotations["server_timings"],
            json!({
                "total_duration": 9, "load_duration": 1, "prompt_eval_duration": 2,
                "eval_duration": 6,
            })
        );
        assert_eq!(
            (response.usage.input, response.usage.output),
            (Some(3), Some(4))
        );
        assert_eq!(response.finish_reason.as_deref(), Some("length"));
        assert_eq!(response.text, "a");
    }
    let odd = json!({"message": {"content": "a"}, "done": true, "total_duration": "long"});
    let (response, _) = frames(&Ollama, &[odd]);
    assert!(response.annotations.is_empty() && !response.is_failed());
}

#[test]
fn calls_come_whole() {
    let call = json!({"function": {"name": "f", "arguments": {"a": 1}}});
    let (response, content) = frames(
        &Ollama,
        &[
            json!({"message": {"content": "", "thinking": "hm"}, "done": false}),
            json!({"message": {"content": "", "tool_calls": [call]}, "done": false}),
            json!({"message": {"content": ""}, "done": true}),
        ],
    );
    assert_eq!(content, [true, true, false]);
    assert_eq!(
        (response.tool_calls.as_str(), response.reasoning.as_str()),
        ("f{\"a\":1}", "hm")
    );
    assert_eq!(response.times(), [Some(1.0), Some(2.0), Some(2.0)]);
}
