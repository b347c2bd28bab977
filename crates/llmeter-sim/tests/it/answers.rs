//! What answers contain.

use std::thread;

use serde_json::{Value, json};

use crate::{
    client::{Client, chat, post},
    server,
};

#[test]
fn a_stream_has_one_chunk_for_each_frame() {
    let server = server(|_| ());
    let mut client = Client::connect(&server);
    let response = client.ask(post(&chat(json!({"stream": true})), ""));
    assert!(response.head.contains("content-type: text/event-stream"));
    // Role, eight tokens, the finish, [DONE].
    assert_eq!(response.chunks.len(), 11);
    let frames = response.frames();
    let ids: Vec<&Value> = frames.iter().map(|frame| &frame["id"]).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(
        frames[0]["choices"][0]["delta"],
        json!({"role": "assistant", "content": "", "refusal": null})
    );
    assert_eq!(frames[9]["choices"][0]["delta"], json!({}));
    assert_eq!(frames[9]["choices"][0]["finish_reason"], "stop");
    assert!(frames.iter().all(|frame| frame.get("usage").is_none()));
    assert_eq!(response.text().split_whitespace().count(), 8);
}

#[test]
fn usage_is_sent_when_asked_for() {
    let server = server(|config| config.reasoning_tokens = 3);
    let mut client = Client::connect(&server);
    let body = chat(json!({"stream": true, "stream_options": {"include_usage": true}}));
    let mut frames = client.ask(post(&body, "")).frames();
    let last = frames.pop().unwrap();
    assert!(
        frames
            .iter()
            .all(|frame| frame.get("usage") == Some(&Value::Null))
    );
    assert_eq!(last["choices"], json!([]));
    let usage = &last["usage"];
    assert_eq!(usage["prompt_tokens"], 3);
    assert_eq!(usage["completion_tokens"], 11);
    assert_eq!(usage["total_tokens"], 14);
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 0);
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 3);
}

#[test]
fn reasoning_comes_first_and_frames_may_hold_several_tokens() {
    let server = server(|config| {
        config.reasoning_tokens = 5;
        config.tokens_per_frame = 3;
    });
    let mut client = Client::connect(&server);
    let frames = client
        .ask(post(&chat(json!({"stream": true})), ""))
        .frames();
    let words = |kind: &str| -> Vec<usize> {
        let deltas = frames
            .iter()
            .map(|frame| &frame["choices"][0]["delta"][kind]);
        deltas
            .filter_map(|text| Some(text.as_str()?.split_whitespace().count()))
            .collect()
    };
    assert_eq!(words("reasoning_content"), [3, 2]);
    assert_eq!(words("content"), [0, 3, 3, 2]);
    assert!(frames[1]["choices"][0]["delta"]["reasoning_content"].is_string());
    let truth = server.truth();
    assert_eq!((truth[0].writes.len(), truth[0].reasoning_writes), (5, 2));
}

#[test]
fn a_plain_answer_says_what_a_stream_says() {
    let server = server(|_| ());
    let mut client = Client::connect(&server);
    let response = client.ask(post(&chat(json!({"n": 2, "max_tokens": 5})), ""));
    assert!(response.head.contains("content-length: "));
    let body = response.json();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["model"], "some/model");
    assert_eq!(body["usage"]["completion_tokens"], 10);
    for (index, choice) in body["choices"].as_array().unwrap().iter().enumerate() {
        assert_eq!(choice["index"], index);
        assert_eq!(choice["finish_reason"], "length");
        let content = choice["message"]["content"].as_str().unwrap();
        assert_eq!(content.split_whitespace().count(), 5);
    }
}

#[test]
fn a_required_tool_is_called() {
    let server = server(|_| ());
    let mut client = Client::connect(&server);
    let tools = json!([{"type": "function", "function": {"name": "look",
        "parameters": {"properties": {"city": {"type": "string"}}}}}]);
    let body = chat(json!({"stream": true, "tools": tools, "tool_choice": "required"}));
    let frames = client.ask(post(&body, "")).frames();
    let calls: Vec<&Value> = frames
        .iter()
        .filter_map(|frame| frame.pointer("/choices/0/delta/tool_calls/0"))
        .collect();
    assert_eq!(calls.len(), 8);
    assert_eq!(calls[0]["function"]["name"], "look");
    assert_eq!(calls[0]["type"], "function");
    let arguments: String = calls
        .iter()
        .filter_map(|call| call["function"]["arguments"].as_str())
        .collect();
    let arguments: Value = serde_json::from_str(&arguments).unwrap();
    assert_eq!(arguments["city"].as_str().unwrap().split(' ').count(), 7);
    let finish = frames.last().unwrap()["choices"][0]["finish_reason"].clone();
    assert_eq!(finish, "tool_calls");
}

#[test]
fn two_hundred_clients_are_all_served() {
    let server = server(|config| {
        config.threads = 2;
        config.itl = std::time::Duration::from_millis(1);
    });
    thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| {
                let mut client = Client::connect(&server);
                for _ in 0..3 {
                    let response = client.ask(post(&chat(json!({"stream": true})), ""));
                    assert_eq!(response.text().split(' ').count(), 8);
                }
            });
        }
    });
    let truth = server.truth();
    assert_eq!(truth.len(), 600);
    let ids: std::collections::HashSet<_> = truth.iter().map(|record| &record.id).collect();
    assert_eq!(ids.len(), 600);
}

#[test]
fn one_that_does_not_read_keeps_nobody_waiting() {
    let server = server(|config| config.output_tokens = 200_000);
    let mut idle = Client::connect(&server);
    idle.send(post(&chat(json!({"stream": true})), ""));
    idle.take_through(b"\r\n\r\n").unwrap();
    let mut client = Client::connect(&server);
    let short = client.ask(post(&chat(json!({"stream": true, "max_tokens": 5})), ""));
    assert_eq!(short.text().split(' ').count(), 5);
}

#[test]
fn the_next_turn_reads_only_what_is_new() {
    let server = server(|config| (config.prefix_cache, config.cache_block) = (Some(1_000), 4));
    let mut client = Client::connect(&server);
    let mut messages = vec![json!({"role": "user", "content": "a b c d e f g h i j"})];
    let mut told = Vec::new();
    for _ in 0..3 {
        let response = client
            .ask(post(&chat(json!({"messages": messages})), ""))
            .json();
        let usage = &response["usage"];
        told.push([
            usage["prompt_tokens"].as_u64().unwrap(),
            usage["prompt_tokens_details"]["cached_tokens"]
                .as_u64()
                .unwrap(),
        ]);
        messages.push(response["choices"][0]["message"].clone());
        messages.push(json!({"role": "user", "content": "and then"}));
    }
    // A turn has 8 words of the answer and 2 of the next message; whole blocks of 4 words are kept.
    assert_eq!(told, [[10, 0], [20, 16], [30, 28]]);
    let cached: Vec<u64> = server.truth().iter().map(|it| it.cached_tokens).collect();
    assert_eq!(cached, [0, 16, 28]);
}
