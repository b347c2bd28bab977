//! Content that comes in closing events alone, and content that they repeat.

use serde_json::{Value, json};

use super::super::tests::events;

fn of_part(kind: &str, field: &str, content: &str) -> Value {
    json!({"type": format!("response.{kind}"), "output_index": 0, "content_index": 0, field: content})
}

fn end(output: Value) -> Value {
    json!({"type": "response.completed", "response": {"status": "completed", "output": output}})
}

fn message(content: &str) -> Value {
    json!({"type": "message", "content": [{"type": "output_text", "text": content}]})
}

fn item_done(index: u64, item: Value) -> Value {
    json!({"type": "response.output_item.done", "output_index": index, "item": item})
}

fn part_done(content: &str) -> Value {
    let part = json!({"type": "output_text", "text": content});
    json!({"type": "response.content_part.done", "output_index": 0, "content_index": 0, "part": part})
}

/// All of them say "Hello"; whichever comes first is the one that counts.
#[test]
fn each_closing_event_gives_its_content_once_and_at_its_time() {
    let all = [
        of_part("output_text.done", "text", "Hello"),
        part_done("Hello"),
        item_done(0, message("Hello")),
        end(json!([message("Hello")])),
    ];
    for first in 0..all.len() {
        let response = events(&all[first..]);
        assert_eq!(response.error, None);
        assert_eq!((&*response.text, response.content_frames()), ("Hello", 1));
        assert_eq!(response.times(), [Some(1.0); 3]);
    }
    // After deltas there is nothing left to take.
    let delta = |piece: &str| of_part("output_text.delta", "delta", piece);
    let mut streamed = vec![delta("Hel"), delta("lo")];
    streamed.extend(all.clone());
    let response = events(&streamed);
    assert_eq!((&*response.text, response.content_frames()), ("Hello", 2));
    assert_eq!(response.times(), [Some(1.0), Some(1.0), Some(2.0)]);
    // What deltas lack is taken from whichever comes next.
    for next in 0..all.len() {
        let mut cut = vec![delta("Hel")];
        cut.extend(all[next..].to_vec());
        let response = events(&cut);
        assert_eq!((&*response.text, response.content_frames()), ("Hello", 2));
        assert_eq!(response.times()[2], Some(2.0));
    }
}

#[test]
fn parts_of_the_same_text_are_parts() {
    let part = |index: u64| {
        json!({"type": "response.output_text.done", "output_index": 0, "content_index": index,
               "text": "ha"})
    };
    let both = json!({"type": "message", "content": [{"type": "output_text", "text": "ha"},
                                                     {"type": "output_text", "text": "ha"}]});
    let response = events(&[
        part(0),
        part(1),
        item_done(0, both.clone()),
        end(json!([both])),
    ]);
    assert_eq!((&*response.text, response.content_frames()), ("haha", 2));
    // Items without a number are counted.
    let item = json!({"type": "response.output_item.done", "item": message("ha")});
    let response = events(&[
        item.clone(),
        item,
        end(json!([message("ha"), message("ha")])),
    ]);
    assert_eq!(response.text, "haha");
}

#[test]
fn a_repetition_under_another_number_is_none_the_less() {
    let response = events(&[
        of_part("output_text.delta", "delta", "Hello"),
        of_part("output_text.done", "text", "Hello"),
        item_done(7, message("Hello")),
        end(json!([message("Hello")])),
    ]);
    assert_eq!((&*response.text, response.content_frames()), ("Hello", 1));
}

#[test]
fn reasoning_is_taken_once() {
    let item = json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]});
    let all = [
        of_part("reasoning_summary_text.done", "text", "hm"),
        json!({"type": "response.reasoning_summary_part.done", "output_index": 0,
               "summary_index": 0, "part": {"type": "summary_text", "text": "hm"}}),
        item_done(0, item.clone()),
        end(json!([item])),
    ];
    for first in 0..all.len() {
        let response = events(&all[first..]);
        assert_eq!((&*response.reasoning, response.content_frames()), ("hm", 1));
        assert_eq!(response.times(), [Some(1.0), None, Some(1.0)]);
    }
    // The same thought told twice is one.
    let twice = json!({"type": "reasoning", "summary": [{"text": "short"}],
                       "content": [{"type": "reasoning_text", "text": "at length"}]});
    let response = events(&[
        of_part("reasoning_text.done", "text", "at length"),
        item_done(0, twice.clone()),
        end(json!([twice])),
    ]);
    assert_eq!(response.reasoning, "at length");
}

#[test]
fn calls_are_taken_once() {
    let call = json!({"type": "function_call", "name": "look_up", "arguments": "{\"q\":1}"});
    let added = json!({"type": "response.output_item.added", "output_index": 0,
                       "item": {"type": "function_call", "name": "look_up", "arguments": ""}});
    let done = of_part("function_call_arguments.done", "arguments", "{\"q\":1}");
    let ends = [item_done(0, call.clone()), end(json!([call]))];
    for begin in [vec![added.clone(), done.clone()], vec![added], vec![]] {
        for from in 0..2 {
            let mut all = begin.clone();
            all.extend(ends[from..].to_vec());
            let response = events(&all);
            assert_eq!(response.error, None);
            assert_eq!(response.tool_calls, "look_up{\"q\":1}", "{all:?}");
        }
    }
    for (kind, field) in [
        ("mcp_call_arguments.done", "arguments"),
        ("custom_tool_call_input.done", "input"),
        ("code_interpreter_call_code.done", "code"),
    ] {
        let response = events(&[of_part(kind, field, "x = 1"), end(json!([]))]);
        assert_eq!(response.tool_calls, "x = 1");
    }
}

#[test]
fn refusals_are_text() {
    let part = json!({"type": "refusal", "refusal": "No."});
    let item = json!({"type": "message", "content": [part]});
    let response = events(&[
        of_part("refusal.done", "refusal", "No."),
        item_done(0, item.clone()),
        end(json!([item])),
    ]);
    assert_eq!((&*response.text, response.content_frames()), ("No.", 1));
}

#[test]
fn a_whole_response_as_the_one_event_is_read() {
    let response = events(&[json!({"object": "response", "status": "completed",
                                   "output": [message("Hello")]})]);
    assert_eq!(response.error, None);
    assert_eq!(response.text, "Hello");
}
