//! What frames of real servers, and of broken ones, become.

mod any_input;
mod elsewhere;
mod failures;
mod repeated;

use serde_json::json;

use super::decode::Chat;
use crate::api::json_frames::Decoder;
use crate::endpoint::{Frame, FrameDecoder, ResponseBuilder, Usage};
use llmeter_wire::clock::Stamp;

fn chat_decoder() -> Decoder<Chat> {
    Decoder::new(Chat::of("chat completion"))
}

/// Decodes frames that arrive a second apart, and says which of them carried content.
fn frames(data: &[&str]) -> (ResponseBuilder, Vec<bool>) {
    let bytes: Vec<&[u8]> = data.iter().map(|data| data.as_bytes()).collect();
    byte_frames(&bytes)
}

fn byte_frames(data: &[&[u8]]) -> (ResponseBuilder, Vec<bool>) {
    let mut decoder = chat_decoder();
    let mut response = ResponseBuilder::default();
    response.sent_at(Stamp(0));
    let mut content = Vec::new();
    for (index, data) in data.iter().enumerate() {
        response.begin_frame(Stamp((index as i64 + 1) * 1_000_000_000));
        decoder.frame(
            Frame {
                event: None,
                data,
                is_error: false,
            },
            &mut response,
        );
        content.push(response.frame_has_content());
    }
    decoder.end(&mut response);
    (response, content)
}

/// A frame with one choice of the given delta.
fn delta(delta: serde_json::Value) -> String {
    json!({"id": "i", "choices": [{"index": 0, "delta": delta}]}).to_string()
}

/// The response to frames with these deltas and a finish.
fn deltas(all: &[serde_json::Value]) -> (ResponseBuilder, Vec<bool>) {
    let mut data: Vec<String> = all.iter().cloned().map(delta).collect();
    data.push("[DONE]".to_owned());
    let data: Vec<&str> = data.iter().map(String::as_str).collect();
    let (response, mut content) = frames(&data);
    content.pop();
    (response, content)
}

fn whole(body: &str) -> ResponseBuilder {
    let mut response = ResponseBuilder::default();
    response.begin_frame(Stamp(1));
    chat_decoder().non_streaming(body.as_bytes(), &mut response);
    response
}

fn error(response: &ResponseBuilder) -> &str {
    response.error_text().unwrap_or_default()
}

fn usage(input: u64, output: u64, cached: Option<u64>, reasoning: Option<u64>) -> Usage {
    Usage {
        input: Some(input),
        output: Some(output),
        input_cached: cached,
        output_reasoning: reasoning,
        total: Some(input + output),
    }
}

#[test]
fn openai() {
    let (response, content) = frames(&[
        r#"{"id":"chatcmpl-9l","object":"chat.completion.chunk","created":1721075653,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x1"}"#,
        r#"{"id":"chatcmpl-9l","object":"chat.completion.chunk","created":1721075653,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        r#"{"id":"chatcmpl-9l","object":"chat.completion.chunk","created":1721075653,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"delta":{"content":" \u00fc\ud83d\ude42\n\"x\""},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        r#"{"id":"chatcmpl-9l","object":"chat.completion.chunk","created":1721075653,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}"#,
        r#"{"id":"chatcmpl-9l","object":"chat.completion.chunk","created":1721075653,"model":"gpt-4o-mini-2024-07-18","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}"#,
        "[DONE]",
    ]);
    assert_eq!(content, [false, true, true, false, false, false]);
    assert_eq!(response.text, "Hello ü🙂\n\"x\"");
    assert_eq!(response.id.as_deref(), Some("chatcmpl-9l"));
    assert_eq!(response.usage, usage(9, 12, Some(4), Some(3)));
    assert_eq!(response.finish_reason.as_deref(), Some("stop"));
    assert!(response.is_complete() && !response.is_failed());
    assert_eq!(response.times(), [Some(2.0), Some(2.0), Some(3.0)]);
}

#[test]
fn vllm_with_continuous_usage() {
    let (response, content) = frames(&[
        r#"{"id":"chatcmpl-a","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":5,"total_tokens":5,"completion_tokens":0}}"#,
        r#"{"id":"chatcmpl-a","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"one"},"logprobs":null,"finish_reason":null,"token_ids":null}],"usage":{"prompt_tokens":5,"total_tokens":6,"completion_tokens":1}}"#,
        r#"{"id":"chatcmpl-a","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":" two"},"logprobs":null,"finish_reason":"length","stop_reason":null}],"usage":{"prompt_tokens":5,"total_tokens":7,"completion_tokens":2,"prompt_tokens_details":null}}"#,
        "[DONE]",
    ]);
    assert_eq!(content, [false, true, true, false]);
    assert_eq!(response.text, "one two");
    assert_eq!(response.usage, usage(5, 2, None, None));
    assert_eq!(response.finish_reason.as_deref(), Some("length"));
    assert!(!response.is_failed());
}

#[test]
fn llama_cpp() {
    let (response, content) = frames(&[
        r#"{"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"created":1,"id":"chatcmpl-x","model":"m","system_fingerprint":"b1","object":"chat.completion.chunk"}"#,
        r#"{"choices":[{"finish_reason":null,"index":0,"delta":{"content":"ab"}}],"created":1,"id":"chatcmpl-x","model":"m","system_fingerprint":"b1","object":"chat.completion.chunk","timings":{"prompt_n":3,"prompt_ms":1.5}}"#,
        r#"{"choices":[{"finish_reason":"length","index":0,"delta":{}}],"created":1,"id":"chatcmpl-x","model":"m","system_fingerprint":"b1","object":"chat.completion.chunk"}"#,
        r#"{"choices":[],"created":1,"id":"chatcmpl-x","model":"m","system_fingerprint":"b1","object":"chat.completion.chunk","usage":{"completion_tokens":8,"prompt_tokens":3,"total_tokens":11},"timings":{"cache_n":0,"prompt_n":3,"prompt_ms":1.5,"prompt_per_token_ms":0.5,"prompt_per_second":2000.0,"predicted_n":8,"predicted_ms":4.0,"predicted_per_token_ms":0.5,"predicted_per_second":2000.0}}"#,
        "[DONE]",
    ]);
    assert_eq!(content, [false, true, false, false, false]);
    assert_eq!(response.text, "ab");
    assert_eq!(response.usage, usage(3, 8, None, None));
    let timings = &response.annotations["server_timings"];
    assert_eq!(
        timings["predicted_per_token_ms"], 0.5,
        "the last ones count"
    );
    assert!(!response.is_failed());
    for timings in ["null", "3", "[1]", r#""fast""#] {
        let body =
            format!(r#"{{"choices": [{{"message": {{"content": "a"}}}}], "timings": {timings}}}"#);
        let response = whole(&body);
        assert_eq!(response.error, None, "{timings}");
        assert!(response.annotations.is_empty(), "{timings}");
    }
}

#[test]
fn deepseek_reasons_before_it_answers() {
    let (response, content) = frames(&[
        r#"{"id":"d","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":""},"logprobs":null,"finish_reason":null}]}"#,
        r#"{"id":"d","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":null,"reasoning_content":"Hmm"},"logprobs":null,"finish_reason":null}]}"#,
        r#"{"id":"d","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":null,"reasoning_content":"…"},"logprobs":null,"finish_reason":null}]}"#,
        r#"{"id":"d","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Yes","reasoning_content":null},"logprobs":null,"finish_reason":null}]}"#,
        r#"{"id":"d","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"","reasoning_content":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":6,"completion_tokens":3,"total_tokens":9,"completion_tokens_details":{"reasoning_tokens":2},"prompt_cache_hit_tokens":1,"prompt_cache_miss_tokens":5}}"#,
        "[DONE]",
    ]);
    assert_eq!(content, [false, true, true, true, false, false]);
    assert_eq!((&*response.reasoning, &*response.text), ("Hmm…", "Yes"));
    assert_eq!(response.times(), [Some(2.0), Some(4.0), Some(4.0)]);
    assert_eq!(response.usage, usage(6, 3, Some(1), Some(2)));
}

#[test]
fn openrouter_reasons_under_another_name() {
    let (response, content) = frames(&[
        r#"{"id":"gen-1","provider":"P","model":"m","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"Let","reasoning_details":[{"type":"reasoning.text","text":"Let"}]},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}"#,
        r#"{"id":"gen-1","provider":"P","model":"m","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":"ok","reasoning":null},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}"#,
        r#"{"id":"gen-1","provider":"P","model":"m","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop","native_finish_reason":"stop","logprobs":null}],"usage":{"prompt_tokens":7.0,"completion_tokens":2.0,"cost":0.1,"is_byok":false}}"#,
        "[DONE]",
    ]);
    assert_eq!(content, [true, true, false, false]);
    assert_eq!((&*response.reasoning, &*response.text), ("Let", "ok"));
    assert_eq!(
        response.usage,
        Usage {
            total: None,
            ..usage(7, 2, None, None)
        }
    );
}

#[test]
fn the_same_reasoning_under_both_names_counts_once() {
    let (response, _) = deltas(&[json!({"reasoning": "a", "reasoning_content": "a"})]);
    assert_eq!(response.reasoning, "a");
    let (response, _) = deltas(&[json!({"reasoning": "a", "reasoning_content": ""})]);
    assert_eq!(response.reasoning, "a");
    let (response, content) = deltas(&[json!({"reasoning": {"effort": "low"}})]);
    assert_eq!((response.reasoning.as_str(), content), ("", vec![false]));
    assert!(!response.is_failed());
}

#[test]
fn tool_calls() {
    let (response, content) = deltas(&[
        json!({"role": "assistant", "content": null}),
        json!({"tool_calls": [{"index": 0, "id": "call_1", "type": "function",
            "function": {"name": "get_weather", "arguments": ""}}]}),
        json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"city\":"}}]}),
        json!({"tool_calls": [{"index": 0, "function": {"arguments": "\"Oslo\"}"}}]}),
        json!({"tool_calls": [{"index": 0, "id": "x", "function": {"name": null}}]}),
        json!({"tool_calls": []}),
        json!({"tool_calls": null}),
        json!({"tool_calls": [{"type": "custom", "custom": {"name": "sh", "input": "ls"}}]}),
        json!({"function_call": {"name": "old", "arguments": "{}"}}),
        json!({"tool_calls": [{"function": {"arguments": {"city": "Oslo"}}}]}),
    ]);
    assert_eq!(
        content,
        [
            false, true, true, true, false, false, false, true, true, true
        ]
    );
    assert_eq!(
        response.tool_calls,
        "get_weather{\"city\":\"Oslo\"}shlsold{}"
    );
    assert_eq!(response.text, "");
    assert!(!response.has_text && !response.is_failed());
    assert_eq!(response.times()[1], Some(2.0));
}

#[test]
fn other_content() {
    let (response, content) = deltas(&[
        json!({"audio": {"id": "a"}}),
        json!({"audio": {"data": "AAAA"}}),
        json!({"audio": {"transcript": "hi"}}),
        json!({"audio": {"expires_at": 1, "data": null}}),
        json!({"refusal": "I can't"}),
    ]);
    assert_eq!(content, [false, true, true, false, true]);
    assert_eq!(response.text, "I can't");

    let (response, content) = frames(&[
        r#"{"choices":[{"index":1,"delta":{"content":"b"}}]}"#,
        r#"{"choices":[{"index":1,"delta":{"content":""}}]}"#,
        r#"{"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}"#,
        r#"{"choices":[{"index":2,"delta":{"tool_calls":[{"function":{"arguments":"x"}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    ]);
    assert_eq!(content, [true, false, false, true, true, false]);
    assert_eq!(response.text, "a");
    assert_eq!(response.finish_reason.as_deref(), Some("stop"));
}

#[test]
fn contents_of_parts() {
    let (response, content) = deltas(&[
        json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}),
        json!({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, "c"]}),
        json!({"content": []}),
        json!({"content": [{"type": "text", "text": ""}, null, {}]}),
        json!({"content": [{"type": "image_url", "image_url": {"url": "u"}}]}),
        json!({"content": {"type": "text", "text": "d"}}),
        json!({"content": [{"type": "reasoning", "text": "m"}, {"refusal": "e"}]}),
        json!({"content": 5}),
        json!({"content": true}),
    ]);
    assert_eq!(
        content,
        [true, true, false, false, true, true, true, true, true]
    );
    assert_eq!((&*response.reasoning, &*response.text), ("hmm", "abcde5"));
    assert!(!response.is_failed());
}

#[test]
fn odd_values_of_lesser_fields_do_no_harm() {
    let (response, content) = frames(&[
        r#"{"id":17,"choices":null,"usage":"none","error":null}"#,
        r#"{"id":["x"],"choices":[{"index":null,"delta":{"content":"a","audio":3,"function_call":[]},"finish_reason":{}}],"usage":[1],"error":false}"#,
        r#"{"choices":[{"index":0.0,"delta":null,"finish_reason":""}],"error":""}"#,
        r#"{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":null,"completion_tokens":4.0,"prompt_tokens_details":7,"completion_tokens_details":{"reasoning_tokens":"2"}}}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":"3","completion_tokens":-1,"prompt_tokens_details":{"cached_tokens":1e400}}}"#,
    ]);
    // The last frame holds a number that no JSON reader takes.
    assert!(error(&response).starts_with("frame 5 is not valid JSON: number out of range"));
    assert_eq!(content, [false, true, false, false, false]);
    assert_eq!(response.id.as_deref(), Some("17"));
    assert_eq!(response.usage.output, Some(4));
    assert_eq!(response.usage.output_reasoning, Some(2));
}

#[test]
fn keys_may_be_repeated() {
    let (response, _) = frames(&[
        r#"{"id":"a","id":"b","choices":[{"delta":{"content":"x","content":"y"}}]}"#,
        "[DONE]",
    ]);
    assert_eq!((response.id.as_deref(), &*response.text), (Some("b"), "y"));
    assert!(!response.is_failed());
}

#[test]
fn invalid_text_is_replaced() {
    let (response, content) = byte_frames(&[
        b"{\"choices\":[{\"delta\":{\"content\":\"a\xF0\x9F\"}}]}",
        br#"{"choices":[{"delta":{"content":"b\ud83d"}}]}"#,
        br#"{"choices":[{"delta":{"content":"\ude42\\ud83d\ud83d\ude42\uD83Dx"}}]}"#,
        b"[DONE]",
    ]);
    assert_eq!(response.error, None);
    assert_eq!(
        response.text,
        "a\u{FFFD}b\u{FFFD}\u{FFFD}\\ud83d🙂\u{FFFD}x"
    );
    assert_eq!(content, [true, true, true, false]);
}

#[test]
fn empty_frames_and_frames_after_the_end_mean_nothing() {
    let hello = delta(json!({"content": "Hello"}));
    let (response, content) = frames(&["", " ", &hello, "[DONE]", &hello, "{"]);
    assert_eq!(response.text, "Hello");
    assert_eq!(content, [false, false, true, false, false, false]);
    assert_eq!(response.error, None);
}

#[test]
fn whole_answers() {
    let response = whole(
        r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"},{"index":1,"message":{"content":"Ho"},"finish_reason":"length"}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}"#,
    );
    assert_eq!(
        (&*response.text, response.id.as_deref()),
        ("Hi", Some("chatcmpl-1"))
    );
    assert_eq!(response.finish_reason.as_deref(), Some("stop"));
    assert_eq!(response.usage, usage(19, 10, Some(0), Some(0)));
    assert!(response.is_complete() && !response.is_failed() && response.frame_has_content());

    let response = whole(
        r#"{"choices":[{"message":{"content":null,"reasoning_content":"hm","refusal":"no","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":null}]}"#,
    );
    assert_eq!((&*response.text, &*response.reasoning), ("no", "hm"));
    assert_eq!(response.tool_calls, "f{}");
    assert!(response.is_complete() && !response.is_failed());
}
