//! Chat completions: what is asked for, and what frames say.

use super::*;
use crate::api::{Finish, Times};

fn completion(tool: Option<Tool>) -> Completion {
    Completion {
        id: "chatcmpl-1".into(),
        created: 5,
        model: "a \"model\"".into(),
        choices: 1,
        prompt_tokens: 3,
        cached_tokens: 0,
        reasoning: 0,
        visible: 4,
        finish: Finish::Stop,
        tool,
        words: 0,
        usage: true,
        times: Times::default(),
    }
}

fn content(stream: &mut Stream, tokens: std::ops::Range<u32>) -> Value {
    let mut buffer = FrameBuffer::new(false);
    OpenAiChat.opening(stream, 0, &mut buffer);
    buffer.clear();
    OpenAiChat.content(stream, 0, &Delta::Visible(tokens), &mut buffer);
    let frame = std::str::from_utf8(buffer.bytes()).unwrap();
    let data = frame.strip_prefix("data: ").unwrap();
    serde_json::from_str(data.strip_suffix("\n\n").unwrap()).unwrap()
}

#[test]
fn a_frame_is_a_chunk_object() {
    let mut stream = Stream::new(completion(None));
    assert_eq!(
        content(&mut stream, 1..3),
        json!({
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 5,
            "model": "a \"model\"",
            "service_tier": "default",
            "system_fingerprint": FINGERPRINT,
            "choices": [{
                "index": 0,
                "delta": {"content": " river keeps"},
                "logprobs": null,
                "finish_reason": null,
            }],
            "usage": null,
        })
    );
}

#[test]
fn the_deltas_of_a_tool_call_make_valid_arguments() {
    let tool = Tool {
        name: "f".into(),
        argument: "a\"b".into(),
        named: false,
    };
    let mut stream = Stream::new(completion(Some(tool)));
    let mut arguments = String::new();
    for tokens in [0..1, 1..3, 3..4] {
        let frame = content(&mut stream, tokens);
        let call = &frame["choices"][0]["delta"]["tool_calls"][0];
        arguments += call["function"]["arguments"].as_str().unwrap();
    }
    let arguments: Value = serde_json::from_str(&arguments).unwrap();
    assert_eq!(arguments, json!({"a\"b": "the river keeps"}));
}

fn with(extra: Value) -> Result<ApiRequest, ApiError> {
    let mut request = json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [
                {"type": "text", "text": " one\ntwo  three "},
                {"type": "image_url", "image_url": {"url": "data:,a b"}},
            ]},
        ],
    });
    for (name, value) in extra.as_object().unwrap() {
        request[name] = value.clone();
    }
    crate::api::parse(
        &OpenAiChat,
        &Route::default(),
        request.to_string().as_bytes(),
    )
}

#[test]
fn prompts_are_counted_in_words() {
    let request = with(json!({})).unwrap();
    assert_eq!(request.prompt.len(), 5);
    assert_eq!(
        (request.stream, request.limit, request.choices),
        (false, None, 1)
    );
}

#[test]
fn the_newer_limit_wins() {
    let limit = |extra| with(extra).unwrap().limit;
    assert_eq!(limit(json!({"max_tokens": 5})), Some(5));
    assert_eq!(
        limit(json!({"max_tokens": 5, "max_completion_tokens": 6})),
        Some(6)
    );
    assert_eq!(limit(json!({"max_tokens": null})), None);
}

#[test]
fn a_required_tool_is_the_first_and_a_named_one_itself() {
    let tools = json!([
        {"type": "function", "function": {"name": "a"}},
        {"type": "function", "function": {"name": "b", "parameters": {"properties": {
            "n": {"type": "integer"}, "city": {"type": "string"}}}}},
    ]);
    let tool = |choice: Value| {
        with(json!({"tools": tools, "tool_choice": choice}))
            .unwrap()
            .tool
    };
    assert_eq!(tool(json!("auto")), None);
    let first = tool(json!("required")).unwrap();
    assert_eq!(
        (first.name.as_str(), first.argument.as_str(), first.named),
        ("a", "input", false)
    );
    let named = tool(json!({"type": "function", "function": {"name": "b"}})).unwrap();
    assert_eq!(
        (named.name.as_str(), named.argument.as_str(), named.named),
        ("b", "city", true)
    );
}

#[test]
fn what_is_wrong_is_named() {
    let cases = [
        (json!({"model": null}), None, None),
        (json!({"model": 1}), Some("model"), Some("invalid_type")),
        (
            json!({"messages": null}),
            Some("messages"),
            Some("missing_required_parameter"),
        ),
        (
            json!({"messages": "hi"}),
            Some("messages"),
            Some("invalid_type"),
        ),
        (
            json!({"messages": []}),
            Some("messages"),
            Some("empty_array"),
        ),
        (
            json!({"messages": [1]}),
            Some("messages[0]"),
            Some("invalid_type"),
        ),
        (
            json!({"messages": [{"content": "x"}]}),
            Some("messages[0].role"),
            Some("missing_required_parameter"),
        ),
        (
            json!({"messages": [{"role": "bot", "content": "x"}]}),
            Some("messages[0].role"),
            Some("invalid_value"),
        ),
        (
            json!({"messages": [{"role": "user", "content": 4}]}),
            Some("messages[0].content"),
            Some("invalid_type"),
        ),
        (
            json!({"stream": "yes"}),
            Some("stream"),
            Some("invalid_type"),
        ),
        (
            json!({"max_tokens": 1.5}),
            Some("max_tokens"),
            Some("invalid_type"),
        ),
        (
            json!({"max_tokens": -1}),
            Some("max_tokens"),
            Some("integer_below_min_value"),
        ),
        (
            json!({"n": 129}),
            Some("n"),
            Some("integer_above_max_value"),
        ),
        (
            json!({"stream_options": {"include_usage": true}}),
            Some("stream_options"),
            None,
        ),
        (
            json!({"tool_choice": "required"}),
            Some("tool_choice"),
            Some("invalid_value"),
        ),
    ];
    for (extra, param, code) in cases {
        let error = with(extra.clone()).unwrap_err();
        assert_eq!(error.status, 400, "{extra}");
        assert_eq!(
            (error.param.as_deref(), error.code),
            (param, code),
            "{extra}"
        );
    }
    let error = crate::api::parse(
        &OpenAiChat,
        &Route::default(),
        b"{\"model\": \"m\",\n oops}",
    )
    .unwrap_err();
    assert!(
        error.message.contains("line 2 column 2"),
        "{}",
        error.message
    );
}
